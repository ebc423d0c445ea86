"""A conflict of interest that somebody entered by hand, whatever was declared."""

from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, select

from casework.cases.tables import case_conflict, declared_conflict
from casework.identity.tables import membership
from tests.casework.centre import Centre


async def enter_conflict(centre: Centre, case: str, login: str) -> None:
    """Close a case of her organisation to a member."""
    org, member = centre.org(login.partition(".")[0]), centre.member(login)
    entered, now = uuid4(), centre.clock.now()

    def enter(connection: Connection) -> None:
        account = connection.execute(
            select(membership.c.account_id).where(membership.c.org_id == org, membership.c.id == member)
        ).scalar_one()
        connection.execute(
            insert(declared_conflict).values(
                org_id=org,
                id=entered,
                account_id=account,
                declared_at=now,
                salt=bytes(32),
                marks=bytes(512),
            )
        )
        connection.execute(
            insert(case_conflict).values(
                org_id=org,
                case_id=UUID(case),
                member_id=member,
                conflict_id=entered,
                of_group="case",
                since=now,
            )
        )

    await centre.dba(enter)
