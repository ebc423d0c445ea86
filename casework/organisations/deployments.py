"""What the database says of itself: its name, whether it is a demo, and its organisations' journal keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select, update

from casework.organisations.tables import deployment, organisation


@dataclass(frozen=True, slots=True)
class Mark:
    """The deployment's one row. `name` is the origin of its journal."""

    name: str
    is_demo: bool


def find_mark(connection: Connection) -> Mark | None:
    """The mark of this database; None where it was never prepared."""
    row = connection.execute(select(deployment.c.name, deployment.c.is_demo)).one_or_none()
    return Mark(row.name, row.is_demo) if row is not None else None


def journal_key_of(connection: Connection, org_id: UUID) -> str | None:
    """The verification key that was printed at an organisation's founding; None for the deployment's own log."""
    key: str | None = connection.execute(
        select(organisation.c.journal_key).where(organisation.c.id == org_id)
    ).scalar_one_or_none()
    return key


def rename_deployment(connection: Connection, name: str, keys: Mapping[UUID, str]) -> None:
    """Give the deployment another name, and each organisation its journal's key under it."""
    connection.execute(update(deployment).values(name=name))
    for org_id, key in keys.items():
        connection.execute(update(organisation).where(organisation.c.id == org_id).values(journal_key=key))
