"""Searching a person among the cases that the asker may list: by name, date of birth or phone."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct
from sqlalchemy import Connection

from audit.entry import Outcome
from casework.act import Act
from casework.candidates import (
    Candidates,
    Searcher,
    open_candidates,
    pseudonyms,
    read_candidates,
    searcher_of,
)
from casework.cases.matching import Person, Wanted, name_scores, phone_number, phones_in, score, words_of
from casework.cases.schemas import Found, Search, SearchResult
from casework.deployment import Deployment
from casework.errors import SealedDataDamaged, bad_field
from casework.identity import limits
from casework.journal import Deed, Touched
from casework.json_input import BODY
from policies.vocabulary import Group

T = TypeVar("T")
MOST_SHOWN = 20


class _Identity(Struct):
    """What is compared of an identity; civil status is not here, and not searched."""

    name_in_use: str = ""
    family_name: str = ""
    former_names: tuple[str, ...] = ()
    birth_date: Annotated[str, Meta(min_length=1)] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name_in_use, self.family_name, *self.former_names)


class _Contact(Struct):
    phone: str = ""


_IDENTITY = msgspec.json.Decoder(_Identity)
_CONTACT = msgspec.json.Decoder(_Contact)


@dataclass(frozen=True, slots=True)
class Match:
    case_id: UUID
    name_in_use: str | None
    score: float


def wanted(search: Search) -> Wanted:
    """What is looked for, in the forms that are compared.

    Raises:
        BadInput: nothing was given, a name without a letter, or what is not a phone number.

    """
    if (search.name, search.birth_date, search.phone) == (UNSET, UNSET, UNSET):
        raise bad_field(BODY, "nothing_to_search_for")
    name = None if search.name is UNSET else search.name
    if name is not None and not words_of(name):
        raise bad_field("name", "no_letter")
    phone = None if search.phone is UNSET else phone_number(search.phone)
    if search.phone is not UNSET and phone is None:
        raise bad_field("phone", "not_a_phone_number")
    birth_date = None if search.birth_date is UNSET else search.birth_date.isoformat()
    return Wanted(name, birth_date, phone)


def ask(act: Act, wanted: Wanted) -> Searcher:
    """Decide that the member may search, and count it, before anything is read.

    Raises:
        Forbidden: the policies do not let her search.
        TooManyRequests: she searched too often.

    """
    searcher = searcher_of(act, _compared(wanted))
    limits.limit(act, limits.SEARCH)
    return searcher


async def find(deployment: Deployment, searcher: Searcher, wanted: Wanted) -> tuple[list[UUID], bool]:
    """The cases that fit best, and whether a record did not open; outside any unit of work, so that none waits."""

    def read(connection: Connection) -> list[Candidates]:
        return [
            read_candidates(connection, deployment.shreds, searcher, group) for group in _compared(wanted)
        ]

    stored = await deployment.database.snapshot(read, searcher.org_id)
    async with deployment.search_turn:
        found = await asyncio.to_thread(matches, searcher, wanted, stored)
    return [match.case_id for match in found], any(candidates.damaged for candidates in stored)


def show(act: Act, wanted: Wanted, cases: Sequence[UUID], is_damaged: bool) -> SearchResult:
    """Decide and compare anew for the cases that were found, journal what is shown, and show it.

    What was typed is a detail of the entry, sealed to the auditor.
    """
    groups = sorted({Group.IDENTITY, *_compared(wanted)})
    searcher = searcher_of(act, groups)
    stored = [
        read_candidates(act.unit.connection, act.deployment.shreds, searcher, group, cases)
        for group in groups
    ]
    found = matches(searcher, wanted, stored)
    named = pseudonyms(act, [match.case_id for match in found])
    rows: dict[UUID, list[tuple[bytes, int]]] = {}
    for row in (row for candidates in stored for row in candidates.rows):
        rows.setdefault(UUID(bytes=row.case_id), []).append((row.row, row.version))
    act.unit.touched()
    if is_damaged:
        act.record(Deed("seal.broken", outcome=Outcome.FAILED, reason=SealedDataDamaged.code))
    act.record(
        Deed(
            "case.search",
            touched=[Touched(named[match.case_id], tuple(rows[match.case_id])) for match in found],
            policies=searcher.decision.policies,
            count=len(found),
            detail={name: value for name, value in _typed(wanted).items() if value is not None},
        )
    )
    return SearchResult([Found(match.case_id, match.name_in_use, match.score) for match in found])


def matches(searcher: Searcher, wanted: Wanted, stored: Sequence[Candidates]) -> list[Match]:
    """The candidates that fit, best first, at most 20; of equals the one with the fewest names, then the newest."""
    by_group = {candidates.group: candidates for candidates in stored}
    identities = _identities(searcher, by_group.get(Group.IDENTITY))
    contacts = by_group.get(Group.CONTACT)
    if wanted.name is None and wanted.birth_date is None and contacts is not None:
        plausible = {row.case_id: 1.0 for row in contacts.rows}
    else:
        plausible = _by_name(wanted, identities)
    phones = _phones(searcher, contacts, plausible)
    found = []
    for case, by_name in plausible.items():
        identity = identities.get(case, _Identity())
        dates = (identity.birth_date,) if identity.birth_date is not None else ()
        fits = score(wanted, Person(identity.names, dates, phones.get(case, ())), by_name)
        if fits:
            found.append((-fits, sum(map(len, identity.names)), -int.from_bytes(case), identity.name_in_use))
    return [
        Match(UUID(int=-case), name or None, -fits) for fits, _, case, name in nsmallest(MOST_SHOWN, found)
    ]


def _compared(wanted: Wanted) -> list[Group]:
    """The groups that hold what is compared."""
    groups = [Group.IDENTITY] if wanted.name is not None or wanted.birth_date is not None else []
    return groups + ([Group.CONTACT] if wanted.phone is not None else [])


def _typed(wanted: Wanted) -> dict[str, str | None]:
    return {"name": wanted.name, "birth_date": wanted.birth_date, "phone": wanted.phone}


def _by_name(wanted: Wanted, identities: Mapping[bytes, _Identity]) -> dict[bytes, float]:
    if wanted.name is None:
        return dict.fromkeys(identities, 1.0)
    scores = name_scores(wanted.name, [identity.names for identity in identities.values()])
    return {case: by_name for case, by_name in zip(identities, scores, strict=True) if by_name}


def _identities(searcher: Searcher, candidates: Candidates | None) -> dict[bytes, _Identity]:
    if candidates is None:
        return {}
    return {case: _decoded(_IDENTITY, record) for case, record in open_candidates(searcher, candidates)}


def _phones(
    searcher: Searcher, candidates: Candidates | None, cases: Mapping[bytes, float]
) -> dict[bytes, set[str]]:
    if candidates is None:
        return {}
    opened = open_candidates(searcher, candidates, cases)
    return {case: phones_in(_decoded(_CONTACT, record).phone) for case, record in opened}


def _decoded(decoder: msgspec.json.Decoder[T], record: bytes) -> T:
    try:
        return decoder.decode(record)
    except msgspec.ValidationError:
        # What a partner handed over in another form has nothing that can be compared.
        return decoder.decode(b"{}")
