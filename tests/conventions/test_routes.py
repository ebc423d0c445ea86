"""Every route says who may use it, and says what the table says."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler

from casework import app as app_module
from casework.app import UnmarkedRoute, create_app
from policies.vocabulary import Action
from tests.casework.centre import Centre
from tests.conventions.routes import PUBLIC, ROUTES, SIGNED_IN, UNMARKED

_MARKS = {"requires", SIGNED_IN, PUBLIC}


@pytest.fixture
def engine_name() -> str:
    """The routes do not know the engine."""
    return "sqlite"


def handlers(app: Litestar) -> Iterator[tuple[tuple[str, str], HTTPRouteHandler]]:
    """((method, path), handler) of everything that HTTP can reach, but OPTIONS."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            assert isinstance(handler, HTTPRouteHandler), f"{route.path} is not plain HTTP"
            yield from (((str(m), route.path), handler) for m in handler.http_methods if m != "OPTIONS")


def mark(handler: HTTPRouteHandler) -> str | frozenset[Action] | None:
    (name,) = _MARKS & handler.opt.keys() or (None,)
    return frozenset(handler.opt["requires"]) if name == "requires" else name


def test_every_route_is_marked_as_the_table_says(centre: Centre) -> None:
    found = {address: mark(handler) for address, handler in handlers(centre.app)}
    assert found == ROUTES | dict.fromkeys(UNMARKED)


def test_every_mark_gives_a_reason_or_names_actions(centre: Centre) -> None:
    for address, handler in handlers(centre.app):
        for name in _MARKS & handler.opt.keys():
            assert handler.opt[name], address
            if name == "requires":
                assert all(isinstance(action, Action) for action in handler.opt[name]), address


def test_an_application_with_an_unmarked_route_is_not_made(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    @get("/api/v1/door")
    async def door() -> None: ...

    monkeypatch.setattr(app_module, "ROUTES", (*app_module.ROUTES, door))
    with pytest.raises(UnmarkedRoute, match="door"):
        create_app(centre.deployment)


async def test_no_route_but_a_public_one_answers_without_a_session(centre: Centre) -> None:
    for (method, path), who in ROUTES.items():
        if who != PUBLIC:
            address = re.sub(r"\{\w+:(\w+)\}", lambda kind: _sample(kind[1]), path)
            answer = await centre.http.request(
                method, address, headers={"if-match": '"0"'}, params={"box": "sent"}, **_body(method)
            )
            # A body that does not fit is refused before it is asked whose it is.
            assert answer.status_code in {401, 422}, (method, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"


def _sample(kind: str) -> str:
    return {"uuid": str(uuid4()), "str": "social"}[kind]


def _body(method: str) -> dict[str, Any]:
    return {"json": {}} if method in {"POST", "PUT", "PATCH"} else {}
