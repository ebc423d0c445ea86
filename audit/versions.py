"""Which rows of which persons a log has seen, in which versions: what the rows themselves are held against."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from audit import tables
from audit.entry import Entry, Outcome
from audit.errors import EntryRefused

# Entries read at once.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class SeenRows:
    """By the pseudonym of a row (`Row.r`): its highest version, and the rows of which one was written twice.

    `of_persons`: under each person's pseudonym (`Subject.p`) the rows that the entries asked about named.
    """

    newest: dict[str, int] = field(default_factory=dict)
    written_twice: set[str] = field(default_factory=set)
    of_persons: dict[str, set[str]] = field(default_factory=dict)


def seen_rows(
    connection: Connection, log: bytes, changes: AbstractSet[str], asked: AbstractSet[str]
) -> SeenRows:
    """Read every integrated entry of `log`; the actions in `changes` write the versions that they name.

    Whoever puts a row back to an older version leaves one that the log has seen newer; whoever changes it after
    that writes a version that was written before. `of_persons` is of the actions in `asked` alone. What is no
    entry is passed over: the verifier names it.
    """
    seen, written = SeenRows(), set()
    query = select(tables.entry.c.bytes).where(tables.entry.c.log == log)
    for raw in connection.execute(query.execution_options(yield_per=_BATCH)).scalars():
        try:
            entry = Entry.from_bytes(raw)
        except EntryRefused:
            continue
        is_change = entry.action in changes and entry.outcome is Outcome.ALLOWED
        for subject in entry.subjects if entry.action in asked else ():
            seen.of_persons.setdefault(subject.p, set()).update(row.r for row in subject.rows)
        for row in (row for subject in entry.subjects for row in subject.rows):
            seen.newest[row.r] = max(row.v, seen.newest.get(row.r, 0))
            if not is_change:
                continue
            if (row.r, row.v) in written:
                seen.written_twice.add(row.r)
            written.add((row.r, row.v))
    return seen
