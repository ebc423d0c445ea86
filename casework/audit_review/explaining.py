"""What explains a reading: the file of explanations, and the facts of one organisation that they speak of."""

import tomllib
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from audit.entry import Code
from audit.review import ALWAYS, Deeds, Span
from casework.act import Act
from casework.candidates import every_pseudonym
from casework.clock import microseconds
from casework.facts import ties
from casework.identity.members import members_of_roles
from policies.vocabulary import Fact, Role

FILE: Final = Path(__file__).with_name("explanations.toml")
_HOUR: Final = 3_600_000_000
Hours = Annotated[int, Meta(ge=0, le=24 * 366)]


class Known(StrEnum):
    """The facts that an explanation may rest on."""

    ASSIGNED = "assigned"
    IN_TEAM = "in_team"
    ACTED = "acted"
    COLLEAGUE_ACTED = "colleague_acted"


class Explanation(Struct, frozen=True, forbid_unknown_fields=True):
    """One explanation of the file. `sentence` is French, for whoever reviews."""

    name: Code
    sentence: Annotated[str, Meta(min_length=1, max_length=200)]
    fact: Known
    acts: frozenset[Code] = frozenset()
    roles: frozenset[Role] = frozenset(Role)
    before_hours: Hours = 0
    after_hours: Hours = 0


class Explanations(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file: which acts are readings, and what explains them."""

    accesses: Annotated[frozenset[Code], Meta(min_length=1)]
    explanation: tuple[Explanation, ...]


@cache
def explanations() -> Explanations:
    """The file as it was when the process began."""
    return parse(FILE.read_text(encoding="utf-8"))


def parse(text: str) -> Explanations:
    """Read a file of explanations.

    Raises:
        ValueError: not TOML, an unknown field or fact, or a fact with acts that needs none, or none where it does.

    """
    found = msgspec.convert(tomllib.loads(text), Explanations)
    for one in found.explanation:
        if bool(one.acts) != (one.fact in {Known.ACTED, Known.COLLEAGUE_ACTED}):
            raise ValueError(f"{one.name}: acts belong to acted and colleague_acted, and to them alone")
    return found


def deeds_of(act: Act) -> list[Deeds]:
    """What explains readings by entries of the journal itself."""
    return [
        Deeds(
            actions=one.acts,
            before=one.before_hours * _HOUR,
            after=one.after_hours * _HOUR,
            by_herself=one.fact is Known.ACTED,
            actors=None if one.roles == frozenset(Role) else _members(act, one.roles),
        )
        for one in explanations().explanation
        if one.acts
    ]


def spans_of(act: Act, persons: dict[UUID, bytes]) -> Iterator[Span]:
    """Who was near which person, and when, as the tables know it; `persons` are the pseudonyms by case."""
    facts = {Known.ASSIGNED: Fact.MINE, Known.IN_TEAM: Fact.MY_TEAM}
    for one in explanations().explanation:
        if one.fact not in facts:
            continue
        members = _members(act, one.roles)
        for query in ties(act.org_id, facts[one.fact]):
            for case_id, member_id, since, until in act.unit.connection.execute(query):
                if case_id in persons and str(member_id) in members:
                    yield Span(
                        persons[case_id],
                        str(member_id),
                        microseconds(since) if since is not None else 0,
                        microseconds(until) if until is not None else ALWAYS,
                    )


def every_person(act: Act) -> dict[UUID, bytes]:
    """The names under which the journal knows every person of the organisation, by her case."""
    return every_pseudonym(act)


def _members(act: Act, roles: frozenset[Role]) -> frozenset[str]:
    return frozenset(map(str, members_of_roles(act.unit.connection, act.org_id, roles)))
