"""An auditor's bundle with details in clear: hers alone to take, and whoever verifies it compares."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from audit.checkpoint import VerificationKey
from audit.triggers import drop_triggers
from audit.trust import Trust
from audit.verdict import CheckName
from audit.verifier import verify_bundle
from crypto.signing import verify
from tests.audit import second
from tests.audit.test_bundle import members
from tests.casework.centre import Centre, Client
from tests.casework.story import open_case

BUNDLE = "/journal/bundle"


async def auditor_of(centre: Centre, login: str = "avec.auditor") -> Client:
    client = await centre.sign_in(login, step_up=True)
    await centre.integrate()
    return client


async def entry_with_detail(centre: Centre, slug: str = "avec", worker: str = "avec.social") -> str:
    await open_case(await centre.sign_in(worker))
    (entry,) = await centre.journal(slug, action="case.create")
    assert entry["detail"]["groups"]
    return str(entry["id"])


async def entries_of(centre: Centre, *actions: str) -> list[dict[str, Any]]:
    return [item for item in await centre.journal("avec") if item["action"] in actions]


async def refused(centre: Centre, client: Client, status: int, code: str, *details: str) -> None:
    """Nothing leaves, and no entry says that something did."""
    before = await entries_of(centre, "journal.export")
    await client.refused("GET", BUNDLE, status, code, params={"details": list(details)})
    assert await entries_of(centre, "journal.export") == before
    assert not [item for item in await entries_of(centre, "journal.detail") if item["outcome"] == "allowed"]


@pytest.mark.parametrize("login", ["avec.auditor", "avec.dpo"])
async def test_a_bundle_discloses_the_details_that_its_auditor_chose(
    centre: Centre, tmp_path: Path, login: str
) -> None:
    chosen = await entry_with_detail(centre)
    absent = str(uuid4())
    await (await centre.sign_in("avec.social")).refused("GET", f"/cases/{absent}", 404, "not_found")
    auditor = await auditor_of(centre, login)
    path = tmp_path / "journal.zip"
    path.write_bytes(await auditor.get(BUNDLE, params={"details": [chosen, chosen]}))
    disclosed = members(path.read_bytes())["details"]
    assert disclosed.startswith(chosen.encode())
    assert b'"groups"' in disclosed
    # Of the other entries nothing: the case that somebody asked for in vain stands sealed in one of them.
    assert absent.encode() not in disclosed
    trust = Trust(keys=(VerificationKey.parse(centre.founded["avec"].journal_key),))
    report = verify_bundle(path, trust, verify)
    assert (report.exit_code, second.exit_code(path, trust)) == (0, 0)
    (said,) = [check.words for check in report.checks if check.name is CheckName.DETAILS]
    assert said == "détails divulgués, tels qu’ils ont été inscrits : 1"
    detail, export = [
        *await entries_of(centre, "journal.detail"),
        *await entries_of(centre, "journal.export"),
    ]
    assert (detail["outcome"], detail["entry"]["count"], detail["detail"]) == (
        "allowed",
        1,
        {"entries": [chosen]},
    )
    assert detail["entry"]["actor"] == export["entry"]["actor"] == str(centre.member(login))


async def test_a_bundle_without_a_wish_discloses_nothing(centre: Centre) -> None:
    await entry_with_detail(centre)
    auditor = await centre.sign_in("avec.auditor")
    assert "details" not in members(await auditor.get(BUNDLE))
    assert await entries_of(centre, "journal.detail") == []


@pytest.mark.parametrize("login", ["avec.custodian", "avec.social", "avec.supervisor"])
async def test_who_does_not_audit_is_disclosed_nothing(centre: Centre, login: str) -> None:
    await refused(centre, await auditor_of(centre, login), 403, "forbidden", await entry_with_detail(centre))
    (denied,) = await entries_of(centre, "journal.verify")
    assert (denied["outcome"], denied["entry"]["actor"]) == ("denied", str(centre.member(login)))


async def test_details_do_not_leave_without_a_confirmed_password(centre: Centre) -> None:
    chosen = await entry_with_detail(centre)
    await refused(centre, await centre.sign_in("avec.auditor"), 403, "step_up_needed", chosen)
    (denied,) = await entries_of(centre, "journal.detail")
    assert (denied["outcome"], denied["entry"]["reason"]) == ("denied", "step_up")


async def test_the_detail_of_another_organisations_entry_is_as_absent_as_an_unknown_one(
    centre: Centre,
) -> None:
    foreign = await entry_with_detail(centre, "cidff", "cidff.jurist")
    own = await entry_with_detail(centre)
    auditor = await auditor_of(centre)
    unknown = str(uuid4())
    answers = []
    for absent in (foreign, unknown):
        await refused(centre, auditor, 404, "not_found", own, absent)
        answer = await auditor.request("GET", BUNDLE, params={"details": [absent]})
        answers.append(answer.content)
    assert answers[0] == answers[1]
    tried = [item["detail"]["tried"]["entry"] for item in await entries_of(centre, "journal.detail")]
    assert set(tried) == {foreign, unknown}


async def test_a_detail_that_was_shredded_or_never_was_cannot_be_disclosed(centre: Centre) -> None:
    chosen = await entry_with_detail(centre)
    auditor = await auditor_of(centre)
    without = (await entries_of(centre, "session.second_factor"))[0]
    assert without["detail"] is None
    await refused(centre, auditor, 404, "not_found", without["id"])

    def shred(connection: Connection) -> None:
        connection.execute(text("DELETE FROM audit_detail WHERE entry_id = :id"), {"id": chosen})

    await centre.dba(shred)
    await refused(centre, auditor, 404, "not_found", chosen)


async def test_a_detail_whose_entry_is_gone_cannot_be_disclosed(centre: Centre) -> None:
    """In no bundle would an entry stand to compare it with."""
    chosen = await entry_with_detail(centre)
    auditor = await auditor_of(centre)

    def take_it_away(connection: Connection) -> None:
        for statement in drop_triggers(connection.dialect.name):
            connection.exec_driver_sql(statement)
        connection.execute(text("DELETE FROM audit_entry WHERE entry_id = :id"), {"id": chosen})

    await centre.dba(take_it_away)
    await auditor.refused("GET", BUNDLE, 404, "not_found", params={"details": [chosen]})


async def test_no_more_than_a_hundred_details_and_nothing_but_ids(centre: Centre) -> None:
    auditor = await auditor_of(centre)
    await refused(centre, auditor, 422, "bad_input", *(str(uuid4()) for _ in range(101)))
    await refused(centre, auditor, 422, "bad_input", "every")
    await refused(centre, auditor, 404, "not_found", *(str(uuid4()) for _ in range(100)))
