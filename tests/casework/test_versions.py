"""What somebody changed beside the service and opens all the same: `casework check` tells, by the journal."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, select, update

from casework.cases.tables import case_file, case_group
from casework.follow_ups.tables import follow_up
from casework.integrity import Check, check_deployment
from casework.shreds import PSEUDONYM
from crypto.widths import xor
from tests.casework.centre import Centre, Client
from tests.casework.story import content, note, open_case

CORRECTION = {"reason": "Une erreur de date.", "content": {"social": "Le texte corrigé."}}


async def versions(centre: Centre) -> Check:
    return await checked(centre, "versions de « avec »")


async def names(centre: Centre) -> Check:
    return await checked(centre, "noms du journal de « avec »")


async def checked(centre: Centre, what: str) -> Check:
    await centre.integrate()
    deployment = centre.deployment
    found = await check_deployment(
        deployment.database, deployment.shreds, deployment.settings.state_dir, lambda *_: None
    )
    return next(check for check in found if check.what == what)


async def correct(social: Client, note_id: str, version: int) -> None:
    headers = {"if-match": f'"{version}"'}
    await social.post(f"/follow-ups/{note_id}/corrections", CORRECTION, headers=headers)


def group_of(case: str) -> Any:
    return (case_group.c.case_id == UUID(case)) & (case_group.c.compartment == "social")


async def kept(centre: Centre, case: str) -> dict[str, Any]:
    """A group's row as an administrator keeps it, to put it back later."""
    query = select(case_group.c.frame, case_group.c.version).where(group_of(case))
    row = await centre.dba(lambda connection: connection.execute(query).one())
    return dict(row._mapping)


async def put_back(centre: Centre, case: str, row: dict[str, Any]) -> None:
    statement = update(case_group).where(group_of(case)).values(row)
    await centre.dba(lambda connection: connection.execute(statement))


async def test_a_centre_at_work_is_found_sound(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    await social.patch(f"/cases/{case}/groups/social", content("social"), 1)
    await correct(social, await note(social, case, "accompagnement_social", "social"), 1)
    await social.post(f"/cases/{case}/closure", {"reason": "Elle ne vient plus."}, expect=200)
    await social.get(f"/cases/{case}")
    found = await versions(centre)
    assert (found.passed, found.words.partition(",")[0]) == (True, "10 enregistrements")
    assert (await names(centre)).passed


async def test_a_record_put_back_with_its_old_version_opens_and_is_named(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social, "social"), await open_case(social, "social")
    old = await kept(centre, case)
    await social.patch(f"/cases/{case}/groups/social", content("social"), 1)
    await put_back(centre, case, old)
    assert (await social.get(f"/cases/{case}"))["versions"]["social"] == 1
    found = await versions(centre)
    assert (found.passed, case in found.words, other in found.words) == (False, True, False)


async def test_a_record_put_back_and_then_changed_is_named(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    old = await kept(centre, case)
    for _ in range(2):
        await social.patch(f"/cases/{case}/groups/social", content("social"), 1)
        await put_back(centre, case, old)
    await social.patch(f"/cases/{case}/groups/social", content("social"), 1)
    found = await versions(centre)
    assert (found.passed, case in found.words) == (False, True)


async def test_a_correction_that_was_deleted_is_named(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    note_id = await note(social, case, "accompagnement_social", "social")
    await correct(social, note_id, 1)

    def forget(connection: Connection) -> None:
        connection.execute(delete(follow_up).where(follow_up.c.id == UUID(note_id), follow_up.c.version == 2))

    await centre.dba(forget)
    [shown] = (await social.get(f"/cases/{case}/follow-ups"))["items"]
    assert shown["version"] == 1
    found = await versions(centre)
    assert (found.passed, case in found.words) == (False, True)


@pytest.mark.parametrize("count", [1, 6])
async def test_a_case_that_was_silently_reopened_is_named_and_five_at_most(
    centre: Centre, count: int
) -> None:
    social = await centre.sign_in("avec.social")
    cases = [await open_case(social) for _ in range(count)]
    for case in cases:
        await social.post(f"/cases/{case}/closure", {"reason": "Elle ne vient plus."}, expect=200)
    reopening = update(case_file).values(status="open", version=1)
    await centre.dba(lambda connection: connection.execute(reopening))
    found = await versions(centre)
    assert (found.passed, sum(case in found.words for case in cases)) == (False, min(count, 5))


@pytest.mark.parametrize("name", ["nobodys", "anothers"])
async def test_an_access_that_was_journaled_under_another_name_is_found(centre: Centre, name: str) -> None:
    social = await centre.sign_in("avec.social")
    case, other = UUID(await open_case(social, "social")), UUID(await open_case(social, "social"))
    query = select(case_file.c.id, case_file.c.pseudonym_part)
    parts = {
        row.id: row.pseudonym_part
        for row in await centre.dba(lambda connection: connection.execute(query).all())
    }

    async def put(part: bytes) -> None:
        statement = update(case_file).where(case_file.c.id == case).values(pseudonym_part=part)
        await centre.dba(lambda connection: connection.execute(statement))

    persons = await pseudonyms(centre, parts)
    false_name = persons[other] if name == "anothers" else bytes(32)
    await put(xor(xor(parts[case], persons[case]), false_name))
    await social.get(f"/cases/{case}")
    await put(parts[case])
    ledger = await centre.journal("avec", case=str(case), action="case.open")
    assert ledger == []
    found = await names(centre)
    assert (found.passed, str(case) in found.words, str(other) in found.words) == (False, True, False)
    assert (await versions(centre)).passed


async def pseudonyms(centre: Centre, parts: dict[UUID, bytes]) -> dict[UUID, bytes]:
    """Everybody's name in the journal, as who administers both databases makes it."""
    shreds, org_id = centre.deployment.shreds, centre.org("avec")
    halves = await centre.deployment.database.snapshot(lambda _: shreds.all_of(org_id, PSEUDONYM), org_id)
    return {case_id: xor(part, halves[case_id.bytes]) for case_id, part in parts.items()}
