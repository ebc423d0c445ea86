"""Files that hold secrets: made for their owner alone, never over another file."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from casework.commands.opening import CommandRefused

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def new_file(path: Path, option: str = "--to") -> Iterator[BinaryIO]:
    """A new file of mode 0600, on disk at the end; it is removed where the block fails.

    Raises:
        CommandRefused: something stands there already, or it cannot be created.

    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise CommandRefused(f"{option} : ce fichier existe déjà, et n’est jamais écrasé.") from None
    except OSError as error:
        raise CommandRefused(
            f"{option} : ce fichier ne peut pas être créé ({os.strerror(error.errno or 0)})."
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


PASSWORDS_HELP = (
    "Fichier (mode 0600) de lignes « identifiant, tabulation, mot de passe » ; sinon, ils sont demandés."
)


def passwords_of(logins: Iterable[str], path: Path | None) -> Mapping[str, str]:
    """The password of each login: from the file, or asked for.

    Raises:
        CommandRefused: see `read_passwords`; or one is not in the file.

    """
    if path is None:
        return {
            login: click.prompt(f"Mot de passe de {login}", hide_input=True, type=str) for login in logins
        }
    given = read_passwords(path)
    for login in logins:
        if login not in given:
            raise CommandRefused(f"--passwords : le mot de passe de « {login} » manque.")
    return given


def write_together(folder: Path, contents: Iterable[tuple[str, bytes]], option: str) -> None:
    """Write new files of mode 0600 by name and content, on disk when this returns; where one cannot be, none stays.

    Of what a commit makes true, do it last before the commit, and do not undo it where that fails: its outcome may
    be unknown, and what was thrown away could be in force.

    Raises:
        CommandRefused: a file of that name stands there, or cannot be created.

    """
    written: list[Path] = []
    try:
        for name, content in contents:
            with new_file(folder / name, option) as file:
                file.write(content)
            written.append(folder / name)
        _sync(folder)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def read_passwords(path: Path) -> dict[str, str]:
    """The passwords of a file of lines `login<TAB>password`.

    Raises:
        CommandRefused: others than its owner may use the file, or a line has another form.

    """
    pairs = [line.partition("\t") for line in _lines("--passwords", path)]
    if not all(login and tab and password for login, tab, password in pairs):
        raise CommandRefused(
            "--passwords : chaque ligne est un identifiant, une tabulation, un mot de passe."
        )
    return {login: password for login, _, password in pairs}


def read_shares(path: Path) -> list[str]:
    """The shares of a file, one a line.

    Raises:
        CommandRefused: others than its owner may use the file.

    """
    return _lines("--shares", path)


def _lines(option: str, path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & _OTHERS:
                raise CommandRefused(f"{option} : le fichier doit être à son seul propriétaire (mode 0600).")
            return [line.rstrip("\n") for line in file if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise CommandRefused(f"{option} : le fichier est illisible.") from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
