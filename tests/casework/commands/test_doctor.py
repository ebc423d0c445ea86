"""`casework doctor`: what is sound passes, and each unsafe thing is named with how to mend it."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, delete, func, select, text, update

from casework.clock import Clock
from casework.commands import place_inspection
from casework.commands.memory_inspection import inspect_memory
from casework.commands.place_inspection import inspect_places
from casework.organisations.tables import deployment, key_directory, key_grant, policy_set
from casework.rules import engine_in_force
from casework.settings import from_environment
from crypto import ceremony
from crypto.directory_entries import PolicyBody
from policies.sources import org_source
from tests.casework.commands.place import AVEC, Place, Ran, start
from tests.casework.commands.test_organisations import id_of, read
from tests.conftest import RunningCluster

# What stands beside the database does not depend on the engine.
on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"])
on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"])


def findings(place: Place, **changed: str) -> list[str]:
    """What is found beyond CIDFF's compartments, of which none has two holders, and this very process's memory.

    Only the command's own process closes its memory: see test_own_memory.
    """
    ran = place.run("doctor", **changed)
    assert (ran.code, ran.err) == (1, ""), ran
    lines = ran.out.splitlines()
    assert all(" → " in line and line.endswith(".") for line in lines), lines
    memory = {str(finding) for finding in inspect_memory()}
    return [
        line
        for line in lines
        if "«\N{NO-BREAK SPACE}cidff\N{NO-BREAK SPACE}»" not in line and line not in memory
    ]


def in_its_own_process(place: Place) -> Ran:
    process = start("doctor", environment=place.environment)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out, err)


def test_a_sound_deployment_is_found_safe_but_for_thin_compartments(founded: Place) -> None:
    ran = in_its_own_process(founded)
    thin = [line for line in ran.out.splitlines() if "cidff" in line and "compartiment" in line]
    assert (ran.code, thin) == (1, ran.out.splitlines())
    assert any("\N{NO-BREAK SPACE}journal\N{NO-BREAK SPACE}» a 0 " in line for line in thin)
    assert any("\N{NO-BREAK SPACE}legal\N{NO-BREAK SPACE}» a 1 " in line for line in thin)


def test_a_deployment_without_organisations_is_safe(place: Place) -> None:
    place.run("init", "--name", "centre.example.org")
    assert in_its_own_process(place) == Ran(0, "Rien de dangereux.\n", "")


def move_inside(place: Place, inner: str, outer: str) -> dict[str, str]:
    moved = Path(place.environment[outer]) / "inside"
    shutil.move(place.environment[inner], moved)
    return {inner: str(moved)}


@on_sqlite
@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("CASEWORK_PEPPER_FILE", "CASEWORK_DATA_DIR"),
        ("CASEWORK_PEPPER_FILE", "CASEWORK_STATE_DIR"),
        ("CASEWORK_STATE_DIR", "CASEWORK_DATA_DIR"),
    ],
)
def test_what_must_stand_apart_is_named_with_where_it_stands(founded: Place, inner: str, outer: str) -> None:
    (line,) = findings(founded, **move_inside(founded, inner, outer))
    assert inner in line
    assert outer in line


@on_sqlite
def test_each_setting_that_is_missing_is_named_at_once(founded: Place) -> None:
    lines = findings(founded, CASEWORK_DATA_DIR="", CASEWORK_PEPPER_FILE="")
    assert [line.partition(" ")[0] for line in lines] == ["CASEWORK_DATA_DIR", "CASEWORK_PEPPER_FILE"]


@on_sqlite
def test_a_password_in_a_url_is_named_and_not_shown(founded: Place) -> None:
    lines = findings(founded, CASEWORK_OWNER_URL="postgresql+asyncpg://owner:hunter2@host/base")
    assert [line.partition(" ")[0] for line in lines] == ["CASEWORK_OWNER_URL"]
    assert "hunter2" not in lines[0]


def loosen(relative: str, mode: int) -> Callable[[Place], None]:
    return lambda place: (place.folder / relative).chmod(mode)


def remove(relative: str) -> Callable[[Place], None]:
    return lambda place: (place.folder / relative).unlink()


def of_avec(place: Place) -> Path:
    return place.state / "journal-keys" / f"{id_of(place, 'avec').hex}.key"


def swap_keys(place: Place) -> None:
    of_avec(place).write_bytes(bytes(32))


def change_signer_state(place: Place, change: Callable[[dict[str, dict[str, object]]], object]) -> None:
    path = place.state / "journal-signer.json"
    state = json.loads(path.read_text())
    change(state["logs"])
    path.write_text(json.dumps(state))


AVEC_LOG = "centre.example.org/avec"


@on_sqlite
@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (loosen("secret/pepper", 0o640), ["CASEWORK_PEPPER_FILE"]),
        (remove("secret/pepper"), ["CASEWORK_PEPPER_FILE"]),
        (loosen("data", 0o755), ["CASEWORK_DATA_DIR"]),
        (loosen("state", 0o710), ["CASEWORK_STATE_DIR"]),
        (loosen("state/journal-keys", 0o750), ["CASEWORK_STATE_DIR", "journal-keys"]),
        (loosen("state/directory-anchors.json", 0o644), ["directory-anchors.json"]),
        (lambda place: of_avec(place).unlink(), ["clé de signature", AVEC_LOG]),
        (swap_keys, ["clé de signature", AVEC_LOG, "sienne"]),
        (remove("state/directory-anchors.json"), ["avec", "inconnue"]),
        (lambda place: (place.state / "journal-signer.json").write_text("{"), ["illisible"]),
        (
            lambda place: change_signer_state(place, lambda logs: logs.pop(AVEC_LOG)),
            ["ne connaît pas", AVEC_LOG],
        ),
        (
            lambda place: change_signer_state(place, lambda logs: logs[AVEC_LOG].update(size=1)),
            ["en retard", AVEC_LOG],
        ),
        (
            lambda place: change_signer_state(place, lambda logs: logs[AVEC_LOG].update(size=999)),
            ["ramené en arrière", AVEC_LOG],
        ),
        (
            lambda place: change_signer_state(place, lambda logs: logs[AVEC_LOG].update(root="0" * 64)),
            ["n’est pas celui", AVEC_LOG],
        ),
        (
            lambda place: read(
                place, lambda connection: connection.execute(update(deployment).values(is_demo=True)).rowcount
            ),
            ["démonstration"],
        ),
    ],
)
def test_each_unsafe_thing_is_named(founded: Place, harm: Callable[[Place], object], says: list[str]) -> None:
    founded.run("audit", "export", "avec", "--to", founded.folder / "x.zip")
    founded.integrate()
    harm(founded)
    lines = findings(founded)
    assert any(all(word in line for word in says) for line in lines), lines


def sql(place: Place, *statements: str) -> None:
    """Change the schema as its owner."""
    read(place, lambda connection: [connection.execute(text(statement)) for statement in statements])


def test_a_journal_trigger_that_is_gone_is_named(founded: Place) -> None:
    if founded.urls:
        sql(
            founded,
            "DROP TRIGGER audit_entry_no_change ON audit_entry",
            "ALTER TABLE audit_leaf DISABLE TRIGGER audit_leaf_no_truncate",
        )
        expected = ["audit_entry_no_change", "audit_leaf_no_truncate"]
    else:
        sql(founded, "DROP TRIGGER audit_entry_no_delete", "DROP TRIGGER audit_leaf_no_update")
        expected = ["audit_entry_no_delete", "audit_leaf_no_update"]
    lines = findings(founded)
    assert [name in line for name, line in zip(expected, lines, strict=True)] == [True, True]


def test_a_schema_behind_the_program_is_named_and_refused_by_every_command(founded: Place) -> None:
    sql(founded, "UPDATE alembic_version SET version_num = '0001'")
    (line,) = findings(founded)
    assert "0001" in line
    assert "casework db upgrade" in line
    if not founded.urls:
        ran = founded.run("org", "card", "avec", "--to", founded.folder / "x")
        assert (ran.code, "casework db upgrade" in ran.err) == (1, True)


def test_a_directory_that_was_rolled_back_is_named(founded: Place) -> None:
    org_id = id_of(founded, "avec")

    def roll_back(connection: Connection) -> None:
        newest = select(func.max(key_grant.c.epoch)).where(key_grant.c.org_id == org_id).scalar_subquery()
        epoch = connection.execute(select(newest)).scalar_one()
        for table in (key_grant, key_directory):
            connection.execute(delete(table).where(table.c.org_id == org_id, table.c.epoch == epoch))

    read(founded, roll_back)
    (line,) = findings(founded)
    assert "rolled_back" in line


@on_sqlite
def test_rules_that_cannot_be_loaded_are_named(founded: Place) -> None:
    org_id = id_of(founded, "avec")
    emptied = update(policy_set).where(policy_set.c.org_id == org_id).values(text=b"")
    read(founded, lambda connection: connection.execute(emptied).rowcount)
    (line,) = findings(founded)
    assert "text_missing" in line


@on_sqlite
def test_an_organisation_that_approved_no_rules_has_the_shipped_ones_and_is_named(place: Place) -> None:
    """As its founding was before there were approvals: it goes on working, and is told."""
    place.run("init", "--name", "centre.example.org")

    def as_before(_number: int, text_hash: bytes, _effective: int) -> PolicyBody:
        return PolicyBody(text_hash)

    with patch.object(ceremony, "PolicyApprovalBody", as_before):
        assert place.found("avec", AVEC).code == 0
    place.integrate()
    (line,) = findings(place)
    assert "approuvé" in line
    assert "casework policy propose avec" in line
    org_id = id_of(place, "avec")
    engine = read(place, lambda connection: engine_in_force(connection, org_id, {org_id: "avec"}, None))
    assert engine.text == org_source("avec").text


@on_postgresql
def test_a_server_that_may_lose_writes_is_named(founded: Place, cluster: RunningCluster) -> None:
    database = founded.urls["CASEWORK_DATABASE_URL"].database
    cluster.sql(f"ALTER DATABASE {database} SET synchronous_commit = off")
    (line,) = findings(founded)
    assert "synchronous_commit" in line


@on_postgresql
def test_a_shred_store_that_may_lose_halves_is_named_and_not_served(
    founded: Place, cluster: RunningCluster
) -> None:
    cluster.sql(f"ALTER DATABASE {founded.urls['CASEWORK_SHRED_URL'].database} SET synchronous_commit = off")
    (line,) = findings(founded)
    assert line.startswith("CASEWORK_SHRED_URL")
    assert "synchronous_commit" in line
    process = start("serve", "--port", "0", environment=founded.environment)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.startswith("CASEWORK_SHRED_URL"), "synchronous_commit" in err) == (
        1,
        True,
        True,
    ), err


@on_postgresql
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_statement", "mod"),
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
        ("log_min_duration_sample", "0"),
        ("log_parameter_max_length_on_error", "-1"),
        ("log_error_verbosity", "default"),
        ("log_error_verbosity", "verbose"),
    ],
)
@pytest.mark.parametrize("database", ["CASEWORK_DATABASE_URL", "CASEWORK_SHRED_URL"])
def test_a_server_log_that_may_hold_data_is_named(
    founded: Place, cluster: RunningCluster, database: str, name: str, value: str
) -> None:
    cluster.sql(f"ALTER DATABASE {founded.urls[database].database} SET {name} = '{value}'")
    (line,) = findings(founded)
    assert line.startswith(database)
    assert name in line


@on_sqlite
@pytest.mark.parametrize(
    ("address", "is_named"),
    [
        ("db.example.org/casework", True),
        ("192.0.2.1/casework", True),
        ("db.example.org/casework?ssl=require", True),
        ("db.example.org/casework?ssl=verify-full", False),
        ("db.example.org/casework?ssl=verify-ca", False),
        ("localhost/casework", False),
        ("[::1]/casework", False),
        ("/casework?host=/run/postgresql", False),
    ],
)
def test_a_connection_that_leaves_the_machine_unverified_is_named(
    founded: Place, address: str, is_named: bool
) -> None:
    """No server is asked: the address itself is unsafe."""
    url = {"CASEWORK_SHRED_URL": f"postgresql+asyncpg://casework_app@{address}"}
    found = inspect_places(from_environment({**founded.environment, **url}))
    assert [str(finding).partition("\N{NO-BREAK SPACE}")[0] for finding in found] == (
        ["CASEWORK_SHRED_URL"] if is_named else []
    )


@on_sqlite
def test_a_disk_that_is_almost_full_is_named(founded: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place_inspection, "LEAST_FREE_BYTES", 2**62)
    assert [line.partition("\N{NO-BREAK SPACE}")[0] for line in findings(founded)] == [
        "CASEWORK_DATA_DIR",
        "CASEWORK_STATE_DIR",
    ]


@on_sqlite
def test_a_clock_behind_the_journal_is_named(founded: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "now", lambda _: datetime(2020, 1, 1, tzinfo=UTC))
    lines = findings(founded)
    assert any("horloge" in line and AVEC_LOG in line for line in lines), lines


@on_sqlite
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("data", "CASEWORK_DATA_DIR"),
        ("state", "CASEWORK_STATE_DIR"),
        ("secret/pepper", "CASEWORK_PEPPER_FILE"),
    ],
)
def test_what_belongs_to_another_account_is_named(founded: Place, path: str, says: str) -> None:
    shutil.chown(founded.folder / path, "nobody")
    (line,) = findings(founded)
    assert line.startswith(says)
    assert "compte" in line


@on_postgresql
def test_a_role_that_escapes_the_walls_is_named(founded: Place) -> None:
    owner = founded.environment["CASEWORK_OWNER_URL"]
    (line,) = findings(founded, CASEWORK_DATABASE_URL=owner)
    assert "rôle" in line


@on_postgresql
def test_a_table_without_its_wall_is_named(founded: Place) -> None:
    sql(founded, "ALTER TABLE case_file DISABLE ROW LEVEL SECURITY")
    (line,) = findings(founded)
    assert "case_file" in line


@on_postgresql
def test_a_server_that_does_not_answer_is_named(founded: Place) -> None:
    away = founded.urls["CASEWORK_DATABASE_URL"].set(query={"host": str(founded.folder)})
    (line,) = findings(
        founded, CASEWORK_DATABASE_URL=away.render_as_string(hide_password=False), CASEWORK_OWNER_URL=""
    )
    assert line.startswith("CASEWORK_DATABASE_URL")
