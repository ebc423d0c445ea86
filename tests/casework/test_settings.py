"""Configuration: what is missing or unsafe is named, and no value is ever repeated."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from casework.settings import SettingRefused, from_environment
from tests.audit.test_witness import LOG, WITNESS

CANARY = "canary-7f3e"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A sound configuration."""
    for name in ("data", "state", "secret"):
        (tmp_path / name).mkdir()
    return {
        "CASEWORK_DATA_DIR": str(tmp_path / "data"),
        "CASEWORK_STATE_DIR": str(tmp_path / "state"),
        "CASEWORK_PEPPER_FILE": str(tmp_path / "secret" / "pepper"),
    }


def refused(environment: dict[str, str], **changes: str | None) -> SettingRefused:
    changed = {**environment, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in changes.items():
        if value is None:
            changed.pop(name, None)
    with pytest.raises(SettingRefused) as raised:
        from_environment(changed)
    return raised.value


def test_three_places_are_enough_and_the_rest_follows_from_them(environment: dict[str, str]) -> None:
    settings = from_environment(environment)
    data = Path(environment["CASEWORK_DATA_DIR"])
    assert settings.is_sqlite
    assert settings.sqlite_path == data / "casework.db"
    assert settings.integrator_url == settings.database_url
    assert settings.shred_url.database == str(data / "shreds.db")
    assert settings.managed_networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def test_witnesses_are_addresses_each_with_its_key(environment: dict[str, str]) -> None:
    assert from_environment(environment).witnesses == ()
    listed = f"https://w.example/1/ {WITNESS.key}  http://127.0.0.1:8100 {WITNESS.key}"
    witnesses = from_environment({**environment, "CASEWORK_WITNESSES": listed}).witnesses
    assert [one.url for one in witnesses] == ["https://w.example/1", "http://127.0.0.1:8100"]
    assert {one.key for one in witnesses} == {WITNESS.key}


@pytest.mark.parametrize(
    "value",
    [
        f"https://{CANARY}.example",
        f"https://{CANARY}.example {CANARY}",
        f"https://{CANARY}.example {LOG.key}",
        f"http://{CANARY}.example {WITNESS.key}",
        f"{CANARY} {WITNESS.key}",
    ],
)
def test_a_witness_without_its_key_or_in_the_clear_is_refused(
    environment: dict[str, str], value: str
) -> None:
    error = refused(environment, CASEWORK_WITNESSES=value)
    assert error.name == "CASEWORK_WITNESSES"
    assert CANARY not in str(error)


@pytest.mark.parametrize("name", ["CASEWORK_DATA_DIR", "CASEWORK_STATE_DIR", "CASEWORK_PEPPER_FILE"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named(environment: dict[str, str], name: str, value: str | None) -> None:
    error = refused(environment, **{name: value})
    assert error.name == name
    assert str(error) == f"{name}: is not set"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CASEWORK_DATA_DIR", f"/nowhere/{CANARY}"),
        ("CASEWORK_STATE_DIR", f"/nowhere/{CANARY}"),
        ("CASEWORK_DATABASE_URL", CANARY),
        ("CASEWORK_DATABASE_URL", f"mysql://{CANARY}/casework"),
        ("CASEWORK_DATABASE_URL", f"sqlite:///{CANARY}.db"),
        ("CASEWORK_DATABASE_URL", "sqlite://"),
        ("CASEWORK_DATABASE_URL", "sqlite:///:memory:"),
        ("CASEWORK_DATABASE_URL", f"postgresql://casework_app@localhost:{CANARY}/casework"),
        ("CASEWORK_DATABASE_URL", f"postgresql://casework_app:{CANARY}@localhost/casework"),
        ("CASEWORK_DATABASE_URL", f"postgresql://casework_app@localhost/casework?password={CANARY}"),
        ("CASEWORK_SHRED_URL", f"sqlite:///{CANARY}.db"),
        ("CASEWORK_SHRED_URL", f"postgresql://casework_app:{CANARY}@localhost/shreds"),
        ("CASEWORK_MANAGED_NETWORKS", f"10.0.0.0/8,{CANARY}"),
        ("CASEWORK_MANAGED_NETWORKS", "10.0.0.1/8"),
    ],
)
def test_an_unsafe_value_is_named_and_never_repeated(
    environment: dict[str, str], name: str, value: str
) -> None:
    error = refused(environment, **{name: value})
    assert error.name == name
    assert str(error).startswith(f"{name}: ")
    assert CANARY not in f"{error}{error!r}{error.__cause__}"
    # What was being handled may quote the value: nothing of it is shown with the error.
    assert error.__context__ is None or error.__suppress_context__


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        ("data/pepper", "must not be inside CASEWORK_DATA_DIR"),
        ("data/deeper/../pepper", "must not be inside CASEWORK_DATA_DIR"),
        ("state/pepper", "must not be inside CASEWORK_STATE_DIR"),
        ("door/pepper", "must not be inside CASEWORK_DATA_DIR"),
    ],
)
def test_a_pepper_beside_the_data_is_refused(
    environment: dict[str, str], tmp_path: Path, place: str, rule: str
) -> None:
    (tmp_path / "door").symlink_to(tmp_path / "data")
    error = refused(environment, CASEWORK_PEPPER_FILE=str(tmp_path / place))
    assert str(error) == f"CASEWORK_PEPPER_FILE: {rule}"


def test_a_state_directory_that_a_backup_of_the_data_would_take_is_refused(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "data" / "state").mkdir()
    error = refused(environment, CASEWORK_STATE_DIR=str(tmp_path / "data" / "state"))
    assert str(error) == "CASEWORK_STATE_DIR: must not be inside CASEWORK_DATA_DIR"


@pytest.mark.parametrize("spelling", ["data/casework.db", "data/../data/./casework.db", "door/casework.db"])
def test_shreds_in_the_main_database_are_refused_however_its_path_is_written(
    environment: dict[str, str], tmp_path: Path, spelling: str
) -> None:
    (tmp_path / "door").symlink_to(tmp_path / "data")
    error = refused(environment, CASEWORK_SHRED_URL=f"sqlite:///{tmp_path / spelling}")
    assert str(error) == "CASEWORK_SHRED_URL: must be another database than CASEWORK_DATABASE_URL"


def test_shreds_in_the_main_database_are_refused_on_postgresql(environment: dict[str, str]) -> None:
    error = refused(
        environment,
        CASEWORK_DATABASE_URL="postgresql://casework_app@localhost/casework",
        CASEWORK_INTEGRATOR_URL="postgresql://casework_integrator@localhost/casework",
        CASEWORK_SHRED_URL="postgresql+asyncpg://casework_shreds@localhost/casework",
    )
    assert error.name == "CASEWORK_SHRED_URL"


def test_postgresql_is_spoken_to_over_asyncpg(environment: dict[str, str]) -> None:
    settings = from_environment(
        environment
        | {
            "CASEWORK_DATABASE_URL": "postgresql://casework_app@localhost/casework",
            "CASEWORK_INTEGRATOR_URL": "postgresql://casework_integrator@localhost/casework",
        }
    )
    assert not settings.is_sqlite
    assert settings.database_url.drivername == settings.integrator_url.drivername == "postgresql+asyncpg"


@pytest.mark.parametrize("value", [None, "sqlite:////var/lib/casework/other.db"])
def test_postgresql_needs_the_integrator_and_gives_it_a_login_of_its_own(
    environment: dict[str, str], value: str | None
) -> None:
    error = refused(
        environment,
        CASEWORK_DATABASE_URL="postgresql://casework_app@localhost/casework",
        CASEWORK_INTEGRATOR_URL=value,
    )
    assert error.name == "CASEWORK_INTEGRATOR_URL"
