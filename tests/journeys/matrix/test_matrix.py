"""Every route × every actor: the answer, what it shows, what the journal says, and that refusals change nothing."""

from collections.abc import Iterable

import pytest

from tests.casework.centre import Centre
from tests.conventions.test_routes import handlers
from tests.journeys.matrix.actors import Actor, Things
from tests.journeys.matrix.cells import Cell, Row, Spoils
from tests.journeys.matrix.conftest import Chronicle
from tests.journeys.matrix.observing import Observer, Seen
from tests.journeys.matrix.rows import ROWS
from tests.journeys.matrix.story import Told


def _name(row: Row) -> str:
    return f"{row.method} {row.path}"


async def test_every_route_has_a_row_and_every_row_a_route(sqlite_chronicle: Chronicle) -> None:
    async with sqlite_chronicle.reopened() as centre:
        routes = sorted(f"{method} {path}" for (method, path), _ in handlers(centre.app))
    assert sorted(_name(row) for row in ROWS) == routes


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_every_row_has_a_cell_for_every_actor_and_a_reason_for_every_silence(row: Row) -> None:
    assert row.cells.keys() == set(Actor)
    assert isinstance(row.cells[Actor.ASSIGNED], Cell), "she is like nobody"
    for cell in row.cells.values():
        assert cell.because or (isinstance(cell, Cell) and cell.journal)


@pytest.mark.parametrize("row", ROWS, ids=_name)
async def test_each_actor_gets_what_the_matrix_says(chronicle: Chronicle, row: Row) -> None:
    """The refused try first, in one centre; then each who may does it."""
    refused = [actor for actor in Actor if row.cell(actor).status >= 400]
    first, *further = _rounds(row, [actor for actor in Actor if actor not in refused])
    wrong = await _wrong(chronicle, row, [*refused, *first])
    for actors in further:
        wrong += await _wrong(chronicle, row, actors)
    assert not wrong, "\n".join(["", *wrong])


def _rounds(row: Row, actors: Iterable[Actor]) -> list[list[Actor]]:
    """Who may act one after the other in one centre; the first round may be nobody's."""
    rounds: list[list[Actor]] = [[]]
    for actor in actors:
        fitting = [one for one in rounds if _is_left(row, actor, one)]
        if fitting:
            fitting[0].append(actor)
        else:
            rounds.append([actor])
    return rounds


def _is_left(row: Row, actor: Actor, before: list[Actor]) -> bool:
    """Whether these leave the actor what she needs."""
    match row.spoils:
        case Spoils.NOTHING:
            return True
        case Spoils.HER_SESSION:
            return row.login(actor) not in {row.login(other) for other in before}
        case Spoils.THE_THING:
            return not before


async def _wrong(chronicle: Chronicle, row: Row, actors: Iterable[Actor]) -> list[str]:
    """What differs from the row, in words, when these actors call one after the other in one centre."""
    found: list[str] = []
    async with chronicle.reopened() as centre:
        observer = Observer(centre)
        await observer.begin()
        for actor in actors:
            found += [f"{actor}: {one}" for one in await _try(chronicle.told, centre, observer, row, actor)]
        await observer.end()
    return found


async def _try(told: Told, centre: Centre, observer: Observer, row: Row, actor: Actor) -> list[str]:
    login = row.login(actor)
    token = told.tokens[login] if login is not None else None
    at = told.things(centre, actor, login, row.stage)
    expected = row.cell(actor)
    seen = await observer.perform(row.method, row.call(at), token, at)
    wrong = _compared(row, expected, seen, at)
    if expected.status >= 400:
        wrong += [f"{table} has changed" for table in seen.changed]
    if expected.status == 404:
        absent = await observer.perform(row.method, row.call(at.absent()), token, at)
        wrong += _told_apart(seen, absent)
    return wrong


def _compared(row: Row, expected: Cell, seen: Seen, at: Things) -> list[str]:
    shape = expected.fields if expected.fields is not None else frozenset(row.fields.split())
    wanted = {
        "status": expected.status,
        "code": expected.code,
        "sees": sorted(expected.sees),
        "fields": sorted(shape) if expected.code is None else [],
        "journal": sorted(expected.journal),
    }
    got = {
        "status": seen.cell.status,
        "code": seen.cell.code,
        "sees": sorted(seen.cell.sees),
        "fields": sorted(seen.cell.fields or ()),
        "journal": sorted(seen.cell.journal),
    }
    wrong = [f"{name} is {got[name]}, not {wanted[name]}" for name in wanted if got[name] != wanted[name]]
    wrong += [f"the entry of {action} names {actor}" for action, actor in seen.named if actor != at.member]
    return wrong


def _told_apart(seen: Seen, absent: Seen) -> list[str]:
    """An answer about a thing that there is none of must be the same, byte for byte."""
    same = (
        seen.answer.status_code == absent.answer.status_code
        and seen.answer.content == absent.answer.content
        and sorted(seen.answer.headers.items()) == sorted(absent.answer.headers.items())
    )
    return [] if same else ["an absent one is answered differently"]
