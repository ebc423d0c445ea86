"""One measurement: so many requests at once from one client, and what the server took for them."""

import asyncio
import time

from bench.actions import ABSENT, Action, CodesUsedUp, UnexpectedAnswer, sign_in, step_up
from bench.client import Connection, ConnectionLost
from bench.contestants import Contestant
from bench.figures import Round
from bench.place import SIGNED_IN
from bench.processes import cpu_seconds

_START_SECONDS = 60
# What an act leaves to be done a moment later (casework's journal is integrated every 200 ms) counts for it.
_SETTLE_SECONDS = 0.3


class Skipped(Exception):
    """This contestant has no such route, or does not let a client ask so often; the message says which."""


async def wait_until_up(contestant: Contestant) -> None:
    """Raises ServerFailed if it ends or does not answer in time."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and contestant.server.is_running():
        try:
            connection = await Connection.open(contestant.server.port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            connection.close()
            return
    raise contestant.server.failed()


async def sign_everyone_in(contestant: Contestant) -> None:
    connection = await Connection.open(contestant.server.port)
    for login in SIGNED_IN:
        await sign_in(contestant.asker, connection, login)
    connection.close()


async def prepare(contestant: Contestant, action: Action) -> None:
    """What an action needs beforehand and does not count."""
    if action.name == "hand_over" and not contestant.asker.hands_over_in_one:
        connection = await Connection.open(contestant.server.port)
        await step_up(contestant.asker, connection)
        connection.close()


async def measure(contestant: Contestant, action: Action, count: int, database_pids: list[int]) -> Round:
    """Let the action's clients act `count` times together.

    Raises:
        Skipped: see there.
        UnexpectedAnswer: an answer that must not be.

    """
    connections = [await Connection.open(contestant.server.port) for _ in range(min(action.clients, count))]
    left, seconds = iter(range(count)), list[float]()

    async def act(connection: Connection) -> None:
        for _ in left:
            began = time.perf_counter()
            await action.play(contestant.asker, connection)
            seconds.append(time.perf_counter() - began)

    server, database = cpu_seconds([contestant.server.pid]), cpu_seconds(database_pids)
    began = time.perf_counter()
    try:
        await asyncio.gather(*(act(connection) for connection in connections))
    except UnexpectedAnswer as unexpected:
        if unexpected.status in ABSENT:
            raise Skipped(f"{action.name}: {contestant.name} answers {unexpected.status}") from None
        raise
    except ConnectionLost:
        raise contestant.server.failed() from None
    except CodesUsedUp:
        raise Skipped(f"{action.name}: no unused code is left at {contestant.name}") from None
    elapsed = time.perf_counter() - began
    await asyncio.sleep(_SETTLE_SECONDS)
    server, database = (
        cpu_seconds([contestant.server.pid]) - server,
        cpu_seconds(database_pids) - database,
    )
    for connection in connections:
        connection.close()
    return Round(server * 1_000 / count, database * 1_000 / count, count / elapsed, tuple(seconds))
