"""What row-level security leaves to the service of an organisation's keys: nothing current goes, nothing leaks."""

from uuid import UUID

import pytest
from sqlalchemy import text

from tests.casework.test_walls import Walled, walled

__all__ = ["walled"]


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


async def test_a_key_that_no_newer_one_has_replaced_is_not_destroyed(walled: Walled) -> None:
    """Whoever holds the service's rights cannot take the keys of every case away."""
    for table in ("key_grant", "kek_recovery", "drop_key"):
        assert await walled.attempt(walled.avec, f"DELETE FROM {table}") == 0
    replaced = """
        INSERT INTO kek_recovery SELECT org_id, compartment, 2, sealed FROM kek_recovery
        WHERE org_id = :org AND compartment = 'social'
    """
    values = {"org": walled.avec}
    await walled.administrator.run(lambda connection: connection.execute(text(replaced), values))
    assert await walled.attempt(walled.avec, "DELETE FROM kek_recovery") == 1
    granted = "SELECT count(*) FROM key_grant WHERE org_id = :org AND compartment = 'social'"
    number = await walled.administrator.run(lambda c: c.execute(text(granted), values).scalar_one())
    assert number > 1
    assert await walled.attempt(walled.avec, "DELETE FROM key_grant") == number
    assert await walled.attempt(walled.avec, "DELETE FROM drop_key") == 0


async def test_a_partners_newest_entries_are_shown_to_a_partner_alone(walled: Walled) -> None:
    later = text("UPDATE partner SET epoch = epoch - 1 WHERE org_id = :org AND partner_id = :partner")
    values = {"org": walled.avec, "partner": walled.cidff}
    await walled.administrator.run(lambda connection: connection.execute(later, values))

    async def shown(org: UUID | None, partner: UUID) -> int:
        query = text("SELECT count(*) FROM partner_entries(:partner)")
        return await walled.inside(org, lambda c: c.execute(query, {"partner": partner}).scalar_one())

    assert await shown(walled.avec, walled.cidff) == 1
    assert await shown(walled.avec, walled.avec) == 0
    assert await shown(None, walled.cidff) == 0
    assert await shown(walled.centre.org("med"), walled.cidff) == 0
