"""The whole entries of spots, for the few of which the columns beside them do not tell enough."""

from collections.abc import Iterator, Sequence
from typing import Final

from audit.entry import Entry
from audit.review import Spot, shown
from casework.act import Act

# Indexes of one statement.
_AT_ONCE: Final = 500


def entries_of(act: Act, found: Sequence[Spot]) -> Iterator[Entry]:
    """The entries of these spots, in no order; what was pruned is not among them."""
    indexes = [spot.index for spot in found]
    for first in range(0, len(indexes), _AT_ONCE):
        at_once = indexes[first : first + _AT_ONCE]
        for integrated in shown(act.unit.connection, act.org_id.bytes, at_once).values():
            yield integrated.entry
