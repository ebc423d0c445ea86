"""`/api/v1/sessions` and `/api/v1/me`: each acts on her own session, and no case is asked about."""

from tests.casework.centre import PASSWORD
from tests.journeys.matrix.actors import Actor, Things
from tests.journeys.matrix.cells import ANONYMOUS, Call, Cell, LikeAssigned, Row, Spoils, allowed, members


def _sign_in(at: Things) -> Call:
    return Call("/api/v1/sessions", {"login": at.login, "password": PASSWORD})


def _second_factor(at: Things) -> Call:
    # The session that waits, not the complete one that every actor brings along.
    headers = {"authorization": f"Bearer {at.pending}"}
    return Call("/api/v1/sessions/current/second-factor", {"code": at.code}, headers=headers)


def _step_up(_at: Things) -> Call:
    return Call("/api/v1/sessions/current/step-up", {"password": PASSWORD})


_HER_OWN = LikeAssigned("it acts on her own session, whatever her role, and touches no case")

ROWS = (
    Row(
        "POST",
        "/api/v1/sessions",
        _sign_in,
        {
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed("session.create", status=201),
            # An unknown login has no organisation: its refusal stands in the deployment's own log.
            Actor.ANONYMOUS: Cell(401, ("deployment: session.create denied credentials",), "sign_in_refused"),
        },
        fields="token needs expires_at",
    ),
    Row(
        "POST",
        "/api/v1/sessions/current/second-factor",
        _second_factor,
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("session.second_factor")},
        fields="needs",
    ),
    Row(
        "POST",
        "/api/v1/sessions/current/step-up",
        _step_up,
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("session.step_up", status=204)},
    ),
    Row(
        "GET",
        "/api/v1/me",
        lambda _: Call("/api/v1/me"),
        {
            **ANONYMOUS,
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed(because="it names the asker to herself, and nobody else"),
        },
        fields="member_id login organisation role professions compartments",
    ),
    Row(
        "DELETE",
        "/api/v1/sessions/current",
        lambda _: Call("/api/v1/sessions/current"),
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("session.end", status=204)},
        spoils=Spoils.HER_SESSION,
    ),
)
