"""After a restore that may have lost entries a log goes on under another origin: a new incarnation.

An origin is never reused at a smaller size, so what auditors kept of the lost entries stays provable. The tree
is the same one; the first entry of an incarnation is `log.restored`, which names the lost tree head: its size in
`count`, its root in `basis.set` (nothing where the log was empty).

An incarnation is marked in the name of the deployment, `casework.example~20261122201500/avec`; the unmarked origin
is what all incarnations of one log share.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from audit import tables
from audit.checkpoint import Checkpoint, VerificationKey
from audit.errors import JournalRefused
from audit.nodes import stored_frontier
from audit.triggers import create_triggers

RESTORED_ACTION = "log.restored"

_MARK = re.compile(r"~[0-9]{14}(?=/|\Z)")


def unmarked(origin: str) -> str:
    """What the origins of every incarnation of one log have in common."""
    return _MARK.sub("", origin)


def keys_under(origin: str, keys: Iterable[VerificationKey]) -> list[VerificationKey]:
    """`keys` as they sign for `origin`: a log keeps its key when a restore gives it another origin."""
    return [replace(key, name=origin) if unmarked(key.name) == unmarked(origin) else key for key in keys]


def marked(name: str, stamp: str) -> str:
    """The name of a deployment from a restore on; `stamp` is its moment in 14 digits (UTC)."""
    return f"{unmarked(name)}~{stamp}"


def restored_at(origin: str) -> datetime | None:
    """The moment of the restore that an origin's incarnation began with; None of the first one."""
    mark = _MARK.search(origin)
    return datetime.strptime(mark[0][1:], "%Y%m%d%H%M%S").replace(tzinfo=UTC) if mark is not None else None


def is_earlier(origin: str, than: str) -> bool:
    """Whether one log had this origin before it had that one: a stamp sorts by time, and after none."""
    return unmarked(origin) == unmarked(than) and origin < than


def stored_head(connection: Connection, log: bytes) -> Checkpoint:
    """The head of the tree in the database, whether or not it was ever signed.

    Raises:
        JournalRefused: the log is not open, or a stored hash is missing.

    """
    row = connection.execute(
        select(tables.log.c.origin, tables.log.c.size).where(tables.log.c.log == log)
    ).one_or_none()
    if row is None:
        raise JournalRefused(log, "the log is not open")
    return Checkpoint(row.origin, row.size, stored_frontier(connection, log, row.size).root())


def begin_incarnation(connection: Connection, log: bytes, origin: str) -> list[bytes]:
    """Let the log go on as `origin`; returns the entries that waited, out of the inbox, in their order.

    They belong to the incarnation that ended and are the caller's to record again. Needs the schema's owner.
    """
    dialect = connection.dialect.name
    lift, restore = (
        (
            "ALTER TABLE audit_log DISABLE TRIGGER audit_log_no_change",
            "ALTER TABLE audit_log ENABLE TRIGGER audit_log_no_change",
        )
        if dialect == "postgresql"
        else ("DROP TRIGGER audit_log_no_update", create_triggers(dialect)[0])
    )
    connection.exec_driver_sql(lift)
    connection.execute(update(tables.log).where(tables.log.c.log == log), {"origin": origin})
    connection.exec_driver_sql(restore)
    mine = tables.inbox.c.log == log
    waiting = connection.execute(
        select(tables.inbox.c.entry).where(mine).order_by(tables.inbox.c.seq)
    ).scalars()
    entries = [bytes(raw) for raw in waiting]
    connection.execute(delete(tables.inbox).where(mine))
    return entries


def wait_again(connection: Connection, log: bytes, entries: list[bytes]) -> None:
    """Put entries of the present incarnation into the inbox, in their order."""
    if entries:
        connection.execute(insert(tables.inbox), [{"log": log, "entry": raw} for raw in entries])
