"""What a verification reads: the same things, whether from a bundle or straight from the tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from audit.entry import Entry

TILE_WIDTH = 256
TILE_HEIGHT = 8

NodeName: TypeAlias = tuple[int, int]
ReviewColumns: TypeAlias = tuple[str, int, str, str, str | None, frozenset[bytes]]


class EvidenceRefused(Exception):
    """The evidence is not of the form that was agreed: not a damaged copy, something made up."""


class EvidenceMissing(Exception):
    """A part of the evidence is not there or cannot be read."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Up to 256 consecutive leaves from index `first`, a multiple of 256. What is missing is None.

    `subtrees` are stored full subtrees that end in this tile; `columns` is what stands beside each entry's
    bytes for review queries, where that is kept.
    """

    first: int
    leaves: list[bytes | None]
    entries: list[bytes | None]
    subtrees: Mapping[NodeName, bytes] = field(default_factory=dict)
    columns: list[ReviewColumns | None] | None = None


class Evidence(Protocol):
    """One log as it is claimed to be. Any method may raise `EvidenceRefused` or `EvidenceMissing`."""

    def latest(self) -> str:
        """The newest signed note."""
        ...

    def earlier(self) -> Iterator[str]:
        """The older signed notes, by ascending size."""
        ...

    def rolled_up(self) -> tuple[str, str] | None:
        """The text of a head of the log, and the tlog-proof that it is in the roll-up log; None where it is not."""
        ...

    def disclosed(self) -> Mapping[bytes, str]:
        """The commitment (hexadecimal) that each disclosed detail makes, by the id of its entry (ASCII)."""
        ...

    def minimum_index(self) -> int:
        """Below this index (a multiple of 256) the entries' bytes are pruned."""
        ...

    def tiles(self, size: int) -> Iterator[Tile]:
        """The leaves and entries of a tree of `size` leaves, in order."""
        ...

    def stores(self, level: int, /) -> bool:
        """Whether full subtrees of this level (above 0) are kept."""
        ...

    def upper_subtrees(self, size: int, /) -> Mapping[NodeName, bytes]:
        """Stored full subtrees that are not in the tiles."""
        ...

    def leaves_beyond(self, size: int, /) -> bool:
        """Whether there is anything that no checkpoint covers."""
        ...


def review_columns(entry: Entry) -> ReviewColumns:
    """id, time, action, outcome, actor and the persons' pseudonyms: what reviewing queries an entry by."""
    persons = frozenset([bytes.fromhex(subject.p) for subject in entry.subjects])
    return entry.id, entry.time, entry.action, entry.outcome.value, entry.actor, persons
