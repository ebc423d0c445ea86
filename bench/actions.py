"""What is measured: each action as the requests that a client makes, checked for what they answer."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import pyotp

from bench.client import Answer, Connection
from bench.content import SEED, follow_up
from bench.place import PASSWORD, SEARCHING, Place

STEP_SECONDS = 30
OK, CREATED = 200, 201
# What a contestant says that has no such route, or keeps a client from asking so often.
ABSENT = (404, 405, 429)


class UnexpectedAnswer(Exception):
    """A request was not answered as it must be: nothing that follows would measure the same work."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: {answer.status} {answer.body[:300]!r}")
        self.status = answer.status


def expect(answer: Answer, status: int, what: str) -> Answer:
    if answer.status != status:
        raise UnexpectedAnswer(what, answer)
    return answer


@dataclass(slots=True)
class Asker:
    """A client of one contestant: whom it knows, who is signed in, and whose code was used last.

    `hands_over_in_one` is True of the twins, which copy the rows in one request.
    """

    place: Place
    hands_over_in_one: bool
    random: Random = field(default_factory=lambda: Random(SEED))
    steps: dict[str, int] = field(default_factory=dict)
    turn: int = 0

    def as_(self, login: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.place.tokens[login]}"}

    def once(self, login: str) -> dict[str, str]:
        return {**self.as_(login), "idempotency_key": str(uuid4())}

    def next(self, of: list[str]) -> str:
        self.turn += 1
        return of[self.turn * 7 % len(of)]

    def code(self, login: str) -> str | None:
        """A code of this account that was not used yet, if there is one at this moment."""
        present = int(time.time()) // STEP_SECONDS
        step = max(self.steps.get(login, 0) + 1, present)
        if step > present + 1:
            return None
        self.steps[login] = step
        return str(pyotp.TOTP(self.place.logins[login].totp_seed).generate_otp(step))


async def sign_in(asker: Asker, connection: Connection, login: str | None = None) -> None:
    """Password and code; without `login`, the next of the accounts that take turns."""
    if login is None:
        login = asker.next([name for name in asker.place.logins if name.startswith("avec.social-")])
    begun = await connection.ask("POST", "/sessions", {"login": login, "password": PASSWORD})
    token = expect(begun, CREATED, "sign in").json()["token"]
    # Only now: a busy machine may take longer for a password than a code is good.
    code = asker.code(login)
    if code is None:
        raise CodesUsedUp
    bearer = {"authorization": f"Bearer {token}"}
    factor = await connection.ask("POST", "/sessions/current/second-factor", {"code": code}, **bearer)
    expect(factor, OK, "second factor")
    asker.place.tokens[login] = token


class CodesUsedUp(Exception):
    """Every code of this half minute was used: fewer sign-ins, or more accounts."""


async def open_case(asker: Asker, connection: Connection) -> None:
    case_id, bearer = asker.next(asker.place.cases), asker.as_("avec.social")
    expect(await connection.ask("GET", f"/cases/{case_id}", **bearer), OK, "case")
    expect(await connection.ask("GET", f"/cases/{case_id}/follow-ups?limit=10", **bearer), OK, "follow-ups")


async def list_cases(asker: Asker, connection: Connection) -> None:
    expect(await connection.ask("GET", "/cases?limit=50", **asker.as_("avec.social")), OK, "list")


async def save_follow_up(asker: Asker, connection: Connection) -> None:
    case_id, body = asker.next(asker.place.cases), follow_up(asker.random)
    answer = await connection.ask("POST", f"/cases/{case_id}/follow-ups", body, **asker.once("avec.social"))
    expect(answer, CREATED, "save")


async def search(asker: Asker, connection: Connection) -> None:
    name = asker.next(asker.place.names)
    answer = await connection.ask(
        "POST", "/search", {"name": name}, **asker.as_(asker.random.choice(SEARCHING))
    )
    items = expect(answer, OK, "search").json()["items"]
    if not items:
        raise UnexpectedAnswer("search found nobody", answer)


async def hand_over(asker: Asker, connection: Connection) -> None:
    """Twenty follow-ups to another organisation, until they are in a case of its own."""
    case_id = asker.next(list(asker.place.long_cases))
    body: dict[str, Any] = {
        "to": "cidff",
        "kind": "orientation",
        "purpose": "legal_advice",
        "urgency": "normal",
        "groups": ["identity", "social", "legal"],
        "follow_ups": asker.place.long_cases[case_id],
    }
    path = f"/cases/{case_id}/handoffs"
    drafted = await connection.ask("POST", path, body, **asker.once("avec.social"))
    draft = expect(drafted, CREATED, "hand over").json()
    if asker.hands_over_in_one:
        return
    consent = {
        "content_digest": draft["content_digest"],
        "means": "written",
        "language": "fr",
        "safe_contact_checked": True,
    }
    path = f"/handoffs/{draft['id']}"
    given = await connection.ask("POST", f"{path}/consent", consent, **asker.once("avec.social"))
    expect(given, CREATED, "consent")
    expect(await connection.ask("POST", f"{path}/sending", **asker.once("avec.social")), OK, "sending")
    taken = await connection.ask("POST", f"{path}/acceptance", {}, **asker.once("cidff.jurist"))
    expect(taken, OK, "acceptance")


async def step_up(asker: Asker, connection: Connection) -> None:
    """What sending needs every five minutes; not measured."""
    answer = await connection.ask(
        "POST", "/sessions/current/step-up", {"password": PASSWORD}, **asker.as_("avec.social")
    )
    expect(answer, 204, "step-up")


@dataclass(frozen=True, slots=True)
class Action:
    """One line of the table; `clients` act at once."""

    name: str
    words: str
    play: Callable[[Asker, Connection], Awaitable[None]]
    clients: int = 8


ACTIONS = (
    Action("open", "open a case with 10 follow-ups", open_case),
    Action("list", "list 50 cases", list_cases),
    Action("save", "save a follow-up", save_follow_up),
    Action("search", "search a name among 10,000 persons", search, clients=1),
    Action("sign_in", "sign in with password and code", sign_in, clients=2),
    Action("hand_over", "hand over 20 follow-ups", hand_over, clients=4),
)
