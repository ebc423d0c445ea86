"""`casework init` and `casework db upgrade`."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete

from audit import tables
from audit.tables import ROLLUP_LOG
from audit.triggers import drop_triggers
from casework.cli import run as run_command
from casework.commands.refusals import sentence
from casework.settings import SettingRefused, from_environment
from tests.casework.commands.place import NAME, Place
from tests.casework.commands.test_organisations import read


def test_init_makes_places_that_are_the_services_alone(place: Place) -> None:
    ran = place.run("init", "--name", NAME)
    assert ran.code == 0, ran
    assert f"{NAME}+" in ran.out
    assert f"{NAME}/rollup+" in ran.out
    for folder in ("data", "state", "state/journal-keys"):
        assert stat.S_IMODE((place.folder / folder).stat().st_mode) == 0o700
    pepper = place.folder / "secret" / "pepper"
    assert (stat.S_IMODE(pepper.stat().st_mode), pepper.stat().st_size) == (0o600, 32)


def test_init_a_second_time_overwrites_nothing(place: Place) -> None:
    place.run("init", "--name", NAME)
    pepper = (place.folder / "secret" / "pepper").read_bytes()
    assert place.run("init", "--name", NAME).code == 0
    assert (place.folder / "secret" / "pepper").read_bytes() == pepper
    renamed = place.run("init", "--name", "other.example.org")
    assert (renamed.code, "--name" in renamed.err) == (1, True)


def test_a_new_database_does_not_take_over_the_state_of_another(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.run("init", "--name", NAME)
    for file in (place.folder / "data").iterdir():
        file.unlink()
    ran = place.run("init", "--name", NAME)
    assert (ran.code, "CASEWORK_STATE_DIR" in ran.err) == (1, True)


def test_a_pepper_is_never_made_where_a_backup_takes_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    inside = tmp_path / "data" / "pepper"
    ran = place.run("init", "--name", NAME, CASEWORK_PEPPER_FILE=str(inside))
    assert ran.code == 1
    assert "CASEWORK_PEPPER_FILE" in ran.err
    assert "CASEWORK_DATA_DIR" in ran.err
    assert not inside.exists()


@pytest.mark.parametrize("name", ["Centre.example", "centre example", "centre+x", "-x", "a" * 101, "a..b"])
def test_the_journal_is_named_after_a_host(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["init", f"--name={name}"]) == 2
    assert capsys.readouterr().err.startswith("--name")


@pytest.mark.parametrize("missing", ["CASEWORK_DATA_DIR", "CASEWORK_STATE_DIR", "CASEWORK_PEPPER_FILE"])
@pytest.mark.parametrize(
    "command", [("init", "--name", NAME), ("db", "upgrade"), ("audit", "checkpoint", "avec")]
)
def test_a_setting_that_is_missing_is_named(
    tmp_path: Path,
    missing: str,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for folder in ("data", "state"):
        (tmp_path / folder).mkdir()
    for name, value in Place(tmp_path).environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    assert run_command(command) == 1
    assert capsys.readouterr().err == f"{missing}\N{NO-BREAK SPACE}: n’est pas défini.\n"


def test_db_upgrade_brings_an_empty_database_to_the_newest_revision(place: Place) -> None:
    for folder in ("data", "state"):
        (place.folder / folder).mkdir()
    first, second = place.run("db", "upgrade"), place.run("db", "upgrade")
    assert (first.code, second.code) == (0, 0), (first, second)
    assert "vide" in first.out
    assert "déjà" in second.out


@pytest.mark.parametrize("key_was_made", [False, True])
def test_db_upgrade_begins_the_roll_up_of_an_older_deployment(place: Place, *, key_was_made: bool) -> None:
    """Also where an earlier attempt was killed between the key and the commit."""
    place.run("init", "--name", NAME)
    key = place.state / "journal-keys" / f"{ROLLUP_LOG.hex()}.key"
    before = key.read_bytes()

    def forget(connection: Connection) -> None:
        for statement in drop_triggers(connection.dialect.name):
            connection.exec_driver_sql(statement)
        connection.execute(delete(tables.log).where(tables.log.c.log == ROLLUP_LOG))

    read(place, forget)
    if not key_was_made:
        key.unlink()
    ran, again = place.run("db", "upgrade"), place.run("db", "upgrade")
    assert (ran.code, f"{NAME}/rollup+" in ran.out, f"{NAME}/rollup+" in again.out) == (0, True, False), ran
    assert (key.read_bytes() == before) is key_was_made
    assert place.run("check").code == 0


def test_an_unprepared_database_is_named_and_not_made(place: Place) -> None:
    for folder in ("data", "state"):
        (place.folder / folder).mkdir()
    ran = place.run("audit", "checkpoint", "avec")
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert not place.database.exists()


def test_only_the_owner_may_upgrade_on_postgresql(founded: Place, engine_name: str) -> None:
    ran = founded.run("db", "upgrade", CASEWORK_OWNER_URL="")
    expected = (
        "CASEWORK_OWNER_URL\N{NO-BREAK SPACE}: n’est pas défini.\n" if engine_name == "postgresql" else ""
    )
    assert (ran.code, ran.err) == (1 if expected else 0, expected)


def test_every_rule_of_the_settings_is_said_in_french(tmp_path: Path) -> None:
    data, state = tmp_path / "data", tmp_path / "state"
    data.mkdir()
    state.mkdir()
    (data / "inner").mkdir()
    sound = {
        "CASEWORK_DATA_DIR": str(data),
        "CASEWORK_STATE_DIR": str(state),
        "CASEWORK_PEPPER_FILE": str(tmp_path / "pepper"),
    }
    from_environment(sound)
    unsound: list[tuple[str, dict[str, str]]] = [
        ("CASEWORK_DATA_DIR", {"CASEWORK_DATA_DIR": ""}),
        ("CASEWORK_DATA_DIR", {"CASEWORK_DATA_DIR": str(tmp_path / "none")}),
        ("CASEWORK_STATE_DIR", {"CASEWORK_STATE_DIR": str(data / "inner")}),
        ("CASEWORK_PEPPER_FILE", {"CASEWORK_PEPPER_FILE": str(data / "pepper")}),
        ("CASEWORK_PEPPER_FILE", {"CASEWORK_PEPPER_FILE": str(state / "pepper")}),
        ("CASEWORK_DATABASE_URL", {"CASEWORK_DATABASE_URL": "x"}),
        ("CASEWORK_DATABASE_URL", {"CASEWORK_DATABASE_URL": "mysql://x/y"}),
        ("CASEWORK_SHRED_URL", {"CASEWORK_SHRED_URL": f"sqlite:///{data / 'casework.db'}"}),
        ("CASEWORK_MANAGED_NETWORKS", {"CASEWORK_MANAGED_NETWORKS": "x"}),
    ]
    for name, change in unsound:
        with pytest.raises(SettingRefused) as refused:
            from_environment({**sound, **change})
        words = sentence(refused.value)
        assert words is not None
        assert words.startswith(f"{name}\N{NO-BREAK SPACE}: ")
        assert "valeur est refusée" not in words, refused.value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "casework --help"),
        (["serve", "--nothing"], "--nothing"),
        (["serve", "--port", "x"], "--port"),
        (["org", "card"], "SLUG"),
        (["org", "create", "avec", "--name", "A", "--member", "a:b"], "--member"),
        (["org", "create", "avec", "--name", "A", "--member", "a:worker:social:x"], "--member"),
        (["org", "create", "avec", "--name", "A", "--member", "A B:worker"], "--member"),
        (["member", "add", "avec", "x", "--role", "queen", "--custodian", "y"], "--role"),
        (["org", "partner", "avec", __file__, "--root", "x"], "--root"),
        (["audit", "verify"], "casework audit verify --help"),
        (["audit", "verify", "/nowhere"], "PATH"),
        (["audit", "verify", "--database", "avec", "--key", "x"], "--key"),
        (["audit", "verify", "--database", "avec", "--trusted", "/nowhere"], "--trusted"),
    ],
)
def test_wrong_use_is_said_in_one_sentence(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1
