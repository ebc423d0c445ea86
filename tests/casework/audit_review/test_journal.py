"""Reading the journal: one's own organisation's, every reading journaled, proofs that verify offline."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, delete

from audit import tables
from audit.canonical import encode
from audit.checkpoint import VerificationKey, parse_checkpoint, verify_checkpoint
from audit.errors import ProofRefused
from audit.receipt import verify_receipt
from audit.triggers import drop_triggers
from audit.trust import Trust
from audit.verifier import verify_bundle
from crypto.signing import verify
from tests.casework.centre import CANARY, Centre
from tests.casework.story import hand_over, new_case, note, open_case, told

READINGS = (
    "/journal/entries",
    "/journal/checkpoint",
    "/journal/bundle",
    "/journal/entries/{id}/proof",
)


def _key(centre: Centre, slug: str) -> VerificationKey:
    return VerificationKey.parse(centre.founded[slug].journal_key)


@pytest.mark.parametrize(
    "login", ["avec.social", "avec.reception", "avec.supervisor", "avec.custodian", "cidff.jurist"]
)
async def test_who_does_not_audit_reads_no_journal(centre: Centre, login: str) -> None:
    await open_case(await centre.sign_in("avec.social"), "social")
    entry = (await centre.journal("avec"))[0]["id"]
    member = await centre.sign_in(login)
    for path in READINGS:
        await member.refused("GET", path.format(id=entry), 403, "forbidden")
    slug = login.partition(".")[0]
    denied = [item for item in await centre.journal(slug) if item["outcome"] == "denied"]
    assert [item["action"] for item in denied] == [
        "journal.verify",
        "journal.verify",
        "journal.verify",
        "journal.read",
    ]
    assert {item["entry"]["actor"] for item in denied} == {str(centre.member(login))}


async def test_an_auditor_reads_her_own_organisations_journal_alone(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"), "social")
    await open_case(await centre.sign_in("cidff.jurist"))
    avec, cidff = await centre.journal("avec"), await centre.journal("cidff")
    assert {item["entry"]["log"] for item in avec} == {"centre.example/avec"}
    assert {item["entry"]["log"] for item in cidff} == {"centre.example/cidff"}
    auditor = await centre.sign_in("cidff.auditor")
    for query in ({"case": case}, {"member": str(centre.member("avec.social"))}):
        assert (await auditor.get("/journal/entries", params=query))["items"] == []
    foreign = f"/journal/entries/{avec[0]['id']}/proof"
    absent = f"/journal/entries/{uuid4()}/proof"
    await auditor.refused("GET", foreign, 404, "not_found")
    assert (await auditor.request("GET", foreign)).content == (await auditor.request("GET", absent)).content
    await auditor.get(f"/journal/entries/{cidff[0]['id']}/proof")


async def test_filters_hold_together(centre: Centre) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    case, other = await open_case(social, "social"), await open_case(psychologist)
    await note(social, case, "accompagnement_social", "social")
    await social.get(f"/cases/{case}")
    await psychologist.refused("GET", f"/cases/{case}", 404, "not_found")

    async def actions(**query: Any) -> list[str]:
        return [item["action"] for item in reversed(await centre.journal("avec", **query))]

    assert await actions(case=case) == ["case.create", "follow_up.create", "case.open"]
    assert await actions(case=other) == ["case.create"]
    assert await actions(case=case, action="case.open") == ["case.open"]
    assert await actions(outcome="denied") == ["case.open"]
    hers = await actions(member=str(centre.member("avec.psychologist")))
    assert hers == ["session.second_factor", "case.create", "case.open"]
    assert await actions(member=str(centre.member("avec.psychologist")), case=case) == []
    centre.clock.offset += timedelta(minutes=5)
    since = centre.clock.now().isoformat()
    await social.get(f"/cases/{case}")
    assert await actions(case=case, **{"from": since}) == ["case.open"]
    assert await actions(case=case, to=since) == ["case.create", "follow_up.create", "case.open"]
    auditor = await centre.sign_in("avec.auditor")
    for query in (
        {"from": "2026-11-20T10:00:00"},
        {"case": CANARY},
        {"outcome": CANARY},
        {"action": f"{CANARY}'"},
        {"limit": "201"},
        {"cursor": "-1"},
    ):
        await auditor.refused("GET", "/journal/entries", 422, "bad_input", params=query)


async def test_an_unknown_case_has_no_entries(centre: Centre) -> None:
    await open_case(await centre.sign_in("avec.social"))
    assert await centre.journal("avec", case=str(uuid4())) == []
    assert await centre.journal("avec")


async def test_pages_have_no_gap_and_no_double(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(5):
        await open_case(social)
    await centre.integrate()
    auditor = await centre.sign_in("avec.auditor")
    await centre.integrate()
    seen: list[int] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = await auditor.get(
            "/journal/entries", params={"limit": 3} | ({"cursor": cursor} if cursor else {})
        )
        seen += [item["index"] for item in page["items"]]
        cursor = page["next"]
    assert seen == list(range(len(seen)))[::-1]


async def test_details_are_opened_for_who_audits_and_hold_no_content(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "contact", "social", "legal")
    await note(social, case, "accompagnement_social", "social")
    await hand_over(social, case, "identity", "legal")
    absent = str(uuid4())
    await social.refused("GET", f"/cases/{absent}", 404, "not_found")
    items = await centre.journal("avec")
    created = next(item for item in items if item["action"] == "case.create")
    groups = ["contact", "identity", "intake", "legal", "social"]
    assert created["detail"] == {"groups": groups, "honeytoken": 0}
    denied = next(item for item in items if item["outcome"] == "denied")
    assert denied["detail"] == {"tried": {"case": absent}}
    text = str(items)
    assert CANARY not in text
    entries = str([item["entry"] for item in items])
    assert not any(word in entries for word in (case, absent, "avec.social", "127.0.0.1", told("social")))


async def test_reading_the_journal_is_journaled(centre: Centre) -> None:
    auditor = await centre.sign_in("avec.auditor")
    await centre.integrate()
    page = await auditor.get("/journal/entries?limit=2")
    await auditor.get("/journal/bundle")
    items = await centre.journal("avec")
    read = next(item for item in items if item["action"] == "journal.read")
    assert (read["entry"]["actor"], read["entry"]["count"]) == (
        str(centre.member("avec.auditor")),
        len(page["items"]),
    )
    exported = next(item for item in items if item["action"] == "journal.export")
    assert exported["entry"]["actor"] == str(centre.member("avec.auditor"))


async def test_a_proof_verifies_offline_for_its_entry_and_no_other(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await social.post("/cases", new_case("social"))
    one, other, *_ = [item for item in await centre.journal("avec") if item["action"] != "journal.read"]
    auditor = await centre.sign_in("avec.auditor")
    proof = (await auditor.get(f"/journal/entries/{one['id']}/proof")).decode()
    head, index = verify_receipt(proof, encode(one["entry"]), [_key(centre, "avec")], verify)
    assert (index, head.size > index) == (one["index"], True)
    with pytest.raises(ProofRefused):
        verify_receipt(proof, encode(other["entry"]), [_key(centre, "avec")], verify)
    note_text = (await auditor.get("/journal/checkpoint")).decode()
    verify_checkpoint(parse_checkpoint(note_text), [_key(centre, "avec")], verify)


async def test_a_bundle_verifies_with_the_key_printed_at_founding_and_with_no_other(
    centre: Centre, tmp_path: Path
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    await social.get(f"/cases/{case}")
    await centre.integrate()
    auditor = await centre.sign_in("avec.auditor")
    path = tmp_path / "journal.zip"
    path.write_bytes(await auditor.get("/journal/bundle"))
    assert verify_bundle(path, Trust(keys=(_key(centre, "avec"),)), verify).exit_code == 0
    assert verify_bundle(path, Trust(keys=(_key(centre, "cidff"),)), verify).exit_code != 0
    assert CANARY.encode() not in path.read_bytes()


async def test_a_log_without_a_checkpoint_exports_nothing(centre: Centre) -> None:
    auditor = await centre.sign_in("avec.auditor")
    await centre.app.state.integration.stop()

    def take_them_away(connection: Connection) -> None:
        for statement in drop_triggers(connection.dialect.name):
            connection.exec_driver_sql(statement)
        connection.execute(delete(tables.checkpoint))

    await centre.dba(take_them_away)
    for path in ("/journal/checkpoint", "/journal/bundle"):
        await auditor.refused("GET", path, 409, "nothing_published")
