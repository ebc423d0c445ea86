"""A witness in a process of its own, as a partner would host it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import loads
from pathlib import Path
from subprocess import Popen

from audit.checkpoint import VerificationKey
from casework.settings import WitnessAddress
from tests.casework.commands.place import COMMAND, start

NAME = "witness.example/1"
# Killed by the kernel after the memory is written, and before anything is signed or answered.
DIES_BEFORE_IT_ANSWERS = (
    "import os, audit.witness; audit.witness.cosign = lambda *_: os.kill(os.getpid(), 9); " + COMMAND
)


@dataclass(frozen=True)
class Watching:
    """A witness that listens: its process, where it answers, and the key that it printed."""

    process: Popen[str]
    url: str
    key: VerificationKey

    @property
    def address(self) -> WitnessAddress:
        return WitnessAddress(self.url, self.key)


@contextmanager
def watching(state: Path, logs: Sequence[VerificationKey], command: str = COMMAND) -> Iterator[Watching]:
    """Start a witness with `casework audit witness` alone: it needs no setting of a deployment."""
    chosen = [word for key in logs for word in ("--log", str(key))]
    process = start(
        *("audit", "witness", "--name", NAME, "--state", state, "--port", "0", *chosen),
        environment={},
        command=command,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        printed = process.stdout.readline()
        assert printed, process.stderr.read()
        line = loads(process.stderr.readline())
        key = VerificationKey.parse(printed.split()[-1])
        yield Watching(process, f"http://127.0.0.1:{line['port']}", key)
    finally:
        process.kill()
        process.communicate()
