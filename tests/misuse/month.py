"""A month of one organisation, from a seed: ordinary work with its noise, and misuse planted in it.

Cases, declarations and their marks are made by the service; what members do all month is put into the journal as
the services put it, within what the policies of AVEC allow each role. Nobody here exists.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, select, update

from audit.entry import AuthLevel, Outcome
from casework.act import Act
from casework.cases.schemas import Contact, Identity, NewCase, Public
from casework.cases.service import create_case
from casework.cases.tables import assignment, case_file, case_team
from casework.database import UnitOfWork
from casework.journal import Deed, Touched, Who
from casework.organisations.teams import make_team
from casework.relations import cases_of_persons
from policies.vocabulary import Purpose, Role
from tests.casework.centre import Centre

SLUG = "avec"
# After the beginning of a day at eight (UTC): the end of its work, and when a centre is closed.
_EVENING, _NIGHT = timedelta(hours=9, minutes=30), timedelta(hours=12, minutes=30)
# Common surnames first; with what is built of syllables, one person in eight has one of the common ones.
_COMMON, _SYLLABLES, _ENDS, _FIRST = (
    line.split() for line in Path(__file__).with_name("names.txt").read_text("utf-8").splitlines()
)


class Kind(StrEnum):
    """What was planted."""

    BROWSING_DESK = "browsing_desk"
    BROWSING_SUPERVISOR = "browsing_supervisor"
    BROWSING_TEAM = "browsing_team"
    SURNAME_DESK = "surname_desk"
    SURNAME_TEAM = "surname_team"
    AFTER_WITHDRAWAL = "after_withdrawal"
    AFTER_HANDOFF = "after_handoff"
    CLOSED_CASE = "closed_case"
    AT_NIGHT = "at_night"
    ENUMERATION = "enumeration"
    MASS_EXPORT = "mass_export"


@dataclass(frozen=True)
class Size:
    """How much there is of everything; `planted` of each kind of misuse."""

    workers: int
    desk: int
    supervisors: int
    cases: int
    days: int
    planted: int

    @property
    def logins(self) -> list[tuple[str, Role]]:
        staff = (
            (self.workers, Role.WORKER),
            (self.desk, Role.RECEPTION),
            (self.supervisors, Role.SUPERVISOR),
        )
        return [(f"{SLUG}.{role}{at}", role) for count, role in staff for at in range(count)]


FULL = Size(workers=29, desk=6, supervisors=4, cases=600, days=31, planted=20)


@dataclass
class Month:
    """What happened: each entry's id by the kind that was planted, or None for ordinary work."""

    entries: dict[UUID, Kind | None] = field(default_factory=dict)
    # Of ordinary work, the ids of entries that show something of a person.
    readings: set[UUID] = field(default_factory=set)

    def planted(self, kind: Kind) -> set[UUID]:
        return {entry for entry, planted in self.entries.items() if planted is kind}


@dataclass(frozen=True)
class _Case:
    id: UUID
    person: bytes
    surname: str
    workers: tuple[UUID, ...]
    team: UUID


class Story:
    """Plays one month in a centre whose organisation has the members of `size.logins`."""

    def __init__(self, centre: Centre, size: Size, seed: int) -> None:
        self._centre, self._size = centre, size
        self._random = random.Random(seed)
        self._month = Month()
        by_role: dict[Role, list[UUID]] = {role: [] for role in Role}
        for login, role in size.logins:
            by_role[role].append(centre.member(login))
        self._workers, self._desk = by_role[Role.WORKER], by_role[Role.RECEPTION]
        self._supervisors = by_role[Role.SUPERVISOR]
        self._roles = {member: role for role, members in by_role.items() for member in members}
        self._surnames = [self._surname() for _ in range(240)]
        self._hers: dict[UUID, str] = {}
        self._teams: dict[UUID, tuple[UUID, ...]] = {}
        self._cases: list[_Case] = []
        self._closed: dict[UUID, datetime] = {}
        # On a Monday, whatever today is: the same month each time.
        today = centre.clock.now().date()
        self._begins = datetime.combine(today + timedelta(days=7 - today.weekday()), time(8), UTC)

    async def play(self) -> Month:
        """Have it happen, all of it; the centre's clock stands at the end of the month then."""
        await self._declare()
        await self._open_cases()
        self._close_some()
        deeds = sorted([*self._ordinary(), *self._planted()], key=lambda deed: deed.at)
        for first in range(0, len(deeds), 500):
            await self._centre.deployment.database.unit(
                partial(self._write, deeds=deeds[first : first + 500])
            )
        await self._centre.integrate()
        self._centre.clock.offset += self._begins + timedelta(days=self._size.days) - self._centre.clock.now()
        return self._month

    async def _declare(self) -> None:
        for login, _ in self._size.logins:
            surname = self._hers[self._centre.member(login)] = self._random.choice(self._surnames)
            client = await self._centre.sign_in(login)
            await client.request("PUT", "/me/declaration", 200, json={"family_name": surname})

    async def _open_cases(self) -> None:
        names = [self._random.choice(self._surnames) for _ in range(self._size.cases)]
        # Who shares a surname with whom by misfortune; the last of them are somebody's ex-partner's.
        for at, member in enumerate(self._related()):
            names[-1 - at] = self._hers[member]
        client = await self._centre.sign_in(self._size.logins[self._size.workers][0])

        def write(act: Act) -> list[UUID]:
            act.unit.now = self._begins - timedelta(days=60)
            return [self._new_case(act, name) for name in names]

        made = await self._centre.act(client, write)
        persons = {
            case: person for person, case in (await self._centre.act(client, cases_of_persons)).items()
        }
        self._teams = await self._make_teams()
        lookers = dict(zip(reversed(made), self._related(), strict=False))
        for case, name in zip(made, names, strict=True):
            looker = lookers.get(case)
            # A worker looks within her team: the policies let her see no other case.
            team = self._random.choice(
                [team for team, near in self._teams.items() if looker in near] or list(self._teams)
            )
            near = [member for member in self._teams[team] if member != looker]
            workers = self._random.sample(near, self._random.choice((1, 1, 2)))
            self._cases.append(_Case(case, persons[case], name, tuple(workers), team))
        await self._centre.dba(self._assign)

    def _related(self) -> list[UUID]:
        """Of each planted look at an ex-partner's family, who looks: front desk, then workers."""
        count = self._size.planted
        return [self._desk[at % len(self._desk)] for at in range(count)] + [
            self._workers[at % len(self._workers)] for at in range(count)
        ]

    def _new_case(self, act: Act, surname: str) -> UUID:
        identity = Identity(name_in_use=self._random.choice(_FIRST), family_name=surname)
        phone = f"+3361{self._random.randrange(10_000_000):07}"
        return create_case(act, NewCase(Public.SEEKING, identity, Contact(phone=phone))).id

    async def _make_teams(self) -> dict[UUID, tuple[UUID, ...]]:
        teams = {}
        count = max(1, len(self._workers) // 7)
        for first in range(count):
            members = self._workers[first::count]
            team = await self._centre.dba(
                partial(
                    make_team,
                    org_id=self._centre.org(SLUG),
                    name=f"équipe {first}",
                    members=members,
                    now=self._begins - timedelta(days=60),
                )
            )
            teams[team] = tuple(members)
        return teams

    def _assign(self, connection: Connection) -> None:
        org, since = self._centre.org(SLUG), self._begins - timedelta(days=60)
        connection.execute(assignment.delete())
        rows = [(case, worker) for case in self._cases for worker in case.workers]
        connection.execute(
            insert(assignment),
            [
                {"org_id": org, "case_id": case.id, "member_id": worker, "since": since}
                for case, worker in rows
            ],
        )
        connection.execute(
            insert(case_team),
            [
                {"org_id": org, "case_id": case.id, "team_id": case.team, "since": since}
                for case in self._cases
            ],
        )
        ids = connection.execute(select(case_file.c.id)).scalars().all()
        assert len(ids) == len(self._cases)
        connection.execute(update(case_file).values(created_at=since, last_contact_at=since))

    def _surname(self) -> str:
        if self._random.random() < 0.125:
            return self._random.choice(_COMMON)
        parts = [self._random.choice(_SYLLABLES) for _ in range(self._random.choice((1, 2)))]
        return ("".join(parts) + self._random.choice(_ENDS)).capitalize()

    # ── Ordinary work ───────────────────────────────────────────────────────────────────────────────────────

    def _ordinary(self) -> Iterator["_Doing"]:
        yield from self._closings()
        for day in self._working_days():
            for worker in self._workers:
                yield from self._workers_day(day, worker)
            for supervisor in self._supervisors:
                yield from self._supervisors_day(day, supervisor)

    def _close_some(self) -> None:
        """Twice as many cases as are misused are closed early in the month; nobody has work with them then."""
        days = self._working_days()
        for case in self._random.sample(self._cases, self._size.planted * 2):
            self._closed[case.id] = self._random.choice(days[: len(days) // 2])

    def _closings(self) -> Iterator["_Doing"]:
        for case in self._cases:
            if case.id in self._closed:
                yield _Doing(self._closed[case.id] + _EVENING, case.workers[0], "case.close", case)

    def _is_closed(self, case: _Case, day: datetime) -> bool:
        return case.id in self._closed and self._closed[case.id] < day

    def _working_days(self) -> list[datetime]:
        days = [self._begins + timedelta(days=at) for at in range(self._size.days)]
        return [day for day in days if day.weekday() < 5]

    def _workers_day(self, day: datetime, worker: UUID) -> Iterator["_Doing"]:
        cases = [case for case in self._cases if not self._is_closed(case, day)]
        hers = [case for case in cases if worker in case.workers]
        team = [case for case in cases if worker in self._teams[case.team] and worker not in case.workers]
        for case in self._random.sample(hers, min(len(hers), self._random.randint(6, 11))):
            at = self._hour(day)
            yield _Doing(at, worker, "case.open", case)
            yield _Doing(at + timedelta(minutes=1), worker, "follow_up.list", case)
            if self._random.random() < 0.7:
                yield _Doing(at + timedelta(minutes=20), worker, "follow_up.create", case)
                # She came: the front desk looked up with whom. Now and then the day after, for the papers.
                if self._random.random() < 0.8:
                    yield _Doing(
                        at - timedelta(minutes=5), self._random.choice(self._desk), "case.open", case
                    )
            elif self._random.random() < 0.1:
                # A call that the desk took, and of which nobody wrote a word.
                yield _Doing(at + timedelta(hours=1), self._random.choice(self._desk), "case.open", case)
        if team and self._random.random() < 0.4:
            yield _Doing(self._hour(day), worker, "case.open", self._random.choice(team))
        if hers and self._random.random() < 0.02:
            # An evening at work, now and then.
            yield _Doing(day + _NIGHT, worker, "case.open", self._random.choice(hers))
        yield _Doing(self._hour(day), worker, "case.list", None)

    def _supervisors_day(self, day: datetime, supervisor: UUID) -> Iterator["_Doing"]:
        for _ in range(self._random.randint(3, 6)):
            case, at = self._random.choice(self._cases), self._hour(day)
            yield _Doing(at, supervisor, "case.open", case)
            # Four in five end in an act of hers; the others in a word across the corridor.
            if self._random.random() < 0.8:
                yield _Doing(at + timedelta(hours=1), supervisor, "case.assign", case)

    def _hour(self, day: datetime) -> datetime:
        return day + timedelta(minutes=self._random.randrange(9 * 60))

    # ── Misuse ──────────────────────────────────────────────────────────────────────────────────────────────

    def _planted(self) -> Iterator["_Doing"]:
        count, cases = self._size.planted, self._cases
        for kind, members in (
            (Kind.BROWSING_DESK, self._desk),
            (Kind.BROWSING_SUPERVISOR, self._supervisors),
        ):
            for case in self._random.sample(cases, count):
                yield self._misuse(kind, members[0], case)
        mate = self._workers[0]
        near = [case for case in cases if mate in self._teams[case.team] and mate not in case.workers]
        for case in self._random.sample(near, min(count, len(near))):
            yield self._misuse(Kind.BROWSING_TEAM, mate, case)
        for at, member in enumerate(self._related()):
            kind = Kind.SURNAME_DESK if at < count else Kind.SURNAME_TEAM
            yield self._misuse(kind, member, cases[-1 - at])
        for case in self._random.sample(cases, count):
            yield from self._after_withdrawal(case)
        for case in self._random.sample(cases, count):
            yield from self._after_handoff(case)
        yield from self._by_teammates()
        night = self._random.choice(self._working_days())
        for at in range(count * 2):
            yield _Doing(
                night + timedelta(hours=10, seconds=20 * at),
                self._workers[1],
                "case.open",
                None,
                Kind.ENUMERATION,
            )
        taker = self._workers[2]
        for at, case in enumerate(case for case in cases if taker in self._teams[case.team]):
            moment = self._begins + timedelta(days=self._size.days - 3, hours=11, seconds=30 * at)
            yield _Doing(moment, taker, "case.open", case, Kind.MASS_EXPORT)

    def _after_withdrawal(self, case: _Case) -> Iterator["_Doing"]:
        at = self._hour(self._random.choice(self._working_days()[:-3]))
        yield _Doing(at, case.workers[0], "consent.withdraw", case)
        later = at + timedelta(days=self._random.choice((1, 2)))
        yield _Doing(later, case.workers[0], "case.open", case, Kind.AFTER_WITHDRAWAL)

    def _after_handoff(self, case: _Case) -> Iterator["_Doing"]:
        """A case that came from a partner; what the person withdraws is her consent to that."""
        handoff = UUID(int=self._random.getrandbits(128), version=4)
        worker, at = case.workers[0], self._hour(self._random.choice(self._working_days()[:-3]))
        yield _Doing(self._begins - timedelta(days=5), worker, "handoff.accept", case, handoff=handoff)
        yield _Doing(at, None, "handoff.withdrawn", None, handoff=handoff)
        later = at + timedelta(days=self._random.choice((1, 2)))
        yield _Doing(later, worker, "case.open", case, Kind.AFTER_HANDOFF)

    def _by_teammates(self) -> Iterator["_Doing"]:
        """Colleagues whom the policies let look: at a case once it is closed, and at an open one late at night."""
        by_id = {case.id: case for case in self._cases}
        for at, (closed, when) in enumerate(list(self._closed.items())[: self._size.planted]):
            case, day = by_id[closed], when + timedelta(days=3 + at % 5)
            yield _Doing(self._hour(day), self._teammate(case), "case.open", case, Kind.CLOSED_CASE)
        for case in self._random.sample(self._cases, self._size.planted):
            night = self._random.choice(self._working_days()) + _NIGHT
            yield _Doing(night, self._teammate(case), "case.open", case, Kind.AT_NIGHT)

    def _teammate(self, case: _Case) -> UUID:
        near = [member for member in self._teams[case.team] if member not in case.workers]
        return self._random.choice(near)

    def _misuse(self, kind: Kind, member: UUID, case: _Case) -> "_Doing":
        return _Doing(self._hour(self._random.choice(self._working_days())), member, "case.open", case, kind)

    # ── Into the journal ────────────────────────────────────────────────────────────────────────────────────

    def _write(self, unit: UnitOfWork, deeds: Sequence["_Doing"]) -> None:
        centre, org = self._centre, self._centre.org(SLUG)
        unit.enter_organisation(org)
        for doing in deeds:
            unit.now = doing.at
            who = Who(uuid4())
            if doing.member is not None:
                role = self._roles[doing.member]
                who = Who(uuid4(), "00" * 32, doing.member, role, AuthLevel.MFA, Purpose.SUPPORT)
            receipt = centre.deployment.journal.record(unit, (org, SLUG), who, self._deed(doing))
            entry = UUID(receipt.entry)
            self._month.entries[entry] = doing.kind
            if (
                doing.kind is None
                and doing.case is not None
                and doing.action in {"case.open", "follow_up.list"}
            ):
                self._month.readings.add(entry)

    def _deed(self, doing: "_Doing") -> Deed:
        if doing.case is not None:
            return Deed(doing.action, touched=(Touched(doing.case.person),), handoff=doing.handoff)
        if doing.action == "case.list":
            shown = self._random.sample(self._cases, min(20, len(self._cases)))
            return Deed(doing.action, touched=[Touched(case.person) for case in shown], count=len(shown))
        if doing.handoff is not None:
            return Deed(doing.action, handoff=doing.handoff)
        return Deed(doing.action, outcome=Outcome.DENIED, reason="not_found")


@dataclass(frozen=True)
class _Doing:
    at: datetime
    member: UUID | None
    action: str
    case: _Case | None
    kind: Kind | None = None
    handoff: UUID | None = None


def as_relations(entry: dict[str, Any]) -> set[str]:
    """The relations that an auditor is shown of an entry's actor."""
    return {relation for each in entry["relations"] or () for relation in each["relations"]}
