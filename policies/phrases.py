"""Phrase tests: a French sentence that an association can read, its request, and the expected answer.

A file is TOML, one ``[[phrase]]`` each: ``says``, ``org``, ``role``, ``action`` (one, or a list of those that
the sentence names), ``verdict`` (``allow`` or ``deny``) and ``by`` (one determining policy; empty when nothing
permits the act); where needed ``professions``, ``active``, ``context``, and ``case``, ``handoff`` or ``change``
as the action asks. What is left out is usual: a day at the centre, a case or a handoff to which the asker is
nothing. An unknown key or word is refused.

``otherwise`` holds the other side, once or more: a sentence (``says``) whose request differs by what it names
and nothing else, and whose verdict is the contrary one, ``by`` the policy that it names.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from policies.engine import Decision, Engine
from policies.facts import Asker, CaseFacts, ChangeFacts, ConsentFacts, Context, HandoffFacts
from policies.labels import ACTIONS
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    Action,
    ChangeKind,
    Group,
    Profession,
    Purpose,
    Role,
    Stage,
    Status,
)

_FILES = Path(__file__).parent / "tests"

_PHRASE = {
    "professions": [],
    "active": True,
    "context": {},
    "case": {},
    "handoff": {},
    "change": {},
    "by": "",
}
_TABLES = ("context", "case", "handoff", "change")
_CONTEXT = {
    "mfa": True,
    "step_up": False,
    "reason": False,
    "device": True,
    "hours": True,
    "self_target": False,
    "purpose": "support",
}
_CASE = {
    "mine": False,
    "my_team": False,
    "restricted": False,
    "conflict": False,
    "glass": False,
    "status": "open",
}
_HANDOFF = {"groups": ["identity", "contact", "intake"], "mine": False, "conflict": False, "consent": "none"}
_CHANGE = {"mine": False}


class PhraseMalformed(ValueError):
    """A phrase that says no request: ``fault`` is the unknown or missing key, or the unknown word."""

    def __init__(self, says: str, fault: str) -> None:
        super().__init__(f"{says}: {fault}")


class Verdict(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class ConsentWord(StrEnum):
    """What a phrase can say of a handoff's consent."""

    NONE = "none"
    LIVE = "live"
    WITHDRAWN = "withdrawn"
    OTHER_CONTENT = "other_content"
    OTHER_RECEIVER = "other_receiver"
    IDENTITY_ONLY = "identity_only"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence and its request; ``facts`` are None when the act is on the organisation itself."""

    says: str
    asker: Asker
    action: Action
    facts: CaseFacts | HandoffFacts | ChangeFacts | None
    context: Context
    verdict: Verdict
    by: str

    def holds(self, decision: Decision) -> bool:
        """Whether a decision is the expected one, for the expected reason."""
        reason = self.by in decision.policies if self.by else not decision.policies
        return decision.allowed is (self.verdict is Verdict.ALLOW) and reason and not decision.error


@dataclass(frozen=True, slots=True)
class BrokenPhrase:
    phrase: Phrase
    decision: Decision

    def __str__(self) -> str:
        got = Verdict.ALLOW if self.decision.allowed else Verdict.DENY
        expected = f"{self.phrase.verdict} ({self.phrase.by or '—'})"
        return (
            f"« {self.phrase.says} » : {got} ({', '.join(self.decision.policies) or '—'}), attendu {expected}"
        )


def read_phrases(text: str) -> tuple[Phrase, ...]:
    """Read one file's text, each side of each phrase; ``PhraseMalformed`` names the sentence at fault."""
    entries = tomllib.loads(text).get("phrase")
    if not entries:
        raise PhraseMalformed("?", "phrase")
    return tuple(phrase for entry in entries for side in _sides(entry) for phrase in _phrases(side))


def phrases_of(org: str) -> tuple[Phrase, ...]:
    """The phrases kept for an organisation."""
    return read_phrases(phrases_text(org))


def phrases_text(org: str) -> str:
    """The file of the phrases kept for an organisation."""
    return (_FILES / f"{org}.toml").read_text("utf-8")


def decide(engine: Engine, phrase: Phrase) -> Decision:
    """Put a phrase's request to the engine."""
    match phrase.facts:
        case CaseFacts() as facts:
            return engine.decide_case(phrase.asker, phrase.action, facts, phrase.context)
        case HandoffFacts() as facts:
            return engine.decide_handoff(phrase.asker, phrase.action, facts, phrase.context)
        case ChangeFacts() as facts:
            return engine.decide_change(phrase.asker, phrase.action, facts, phrase.context)
        case _:
            return engine.decide_org(phrase.asker, phrase.action, phrase.context)


def broken_phrases(engine: Engine, phrases: tuple[Phrase, ...]) -> tuple[BrokenPhrase, ...]:
    """The phrases that the loaded policies do not keep."""
    decisions = [(phrase, decide(engine, phrase)) for phrase in phrases]
    return tuple(
        BrokenPhrase(phrase, decision) for phrase, decision in decisions if not phrase.holds(decision)
    )


def _sides(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    side = {key: value for key, value in entry.items() if key != "otherwise"}
    yield side
    for other in entry.get("otherwise", ()):
        if "says" not in other or "verdict" in other:
            raise PhraseMalformed(str(entry.get("says", "?")), "otherwise")
        tables = {key: {**side.get(key, {}), **other[key]} for key in _TABLES if key in other}
        contrary = Verdict.DENY if side.get("verdict") == Verdict.ALLOW else Verdict.ALLOW
        yield {**side, "by": "", **other, **tables, "verdict": contrary}


def _phrases(side: Mapping[str, Any]) -> Iterator[Phrase]:
    says = str(side.get("says", "?"))
    named = side.get("action")
    try:
        if not isinstance(named, list):
            yield _parse(says, side)
            return
        for action in named:
            yield _parse(f"{says} ({ACTIONS[Action(action)]})", {**side, "action": action})
    except (KeyError, ValueError) as error:
        raise PhraseMalformed(says, str(error)) from error


def _parse(says: str, side: Mapping[str, Any]) -> Phrase:
    given = _completed(side, _PHRASE, required={"says", "org", "role", "action", "verdict"})
    action = Action(given["action"])
    asker = Asker(
        org=given["org"],
        role=Role(given["role"]),
        professions=frozenset(Profession(word) for word in given["professions"]),
        active=given["active"],
    )
    context = _completed(given["context"], _CONTEXT)
    return Phrase(
        says,
        asker,
        action,
        _facts(action, given),
        Context(**context | {"purpose": Purpose(context["purpose"])}),
        Verdict(given["verdict"]),
        given["by"],
    )


def _facts(action: Action, given: Mapping[str, Any]) -> CaseFacts | HandoffFacts | ChangeFacts | None:
    if action in CASE_ACTIONS:
        case = _completed(given["case"], _CASE)
        return CaseFacts(**case | {"status": Status(case["status"])})
    if action in HANDOFF_ACTIONS:
        return _handoff(_completed(given["handoff"], _HANDOFF, required={"from", "to", "stage"}))
    if action in CHANGE_ACTIONS:
        change = _completed(given["change"], _CHANGE, required={"kind"})
        return ChangeFacts(kind=ChangeKind(change["kind"]), mine=change["mine"])
    return None


def _handoff(given: Mapping[str, Any]) -> HandoffFacts:
    groups = frozenset(Group(word) for word in given["groups"])
    return HandoffFacts(
        from_=given["from"],
        to=given["to"],
        groups=groups,
        stage=Stage(given["stage"]),
        mine=given["mine"],
        conflict=given["conflict"],
        consent=_consent(ConsentWord(given["consent"]), given["from"], given["to"], groups),
    )


def _consent(word: ConsentWord, from_: str, to: str, groups: frozenset[Group]) -> ConsentFacts | None:
    if word is ConsentWord.NONE:
        return None
    return ConsentFacts(
        live=word is not ConsentWord.WITHDRAWN,
        same_content=word is not ConsentWord.OTHER_CONTENT,
        # Any organisation but the receiver will do.
        to=from_ if word is ConsentWord.OTHER_RECEIVER else to,
        groups=frozenset({Group.IDENTITY}) if word is ConsentWord.IDENTITY_ONLY else groups,
    )


def _completed(
    given: Mapping[str, Any], usual: Mapping[str, Any], required: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """``given`` over ``usual``; an unknown key, or a required one missing, is a ``KeyError``."""
    wrong = (given.keys() - usual.keys() - required) | (required - given.keys())
    if wrong:
        raise KeyError(*sorted(wrong))
    return {**usual, **given}
