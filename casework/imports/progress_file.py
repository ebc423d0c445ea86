"""How far an import came: a file beside the CSV with row numbers, times and case ids, and nothing of a person.

One JSON object a line, each on disk before what depends on it is done. A row is written down before it is sent and
again when it is answered, so that after a crash at any moment each row is known as never sent, as answered, or as
sent without an answer; the last are sent again under the same Idempotency-Key while the service remembers that key.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import msgspec

from casework.imports.errors import ImportRefused

SUFFIX: Final = ".progress"
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_DAMAGED: Final = "Le fichier d’avancement est abîmé : il ne dit plus avec certitude ce qui a été importé."


class Begun(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Of which file (SHA-256), for which organisation and by which of its members."""

    sha256: str
    organisation: str
    member: UUID


class Sent(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    row: int
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class Made(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """`case` is None where a person found that the case was there."""

    row: int
    case: UUID | None


class Refused(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The service answered that it did nothing."""

    row: int


Record = Begun | Sent | Made | Refused


class ProgressFile:
    """An open and locked progress file. Records are on disk when a method returns."""

    def __init__(self, descriptor: int, records: list[Record]) -> None:
        self._descriptor = descriptor
        self.begun: Begun | None = None
        self._rows: dict[int, Sent | Made] = {}
        for record in records:
            self._take(record)

    def state(self, row: int) -> Sent | Made | None:
        """What is known of a row; None of one that was never sent, or that the service refused."""
        return self._rows.get(row)

    def write(self, record: Record) -> None:
        """Append a record.

        Raises:
            ImportRefused: it could not be put on disk; nothing may depend on it.

        """
        content = msgspec.json.encode(record) + b"\n"
        try:
            # A short write leaves a line without an end, which is dropped when the file is next opened.
            complete = os.write(self._descriptor, content) == len(content)
            os.fsync(self._descriptor)
        except OSError as error:
            raise _impossible(error) from None
        if not complete:
            raise ImportRefused("Le fichier d’avancement ne peut pas être écrit : le disque est-il plein ?")
        self._take(record)

    def _take(self, record: Record) -> None:
        match record:
            case Begun():
                self.begun = record
            case Refused():
                self._rows.pop(record.row, None)
            case _:
                self._rows[record.row] = record


@contextmanager
def progress_file(csv_file: Path, sha256: str) -> Iterator[ProgressFile]:
    """Open the progress file of a CSV file, new or as an earlier run left it.

    Raises:
        ImportRefused: another run holds it; it is damaged, not the owner's alone, or cannot be made; or the CSV
            file is another than the one it was begun for.

    """
    path = csv_file.with_name(csv_file.name + SUFFIX)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise _impossible(error) from None
    try:
        _require_ours(descriptor)
        _sync_folder(path.parent)
        progress = ProgressFile(descriptor, _read(descriptor))
        if progress.begun is not None and progress.begun.sha256 != sha256:
            raise ImportRefused(
                "Le fichier a changé depuis le début de son import. Remettez-le tel qu’il était pour "
                "reprendre ; mettez les lignes nouvelles ou corrigées dans un autre fichier."
            )
        yield progress
    finally:
        os.close(descriptor)


def _require_ours(descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & _OTHERS:
        raise ImportRefused("Le fichier d’avancement doit être à son seul propriétaire (mode 0600).")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ImportRefused("Un autre import de ce fichier est en cours.") from None


def _sync_folder(folder: Path) -> None:
    """Put the file's name on disk too: its records are worth nothing in a file that a crash made vanish."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> list[Record]:
    """All whole records. What a crash cut short was never relied on, and is cut off."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        content = file.read()
    whole = content.rfind(b"\n") + 1
    os.ftruncate(descriptor, whole)
    try:
        records = [msgspec.json.decode(line, type=Record) for line in content[:whole].splitlines()]
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ImportRefused(_DAMAGED) from None
    if [isinstance(record, Begun) for record in records] != [at == 0 for at in range(len(records))]:
        raise ImportRefused(_DAMAGED)
    return records


def _impossible(error: OSError) -> ImportRefused:
    reason = os.strerror(error.errno or errno.EIO)
    return ImportRefused(f"Le fichier d’avancement (à côté du CSV) ne peut pas être tenu : {reason}.")
