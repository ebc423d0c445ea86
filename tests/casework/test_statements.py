"""Hot statements give what Core gives, inside the unit's own transaction."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Integer, bindparam, select

from casework.cases.tables import case_file
from casework.column_types import Id, Moment
from casework.database import Database
from casework.identity import sessions
from casework.identity.tables import session
from casework.statements import HotStatement, run_hot
from tests.casework.centre import Centre
from tests.casework.story import open_case

_ANY = select(case_file).where(case_file.c.created_at < bindparam("before", type_=Moment))


async def test_it_gives_the_very_rows_of_core(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(3):
        await open_case(social, "social")
    values = {"before": datetime(2100, 1, 1, tzinfo=UTC)}

    def both(connection: Connection) -> tuple[list[Any], list[Any]]:
        cored = connection.execute(_ANY, values).all()
        return [tuple(row) for row in cored], [
            tuple(row) for row in HotStatement(_ANY).rows(connection, values)
        ]

    cored, hot = await centre.dba(both)
    assert len(cored) == 3
    assert hot == cored


async def test_values_beside_those_it_needs_are_left_alone_and_a_missing_one_is_an_error(
    database: Database,
) -> None:
    one = HotStatement(select(bindparam("number", type_=Integer).label("number")))
    assert await database.unit(lambda unit: one.rows(unit.connection, {"number": 7, "other": 8})) == [(7,)]
    with pytest.raises(KeyError):
        await database.unit(lambda unit: one.rows(unit.connection, {}))


async def test_no_row_is_none(database: Database) -> None:
    absent = HotStatement(select(session.c.expires_at).where(session.c.org_id == bindparam("org", type_=Id)))
    assert await database.unit(lambda unit: absent.row(unit.connection, {"org": uuid4()})) is None


async def test_what_it_wrote_is_rolled_back_with_its_unit(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    closing = case_file.update().where(case_file.c.id == bindparam("case", type_=Id)).values(status="closed")

    class Undone(Exception):
        pass

    def close_and_fail(act: Any) -> None:
        run_hot(act.unit.connection, closing, {"case": case_id})
        raise Undone

    [case_id] = await centre.dba(
        lambda connection: connection.execute(select(case_file.c.id)).scalars().all()
    )
    with pytest.raises(Undone):
        await centre.act(social, close_and_fail)
    assert (await social.get(f"/cases/{case}"))["status"] == "open"


def test_the_session_of_both_engines_has_the_same_columns() -> None:
    assert [str(one.key) for one in sessions._FOUND] == [
        column.key for column in sessions._FIND_POSTGRESQL._statement.selected_columns
    ]
