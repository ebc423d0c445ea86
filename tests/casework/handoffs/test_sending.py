"""Sending: a live consent to exactly this content, a fresh password, sources that did not move."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from casework.consents.tables import consent as consent_table
from casework.database import metadata
from casework.handoffs.tables import handoff_part, handoff_side
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import (
    accept,
    agree,
    consent,
    content,
    denials,
    done,
    draft,
    entries_of,
    hand_over,
    note,
    open_case,
    send,
    told,
)


async def _parts(centre: Centre) -> int:
    query = select(func.count()).select_from(handoff_part)
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def _refuse_to_send(client: Client, drafted: dict[str, Any], code: str) -> None:
    """409, nothing on the other side, and a denial that names this handoff to the auditor."""
    centre = client.centre
    await client.refused("POST", f"/handoffs/{drafted['id']}/sending", 409, code)
    assert await _parts(centre) == 0
    denied, *_ = await denials(centre, "avec", "handoff.send")
    assert denied["entry"]["reason"] == code
    assert denied["entry"]["actor"] == str(centre.member("avec.social"))
    assert denied["detail"] == {"tried": {"handoff": drafted["id"]}}
    supervisor = await centre.sign_in("cidff.supervisor")
    assert (await supervisor.get("/handoffs?box=received"))["items"] == []
    assert not entries_of(await centre.journal("cidff"), "handoff.arrive")


async def _send_another(client: Client, case: str, *groups: str) -> None:
    """The same setup, as it should be, goes through."""
    await hand_over(client, case, *groups)
    assert await _parts(client.centre) > 0


async def test_nothing_is_sent_without_consent(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    await _refuse_to_send(social, drafted, "consent_needed")
    await agree(social, drafted)
    await send(social, drafted)


async def test_a_consent_to_another_content_is_none(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted, other = await draft(social, case, "identity", "legal"), await draft(social, case, "identity")
    await social.refused(
        "POST", f"/handoffs/{drafted['id']}/consent", 409, "digest_mismatch", json=consent(other)
    )
    denied, *_ = await denials(centre, "avec", "consent.record")
    assert denied["entry"]["reason"] == "digest_mismatch"
    await _refuse_to_send(social, drafted, "consent_needed")
    await agree(social, drafted)
    await send(social, drafted)


async def test_a_consent_row_changed_to_another_digest_sends_nothing(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted, other = await draft(social, case, "identity", "legal"), await draft(social, case, "identity")
    await agree(social, drafted)
    await agree(social, other)
    digest = bytes.fromhex(other["content_digest"])
    for table in (consent_table, handoff_side):
        statement = (
            update(table)
            .where(table.c.content_digest == bytes.fromhex(drafted["content_digest"]))
            .values(content_digest=digest)
        )
        await centre.dba(lambda connection, statement=statement: connection.execute(statement))
        answer = await social.request("POST", f"/handoffs/{drafted['id']}/sending")
        assert answer.status_code in {403, 409}
        assert CANARY not in answer.text
        assert await _parts(centre) == 0
    await send(social, other)


async def test_a_group_that_changed_since_the_preview_needs_a_new_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    await agree(social, drafted)
    await social.patch(f"/cases/{case}/groups/legal", {"summary": f"{CANARY} changed"}, 1)
    await _refuse_to_send(social, drafted, "source_changed")
    await _send_another(social, case, "identity", "legal")


async def test_what_was_not_chosen_may_change(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal", "social")
    chosen = await note(social, case, "accompagnement_social", "social", "legal")
    drafted = await draft(social, case, "identity", "legal", follow_ups=[chosen])
    await agree(social, drafted)
    await note(social, case, "accompagnement_social", "social", "legal")
    await social.patch(f"/cases/{case}/groups/social", {"summary": "changed"}, 1)
    await send(social, drafted)


async def test_an_expired_consent_sends_nothing(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    soon = (centre.clock.now() + timedelta(minutes=3)).isoformat()
    await agree(social, drafted, expires_at=soon)
    centre.clock.offset += timedelta(minutes=4)
    await _refuse_to_send(social, drafted, "consent_not_live")
    await _send_another(social, case, "identity", "legal")


async def test_a_withdrawn_consent_sends_nothing(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    given = await agree(social, drafted)
    withdrawn = await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert done(withdrawn) == {"effects": ["nothing_was_sent"]}
    await _refuse_to_send(social, drafted, "wrong_state")
    # A new wish is a new draft and a new consent: the old one takes none.
    await social.refused(
        "POST", f"/handoffs/{drafted['id']}/consent", 409, "wrong_state", json=consent(drafted)
    )
    await _send_another(social, case, "identity", "legal")


async def test_sending_needs_a_password_given_just_now(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    await agree(social, drafted)
    problem = await social.refused("POST", f"/handoffs/{drafted['id']}/sending", 403, "step_up_needed")
    assert problem["advice"] == ["step_up"]
    assert await _parts(centre) == 0
    assert (await denials(centre, "avec", "handoff.send"))[0]["entry"]["reason"] == "step_up"
    stepped = await centre.sign_in("avec.social", step_up=True)
    await send(stepped, drafted)


@pytest.mark.parametrize("login", ["avec.supervisor", "avec.psychologist", "avec.reception"])
async def test_who_is_not_assigned_sends_nothing(centre: Centre, login: str) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    await agree(social, drafted)
    other = await centre.sign_in(login, step_up=True)
    answer = await other.request("POST", f"/handoffs/{drafted['id']}/sending")
    assert answer.status_code == (403 if login == "avec.supervisor" else 404)
    assert CANARY not in answer.text
    assert await _parts(centre) == 0
    await send(social, drafted)


async def test_a_second_sending_is_refused_and_a_replay_is_not_a_second_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    await agree(social, drafted)
    path, headers = f"/handoffs/{drafted['id']}/sending", {"idempotency-key": "s1"}
    sent = await social.post(path, expect=200, headers=headers)
    parts = await _parts(centre)
    again = await social.post(path, expect=200, headers=headers)
    assert again["state"] == sent["state"] == "sent"
    await social.refused("POST", path, 409, "wrong_state")
    assert await _parts(centre) == parts
    assert len(entries_of(await centre.journal("cidff"), "handoff.arrive")) == 1


async def test_both_journals_hold_the_sending_under_one_id_and_the_receivers_names_nobody(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    handoff_id, given = await hand_over(social, case, "identity", "legal")
    sent, *_ = entries_of(await centre.journal("avec"), "handoff.send")
    arrived, *_ = entries_of(await centre.journal("cidff"), "handoff.arrive")
    assert sent["id"] == arrived["id"]
    assert sent["entry"]["basis"]["consent"] == given
    assert sent["entry"]["basis"]["handoff"] == arrived["entry"]["basis"]["handoff"] == handoff_id
    entry = arrived["entry"]
    nobody = {name: entry[name] for name in ("actor", "role", "source", "purpose", "reason", "detail")}
    assert set(nobody.values()) == {None}
    assert (entry["subjects"], entry["basis"]["policies"]) == ([], [])
    assert given not in str(arrived)
    assert case not in str(arrived)


async def test_what_was_not_chosen_or_was_excluded_never_leaves(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "contact", "social", "legal", "safety", "family")
    kept_back = await note(social, case, "accompagnement_social", "social", "legal")
    sent_too = await note(social, case, "accompagnement_social", "social", "legal", "safety")
    handoff_id, _ = await hand_over(
        social,
        case,
        "identity",
        "legal",
        "contact",
        follow_ups=[kept_back, sent_too],
        excluded=["contact.phone", kept_back],
    )
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, handoff_id)
    opened = await jurist.get(f"/cases/{received}")
    assert {group: fields for group, fields in opened["groups"].items() if fields} == {
        "identity": content("identity"),
        "legal": content("legal"),
    }
    timeline = (await jurist.get(f"/cases/{received}/follow-ups"))["items"]
    assert [item["content"] for item in timeline] == [{"legal": told("legal")}]
    # Ids are the packet's own: the sender's would date and link her records.
    assert {item["id"] for item in timeline}.isdisjoint({kept_back, sent_too})
    answers = str(opened) + str(timeline)
    for group in ("contact", "social", "safety", "family"):
        assert told(group) not in answers
    assert case not in answers


async def test_the_database_holds_no_text_of_a_handoff_in_clear(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    await hand_over(social, case, "identity", "legal")

    def dump(connection: Any) -> list[bytes]:
        values = [
            value
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
            for value in row
        ]
        return [
            value.blob
            if hasattr(value, "blob")
            else str(value).encode()
            if not isinstance(value, bytes)
            else value
            for value in values
        ]

    values = await centre.dba(dump)
    assert len(values) > 1_000
    assert not any(CANARY.encode() in value for value in values)
    assert not any(b"acces_au_droit" in value for value in values)
