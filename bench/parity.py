"""Before anything is measured: everyone answers the same things, of about the same size."""

from dataclasses import dataclass

from bench.actions import OK, expect
from bench.client import Connection
from bench.contestants import Contestant
from bench.scale import FOLLOW_UPS

_PAGES = ("/cases?limit=50", "/cases/{case}", "/cases/{case}/follow-ups?limit=10")
# casework names what it withholds; beyond that an answer is as long as another's.
_LONGER_BY = 1.25


class Unequal(Exception):
    """A contestant answers something else than casework: it would be measured at other work."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What a contestant shows: how many, of which fields, in how many bytes a page."""

    items: int
    fields: frozenset[str]
    filled_groups: frozenset[str]
    follow_ups: int
    follow_up_fields: frozenset[str]
    sizes: tuple[int, ...]


async def require_equal(taking_part: list[Contestant]) -> None:
    """Raises Unequal where a twin's pages are not casework's."""
    casework, *twins = [await _pages(contestant) for contestant in taking_part]
    for contestant, pages in zip(taking_part[1:], twins, strict=True):
        same = (
            pages.items == casework.items
            and pages.fields == casework.fields
            and pages.filled_groups == casework.filled_groups
            and pages.follow_ups == casework.follow_ups == FOLLOW_UPS
            and pages.follow_up_fields == casework.follow_up_fields
            and all(
                max(one, other) <= _LONGER_BY * min(one, other)
                for one, other in zip(pages.sizes, casework.sizes, strict=True)
            )
        )
        if not same:
            raise Unequal(f"{contestant.name}: {pages}; casework: {casework}")


async def _pages(contestant: Contestant) -> Pages:
    connection = await Connection.open(contestant.server.port)
    asker = contestant.asker
    answers = [
        expect(
            await connection.ask("GET", path.format(case=asker.place.cases[-1]), **asker.as_("avec.social")),
            OK,
            path,
        )
        for path in _PAGES
    ]
    connection.close()
    listed, case, follow_ups = (answer.json() for answer in answers)
    return Pages(
        items=len(listed["items"]),
        fields=frozenset({*case, *listed["items"][0]}),
        filled_groups=frozenset(group for group, fields in case["groups"].items() if fields),
        follow_ups=len(follow_ups["items"]),
        follow_up_fields=frozenset(follow_ups["items"][0]),
        sizes=tuple(len(answer.body) for answer in answers),
    )
