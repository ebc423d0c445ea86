"""Whether this process may serve anybody: not while an entry of its own is missing, or a commit may not last."""

from enum import StrEnum

from casework.deployment import Deployment


class Standing(StrEnum):
    """What keeps a process from serving. Nothing of it needs the database to be asked."""

    # An entry that was committed more than 30 s ago is in no checkpoint, or too many wait for one.
    ENTRIES = "journal_entries"
    # A setting that durability rests on, or a trigger of the journal, was changed.
    DURABILITY = "durability"


def what_stops(deployment: Deployment) -> list[Standing]:
    """What keeps this process from serving; nothing where it may."""
    memory = deployment.memory
    stops = {
        Standing.ENTRIES: memory.misses_one or memory.is_full,
        Standing.DURABILITY: bool(deployment.faults),
    }
    return [standing for standing, stopped in stops.items() if stopped]
