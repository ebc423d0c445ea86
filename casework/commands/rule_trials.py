"""Rules that are not in force, tried on what an organisation's journal says was decided."""

from uuid import UUID

from casework.commands.organisations import id_of
from casework.commands.progress import progress
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.policy_replay import DAYS, replay_journal
from policies.engine import Engine
from policies.sources import Source, base_source
from policies.wording import replayed


async def try_on_journal(deployment: Deployment, org: str, text: str, days: int = DAYS) -> list[str]:
    """What the last `days` would have been under these rules, in French sentences that name nobody.

    Raises:
        PolicyRefused: it is not a text that could be loaded.

    """
    org_id = id_of(deployment, org)
    in_force = await deployment.database.unit(lambda unit: _in_force(deployment, unit, org_id))
    under = Engine(org, in_force.orgs, [base_source(), Source(org, text)])
    with progress("Lecture du journal") as advance:
        found = await deployment.database.snapshot(
            lambda connection: replay_journal(
                connection, org_id, in_force, under, until=deployment.clock.now(), days=days, advance=advance
            ),
            org_id,
        )
    return replayed(found)


def _in_force(deployment: Deployment, unit: UnitOfWork, org_id: UUID) -> Engine:
    unit.enter_organisation(org_id)
    return deployment.engine(unit, org_id)
