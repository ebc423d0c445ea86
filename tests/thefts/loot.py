"""What a thief carries away: every row, files, and secrets of people; nothing of it is opened here."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, Row, select

from audit.tables import metadata as audit_metadata
from casework.column_types import Sealed
from casework.database import metadata
from casework.identity.tables import sessions_metadata
from casework.routing import decode_token
from casework.shreds import shreds_metadata
from tests.casework.administrator import Administrator
from tests.casework.centre import Centre

Rows = Mapping[str, Sequence[Row[Any]]]
# Secrets, halves and hashes are all of this size.
_SIZE = 32
_HEXADECIMAL = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True)
class Loot:
    """`rows` are by table. `secrets` are 32 bytes of whatever they may be: nobody says what they open."""

    rows: Rows
    secrets: frozenset[bytes] = frozenset()
    passwords: Mapping[str, str] = field(default_factory=dict)
    shares: Sequence[str] = ()

    def table(self, name: str) -> Sequence[Row[Any]]:
        return self.rows.get(name, ())

    @property
    def values(self) -> frozenset[bytes]:
        """Every value of 32 bytes in the loot: each is tried wherever a key is needed."""
        return self.secrets | frozenset(_values(row for rows in self.rows.values() for row in rows))


def _values(rows: Iterable[Row[Any]]) -> Iterator[bytes]:
    for row in rows:
        for value in row:
            raw = value.blob if isinstance(value, Sealed) else value
            if isinstance(raw, (bytes, memoryview)) and len(raw) == _SIZE:
                yield bytes(raw)


def read_tables(*of: MetaData) -> Any:
    """Work for an administrator: every row of every table."""

    def read(connection: Connection) -> Rows:
        return {
            table.fullname: connection.execute(select(table)).all()
            for one in of
            for table in one.sorted_tables
        }

    return read


async def database(centre: Centre) -> Rows:
    """The main database, without the sessions: what a dump or an opened backup of it holds."""
    await centre.integrate()
    rows: Rows = await centre.dba(read_tables(metadata, audit_metadata))
    return rows


async def session_store(centre: Centre) -> Rows:
    rows: Rows = await centre.dba(read_tables(sessions_metadata))
    return rows


async def shred_store(centre: Centre) -> Rows:
    rows: Rows = await Administrator(centre.urls.shreds).run(read_tables(shreds_metadata))
    return rows


async def disk(centre: Centre) -> Loot:
    """The server's whole disk but the pepper, which is on another medium."""
    rows = {**await database(centre), **await session_store(centre), **await shred_store(centre)}
    return Loot(rows, state(centre))


def state(centre: Centre) -> frozenset[bytes]:
    return keys_in(centre.deployment.settings.state_dir)


def keys_in(folder: Path) -> frozenset[bytes]:
    """Whatever could be a key in a directory's files: whole ones, and hexadecimal digits in them."""
    return frozenset(secret for path in folder.rglob("*") if path.is_file() for secret in _in_file(path))


def _in_file(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    if len(content) == _SIZE:
        yield content
    for digits in _HEXADECIMAL.findall(content):
        yield bytes.fromhex(digits.decode())


def pepper(centre: Centre) -> bytes:
    return centre.deployment.settings.pepper_file.read_bytes()


def token(text: str) -> bytes:
    """What a cookie or an `Authorization` header holds."""
    return decode_token(text).reveal()


def shares(centre: Centre, slug: str) -> list[str]:
    """An organisation's recovery shares, as its sheet of paper showed them."""
    return [share.reveal().decode("ascii") for share in centre.founded[slug].shares]
