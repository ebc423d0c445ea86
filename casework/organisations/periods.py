"""How long each organisation keeps its journal, in months (CNIL 2021-122: 6 to 12; to 36 where documented)."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, select, update

from casework.organisations.tables import organisation

SHORTEST: Final = 6
USUAL: Final = 12
LONGEST: Final = 36


def journal_months(connection: Connection, org_id: UUID) -> int:
    """The months for which the entries of an organisation's journal are kept."""
    months: int = connection.execute(
        select(organisation.c.journal_months).where(organisation.c.id == org_id)
    ).scalar_one()
    return months


def set_journal_months(connection: Connection, org_id: UUID, months: int) -> None:
    """Keep entries so long from now on. What is gone already does not come back."""
    connection.execute(update(organisation).where(organisation.c.id == org_id).values(journal_months=months))
