"""The rows that every twin starts with, by table: the people of `bench.content`, under the same ids each time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from bench.content import GROUPS, SEED, Person, people
from bench.place import PASSWORD, SIGNED_IN, SIGNING_IN, Login, Place
from bench.scale import FOLLOW_UPS, HANDED_OVER, Scale
from bench.twins.names import searchable
from bench.twins.signing_in import HASHER

_EPOCH = datetime(2026, 10, 1, tzinfo=UTC)
_HEAD = ("type", "channel", "duration_minutes")
Rows = dict[str, list[dict[str, Any]]]


@dataclass(slots=True)
class _Ids:
    """Ids that grow, as UUIDv7 do, and are the same in every process."""

    random: Random
    made: int = 0

    def new(self) -> UUID:
        self.made += 1
        high = (1_700_000_000_000 + self.made) << 80
        return UUID(int=high | 0x7 << 76 | 0x2 << 62 | self.random.getrandbits(61))


@dataclass(frozen=True, slots=True)
class Population:
    """Rows by table, and what a client needs to know of them."""

    rows: Rows
    place: Place


def populate(scale: Scale) -> Population:
    ids = _Ids(Random(SEED))
    rows: Rows = {}

    def add(table: str, **row: Any) -> None:
        rows.setdefault(table, []).append(row)

    orgs = {slug: ids.new() for slug in ("avec", "cidff")}
    for slug, org_id in orgs.items():
        add("organisation", id=org_id, slug=slug)
    members, logins = _members(scale, orgs, ids, add)
    social, other = members["avec.social"], members["avec.social-2"]
    team = ids.new()
    add("team", org_id=orgs["avec"], id=team, name="Accompagnement")
    add("team_member", org_id=orgs["avec"], team_id=team, member_id=other)
    groups = (
        (other, people(scale.thin_cases, 0)),
        (social, people(scale.long_cases, HANDED_OVER)),
        (social, people(scale.cases, FOLLOW_UPS)),
    )
    made = [
        [(_add_case(ids, add, orgs["avec"], worker, person), person) for person in group]
        for worker, group in groups
    ]
    thin, long, usual = made
    by_case: dict[UUID, list[str]] = {}
    for row in rows["follow_up"]:
        by_case.setdefault(row["case_id"], []).append(str(row["id"]))
    place = Place(
        logins=logins,
        cases=[str(case) for case, _ in usual],
        long_cases={str(case): by_case[case] for case, _ in long},
        names=[person.name for _, person in (*thin, *usual)],
    )
    return Population(rows, place)


def _members(
    scale: Scale, orgs: dict[str, UUID], ids: _Ids, add: Any
) -> tuple[dict[str, UUID], dict[str, Login]]:
    seeds = Random(SEED)
    password_hash = HASHER.hash(PASSWORD)
    members, logins = {}, {}
    for login in (*SIGNING_IN[: scale.signing_in], *SIGNED_IN):
        org_id, account = orgs[login.partition(".")[0]], ids.new()
        members[login] = ids.new()
        seed = "".join(seeds.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=32))
        logins[login] = Login(PASSWORD, seed)
        add(
            "account",
            org_id=org_id,
            id=account,
            login=login,
            active=True,
            password_hash=password_hash,
            totp_seed=seed,
            totp_step=0,
        )
        kind = login.partition(".")[2].partition("-")[0]
        add(
            "membership",
            org_id=org_id,
            id=members[login],
            account_id=account,
            role="reception" if kind == "reception" else "worker",
            professions="" if kind == "reception" else kind,
            active=True,
        )
    return members, logins


def _add_case(ids: _Ids, add: Any, org_id: UUID, worker: UUID, person: Person) -> UUID:
    case_id = ids.new()
    add(
        "case_file",
        org_id=org_id,
        id=case_id,
        status="open",
        restricted=False,
        version=1,
        created_at=_EPOCH,
        created_by=worker,
        last_contact_at=_EPOCH,
        search_name=searchable(person.name),
    )
    add("assignment", org_id=org_id, case_id=case_id, member_id=worker, since=_EPOCH)
    for group in GROUPS:
        content = person.contents.get(group)
        version = int(content is not None)
        add(
            "case_group",
            org_id=org_id,
            case_id=case_id,
            compartment=group,
            id=ids.new(),
            version=version,
            content=content,
        )
    for told in person.follow_ups:
        follow_up_id = ids.new()
        add(
            "follow_up",
            org_id=org_id,
            id=follow_up_id,
            version=1,
            case_id=case_id,
            author_id=worker,
            occurred_at=msgspec.convert(told["occurred_at"], datetime),
            recorded_at=_EPOCH,
        )
        for group, record in records(told):
            add(
                "follow_up_text",
                org_id=org_id,
                follow_up_id=follow_up_id,
                version=1,
                compartment=group,
                record=record,
            )
    return case_id


def records(told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A follow-up's text by group; what is short and common to it stands with the social part."""
    for group, text in told["content"].items():
        head = {name: told[name] for name in _HEAD} if group == "social" else {}
        yield group, {**head, "text": text}
