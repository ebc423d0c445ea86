"""A process that rotates a compartment's keys and is killed at every step of it, twice, until one gets to the end.

Each run is a fork that kills itself at the first unit that writes: just before its commit, and the next time just
after it. So every step is once lost and once done but never reported. Prints how many were killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar
from uuid import UUID

from audit.lane_file import LaneFile
from audit.memory import WriterMemory
from casework import rules as rules_module
from casework.anchors import Anchors
from casework.clock import Clock
from casework.database import Database, UnitOfWork
from casework.deployment import Deployment, dismantle, lanes_folder, make_database
from casework.journal import Journal
from casework.keyring import Directories
from casework.organisations.key_acts import Credentials
from casework.organisations.rotation import Order, rotate
from casework.settings import Settings, from_environment
from casework.shreds import ShredStore
from crypto.pepper import FileKeyProvider
from policies.engine import Engine
from tests.casework.centre import NAME, PASSWORD, SLUGS

T = TypeVar("T")
COMPARTMENT = "identity"
HOLDER, CUSTODIAN = Credentials("avec.social", PASSWORD), Credentials("avec.custodian", PASSWORD)
# The order is an entry of its own, before the first step.
ENTRIES_OF_THE_ORDER = 1


class Dying:
    """Kills its process around the commit of the unit that writes after so many others have."""

    def __init__(self, database: Database, *, before_commit: bool, spared: int) -> None:
        self._run = database.unit
        self._before_commit = before_commit
        self._spared = spared

    async def unit(self, work: Callable[[UnitOfWork], T]) -> T:
        wrote = False

        def watched(unit: UnitOfWork) -> T:
            nonlocal wrote
            result = work(unit)
            wrote = unit.has_written
            if wrote and self._before_commit and not self._spared:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        result = await self._run(watched)
        if wrote and not self._spared:
            os.kill(os.getpid(), signal.SIGKILL)
        self._spared -= wrote
        return result


async def rotate_and_die(settings: Settings, slugs: Mapping[UUID, str], *, run: int) -> None:
    database = make_database(settings, Clock())
    await database.start()
    is_ordered = run < 2
    dying = Dying(database, before_commit=run % 2 == 0, spared=ENTRIES_OF_THE_ORDER if is_ordered else 0)
    database.unit = dying.unit  # type: ignore[method-assign]
    deployment = Deployment(
        settings=settings,
        clock=database.clock,
        database=database,
        shreds=ShredStore(settings.shred_url),
        peppers=FileKeyProvider(settings.pepper_file).peppers(),
        directories=Directories(Anchors(settings.state_dir)),
        journal=Journal(NAME, LaneFile(lanes_folder(settings))),
        memory=WriterMemory(database.clock.elapsed),
        is_demo=False,
        slugs=dict(slugs),
    )
    await rotate(deployment, "avec", [HOLDER], Order(CUSTODIAN, (COMPARTMENT,)) if is_ordered else None)
    await dismantle(deployment)


def main() -> None:
    settings = from_environment()
    slugs = {UUID(argument): slug for argument, slug in zip(sys.argv[1:], SLUGS, strict=True)}
    # Once for all the forks: the policies take longer to read than a step to take.
    loaded = {slug: Engine.load(slug, SLUGS) for slug in SLUGS}
    rules_module.Engine.of_text = lambda slug, *_, **__: loaded[slug]  # type: ignore[method-assign, assignment]
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            asyncio.run(rotate_and_die(settings, slugs, run=killed))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed += 1
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main()
