"""Where the time of an act goes inside casework: a profile in process, each function's own time added up by part.

The profiler makes many small calls look dearer than they are; read shares, not milliseconds.
"""

import asyncio
import cProfile
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, cast

import msgspec

from bench.actions import Action, Asker
from bench.client import Answer
from bench.results import Profiled
from casework.app import create_app
from casework.clock import Clock
from casework.deployment import assemble, dismantle
from casework.logs import configure
from casework.settings import from_environment

OTHER = "gateway and services"
# A function belongs to the first part of which a word is in its file's path, or in a builtin's description.
PARTS = {
    "JSON": ("msgspec", "casework/json_input"),
    "decryption and keys": ("cryptography", "/crypto/", "casework/keyring", "hashlib", "_hashlib", "hmac"),
    "policies": ("/policies/", "cedarpy"),
    "journal": ("/audit/", "casework/journal", "casework/integration"),
    "shred store": ("casework/shreds",),
    "session": ("casework/identity/", "casework/act"),
    "database driver and disk": ("sqlite3", "asyncpg", "casework/sqlite", "casework/database"),
    "SQLAlchemy": ("sqlalchemy", "casework/facts", "casework/column_types"),
    "HTTP and routing": (
        "litestar",
        "casework/routing",
        "casework/logs",
        "casework/web",
        "structlog",
        "multidict",
    ),
    OTHER: ("/casework/",),
    "client": ("/bench/",),
}
# Waiting is nobody's work.
_WAITING = ("acquire", "select.epoll", "_queue.SimpleQueue", "time.sleep", "uvloop", "asyncio/base_events")

Function = tuple[str, int, str]
Stats = dict[Function, tuple[int, int, float, float, dict[Function, tuple[int, int, float, float]]]]


class OneProfilerOnly(Exception):
    """This Python lets one thread be profiled at a time (3.12 and later): no profile."""


def profile(
    environment: dict[str, str], asker: Asker, actions: list[Action], count: int
) -> dict[str, Profiled]:
    """For each action, milliseconds an act and the share of each part, in percent.

    Raises:
        OneProfilerOnly: see there.

    """
    if sys.version_info >= (3, 12):
        raise OneProfilerOnly
    # The access log is written, as it is by the service, and kept from the terminal.
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        configure()
        return asyncio.run(_profile(environment, asker, actions, count))


async def _profile(
    environment: dict[str, str], asker: Asker, actions: list[Action], count: int
) -> dict[str, Profiled]:
    found = {}
    for action in actions:
        profiles: list[cProfile.Profile] = []
        with _every_thread(profiles):
            async with _running(environment) as client:
                for _ in range(count // 10 + 1):
                    await action.play(asker, client)
                for one in profiles:
                    one.clear()
                mine = cProfile.Profile()
                profiles.append(mine)
                began = time.process_time()
                mine.enable()
                for _ in range(count):
                    await action.play(asker, client)
                mine.disable()
                elapsed = time.process_time() - began
        parts = by_part([_stats(one) for one in profiles])
        found[action.name] = Profiled(elapsed * 1_000 / count, parts)
    return found


@contextmanager
def _every_thread(profiles: list[cProfile.Profile]) -> Iterator[None]:
    """Profile every thread that is started meanwhile: units of work run in one of their own."""

    def begin(*_event: object) -> None:
        own = cProfile.Profile()
        profiles.append(own)
        own.enable()

    threading.setprofile(begin)
    try:
        yield
    finally:
        threading.setprofile(None)


@asynccontextmanager
async def _running(environment: dict[str, str]) -> AsyncIterator[Any]:
    deployment = await assemble(from_environment(environment), Clock())
    try:
        app = create_app(deployment)
        async with app.lifespan():
            yield _InProcess(app)
    finally:
        await dismantle(deployment)


class _InProcess:
    """The application asked without a network, in place of `bench.client.Connection`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        route, _, query = path.partition("?")
        content = msgspec.json.encode(body) if body is not None else b""
        sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": f"/api/v1{route}",
            "raw_path": f"/api/v1{route}".encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [*sent, (b"content-type", b"application/json"), (b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        status, parts = 0, []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return Answer(status, b"".join(parts))


def _stats(profiled: cProfile.Profile) -> Stats:
    profiled.create_stats()
    return cast("Stats", profiled.stats)


def part_of(function: Function) -> str | None:
    file, _, name = function
    described = name if file == "~" else file
    if any(word in described or word in name for word in _WAITING):
        return "waiting"
    return next((part for part, words in PARTS.items() if any(word in described for word in words)), None)


def by_part(profiles: list[Stats]) -> dict[str, float]:
    """Percent of the time of each part, waiting and the client left out; what has no part goes to its callers."""
    total: dict[str, float] = {}
    for stats in profiles:
        for function, (_, _, own, _, callers) in stats.items():
            part = part_of(function)
            if part is not None:
                total[part] = total.get(part, 0.0) + own
                continue
            for caller, (_, _, own_there, _) in callers.items():
                part = _inherited(stats, caller)
                total[part] = total.get(part, 0.0) + own_there
    for left_out in ("waiting", "client"):
        total.pop(left_out, None)
    whole = sum(total.values()) or 1.0
    return {part: 100 * own / whole for part, own in sorted(total.items(), key=lambda item: -item[1])}


def _inherited(stats: Stats, function: Function) -> str:
    """The part of a function, or of who called it most, or of who called that."""
    for _ in range(6):
        part = part_of(function)
        if part is not None:
            return part
        callers = stats[function][4] if function in stats else {}
        if not callers:
            break
        function = max(callers, key=lambda caller: callers[caller][3])
    return "waiting" if "asyncio" in function[0] or "threading" in function[0] else OTHER
