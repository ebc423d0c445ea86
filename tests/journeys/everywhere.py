"""Every byte that a service leaves: its files, its database's, what its commands print, its backups, opened."""

import io
import json
import re
import sqlite3
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from casework.backups import Part
from crypto.recovery import join_shares, recovery_key
from crypto.stream import open_stream
from tests.casework.commands.place import Ran, run
from tests.crashes.ground import Ground
from tests.postgres import Cluster

Named = tuple[str, bytes]


def everything_of(ground: Ground) -> Iterator[Named]:
    """The data, state and temporary directories, the service's output, and the server's whole directory."""
    yield from files_below(ground.folder)
    if ground.cluster is not None:
        # What the server holds in memory alone is put into its files.
        ground.cluster.sql("CHECKPOINT")
        yield from files_below(ground.cluster.directory)


def files_below(*folders: Path) -> Iterator[Named]:
    """Every file's content; of an archive its members' as well."""
    for path in sorted(found for folder in folders for found in folder.rglob("*")):
        # A server removes its temporary files while they are listed.
        with suppress(FileNotFoundError):
            if path.is_file():
                content = path.read_bytes()
                yield str(path), content
                yield from _members(str(path), content)


def _members(name: str, content: bytes) -> Iterator[Named]:
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from ((f"{name}: {member}", archive.read(member)) for member in archive.namelist())


def commands_of(ground: Ground) -> Iterator[Named]:
    """What the operator's commands print about everything that is there, and the bundles that they write."""
    manifest_folder = ground.folder / "backup"
    manifest_folder.mkdir(exist_ok=True)
    ran: dict[str, Ran] = {
        name: run(*arguments, environment=ground.environment)
        for name, arguments in {
            "backup-key": ("backup-key", "--to", str(ground.folder / "shares")),
            "backup": ("backup", str(manifest_folder)),
            "check": ("check",),
            "doctor": ("doctor",),
            **{
                slug: ("audit", "export", slug, "--to", str(ground.folder / f"{slug}.zip"))
                for slug in (*ground.foundation.founded, "centre.example")
            },
        }.items()
    }
    # What doctor finds is another test's.
    assert {name: done.code for name, done in ran.items() if name != "doctor"} == dict.fromkeys(
        ran.keys() - {"doctor"}, 0
    ), ran
    for name, done in ran.items():
        yield f"casework {name}", (done.out + done.err).encode()


def opened_backup(ground: Ground) -> Iterator[Named]:
    """What is inside the sealed files, opened with two of the three shares; a dump is written out as SQL."""
    pages = (ground.folder / "shares").read_text("utf-8").split("\f")
    shares = [" ".join(re.findall(r"\d+\. ([a-z]+)", page)) for page in pages]
    private = recovery_key(join_shares(shares[:2])).private
    (manifest,) = (ground.folder / "backup").glob("*.manifest")
    files = json.loads(manifest.read_bytes().split(b"\n")[0])["files"]
    for part in Part:
        with (manifest.parent / files[part]["name"]).open("rb") as sealed:
            content = b"".join(open_stream(private, sealed))
        yield f"backup: {part}", content
        if part is Part.STATE:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                assert archive.getnames()
        elif ground.cluster is not None:
            yield f"backup: {part}, restored", _as_sql(content)


def _as_sql(dump: bytes) -> bytes:
    return subprocess.run(["pg_restore", "-f", "-"], input=dump, capture_output=True, check=True).stdout


def dumps_of(ground: Ground) -> Iterator[Named]:
    """The databases as their own tools write them out, sessions and all."""
    if ground.cluster is not None:
        for database in ("centre", "shreds"):
            where = ["-h", ground.cluster.directory, "-U", "postgres", "-d", database]
            done = subprocess.run(["pg_dump", *where], capture_output=True, check=True)
            yield f"dump: {database}", done.stdout
        return
    for path in sorted((ground.folder / "data").glob("*.db")):
        with closing(sqlite3.connect(path)) as connection:
            yield f"dump: {path.name}", "\n".join(connection.iterdump()).encode("utf-8", "surrogateescape")


def names_with(content: bytes, places: Iterable[Named]) -> list[str]:
    """Where these bytes do stand."""
    return [name for name, found in places if content in found]


def make_talkative(cluster: Cluster) -> None:
    """Have the server log each statement with its values, and each row that broke a rule; and keep all its WAL."""
    for name, value in {
        "log_statement": "all",
        "log_min_duration_statement": "0",
        "log_error_verbosity": "verbose",
        "log_parameter_max_length": "-1",
        "log_parameter_max_length_on_error": "-1",
    }.items():
        # A role's settings come before those that the server was started with.
        cluster.sql(f"ALTER ROLE ALL SET {name} = '{value}'")
    cluster.sql("ALTER SYSTEM SET wal_keep_size = '1GB'")
    cluster.sql("SELECT pg_reload_conf()")
