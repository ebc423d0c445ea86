"""The versions in which an organisation's follow-ups stand; no key is needed to see them."""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import Connection, func, select

from casework.follow_ups.tables import follow_up


def stored_versions(connection: Connection, org_id: UUID) -> Iterator[tuple[UUID, UUID, int]]:
    """(case, follow-up, newest version) of every follow-up."""
    query = (
        select(follow_up.c.case_id, follow_up.c.id, func.max(follow_up.c.version))
        .where(follow_up.c.org_id == org_id)
        .group_by(follow_up.c.case_id, follow_up.c.id)
    )
    yield from connection.execute(query)
