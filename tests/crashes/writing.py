"""Two integrators and eight writers of one journal, of which one after the other is killed and begun anew.

    python -m tests.crashes.writing KILLS SEED

The settings are those of the environment. Each is a fork that assembles the deployment and does the real work of
the service: a writer records entries in units of work, in two logs, and notes the id of each that was confirmed; an
integrator closes abandoned lanes, integrates, follows, and notes each checkpoint that it publishes. They note in
`acknowledged` and `published` of the state directory, one line each, written by one call.
"""

import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from audit.checkpoint import Checkpoint
from audit.state import SignerState
from casework import rules as rules_module
from casework.clock import Clock
from casework.database import UnitOfWork
from casework.deployment import Deployment, assemble
from casework.integration import Integration
from casework.journal import Deed, Receipt, Who
from casework.settings import Settings, from_environment
from crypto.password import FLOOR_PARAMS
from policies.engine import Engine
from tests.casework.centre import SLUGS

INTEGRATORS, WRITERS = 2, 8
# A child that is killed has begun its work; how long it has had for it.
LONGEST_LIFE_SECONDS = 0.1
Child = Callable[[Settings, Callable[[], None]], Coroutine[Any, Any, None]]


def main(kills: int, seed: int) -> None:
    settings, random = from_environment(), Random(seed)
    # A child has the policies of its parent: loading them would take longer than it lives.
    loaded = {slug: Engine.load(slug, SLUGS) for slug in SLUGS}
    rules_module.Engine.of_text = lambda slug, *_, **__: loaded[slug]  # type: ignore[method-assign, assignment]
    work: list[Child] = [_integrate] * INTEGRATORS + [_write] * WRITERS
    children = [_fork(settings, child) for child in work]
    for _ in range(kills):
        time.sleep(random.uniform(0, LONGEST_LIFE_SECONDS))
        place = random.randrange(len(work))
        _kill(children[place])
        children[place] = _fork(settings, work[place])
    for child in children:
        _kill(child)


def _fork(settings: Settings, work: Child) -> int:
    """Begin a child; returns once it works."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work(settings, lambda: os.close(writing)))
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent
            traceback.print_exc()
        os._exit(1)
    os.close(writing)
    # Nothing is ever written: it is closed where the child is ready, or died.
    os.read(reading, 1)
    os.close(reading)
    return child


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"a child ended by itself: {status}"


async def _write(settings: Settings, ready: Callable[[], None]) -> None:
    deployment = await assemble(settings, Clock(), FLOOR_PARAMS)
    orgs = sorted(deployment.slugs.items(), key=lambda org: org[1])[:2]

    def record(unit: UnitOfWork) -> list[Receipt]:
        return [deployment.journal.record(unit, org, Who(uuid4()), Deed("case.open")) for org in orgs]

    await deployment.database.unit(record)
    ready()
    while True:
        for receipt in await deployment.database.unit(record):
            _note(settings.state_dir / "acknowledged", f"{receipt.log} {receipt.entry}")


class _Noting(SignerState):
    """The state, that notes what it has published."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._notes = directory / "published"

    def publish(self, checkpoints: Any) -> None:
        heads: list[Checkpoint] = list(checkpoints)
        super().publish(heads)
        for head in heads:
            _note(self._notes, f"{head.origin} {head.size} {head.root.hex()}")


async def _integrate(settings: Settings, ready: Callable[[], None]) -> None:
    deployment: Deployment = await assemble(settings, Clock(), FLOOR_PARAMS)
    integration = Integration(deployment)
    integration._state = _Noting(settings.state_dir)
    await integration.begin()
    ready()
    integration.start()
    while True:
        await deployment.rounds.next()


def _note(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
