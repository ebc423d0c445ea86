"""What a database administrator who can write every row still cannot do with a handoff, nor with a session."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from casework.handoffs.tables import handoff, handoff_side
from casework.identity.tables import membership, session
from casework.organisations.partners import encode_chain
from casework.organisations.tables import partner
from crypto.directory import root_entry, root_fingerprint, verify_directory
from crypto.hpke import new_key_pair
from crypto.signing import SigningKey
from tests.casework.centre import Centre
from tests.casework.story import accept, agree, draft, hand_over, open_case


async def test_a_partner_row_with_another_root_redirects_no_handoff(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    org, receiver = centre.org("avec"), centre.org("cidff")
    root = SigningKey.new()
    entry = root_entry(receiver.bytes, root, new_key_pair().public)
    fingerprint = root_fingerprint(receiver.bytes, root.public)
    forged = verify_directory(receiver.bytes, [entry], fingerprint, None)
    planted = {
        "root_fingerprint": fingerprint,
        "epoch": forged.epoch,
        "head": forged.head,
        "chain": encode_chain([entry]),
    }
    this = (partner.c.org_id == org, partner.c.partner_id == receiver)
    row = await centre.dba(lambda c: c.execute(select(partner).where(*this)).one())
    await centre.dba(lambda c: c.execute(update(partner).where(*this).values(planted)))
    body = {
        "to": "cidff",
        "kind": "transfer",
        "purpose": "support",
        "urgency": "normal",
        "groups": ["identity"],
    }
    assert (await social.request("POST", f"/cases/{case}/handoffs", json=body)).status_code == 500
    kept = {name: getattr(row, name) for name in planted}
    await centre.dba(lambda c: c.execute(update(partner).where(*this).values(kept)))
    await social.post(f"/cases/{case}/handoffs", body)


async def test_a_consent_that_expired_is_not_revived_in_the_neutral_row(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity")
    await agree(social, drafted)
    await social.post(f"/handoffs/{drafted['id']}/sending", expect=200)
    jurist = await centre.sign_in("cidff.jurist")
    centre.clock.offset += timedelta(days=91)
    jurist = await centre.sign_in("cidff.jurist")
    later = centre.clock.now() + timedelta(days=1)
    this = handoff.c.id == UUID(drafted["id"])
    await centre.dba(lambda c: c.execute(update(handoff).where(this).values(consent_expires_at=later)))
    answer = await jurist.request("POST", f"/handoffs/{drafted['id']}/acceptance", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "consent_not_live")


async def test_a_part_opens_only_until_the_expiry_it_is_bound_to(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    sent, _ = await hand_over(social, case, "identity", "legal")
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, sent)
    centre.clock.offset += timedelta(days=91)
    jurist = await centre.sign_in("cidff.jurist")
    later = centre.clock.now() + timedelta(days=1)
    await centre.dba(lambda c: c.execute(update(handoff).values(consent_expires_at=later)))
    await centre.dba(lambda c: c.execute(update(handoff_side).values(consent_expires_at=later)))
    opened = await jurist.get(f"/cases/{received}")
    assert not any(opened["groups"].values())


async def test_civil_status_that_came_with_a_handoff_keeps_a_frame_of_its_own(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    identity = {"name_in_use": "Inès", "legal_name": "CIVIL-STATUS"}
    case = (await social.post("/cases", {"public": "seeking", "identity": identity}))["id"]
    social_as_admin = {"casework-purpose": "admin"}
    body = {
        "to": "cidff",
        "kind": "transfer",
        "purpose": "support",
        "urgency": "normal",
        "groups": ["identity"],
    }
    drafted = await social.post(f"/cases/{case}/handoffs", body, headers=social_as_admin)
    assert drafted["preview"]["identity"]["fields"]["legal_name"] == "CIVIL-STATUS"
    seen = await social.request("GET", f"/handoffs/{drafted['id']}/preview")
    assert "CIVIL-STATUS" not in seen.text
    await agree(social, drafted)
    await social.post(f"/handoffs/{drafted['id']}/sending", expect=200)
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, drafted["id"])
    await jurist.get(f"/cases/{received}")
    support = {"casework-purpose": "support"}
    plain = await jurist.request("GET", f"/cases/{received}", headers=support)
    assert plain.json()["groups"]["identity"] == {"name_in_use": "Inès"}
    listed = await (await centre.sign_in("cidff.reception")).request("GET", "/cases")
    assert "CIVIL-STATUS" not in listed.text


@pytest.mark.parametrize("victim", ["avec.supervisor", "avec.auditor"])
async def test_a_session_row_given_to_a_colleague_opens_nothing_in_her_name(
    centre: Centre, victim: str
) -> None:
    social = await centre.sign_in("avec.social")
    member, colleague = centre.member("avec.social"), centre.member(victim)
    await social.get("/me")
    given = update(session).where(session.c.member_id == member).values(member_id=colleague)
    await centre.dba(lambda c: c.execute(given))
    await social.get("/me", 401)


async def test_a_role_that_the_directory_does_not_certify_is_no_role(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await social.get("/cases")
    raised = (
        update(membership).where(membership.c.id == centre.member("avec.social")).values(role="supervisor")
    )
    await centre.dba(lambda c: c.execute(raised))
    await social.get("/cases", 401)


async def test_a_step_up_that_only_the_clear_column_claims_is_none(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity")
    await agree(social, drafted)
    centre.clock.offset += timedelta(minutes=6)
    later = centre.clock.now() + timedelta(hours=1)
    await centre.dba(lambda c: c.execute(update(session).values(step_up_until=later)))
    answer = await social.request("POST", f"/handoffs/{drafted['id']}/sending")
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_needed")
