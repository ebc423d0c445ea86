"""`/api/v1/compartments`."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get
from msgspec import Struct

from casework.act import Act
from casework.deployment import Deployment
from casework.organisations.compartments import COMPARTMENTS
from casework.organisations.holders import HOLDERS_WANTED, holders, thin
from casework.routing import perform_prepared, requires
from policies.engine import Engine
from policies.vocabulary import Action


class CompartmentView(Struct):
    """A compartment and how many active persons hold its current key.

    Where `is_thin`, fewer than `wanted` do and more could: what one person alone holds is lost with her password,
    and what nobody holds waits for the recovery shares.
    """

    name: str
    holders: int
    wanted: int
    is_thin: bool


class Compartments(Struct):
    items: list[CompartmentView]


@get("/api/v1/compartments", opt=requires(Action.KEY_RECOVER))
async def list_compartments(request: Request[Any, Any, Any]) -> Response[Compartments]:
    """How many persons hold each key, for the custodian, and where two are wanted and there are fewer."""
    return await perform_prepared(request, _count, _compare, _describe)


def _count(act: Act) -> tuple[Engine, Mapping[str, int]]:
    act.require_if_stepped_up(Action.KEY_RECOVER)
    directory = act.deployment.directories.fresh(act.unit, act.org_id)
    return act.engine, holders(act.unit.connection, directory, act.org_id)


async def _compare(
    _deployment: Deployment, counted: tuple[Engine, Mapping[str, int]]
) -> tuple[Mapping[str, int], frozenset[str]]:
    """What the policies let anybody hold takes seconds to find, the first time."""
    engine, counts = counted
    found = await asyncio.to_thread(thin, engine, counts, lambda _done, _total: None)
    return counts, frozenset(found)


def _describe(act: Act, compared: tuple[Mapping[str, int], frozenset[str]]) -> Compartments:
    act.require_if_stepped_up(Action.KEY_RECOVER)
    counts, too_thin = compared
    return Compartments(
        [
            CompartmentView(name, counts.get(name, 0), HOLDERS_WANTED, name in too_thin)
            for name in COMPARTMENTS
        ]
    )


ROUTES = (list_compartments,)
