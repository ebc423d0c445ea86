"""What the actors of entries are to the persons they name: relation flags, for whoever may read details."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from audit.entry import Entry
from casework.act import Act
from casework.audit_review.schemas import Related
from casework.relations import cases_of_persons, relations_between

Opened = tuple[Entry, Mapping[str, Any] | None]


def relations_of(act: Act, entries: Sequence[Opened]) -> list[list[Related]]:
    """Of each entry, with its opened detail, the persons to whom its actor has a relation, in the entry's order.

    Whoever asked in vain for a case is told of too: an entry of that names no person, and its detail the case. The
    caller has decided that details may be read, and records.
    """
    persons = cases_of_persons(act)
    names = {case_id: person for person, case_id in persons.items()}
    pairs = [_pairs(entry, detail, names) for entry, detail in entries]
    found = relations_between(act, {pair for each in pairs for pair in each}, persons)
    return [[Related(pair[1].hex(), list(found[pair])) for pair in each if pair in found] for each in pairs]


def _pairs(
    entry: Entry, detail: Mapping[str, Any] | None, names: Mapping[UUID, bytes]
) -> list[tuple[UUID, bytes]]:
    if entry.actor is None:
        return []
    persons = [bytes.fromhex(subject.p) for subject in entry.subjects]
    tried = ((detail or {}).get("tried") or {}).get("case")
    if tried is not None and UUID(tried) in names:
        persons.append(names[UUID(tried)])
    return [(UUID(entry.actor), person) for person in persons]
