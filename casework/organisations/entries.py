"""Appending to an organisation's key directory from a request."""

from uuid import UUID

from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from casework.act import Act
from casework.errors import Conflict
from casework.organisations.tables import key_directory
from crypto.directory import Directory
from crypto.directory_entries import DirectoryEntry


def append_entry(connection: Connection, org_id: UUID, entry: DirectoryEntry) -> None:
    """Append a signed entry that follows the directory as the asker's process knows it.

    Raises:
        Conflict: another change came first; the unit is lost, and what was asked may be asked again.

    """
    try:
        connection.execute(
            insert(key_directory).values(org_id=org_id, epoch=entry.epoch, entry=entry.to_bytes())
        )
    except IntegrityError:
        title = "Les clés de l’association viennent de changer. Réessayez."
        raise Conflict("directory_moved", title) from None


def append_in_act(act: Act, directory: Directory, entry: DirectoryEntry) -> Directory:
    """Append a signed entry that follows `directory`, and return what it is then: remembered once it is committed.

    Raises:
        Conflict: as `append_entry`.
        DirectoryRefused: nobody who verifies it would accept the entry.

    """
    append_entry(act.unit.connection, act.org_id, entry)
    appended = directory.extend([entry])
    act.deployment.directories.remember(act.unit, appended)
    return appended
