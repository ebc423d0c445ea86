"""Servers as processes of their own, each held to one core, and the processor time they take."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Linux's clock of another process: the two lowest bits ask for the time the scheduler counted, of all threads.
_SCHEDULED = 2
_START_SECONDS = 60
SERVER_CORE, CLIENT_CORE = 0, 1


class ServerFailed(Exception):
    """A server ended before it answered; the message ends with what it said."""


# Whether server and client can be held to a core each: asked before this process is held to one itself.
CORES_ARE_APART = hasattr(os, "sched_setaffinity") and {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0)


def hold(pid: int, core: int) -> None:
    """Hold a process, with every thread it has by now, to a core; nothing where there are not two."""
    if CORES_ARE_APART:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), {core})


def cpu_seconds(pids: Iterable[int]) -> float:
    """The time in user and kernel that these processes, with all threads they ever had, took so far."""
    total = 0.0
    for pid in pids:
        # A process that has ended takes none any more: what it took is lost to the sum.
        with suppress(OSError):
            total += time.clock_gettime((~pid << 3) | _SCHEDULED)
    return total


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


class Server:
    """One contestant's server; listens on the loopback interface."""

    def __init__(
        self, command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

        # At once: threads that it starts are held with it.
        hold(self.pid, SERVER_CORE)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def failed(self) -> ServerFailed:
        return ServerFailed(self._log.read_text(errors="replace")[-2_000:])

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        if self.is_running():
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def python() -> list[str]:
    return [sys.executable, "-W", "ignore::DeprecationWarning"]
