"""`casework backup`, `restore` and `check`: taken while the service runs, opened by two of three, and proven."""

import asyncio
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from uuid import uuid4

import httpx
import pyotp
import pytest
from sqlalchemy import Connection, select, text

from audit import tables
from audit.entry import Entry
from audit.incarnation import unmarked
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG
from casework.backups import Part
from casework.clock import Clock
from casework.deployment import make_database
from casework.identity.tables import session
from casework.settings import from_environment
from casework.shreds import ShredStore
from casework.signers import load_signer
from casework.sqlite import sessions_file
from crypto.recovery import join_shares, recovery_key
from crypto.stream import open_stream
from tests.casework.commands.place import NAME, Place, Ran, server_urls
from tests.casework.commands.test_organisations import id_of, read
from tests.casework.commands.test_serving import serving
from tests.conftest import RunningCluster

on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"])


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pg_dump` and `pg_restore` of the very server under test."""
    binaries = os.environ.get("CASEWORK_TEST_PG_BINARIES", "")
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")


@pytest.fixture
def target(founded: Place, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Another, empty place with the same pepper: where a backup is restored."""
    place = tmp_path / "target"
    for folder in ("data", "state", "secret"):
        (place / folder).mkdir(parents=True, mode=0o700)
    shutil.copy2(founded.folder / "secret" / "pepper", place / "secret" / "pepper")
    if not founded.urls:
        yield Place(place)
        return
    cluster: RunningCluster = request.getfixturevalue("cluster")
    main, shreds = f"r_{uuid4().hex}", f"q_{uuid4().hex}"
    cluster.order(f"CREATE DATABASE {main} OWNER casework_owner STRATEGY file_copy")
    cluster.order(f"CREATE DATABASE {shreds} OWNER casework_app STRATEGY file_copy")
    yield Place(place, server_urls(cluster, main, shreds))
    for name in (main, shreds):
        cluster.order(f"DROP DATABASE {name} WITH (FORCE)")


def make_key(place: Place) -> list[str]:
    """The three shares, as they were printed."""
    sheet = place.folder / "shares.txt"
    ran = place.run("backup-key", "--to", sheet)
    assert ran.code == 0, ran
    pages = sheet.read_text("utf-8").split("\f")
    return [" ".join(re.findall(r"\d+\. ([a-z]+)", page)) for page in pages]


def shares_file(place: Place, *shares: str) -> Path:
    path = place.folder / "two-shares"
    path.write_text("\n".join(shares))
    path.chmod(0o600)
    return path


def take(place: Place) -> Path:
    """Back up into a folder of its own; returns the manifest."""
    folder = place.folder / f"backup-{uuid4().hex}"
    folder.mkdir()
    ran = place.run("backup", folder)
    assert ran.code == 0, ran
    (manifest,) = folder.glob("*.manifest")
    return manifest


def deployment_key(place: Place) -> str:
    """The key that `casework init` printed."""
    state = json.loads((place.state / "journal-signer.json").read_text())
    assert NAME in state["logs"]
    return str(load_signer(place.state, DEPLOYMENT_LOG, NAME).key)


def journaled(place: Place, action: str) -> list[int | None]:
    """What the deployment's log counts in each entry of this action."""
    query = select(tables.entry.c.bytes).where(
        tables.entry.c.log == DEPLOYMENT_LOG, tables.entry.c.action == action
    )
    raws = read(place, lambda connection: list(connection.scalars(query)))
    return [Entry.from_bytes(bytes(raw)).count for raw in raws]


def opened(manifest: Path, shares: list[str], part: str) -> bytes:
    private = recovery_key(join_shares(shares[:2])).private
    name = json.loads(manifest.read_bytes().split(b"\n")[0])["files"][part]["name"]
    with (manifest.parent / name).open("rb") as file:
        return b"".join(open_stream(private, file))


def restore(target: Place, source: Place, manifest: Path, shares: list[str], *more: str | Path) -> Ran:
    chosen = shares_file(target, *shares[:2])
    return target.run("restore", manifest, "--key", deployment_key(source), "--shares", chosen, *more)


def new_case(url: str, place: Place, steps: int = 0) -> str:
    """A case saved over HTTP by AVEC's social worker; returns its id. `steps` on: a code is good once."""
    sheet = place.sheet("avec")
    page = sheet[sheet.index("avec.social\n") :]
    seed = re.search(r"secret\)\s*: (\S+)", page)
    assert seed is not None
    body = {"login": "avec.social", "password": place.password("avec", "avec.social")}
    token = httpx.post(f"{url}/api/v1/sessions", json=body, timeout=60).json()["token"]
    headers = {"authorization": f"Bearer {token}"}
    code = pyotp.TOTP(seed[1]).at(datetime.now(UTC) + timedelta(seconds=30 * steps))
    factor = httpx.post(f"{url}/api/v1/sessions/current/second-factor", json={"code": code}, headers=headers)
    assert factor.status_code == 200, factor.text
    made = httpx.post(
        f"{url}/api/v1/cases",
        json={"public": "seeking", "identity": {"name_in_use": "Canari fictif"}},
        headers=headers,
    )
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def test_a_backup_of_a_running_service_is_restored_elsewhere_and_everything_verifies(
    founded: Place, target: Place
) -> None:
    shares = make_key(founded)
    with serving(founded) as (_, url):
        case = new_case(url, founded)
        manifest = take(founded)
    key = deployment_key(founded)
    whole = founded.run("check", "--backup", manifest, "--key", key)
    assert (whole.code, whole.out.count("✓")) == (0, 4), whole
    ran = restore(target, founded, manifest, shares)
    assert (ran.code, ran.err) == (0, ""), ran
    checked = target.run("check")
    assert (checked.code, "✗" in checked.out) == (0, False), checked
    assert "1 dossier" in checked.out
    # The roll-up goes on too, under another name of which its witnesses must be told.
    assert re.search(rf"Clé de vérification du journal {NAME}~\d+/rollup\s: \S+", ran.out), ran
    assert re.search(rf"récapitulatif {NAME}~\d+/rollup\s: \d+ feuilles", checked.out), checked
    (lost,) = journaled(target, "rollup.restored")
    assert (lost or 0) >= 3
    # The key that was printed at the founding verifies the log under its new origin too.
    verified = target.run("audit", "verify", "--database", "avec", "--key", founded.key("avec"))
    assert (verified.code, "restauré à l’écriture" in verified.out) == (0, True), verified
    with serving(target) as (_, url):
        # The pepper and the halves are the same: passwords, sessions and keys open as before.
        assert new_case(url, founded, steps=1) != case
        assert httpx.get(f"{url}/health/ready").status_code == 200


def test_every_log_goes_on_under_another_origin_and_names_the_newest_head_that_was_published(
    founded: Place, target: Place
) -> None:
    shares, manifest = make_key(founded), take(founded)
    founded.run("audit", "export", "avec", "--to", founded.folder / "x.zip")
    founded.integrate()
    newest = SignerState(founded.state).last(f"{NAME}/avec")
    assert newest is not None
    # The state directory outlived the database: it knows what was published since.
    shutil.rmtree(target.state)
    shutil.copytree(founded.state, target.state)
    ran = restore(target, founded, manifest, shares)
    assert ran.code == 0, ran
    assert "1 écritures déjà publiées" in ran.out
    log = id_of(target, "avec").bytes
    query = (
        select(tables.entry.c.bytes)
        .where(tables.entry.c.log == log, tables.entry.c.action == "log.restored")
        .order_by(tables.entry.c.idx)
    )
    (entry,) = read(
        target, lambda connection: [Entry.from_bytes(bytes(raw)) for raw in connection.scalars(query)]
    )
    assert (entry.count, entry.basis.set) == (newest.size, newest.root.hex())
    assert unmarked(entry.log) == f"{NAME}/avec" != entry.log
    # An auditor's checkpoint of what was lost is answered for what it is.
    saved = founded.folder / "saved"
    saved.write_text(founded.run("audit", "checkpoint", "avec").out)
    verified = target.run(
        "audit", "verify", "--database", "avec", "--key", founded.key("avec"), "--trusted", saved
    )
    assert (verified.code, "perdues" in verified.out) == (20, True), verified


def test_neither_a_session_nor_the_pepper_is_in_any_file_of_a_backup(founded: Place) -> None:
    shares = make_key(founded)
    with serving(founded) as (_, url):
        new_case(url, founded)
        live = read(
            founded,
            lambda connection: [
                (bytes(row.id), bytes(row.keys.blob)) for row in connection.execute(select(session))
            ],
        )
        manifest = take(founded)
    pepper = (founded.folder / "secret" / "pepper").read_bytes()
    assert live
    for part in ("database", "shreds", "state"):
        content = opened(manifest, shares, part)
        for secret in (pepper, *chain(*live)):
            # PostgreSQL's archives hold bytes in hexadecimal, compressed: the restored tables are looked at below.
            assert secret not in content
            assert secret.hex().encode() not in content
    for file in manifest.parent.iterdir():
        assert b"SQLite format" not in file.read_bytes()


def test_a_restored_database_knows_no_session(founded: Place, target: Place) -> None:
    shares = make_key(founded)
    with serving(founded) as (_, url):
        new_case(url, founded)
        manifest = take(founded)
    assert read(founded, sessions) > 0
    assert restore(target, founded, manifest, shares).code == 0
    if target.urls:
        assert read(target, sessions) == 0
    else:
        # The file is made anew, and its table when the service starts.
        with closing(sqlite3.connect(sessions_file(target.database))) as connection:
            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def sessions(connection: Connection) -> int:
    found = connection.execute(text("SELECT count(*) FROM sessions.session")).scalar_one()
    return int(found)


@on_sqlite
def test_the_signing_keys_are_in_the_state_alone_and_the_database_apart_from_the_halves(
    founded: Place,
) -> None:
    shares, manifest = make_key(founded), take(founded)
    seeds = [path.read_bytes() for path in (founded.state / "journal-keys").iterdir()]
    database, halves, state = (opened(manifest, shares, part) for part in ("database", "shreds", "state"))
    for seed in seeds:
        assert seed in state
        assert seed not in database + halves
    assert b"case_group" in database
    assert b"case_group" not in halves


@on_sqlite
def test_one_share_opens_nothing_and_a_wrong_word_is_said(founded: Place, target: Place) -> None:
    shares, manifest = make_key(founded), take(founded)
    others = make_key_again(founded)
    for wrong in (shares[:1], [shares[0], shares[0]], [shares[0], others[1]], others[:2]):
        path = shares_file(target, *wrong)
        ran = target.run("restore", manifest, "--key", deployment_key(founded), "--shares", path)
        assert (ran.code, ran.err.startswith("Ces parts")) == (1, True), ran
        assert not any(word in ran.err for word in shares[0].split())
        assert list((target.folder / "data").iterdir()) == []
        assert list(target.state.iterdir()) == []


def make_key_again(place: Place) -> list[str]:
    """Shares of another key, as of another deployment."""
    (place.state / "backup-recovery.pub").rename(place.folder / "kept")
    (place.folder / "shares.txt").unlink()
    shares = make_key(place)
    (place.folder / "kept").rename(place.state / "backup-recovery.pub")
    return shares


@on_sqlite
@pytest.mark.parametrize("part", ["database", "shreds", "state"])
def test_a_file_that_was_changed_cut_or_exchanged_is_refused_by_name(
    founded: Place, target: Place, part: str
) -> None:
    shares, manifest, other = make_key(founded), take(founded), take(founded)
    key = deployment_key(founded)
    (file,) = manifest.parent.glob(f"*.{part}.sealed")
    (exchanged,) = other.parent.glob(f"*.{part}.sealed")
    content = file.read_bytes()
    flipped = content[:300] + bytes([content[300] ^ 1]) + content[301:]
    for harm in (flipped, content[:-1], content + b"x", exchanged.read_bytes(), b"", None):
        file.unlink(missing_ok=True)
        if harm is not None:
            file.write_bytes(harm)
        checked = founded.run("check", "--backup", manifest, "--key", key)
        assert (checked.code, f"✗ {Part(part).label}" in checked.out) == (1, True), checked
        ran = restore(target, founded, manifest, shares)
        assert (ran.code, file.name in ran.err) == (1, True), ran
        assert list((target.folder / "data").iterdir()) == []


@on_sqlite
def test_a_backup_that_somebody_else_made_is_refused(founded: Place, target: Place) -> None:
    """The public key alone seals a backup: the signature says whose it is."""
    shares, manifest = make_key(founded), take(founded)
    body, signature, _ = manifest.read_bytes().split(b"\n")
    forged = manifest.with_name("forged.manifest")
    forged.write_bytes(body.replace(b'"v":1', b'"v":1 ') + b"\n" + signature + b"\n")
    ran = restore(target, founded, forged, shares)
    assert (ran.code, "signé" in ran.err) == (1, True), ran
    for garbage in (b"", b"{}\n00\n", body + b"\n", b"\xff\n\xff\n"):
        forged.write_bytes(garbage)
        ran = restore(target, founded, forged, shares)
        assert (ran.code, ran.err.startswith("MANIFESTE")) == (1, True), ran
    cidff = founded.key("cidff")
    ran = target.run("restore", manifest, "--key", cidff, "--shares", shares_file(target, *shares[:2]))
    assert (ran.code, ran.err.startswith("--key")) == (1, True), ran


def test_nothing_is_ever_restored_over_a_database(founded: Place) -> None:
    shares, manifest = make_key(founded), take(founded)
    ran = restore(founded, founded, manifest, shares)
    assert (ran.code, "CASEWORK_DATABASE_URL" in ran.err) == (1, True), ran
    assert founded.run("check").code == 0


@on_sqlite
def test_another_pepper_is_refused_and_nothing_is_left(founded: Place, target: Place) -> None:
    shares, manifest = make_key(founded), take(founded)
    (target.folder / "secret" / "pepper").write_bytes(bytes(32))
    ran = restore(target, founded, manifest, shares)
    assert (ran.code, ran.err.startswith("CASEWORK_PEPPER_FILE")) == (1, True), ran
    assert list((target.folder / "data").iterdir()) == []
    assert list(target.state.iterdir()) == []


@on_sqlite
def test_halves_older_than_the_database_are_refused_and_newer_ones_taken(
    founded: Place, target: Place
) -> None:
    shares = make_key(founded)
    older = take(founded)
    wait_a_second()
    newer = take(founded)
    refused = restore(target, founded, newer, shares, "--shreds", older)
    assert (refused.code, refused.err.startswith("--shreds")) == (1, True), refused
    assert restore(target, founded, older, shares, "--shreds", newer).code == 0


def wait_a_second() -> None:
    time.sleep(1.1)


def test_halves_that_still_stand_are_kept_so_that_what_was_erased_stays_erased(
    founded: Place, target: Place
) -> None:
    shares = make_key(founded)
    with serving(founded) as (_, url):
        new_case(url, founded)
        manifest = take(founded)
    # A store that outlived the database, and in which the case was erased after the backup.
    asyncio.run(plant_halves(target))
    ran = restore(target, founded, manifest, shares)
    assert (ran.code, "gardé" in ran.out) == (0, True), ran
    checked = target.run("check")
    assert (checked.code, "1 dont la moitié d’une clé manque" in checked.out) == (1, True), checked


async def plant_halves(place: Place) -> None:
    """One half of nobody's: a store that stands."""
    settings = from_environment(place.environment)
    store = ShredStore(settings.shred_url)
    await store.create()
    if settings.is_sqlite:
        store.add(uuid4(), {(uuid4(), "pseudonym"): bytes(32)})
    else:
        database = make_database(settings, Clock())
        await database.snapshot(lambda _: store.add(uuid4(), {(uuid4(), "pseudonym"): bytes(32)}))
        await database.stop()
    await store.dispose()


def test_a_directory_that_lost_entries_is_said_and_served(founded: Place, target: Place) -> None:
    shares, manifest = make_key(founded), take(founded)
    passwords = founded.password_file("avec.custodian")
    added = founded.run(
        *("member", "add", "avec", "avec.new", "--role", "worker", "--profession", "social"),
        *("--secrecy-basis", "mission", "--custodian", "avec.custodian", "--passwords", passwords),
    )
    assert added.code == 0, added
    with serving(founded) as (_, url):
        new_case(url, founded)
    shutil.rmtree(target.state)
    shutil.copytree(founded.state, target.state)
    ran = restore(target, founded, manifest, shares)
    assert (ran.code, "a perdu" in ran.out) == (0, True), ran
    assert target.run("check").code == 0


@on_sqlite
def test_a_journal_that_was_changed_in_the_backup_is_not_restored(founded: Place, target: Place) -> None:
    shares = make_key(founded)
    with closing(sqlite3.connect(founded.database)) as connection, connection:
        connection.execute("DROP TRIGGER audit_entry_no_update")
        connection.execute("UPDATE audit_entry SET actor = '00000000-0000-4000-8000-000000000000'")
    ran = restore(target, founded, take(founded), shares)
    assert (ran.code, "refusé" in ran.err) == (1, True), ran
    assert list((target.folder / "data").iterdir()) == []


@on_sqlite
@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("DELETE FROM shred", "moitié d’une clé"),
        ("UPDATE case_group SET dek = x'01'", "malformée"),
        ("DELETE FROM case_group WHERE compartment = 'health'", "rubriques"),
        ("PRAGMA foreign_keys=OFF; DELETE FROM team; DELETE FROM membership", "orphelines"),
    ],
)
def test_check_names_what_is_unsound(founded: Place, harm: str, says: str) -> None:
    with serving(founded) as (_, url):
        new_case(url, founded)
    assert founded.run("check").code == 0
    path = founded.database.with_name("shreds.db") if "shred" in harm else founded.database
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(harm)
    ran = founded.run("check")
    assert (ran.code, says in ran.out) == (1, True), ran


def test_check_names_a_log_that_was_rolled_back(founded: Place) -> None:
    state = founded.state / "journal-signer.json"
    content = json.loads(state.read_text())
    content["logs"][f"{NAME}/avec"]["size"] = 999
    state.write_text(json.dumps(content))
    ran = founded.run("check")
    assert (ran.code, "✗ journal centre.example.org/avec" in ran.out) == (1, True), ran


@on_sqlite
def test_a_copy_of_halves_older_than_30_days_is_named(founded: Place) -> None:
    make_key(founded)
    folder = founded.folder / "b"
    folder.mkdir()
    (folder / "casework-20200101T000000Z.shreds.sealed").touch()
    (folder / "casework-20200101T000000Z.database.sealed").touch()
    ran = founded.run("backup", folder)
    assert ran.code == 0
    assert [line for line in ran.err.splitlines() if "20200101" in line] == ran.err.splitlines()
    assert len(ran.err.splitlines()) == 1


@on_sqlite
def test_what_stands_in_the_way_of_a_backup_is_said(founded: Place) -> None:
    folder = founded.folder / "b"
    folder.mkdir()
    without_key = founded.run("backup", folder)
    assert (without_key.code, "backup-key" in without_key.err) == (1, True)
    make_key(founded)
    twice = founded.run("backup-key")
    assert (twice.code, "existe déjà" in twice.err) == (1, True)
    inside = founded.run("backup", founded.folder / "data")
    assert (inside.code, inside.err.startswith("DIR")) == (1, True)
    folder.chmod(0o700)
    missing = founded.run("backup", founded.folder / "nowhere")
    assert missing.code == 2
    alone = founded.run("check", "--key", founded.key("avec"))
    assert alone.code == 2


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_dump_that_fails_leaves_no_file(
    founded: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_key(founded)
    programs = tmp_path / "programs"
    programs.mkdir()
    failing = programs / "pg_dump"
    failing.write_text("#!/bin/sh\necho half; exit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    folder = founded.folder / "b"
    folder.mkdir()
    ran = founded.run("backup", folder)
    assert (ran.code, "pg_dump" in ran.err) == (1, True), ran
    assert list(folder.iterdir()) == []
