"""A journal under test: entries, keys, and one way to run plain functions on either engine."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import URL, Connection, text

from audit.checkpoint import NoteSigner, VerificationKey
from audit.entry import AuthLevel, Basis, Entry, LaneNumber, Outcome, Row, Subject
from audit.integrator import Pending, integrate, open_log
from audit.lane import Lane
from audit.log import record
from audit.state import SignerState
from casework import postgres, sqlite

T = TypeVar("T")

LOG = bytes(range(16))
ORIGIN = "casework.test/journal/avec"
WRITER = "00000000-0000-4000-8000-000000000001"
START = 1_700_000_000_000_000
_ids = count(1)


def only_on(engine: str) -> pytest.MarkDecorator:
    """For a rule that one engine alone has."""
    return pytest.mark.parametrize("engine_name", [engine])


class Key:
    """An Ed25519 key from a fixed seed, as a `Signer`."""

    def __init__(self, seed: int) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def new_id() -> str:
    return str(UUID(int=next(_ids)))


def make_entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "action": "case.open",
        "actor": "00000000-0000-4000-8000-00000000000a",
        "auth": AuthLevel.MFA,
        "basis": Basis(policies=("avec.worker.own",), set="ab" * 32),
        "count": None,
        "detail": None,
        "id": new_id(),
        "lane": LaneNumber(n=1, writer=WRITER),
        "log": ORIGIN,
        "nonce": "0f" * 16,
        "outcome": Outcome.ALLOWED,
        "purpose": "support",
        "reason": None,
        "request": "00000000-0000-4000-8000-0000000000ff",
        "role": "worker",
        "source": None,
        "subjects": (Subject(p="11" * 32, rows=(Row(r="22" * 32, v=1),)),),
        "time": START,
    }
    return Entry(**{**values, **changes})


@dataclass
class Journal:
    """One log in a real database, with its lane, its signing key and its signer's state."""

    place: Any
    directory: Path
    signer: NoteSigner = field(default_factory=lambda: NoteSigner(ORIGIN, Key(1)))
    # Who signs too, while a key is being replaced.
    successors: list[NoteSigner] = field(default_factory=list)
    lane: Lane = field(default_factory=lambda: Lane(WRITER))
    time: int = START

    def __post_init__(self) -> None:
        self.state = SignerState(self.directory)

    @property
    def key(self) -> VerificationKey:
        return self.signer.key

    @property
    def dialect(self) -> str:
        return "sqlite" if isinstance(self.place, Path) else "postgresql"

    def run(self, work: Callable[[Connection], T], login: str = "casework_owner") -> T:
        """Run `work` in one committed transaction."""
        if isinstance(self.place, Path):
            with sqlite.make_engine(self.place).begin() as connection:
                return work(connection)
        cluster, name = self.place
        return asyncio.run(_run_on_postgresql(cluster.url(name, login), work))

    def sql(self, *statements: str) -> None:
        """What an administrator types."""

        def work(connection: Connection) -> None:
            for statement in statements:
                connection.exec_driver_sql(statement)

        self.run(work)

    def open(self) -> "Journal":
        self.run(lambda connection: open_log(connection, LOG, ORIGIN))
        return self

    def write(self, *entries: Entry) -> None:
        def work(connection: Connection) -> None:
            for entry in entries:
                record(connection, LOG, entry)

        self.run(work)

    def next_entry(self, **changes: Any) -> Entry:
        self.time += 1_000
        return make_entry(**{"lane": self.lane.next(), "time": self.time, **changes})

    def integrate(self) -> list[Pending]:
        signers = [self.signer, *self.successors]
        pending = self.run(lambda connection: integrate(connection, {LOG: signers}, self.state))
        self.state.publish([one.checkpoint for one in pending])
        return pending

    def grow(self, *sizes: int) -> list[str]:
        """Integrate this many entries a round; returns the notes."""
        notes = []
        for size in sizes:
            self.write(*(self.next_entry() for _ in range(size)))
            notes.append(self.integrate()[0].note)
        return notes


async def _run_on_postgresql(url: URL, work: Callable[[Connection], T]) -> T:
    engine = postgres.make_engine(url, pool_size=1)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def rows(connection: Connection, table: str) -> list[Any]:
    return list(connection.execute(text(f"SELECT * FROM {table}")))
