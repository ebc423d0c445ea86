"""Each fact of the policies is defined once, as SQL, in `casework/facts.py`: what makes it true, what does not."""

import ast
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Table, insert, select, update

from casework.cases.tables import assignment, break_glass, case_conflict, case_file, case_team
from casework.database import UnitOfWork
from casework.facts import MEMBER, NOW, RequestFacts, case_facts, request_facts
from casework.organisations.tables import (
    managed_network,
    opening_hours,
    org_settings,
    team_member,
)
from policies.facts import Context
from policies.vocabulary import Fact
from tests.casework.centre import Centre
from tests.casework.conflicting import enter_conflict
from tests.casework.story import open_case

# Every table that a fact is decided by; the slices that write them read them too, and decide nothing by it.
DECIDE = {"case_conflict", "break_glass", "team_member", "opening_hours", "closed_day", "managed_network"}
WRITE = {
    "casework/facts.py",
    "casework/conflicts.py",
    "casework/relations.py",
    "casework/access.py",
    "casework/cases/emergency.py",
    "casework/cases/erasing.py",
    "casework/organisations/teams.py",
    "casework/organisations/settings.py",
}
ROOT = Path(__file__).parents[2]


async def holds(centre: Centre, fact: Fact, case: str, login: str) -> bool:
    """Whether a fact of a case holds for a member at this moment."""
    expression = case_facts(centre.member(login), centre.clock.now())[fact]
    query = select(expression.label("fact")).where(case_file.c.id == UUID(case))
    return bool(await centre.dba(lambda connection: connection.execute(query).scalar_one()))


async def _write(centre: Centre, table: Table, **values: object) -> None:
    row = {"org_id": centre.org("avec"), **values}
    await centre.dba(lambda connection: connection.execute(insert(table).values(row)))


def test_there_is_one_expression_for_every_fact() -> None:
    assert set(case_facts(MEMBER, NOW)) == set(Fact)
    assert {"hours", "device"} <= set(Context.__dataclass_fields__)


async def test_mine_is_of_whoever_is_assigned_and_nobody_else(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"))
    assert await holds(centre, Fact.MINE, case, "avec.social")
    assert not await holds(centre, Fact.MINE, case, "avec.jurist")
    await centre.dba(lambda connection: connection.execute(assignment.delete()))
    assert not await holds(centre, Fact.MINE, case, "avec.social")


async def test_my_team_is_of_whoever_belongs_to_a_team_of_the_case(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"))
    of_case = await centre.team("avec", "nuit", "avec.jurist")
    await centre.team("avec", "jour", "avec.psychologist")
    assert not await holds(centre, Fact.MY_TEAM, case, "avec.jurist")
    await _write(centre, case_team, case_id=UUID(case), team_id=of_case, since=centre.clock.now())
    assert await holds(centre, Fact.MY_TEAM, case, "avec.jurist")
    assert not await holds(centre, Fact.MY_TEAM, case, "avec.psychologist")
    assert not await holds(centre, Fact.MY_TEAM, case, "avec.social")
    await centre.dba(lambda connection: connection.execute(team_member.delete()))
    assert not await holds(centre, Fact.MY_TEAM, case, "avec.jurist")


async def test_restricted_is_of_the_case_for_everybody(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"))
    assert not await holds(centre, Fact.RESTRICTED, case, "avec.social")
    await centre.dba(lambda connection: connection.execute(update(case_file).values(restricted=True)))
    assert await holds(centre, Fact.RESTRICTED, case, "avec.social")
    assert await holds(centre, Fact.RESTRICTED, case, "avec.jurist")


async def test_conflict_is_of_whoever_declared_it(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"))
    await enter_conflict(centre, case, "avec.jurist")
    assert await holds(centre, Fact.CONFLICT, case, "avec.jurist")
    assert not await holds(centre, Fact.CONFLICT, case, "avec.social")
    await centre.dba(lambda connection: connection.execute(case_conflict.delete()))
    assert not await holds(centre, Fact.CONFLICT, case, "avec.jurist")


async def test_glass_is_of_whoever_broke_it_until_its_window_ends(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"))
    ends = centre.clock.now() + timedelta(hours=4)
    member = centre.member("avec.jurist")
    await _write(centre, break_glass, id=UUID(int=1), case_id=UUID(case), member_id=member, expires_at=ends)
    assert await holds(centre, Fact.GLASS, case, "avec.jurist")
    assert not await holds(centre, Fact.GLASS, case, "avec.social")
    centre.clock.offset += timedelta(hours=4)
    assert not await holds(centre, Fact.GLASS, case, "avec.jurist")


@pytest.mark.parametrize("fact", list(Fact))
async def test_a_case_of_another_organisation_makes_no_fact_true(centre: Centre, fact: Fact) -> None:
    """The rows name the member, and her own organisation's case under the same id would be another row."""
    case = await open_case(await centre.sign_in("cidff.jurist"))
    assert not await holds(centre, fact, case, "avec.jurist")


async def test_hours_and_device_are_of_the_organisation_that_set_them(centre: Centre) -> None:
    """Closed on every day but this, from one network alone; the other organisation has no settings."""
    now = centre.clock.now()
    address, other = bytes(15) + b"\x07", bytes(15) + b"\x08"
    await _write(centre, org_settings, version=1)
    await _write(centre, opening_hours, weekday=0, opens=0, closes=1)
    await _write(centre, managed_network, first=address, last=address)

    # A Tuesday: it is open for a minute of Mondays.
    tuesday = now + timedelta(days=(1 - now.weekday()) % 7)

    async def ask(slug: str, where: bytes, *, managed: bool) -> tuple[bool, bool]:
        def read(unit: UnitOfWork) -> RequestFacts:
            unit.enter_organisation(centre.org(slug))
            return request_facts(unit.connection, centre.org(slug), tuesday, where, managed=managed)

        facts = await centre.deployment.database.unit(read)
        return facts.hours, facts.device

    assert await ask("avec", address, managed=False) == (False, True)
    assert await ask("avec", other, managed=True) == (False, False)
    assert await ask("cidff", address, managed=False) == (True, False)
    assert await ask("cidff", other, managed=True) == (True, True)


def test_what_decides_a_fact_is_read_by_no_other_module() -> None:
    readers = set()
    for path in sorted((ROOT / "casework").rglob("*.py")):
        imports = [
            {alias.name for alias in node.names}
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(".tables")
        ]
        if any(names & DECIDE for names in imports):
            readers.add(path.relative_to(ROOT).as_posix())
    assert readers == WRITE
