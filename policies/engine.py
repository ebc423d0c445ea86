"""Decisions of one organisation's policies: deny by default, deny on error, and tables that remember.

A case is 96 states for an asker (``facts.CaseFacts``), so a decision is a look-up in a table of 96 for (role,
professions, active, action, context), filled from Cedar as it is asked, and a list filter is that same table,
minimised. Memo keys name no person and no row, and they live as long as the loaded set.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cedarpy

from policies.cedar import Answer, CedarSet, failed, ref, uid
from policies.facts import ALL_CASE_FACTS, CASE_STATES, Asker, CaseFacts, ChangeFacts, Context, HandoffFacts
from policies.filters import Cube, minimise
from policies.lint import check
from policies.sources import (
    Source,
    base_source,
    org_source,
    require_slug,
    schema_for,
    schema_source,
    set_hash,
)
from policies.vocabulary import Action, Advice, Status

# cedarpy holds the GIL for a whole batch: 24 decisions are about 3 ms, then other threads get their turn.
_BATCH = 24
# Handoffs have too many states for a table; their memo is emptied when it holds this many decisions.
_HANDOFF_MEMO = 10_000


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, and why.

    ``policies``: the ``@id`` of each determining policy, for the journal; none when nothing permits it.
    ``advice``: all that has to be satisfied, shown only where that would give an allow.
    ``error``: the engine erred, which denies, is never remembered, and calls for an alarm.
    """

    allowed: bool
    policies: tuple[str, ...]
    advice: tuple[Advice, ...] = ()
    error: bool = False


@dataclass(frozen=True, slots=True)
class EngineFailure:
    """What the alarm is told: made of facts and policies, of no person."""

    org: str
    action: Action
    detail: str


class _Question(NamedTuple):
    """``facts`` are None when the resource is the organisation itself."""

    action: Action
    facts: CaseFacts | HandoffFacts | ChangeFacts | None
    context: Context


class Engine:
    """The policies of ``org``: the base file and its own, never another organisation's.

    ``hash`` names the whole set, ``text`` is the organisation's own file of it (empty where the base rules stand
    alone). Cases, changes and the organisation asked about are ``org``'s own; an asker of another organisation is
    refused by the base rules and never reaches the memo. Safe to share between threads.
    """

    def __init__(
        self,
        org: str,
        orgs: Iterable[str],
        sources: Sequence[Source],
        *,
        alarm: Callable[[EngineFailure], None] | None = None,
    ) -> None:
        """Check and parse ``sources``; ``PolicyRefused`` names each file and policy at fault.

        ``orgs``: every slug of the deployment, which a handoff may name. ``alarm`` hears of each failure.
        """
        self.org = require_slug(org)
        self.orgs = frozenset({org, *orgs})
        schema = schema_for(self.orgs)
        self.policies = check(sources, schema)
        self.hash = set_hash([schema_source(), *sources])
        self.text = next((source.text for source in sources if source.name == org), "")
        self._advice = {policy.id: policy.advice for policy in self.policies}
        self._cedar = CedarSet(schema=schema, policies="\n".join(source.text for source in sources))
        self._alarm = alarm
        self._entities: dict[int, cedarpy.Entities] = {}
        self._tables: dict[tuple[int, Action, int], list[Decision | None]] = {}
        self._filters: dict[tuple[int, Action, int], tuple[Cube, ...]] = {}
        self._org_memo: dict[tuple[int, Action, int], Decision] = {}
        self._handoff_memo: dict[tuple[int, Action, int, HandoffFacts], Decision] = {}

    @classmethod
    def load(
        cls, org: str, orgs: Iterable[str], *, alarm: Callable[[EngineFailure], None] | None = None
    ) -> "Engine":
        """Load the files of ``org``; ``NotAnOrganisation`` when it has none, else as the constructor."""
        return cls.of_text(org, orgs, org_source(org).text, alarm=alarm)

    @classmethod
    def of_text(
        cls, org: str, orgs: Iterable[str], text: str, *, alarm: Callable[[EngineFailure], None] | None = None
    ) -> "Engine":
        """Load the base rules and ``text`` as the file of ``org``; as the constructor."""
        return cls(org, orgs, [base_source(), Source(org, text)], alarm=alarm)

    def decide_case(self, asker: Asker, action: Action, facts: CaseFacts, context: Context) -> Decision:
        """Whether ``asker`` may do ``action`` to a case of this organisation, given its facts."""
        table = self._tables.get((asker.bits, action, context.bits))
        if table is not None and asker.org == self.org:
            known = table[facts.bits]
            if known is not None:
                return known
        return self._decide_cases(asker, action, [facts], context)[0]

    def decide_cases(
        self, asker: Asker, action: Action, states: Sequence[CaseFacts], context: Context
    ) -> list[Decision]:
        """What ``decide_case`` answers for each of these states, asked together: half as dear as one by one."""
        table: Sequence[Decision | None] = (None,) * CASE_STATES
        if asker.org == self.org:
            table = self._tables.get((asker.bits, action, context.bits), table)
        # A copy first: another thread may be filling the same table.
        known = [table[facts.bits] for facts in states]
        unknown = [facts for facts, decision in zip(states, known, strict=True) if decision is None]
        asked = iter(self._decide_cases(asker, action, unknown, context))
        return [decision or next(asked) for decision in known]

    def decide_org(self, asker: Asker, action: Action, context: Context) -> Decision:
        """Whether ``asker`` may do ``action`` to this organisation as a whole."""
        key = (asker.bits, action, context.bits)
        known = self._org_memo.get(key) if asker.org == self.org else None
        if known is not None:
            return known
        decision = self._decide(asker, [_Question(action, None, context)])[0]
        if asker.org == self.org and not decision.error:
            self._org_memo[key] = decision
        return decision

    def decide_handoff(self, asker: Asker, action: Action, facts: HandoffFacts, context: Context) -> Decision:
        """Whether ``asker``, of this organisation, may do ``action`` to a handoff it sends or receives."""
        key = (asker.bits, action, context.bits, facts)
        known = self._handoff_memo.get(key) if asker.org == self.org else None
        if known is not None:
            return known
        decision = self._decide(asker, [_Question(action, facts, context)])[0]
        if asker.org == self.org and not decision.error:
            if len(self._handoff_memo) >= _HANDOFF_MEMO:
                self._handoff_memo.clear()
            self._handoff_memo[key] = decision
        return decision

    def decide_change(self, asker: Asker, action: Action, facts: ChangeFacts, context: Context) -> Decision:
        """Whether ``asker`` may approve a proposed change of this organisation."""
        return self._decide(asker, [_Question(action, facts, context)])[0]

    def allowed_states(self, asker: Asker, action: Action, context: Context) -> frozenset[int]:
        """The packed case facts, of all 96, in which ``asker`` may do ``action``; not those that err."""
        decisions = self.decide_cases(asker, action, ALL_CASE_FACTS, context)
        return frozenset(bits for bits, decision in enumerate(decisions) if decision.allowed)

    def list_filter(self, asker: Asker, action: Action, context: Context) -> tuple[Cube, ...]:
        """``allowed_states`` as cubes, each one branch of a query; no cube means FALSE: run no query."""
        key = (asker.bits, action, context.bits)
        known = self._filters.get(key) if asker.org == self.org else None
        if known is not None:
            return known
        decisions = self.decide_cases(asker, action, ALL_CASE_FACTS, context)
        cubes = minimise(bits for bits, decision in enumerate(decisions) if decision.allowed)
        if asker.org == self.org and not any(decision.error for decision in decisions):
            self._filters[key] = cubes
        return cubes

    def _decide_cases(
        self, asker: Asker, action: Action, states: Sequence[CaseFacts], context: Context
    ) -> list[Decision]:
        decisions = self._decide(asker, [_Question(action, facts, context) for facts in states])
        if asker.org == self.org:
            table = self._tables.setdefault((asker.bits, action, context.bits), [None] * CASE_STATES)
            for facts, decision in zip(states, decisions, strict=True):
                if not decision.error:
                    table[facts.bits] = decision
        return decisions

    def _decide(self, asker: Asker, questions: Sequence[_Question]) -> list[Decision]:
        """Ask Cedar, then once more about the refusals that the asker could mend, to know what to advise."""
        answers = self._ask(asker, questions)
        mended = [self._mend(question, answer) for question, answer in zip(questions, answers, strict=True)]
        hopes = iter(self._ask(asker, [mend[0] for mend in mended if mend]))
        advice = [mend[1] if mend and next(hopes).allowed else () for mend in mended]
        return [
            Decision(answer.allowed, answer.policies, given, error=bool(answer.failure))
            for answer, given in zip(answers, advice, strict=True)
        ]

    def _mend(self, question: _Question, answer: Answer) -> tuple[_Question, tuple[Advice, ...]] | None:
        """The question with its refusal's advice satisfied, and that advice; None where that cannot help."""
        if answer.allowed or not all(self._advice.get(policy) for policy in answer.policies):
            return None
        tokens = {token for policy in answer.policies for token in self._advice[policy]}
        advice = []
        for token in sorted(tokens, key=list(Advice).index):
            satisfied = _satisfy(question, token)
            if satisfied != question:
                question = satisfied
                advice.append(token)
        return (question, tuple(advice)) if advice else None

    def _ask(self, asker: Asker, questions: Sequence[_Question]) -> list[Answer]:
        """Answer questions of one act that are all about cases, or about one and the same other resource."""
        answers: list[Answer] = []
        for start in range(0, len(questions), _BATCH):
            batch = questions[start : start + _BATCH]
            try:
                entities = self._entities_of(asker, batch[0].facts)
            except ValueError as error:
                answers += [failed(error)] * len(batch)
            else:
                answers += self._cedar.ask(
                    batch[0].action, [self._request(question) for question in batch], entities
                )
        for question, answer in zip(questions, answers, strict=True):
            if answer.failure and self._alarm:
                self._alarm(EngineFailure(self.org, question.action, answer.failure))
        return answers

    def _request(self, question: _Question) -> dict[str, Any]:
        return {
            "principal": _ASKER,
            "resource": resource_uid(question.facts, self.org),
            "context": circumstances(question.context),
        }

    def _entities_of(
        self, asker: Asker, facts: CaseFacts | HandoffFacts | ChangeFacts | None
    ) -> cedarpy.Entities:
        """The asker, and what she asks about: all 96 cases at once, or the one handoff or change."""
        if isinstance(facts, HandoffFacts):
            return self._cedar.entities([member_entity(asker), handoff_entity(facts)])
        if isinstance(facts, ChangeFacts):
            return self._cedar.entities([member_entity(asker), change_entity(facts, self.org)])
        if asker.org != self.org:
            return self._cedar.entities([member_entity(asker), *case_entities(self.org)])
        if asker.bits not in self._entities:
            self._entities[asker.bits] = self._cedar.entities(
                [member_entity(asker), *case_entities(self.org)]
            )
        return self._entities[asker.bits]


_ASKER = uid("Member", "asker")


def _satisfy(question: _Question, advice: Advice) -> _Question:
    action, facts, context = question
    match advice:
        case Advice.MFA:
            context = replace(context, mfa=True)
        case Advice.STEP_UP:
            context = replace(context, step_up=True)
        case Advice.REASON:
            context = replace(context, reason=True)
        case Advice.MANAGED_DEVICE:
            context = replace(context, device=True)
        case _ if isinstance(facts, CaseFacts):
            facts = replace(facts, status=Status.OPEN)
        case _:
            pass  # Only a case can be reopened.
    return _Question(action, facts, context)


def resource_uid(facts: CaseFacts | HandoffFacts | ChangeFacts | None, org: str) -> dict[str, str]:
    match facts:
        case CaseFacts():
            return uid("Case", str(facts.bits))
        case HandoffFacts():
            return uid("Handoff", "handoff")
        case ChangeFacts():
            return uid("Change", "change")
        case _:
            return uid("Org", org)


def circumstances(context: Context) -> dict[str, Any]:
    return {
        "mfa": context.mfa,
        "step_up": context.step_up,
        "reason": context.reason,
        "device": context.device,
        "hours": context.hours,
        "self_target": context.self_target,
        "purpose": ref("Purpose", context.purpose),
    }


def member_entity(asker: Asker) -> dict[str, Any]:
    return {
        "uid": _ASKER,
        "parents": [uid("Org", asker.org), uid("Role", asker.role)],
        "attrs": {
            "org": ref("Org", asker.org),
            "active": asker.active,
            "professions": [ref("Profession", profession) for profession in sorted(asker.professions)],
        },
    }


def case_entities(org: str) -> list[dict[str, Any]]:
    return [case_entity(facts, org) for facts in ALL_CASE_FACTS]


def case_entity(facts: CaseFacts, org: str) -> dict[str, Any]:
    return {
        "uid": uid("Case", str(facts.bits)),
        "parents": [uid("Org", org)],
        "attrs": {
            "org": ref("Org", org),
            "status": ref("Status", facts.status),
            "mine": facts.mine,
            "my_team": facts.my_team,
            "restricted": facts.restricted,
            "conflict": facts.conflict,
            "glass": facts.glass,
        },
    }


def handoff_entity(facts: HandoffFacts) -> dict[str, Any]:
    attrs: dict[str, Any] = {
        "from": ref("Org", facts.from_),
        "to": ref("Org", facts.to),
        "groups": [ref("Group", group) for group in sorted(facts.groups)],
        "stage": ref("Stage", facts.stage),
        "mine": facts.mine,
        "conflict": facts.conflict,
    }
    if facts.consent is not None:
        attrs["consent"] = {
            "live": facts.consent.live,
            "same_content": facts.consent.same_content,
            "to": ref("Org", facts.consent.to),
            "groups": [ref("Group", group) for group in sorted(facts.consent.groups)],
        }
    parents = [uid("Org", org) for org in sorted({facts.from_, facts.to})]
    return {"uid": uid("Handoff", "handoff"), "parents": parents, "attrs": attrs}


def change_entity(facts: ChangeFacts, org: str) -> dict[str, Any]:
    return {
        "uid": uid("Change", "change"),
        "parents": [uid("Org", org)],
        "attrs": {"org": ref("Org", org), "kind": ref("ChangeKind", facts.kind), "mine": facts.mine},
    }
