"""Whole copies of a database on either engine, taken while it is used, and put back into an empty one."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Literal
from urllib.parse import quote

from sqlalchemy import URL

_DEBIAN = Path("/usr/lib/postgresql")
# The table's definition is dumped; what is in it is nobody's to keep.
_WITHOUT_SESSIONS = ("--exclude-table-data=sessions.*", "--no-unlogged-table-data")
_PREFIX = ".backup-"


class DumpFailed(Exception):
    """A program of PostgreSQL is not there or failed; names it. What it said may quote rows and is not shown."""


@contextmanager
def copy_of(url: URL, scratch: Path) -> Iterator[IO[bytes]]:
    """A consistent copy of a database as one moment saw it; writers are not held up.

    SQLite: the file, copied by the online backup API under one read transaction into a file of `scratch` that
    has no name, so that nothing is left of it whatever kills this process; the sessions are in another file.
    PostgreSQL: what `pg_dump` writes, without the content of sessions.

    Raises:
        DumpFailed: `pg_dump` is missing, or did not end well.

    """
    if url.get_backend_name() == "sqlite":
        descriptor, name = mkstemp(dir=scratch, prefix=_PREFIX)
        with os.fdopen(descriptor, "rb") as file:
            _copy_sqlite(Path(url.database or ""), Path(name))
            yield file
        return
    command = [
        _program("pg_dump"),
        "--format=custom",
        "--no-password",
        *_WITHOUT_SESSIONS,
        "--dbname",
        _libpq(url),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as dump:  # noqa: S603 - ours
        assert dump.stdout is not None
        yield dump.stdout
    if dump.returncode:
        raise DumpFailed("pg_dump")


def stale_copies(scratch: Path) -> list[Path]:
    """Copies in the clear that an interrupted backup left: an earlier version of this program gave them names."""
    return sorted(scratch.glob(f"{_PREFIX}*"))


def remove_stale_copies(scratch: Path) -> None:
    """Remove them. A copy in use has no name by which it could be met here."""
    for path in stale_copies(scratch):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def engine_of(url: URL) -> Literal["sqlite", "postgresql"]:
    return "sqlite" if url.get_backend_name() == "sqlite" else "postgresql"


def put_back(url: URL, chunks: Iterable[bytes]) -> None:
    """Fill an empty database from a copy.

    Raises:
        FileExistsError: the SQLite file is there.
        DumpFailed: `pg_restore` is missing, or did not end well; then nothing was put back.

    """
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(descriptor)
        return
    command = [
        _program("pg_restore"),
        *("--no-password", "--no-owner", "--single-transaction", "--exit-on-error", "--clean", "--if-exists"),
        *("--dbname", _libpq(url)),
    ]
    with subprocess.Popen(  # noqa: S603 - ours
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as restore:
        assert restore.stdin is not None
        try:
            for chunk in chunks:
                restore.stdin.write(chunk)
            restore.stdin.close()
        except BrokenPipeError:
            # It gave up: its exit code says so.
            pass
    if restore.returncode:
        raise DumpFailed("pg_restore")


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database into an empty file that is open already, whose name goes before it holds anything."""
    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as reading,
        # Never created: what was opened is what is read afterwards.
        closing(sqlite3.connect(f"file:{quote(str(target))}?mode=rw", uri=True)) as writing,
    ):
        target.unlink()
        # A journal would have a name again; and a copy that was cut short is thrown away.
        writing.execute("PRAGMA journal_mode=OFF")
        # All pages in one step: between two, a writer would make it begin again.
        reading.backup(writing)


def _program(name: str) -> str:
    """PATH first, then where Debian keeps the servers' own, the newest first."""
    found = shutil.which(name)
    if found is not None:
        return found
    for folder in sorted(_DEBIAN.glob("*/bin"), reverse=True):
        if (folder / name).exists():
            return str(folder / name)
    raise DumpFailed(name)


def _libpq(url: URL) -> str:
    """The address as PostgreSQL's own programs read it; it holds no password (casework.settings)."""
    query = dict(url.query)
    if "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    return url.set(drivername="postgresql", query=query).render_as_string()
