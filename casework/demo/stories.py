"""Fictional cases, drawn from a seed: names of varied origins, numbers that ring nowhere, notes in French.

Phone numbers are of the ranges that Arcep sets aside for works of fiction (numbering plan, decision 2018-0881).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, TypeVar

import msgspec

from casework.cases.schemas import Public
from casework.follow_ups.schemas import Channel
from policies.vocabulary import Group

T = TypeVar("T")

_PHONES = ("06 39 98", "01 99 00")
_LANGUAGES = (
    "français",
    "français",
    "français",
    "français",
    "arabe",
    "dari",
    "turc",
    "portugais",
    "ukrainien",
    "LSF",
)
_FIRST_HOUR, _LAST_HOUR = 8, 16
_WEEKEND = 5
_OLDEST_DAYS, _NEWEST_DAYS = 270, 20
_SENTENCE = re.compile(r"(^|\. )([a-zà-ÿ])")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A follow-up of a story."""

    type: str
    channel: Channel
    minutes: int
    group: Group
    text: str
    next_step: str | None = None


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of colleague may follow somebody for."""

    author: str
    need: str
    steps: tuple[Step, ...]
    public: Public = Public.KNOWN_NEED
    groups: dict[Group, str] = {}


class _Stories(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stories: tuple[Story, ...]


class _People(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    given_names: list[str]
    family_names: list[str]
    pseudonyms: list[str]
    slots: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class FictionalCase:
    """A case as the API takes it: what the front desk knows, what the worker adds, and the follow-ups."""

    public: Public
    desk: dict[Group, dict[str, Any]]
    content: dict[Group, dict[str, Any]]
    follow_ups: tuple[dict[str, Any], ...]

    @property
    def groups(self) -> frozenset[Group]:
        """The groups in which something is written."""
        told = {Group(group) for follow_up in self.follow_ups for group in follow_up["content"]}
        return frozenset({*self.desk, *self.content, *told})


def write_case(random: Random, organisation: str, author: str, now: datetime) -> FictionalCase:
    """Draw a case that `author` (a profession, or `reception`) of an organisation may hold."""
    story = random.choice([story for story in _stories(organisation) if story.author == author])
    slots = {name: random.choice(words) for name, words in _people().slots.items()}
    language = random.choice(_LANGUAGES)
    return FictionalCase(
        public=story.public,
        desk={
            Group.IDENTITY: _identity(random, now.date(), may_be_unnamed=organisation in {"planning", "med"}),
            Group.CONTACT: _contact(random, now.date()),
            Group.INTAKE: {
                "summary": story.need,
                "language": language,
                "interpreter": language != _LANGUAGES[0],
            },
        },
        content={group: {"summary": _fill(text, slots)} for group, text in story.groups.items()},
        follow_ups=_follow_ups(random, story, slots, now),
    )


def _identity(random: Random, today: date, *, may_be_unnamed: bool) -> dict[str, Any]:
    people = _people()
    born = today - timedelta(days=random.randint(18 * 365, 78 * 365))
    if may_be_unnamed and random.random() < 1 / 5:
        return {"name_in_use": random.choice(people.pseudonyms), "anonymous": True}
    given, family = random.choice(people.given_names), random.choice(people.family_names)
    identity = {"name_in_use": given, "family_name": family, "birth_date": born.isoformat()}
    if random.random() < 1 / 4:
        # The civil status is not always the name that she goes by.
        identity["legal_name"] = f"{random.choice(people.given_names)} {family}"
    return identity


def _contact(random: Random, today: date) -> dict[str, Any]:
    watched = random.random() < 1 / 4
    number = f"{random.choice(_PHONES)} {random.randrange(100):02d} {random.randrange(100):02d}"
    safe: dict[str, Any] = {
        "confirmed_on": (today - timedelta(days=random.randint(1, 25))).isoformat(),
        "may_call": not watched,
        "may_write": random.random() < 1 / 3,
        "may_leave_message": False,
        "phone_is_watched": watched,
        "how_we_introduce_ourselves": random.choice(["Le cabinet", "La bibliothèque", "Une collègue"]),
        "agreed_word": random.choice(["tilleul", "parapluie", "samedi", "médiathèque"]),
        "if_no_answer": "Ne pas insister, elle rappelle.",
    }
    return {"phone": number, "safe_contact": safe}


def _follow_ups(
    random: Random, story: Story, slots: Mapping[str, str], now: datetime
) -> tuple[dict[str, Any], ...]:
    """The first steps of a story, at working hours of past months, in order."""
    length = max(random.randint(1, len(story.steps)), random.randint(1, len(story.steps)))
    steps = story.steps[:length]
    day = now.date() - timedelta(days=random.randint(_NEWEST_DAYS, _OLDEST_DAYS))
    following = []
    for step in steps:
        day = min(day + timedelta(days=random.randint(0, 24)), now.date() - timedelta(days=3))
        follow_up: dict[str, Any] = {
            "type": step.type,
            "occurred_at": _working_hour(random, day, now).isoformat(),
            "channel": step.channel,
            "duration_minutes": step.minutes,
            "content": {step.group: _fill(step.text, slots)},
        }
        if step.next_step is not None:
            follow_up["next_step"] = _fill(step.next_step, slots)
        following.append(follow_up)
    return tuple(following)


def _working_hour(random: Random, day: date, now: datetime) -> datetime:
    weekday = day if day.weekday() < _WEEKEND else day - timedelta(days=day.weekday() - _WEEKEND + 1)
    hour, minute = random.randint(_FIRST_HOUR, _LAST_HOUR), random.choice((0, 15, 30, 45))
    return datetime.combine(weekday, time(hour, minute), now.tzinfo)


def _fill(text: str, slots: Mapping[str, str]) -> str:
    filled = text.format_map(slots)
    return _SENTENCE.sub(lambda found: found[1] + found[2].upper(), filled)


@cache
def _stories(organisation: str) -> tuple[Story, ...]:
    return _read(f"{organisation}.toml", _Stories).stories


@cache
def _people() -> _People:
    return _read("people.toml", _People)


def _read(name: str, kind: type[T]) -> T:
    return msgspec.toml.decode((files("casework.demo") / "stories" / name).read_bytes(), type=kind)
