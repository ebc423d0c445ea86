"""What shows and changes nothing of a person: the probes, the API page, and the framework's own document."""

from tests.journeys.matrix.actors import Actor
from tests.journeys.matrix.cells import Call, LikeAssigned, Row, allowed, each, unjournaled

_NOBODY = "it is the same for everybody, and names nobody"
_ALL = each(LikeAssigned("it is open to anyone"), *Actor)
_SHOWN = {**_ALL, Actor.ASSIGNED: allowed(because=_NOBODY)}

ROWS = (
    Row("GET", "/health/live", lambda _: Call("/health/live"), _SHOWN, fields="status"),
    Row("GET", "/health/ready", lambda _: Call("/health/ready"), _SHOWN, fields="status"),
    Row("GET", "/static/{path:path}", lambda _: Call("/static/api.css"), _SHOWN),
    Row("GET", "/api", lambda _: Call("/api"), _SHOWN),
    Row(
        "GET",
        "/api/openapi.json",
        lambda _: Call("/api/openapi.json"),
        _SHOWN,
        fields="openapi info servers paths components tags security",
    ),
    Row(
        "GET",
        "/api/{path:str}",
        lambda _: Call("/api/nothing"),
        {**_ALL, Actor.ASSIGNED: unjournaled(404, "not_found", _NOBODY)},
    ),
)
