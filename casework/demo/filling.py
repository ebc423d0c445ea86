"""Filling the demo through the API: each person signs in and does, in her own name, what she would do."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import httpx

from casework.app import create_app
from casework.demo.founding import FoundedDemo
from casework.demo.people import Authenticator, Person, sign_in
from casework.demo.progress import Progress, Stage
from casework.demo.relays import RELAYS, Ending, Relay
from casework.demo.staff import BY_SLUG
from casework.demo.stories import FictionalCase, write_case
from casework.deployment import Deployment
from policies.vocabulary import Role

_OK = 200
_LOOPBACK = ("127.0.0.1", 0)

# Who follows how many, in turns: AVEC most, the common front desk least.
_TURNS = (
    *("avec.social", "cidff.jurist", "planning.health", "med.reception", "avec.jurist", "cidff.social"),
    *("avec.social-2", "planning.social", "avec.psychologist", "cidff.jurist-2", "avec.social"),
    *("planning.health-2", "cidff.social-2", "avec.psychologist-2", "med.reception-2", "avec.social-2"),
    *("planning.social-2", "cidff.jurist", "avec.jurist", "planning.health"),
)
# Of ten cases of an association, so many are opened at the front desk and so many more are shared with a team.
_AT_THE_DESK, _SHARED = 3, 6


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A case, who follows it, who opens it, and whether her team may see it."""

    author: str
    opener: str
    is_shared: bool
    content: FictionalCase
    relay: Relay | None

    @property
    def organisation(self) -> str:
        return self.author.partition(".")[0]

    @property
    def is_from_the_desk(self) -> bool:
        return self.opener != self.author

    @property
    def supervisor(self) -> str:
        return f"{self.organisation}.supervisor"


@dataclass(frozen=True, slots=True)
class MadeCase:
    id: str
    follow_ups: tuple[str, ...]


def plan_cases(random: Random, count: int, now: datetime) -> list[PlannedCase]:
    """`count` cases, the relays' own among them; never fewer than there are relays."""
    planned = [_plan(random, relay.sender, relay, now) for relay in RELAYS]
    turns = (_TURNS[turn % len(_TURNS)] for turn in range(count - len(RELAYS)))
    return planned + [_plan(random, author, None, now) for author in turns]


async def fill(
    deployment: Deployment,
    founded: FoundedDemo,
    authenticator: Authenticator,
    planned: Sequence[PlannedCase],
    progress: Progress,
) -> None:
    """Play everything that was planned against the running application, in process.

    Raises:
        ExceptionGroup: of UnexpectedAnswer: an act was refused, so the demo’s data and its policies disagree.

    """
    app: Any = create_app(deployment)
    transport = httpx.ASGITransport(app, client=_LOOPBACK)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.lifespan())
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        )
        people = await _sign_everyone_in(http, founded, authenticator, planned, progress)
        made = await _make_cases(people, founded.teams, planned, progress)
        relays = [case for case in planned if case.relay is not None]
        for done, case in enumerate(relays, start=1):
            await _RelayPlay(people, case, made[id(case)]).play()
            progress(Stage.RELAYS, done, len(relays))
        await asyncio.gather(*(person.sign_out() for person in people.values()))


def _plan(random: Random, author: str, relay: Relay | None, now: datetime) -> PlannedCase:
    slug, _, name = author.partition(".")
    kind = name.partition("-")[0]
    draw = random.randrange(10)
    at_the_desk = relay is None and kind != Role.RECEPTION and draw < _AT_THE_DESK
    return PlannedCase(
        author=author,
        opener=f"{slug}.reception" if at_the_desk else author,
        is_shared=relay is None and draw < _SHARED,
        content=write_case(random, slug, kind, now),
        relay=relay,
    )


async def _sign_everyone_in(
    http: httpx.AsyncClient,
    founded: FoundedDemo,
    authenticator: Authenticator,
    planned: Iterable[PlannedCase],
    progress: Progress,
) -> dict[str, Person]:
    logins = {login for case in planned for login in (case.author, case.opener, case.supervisor)}
    answering = {login for relay in RELAYS for login in (relay.answers, relay.keeps) if login is not None}
    senders = {relay.sender for relay in RELAYS}
    wanted = sorted(logins | answering)
    people: dict[str, Person] = {}

    async def enter(login: str) -> None:
        # The step before: the present code stays good for whoever signs in right after.
        person = await sign_in(http, founded.accounts[login], authenticator, earlier=1)
        if login in senders:
            await person.step_up()
        people[login] = person
        progress(Stage.SIGN_IN, len(people), len(wanted))

    await asyncio.gather(*(enter(login) for login in wanted))
    return people


async def _make_cases(
    people: Mapping[str, Person],
    teams: Mapping[tuple[str, str], UUID],
    planned: Sequence[PlannedCase],
    progress: Progress,
) -> dict[int, MadeCase]:
    """Everyone works at once, each at one case after the other; by the identity of the planned case."""
    made: dict[int, MadeCase] = {}

    async def work(cases: Sequence[PlannedCase]) -> None:
        for case in cases:
            made[id(case)] = await _make_case(people, teams, case)
            progress(Stage.CASES, len(made), len(planned))

    authors = sorted({case.author for case in planned})
    await asyncio.gather(*(work([case for case in planned if case.author == author]) for author in authors))
    return made


async def _make_case(
    people: Mapping[str, Person], teams: Mapping[tuple[str, str], UUID], case: PlannedCase
) -> MadeCase:
    """Open it, hand it to whoever follows it, and have her write what she knows."""
    author, opener = people[case.author], people[case.opener]
    content = case.content
    known = content.desk if case.is_from_the_desk else content.desk | content.content
    created = await opener.post("/cases", {"public": content.public} | {str(g): known[g] for g in known})
    path = f"/cases/{created['id']}"
    if case.is_from_the_desk or case.is_shared:
        assigned = {"members": [str(author.member_id)], "teams": _teams_of(case, teams)}
        await people[case.supervisor].ask("PUT", f"{path}/assignments", _OK, assigned)
    if case.is_from_the_desk:
        for group, fields in content.content.items():
            await author.ask("PATCH", f"{path}/groups/{group}", _OK, fields, **{"if-match": '"0"'})
    recorded = [await author.post(f"{path}/follow-ups", follow_up) for follow_up in content.follow_ups]
    return MadeCase(created["id"], tuple(follow_up["id"] for follow_up in recorded))


def _teams_of(case: PlannedCase, teams: Mapping[tuple[str, str], UUID]) -> list[str]:
    name = BY_SLUG[case.organisation].team_of(case.author.partition(".")[2])
    return [str(teams[case.organisation, name])] if case.is_shared and name is not None else []


class _RelayPlay:
    """One relay, from its draft to its ending."""

    def __init__(self, people: Mapping[str, Person], case: PlannedCase, made: MadeCase) -> None:
        assert case.relay is not None
        self._relay = case.relay
        self._people = people
        self._sender = people[case.author]
        self._groups = [group for group in case.relay.groups if group in case.content.groups]
        self._made = made

    async def play(self) -> None:
        draft = await self._draft()
        if self._relay.ending is Ending.DRAFTED:
            return
        consent = await self._sender.post(f"{draft['path']}/consent", _consent(draft["content_digest"]))
        if self._relay.ending is Ending.CONSENTED:
            return
        await self._sender.post(f"{draft['path']}/sending", expect=_OK)
        if self._relay.ending is Ending.CANCELLED:
            await self._sender.post(f"{draft['path']}/cancellation", expect=_OK)
        elif self._relay.ending is Ending.WITHDRAWN:
            path = f"/consents/{consent['consent_id']}/withdrawal"
            await self._sender.post(path, {"means": "oral"}, expect=_OK)
        elif self._relay.answers is not None:
            await self._answer(draft["path"], self._people[self._relay.answers])

    async def _draft(self) -> dict[str, Any]:
        relay = self._relay
        body = {
            "to": relay.to,
            "kind": relay.kind,
            "service": relay.service,
            "purpose": relay.purpose,
            "urgency": relay.urgency,
            "groups": self._groups,
            "follow_ups": self._made.follow_ups,
        }
        draft: dict[str, Any] = await self._sender.post(f"/cases/{self._made.id}/handoffs", body)
        return {**draft, "path": f"/handoffs/{draft['id']}"}

    async def _answer(self, path: str, receiver: Person) -> None:
        if self._relay.ending is Ending.DECLINED:
            reason, following = self._relay.refusal
            await receiver.post(f"{path}/refusal", {"reason_code": reason, "next_step": following}, _OK)
            return
        assert self._relay.keeps is not None
        keeper = self._people[self._relay.keeps]
        accepted = await receiver.post(f"{path}/acceptance", {"members": [str(keeper.member_id)]}, _OK)
        await keeper.get(f"/cases/{accepted['case_id']}")
        if self._relay.ending is Ending.SCHEDULED:
            await keeper.post(f"{path}/outcome", {"state": "scheduled"}, _OK)


def _consent(digest: str) -> dict[str, Any]:
    return {
        "content_digest": digest,
        "means": "oral",
        "oral_reason": "Elle a préféré que l’aperçu lui soit lu.",
        "witness": "Une collègue de l’accueil",
        "language": "fr",
        "safe_contact_checked": True,
        "copy_given": False,
    }
