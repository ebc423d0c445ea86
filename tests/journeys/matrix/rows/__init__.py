"""The matrix: every route, and what each actor gets of it.

A new route needs a `Row` in the file of its slice: how it is called (what an actor may name is in `Things`; a new
kind of thing is made in `story.tell` and added there), and a cell for each `Actor`. The helpers of `cells` spread
one cell over several actors; the last mention of an actor counts. Where her difference makes none, `LikeAssigned`
says why. Write down first what the policies say, then run

    pytest tests/journeys/matrix -k "a part of the path"

and settle every difference between the two: one of them is wrong.
"""

from typing import Final

from tests.journeys.matrix.cells import Row
from tests.journeys.matrix.rows import (
    case_moves,
    cases,
    drafts,
    follow_ups,
    handoffs,
    identity,
    journal,
    open_to_all,
    restriction,
    rights,
)

ROWS: Final[tuple[Row, ...]] = (
    *identity.ROWS,
    *cases.ROWS,
    *case_moves.ROWS,
    *restriction.ROWS,
    *follow_ups.ROWS,
    *drafts.ROWS,
    *handoffs.ROWS,
    *rights.ROWS,
    *journal.ROWS,
    *open_to_all.ROWS,
)
