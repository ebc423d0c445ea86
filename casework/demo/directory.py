"""Where a demo lives: one directory with a marker, so that nothing else is ever emptied or believed to be one."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from casework import sqlite
from casework.commands.opening import CommandRefused
from casework.organisations.deployments import find_mark
from casework.settings import Settings, from_environment
from casework.unshown import Unshown
from policies.vocabulary import Role

MARKER = ".casework-demo"
ACCOUNTS = "accounts.json"
_MODE = 0o700


class DemoRefused(CommandRefused):
    """A demo cannot be made, served or read there; the message says why, in French."""


class Account(Unshown, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What signs in to the demo, and the verification key of the organisation's journal."""

    login: str
    password: str
    totp_secret: str
    organisation: str
    role: Role
    journal_key: str


@dataclass(frozen=True, slots=True)
class DemoDirectory:
    """A directory that carries the marker. The pepper stands outside `data` and `state`."""

    path: Path

    @property
    def accounts_file(self) -> Path:
        return self.path / ACCOUNTS

    @property
    def pepper_file(self) -> Path:
        return self.path / "pepper"

    def settings(self) -> Settings:
        """The demo's own settings; nothing is taken from the environment."""
        return from_environment(
            {
                "CASEWORK_DATA_DIR": str(self.path / "data"),
                "CASEWORK_STATE_DIR": str(self.path / "state"),
                "CASEWORK_PEPPER_FILE": str(self.pepper_file),
            }
        )

    def write_accounts(self, accounts: list[Account]) -> None:
        """Write the accounts for their owner's eyes alone."""
        descriptor = os.open(self.accounts_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(accounts), indent=2))

    def read_accounts(self) -> list[Account]:
        """The accounts of a finished demo.

        Raises:
            DemoRefused: there is no whole list of them.

        """
        try:
            return msgspec.json.decode(self.accounts_file.read_bytes(), type=list[Account])
        except (OSError, msgspec.DecodeError):
            raise DemoRefused(
                f"La liste des comptes manque dans {self.path} : relancez « casework demo »."
            ) from None


@contextmanager
def fresh_directory(path: Path) -> Iterator[DemoDirectory]:
    """Make an empty demo directory in place of the demo that was there, and hold it until the end.

    Raises:
        DemoRefused: something else stands there, or the demo that stands there is being served.

    """
    if path.is_symlink() or path.exists():
        with _held(path):
            shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_MODE)
    (path / MARKER).write_text("Démonstration de casework : données fictives, effacées à chaque lancement.\n")
    for part in ("data", "state"):
        (path / part).mkdir(mode=_MODE)
    with _held(path):
        yield DemoDirectory(path)


def existing_directory(path: Path) -> DemoDirectory:
    """The demo at `path`.

    Raises:
        DemoRefused: no marker there, or a database that was not marked as a demo when it was made.

    """
    directory = DemoDirectory(path)
    if not _is_marked(path):
        raise DemoRefused(f"Aucune démonstration dans {path} : lancez d’abord « casework demo ».")
    database = path / "data" / "casework.db"
    if not database.is_file() or not _database_is_demo(database):
        raise DemoRefused(f"La base de {path} n’est pas marquée comme démonstration.")
    return directory


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a demo directory by its marker: one process makes or serves it at a time."""
    if not _is_marked(path):
        raise DemoRefused(f"{path} existe et n’est pas une démonstration : rien n’a été effacé.")
    descriptor = os.open(path / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DemoRefused(
            f"La démonstration de {path} est en cours d’exécution : arrêtez-la d’abord."
        ) from None


def _is_marked(path: Path) -> bool:
    marker = path / MARKER
    return not path.is_symlink() and not marker.is_symlink() and marker.is_file()


def _database_is_demo(database: Path) -> bool:
    engine = sqlite.make_engine(database)
    try:
        with engine.connect().execution_options(sqlite_tx="DEFERRED") as connection:
            mark = find_mark(connection)
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()
    return mark is not None and mark.is_demo
