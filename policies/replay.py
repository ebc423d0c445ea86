"""Past decisions, decided again under other rules: what would have been refused, and what would have been allowed.

What was decided comes as words, as an organisation's journal notes it; ``policies.wording.replayed`` says in French
sentences what was found. Neither names anybody.

A decision is counted under the change of the rules (``policies.diff.Change``) that turns it over, so the words are
those of the diff. What the rules in force would not answer as the journal says they did is counted apart, as drift.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from policies.asked import CIRCUMSTANCES, NotAQuestion, Question, question_of
from policies.diff import Change, compare
from policies.engine import Engine
from policies.facts import CaseFacts, ChangeFacts
from policies.truth import ROLE, State
from policies.vocabulary import HANDOFF_ACTIONS, Action, Fact, Profession, Role


class Unreplayable(StrEnum):
    """Why what was decided cannot be decided again."""

    NOT_NOTED = "not_noted"  # An entry from before questions were noted, or made on the command line.
    HANDOFF = "handoff"  # The journal does not say which groups a handoff holds.
    HIDDEN = "hidden"  # Absent or forbidden: the journal does not say which.
    FAILED = "failed"  # The engine erred; it had no answer.
    UNKNOWN = "unknown"  # A word is no longer in the vocabulary.


@dataclass(frozen=True, slots=True)
class Situation:
    """What an entry says was decided in one situation: ``holds`` as ``policies.asked.words_of`` gives it.

    ``rules``: the hash of the set that decided.
    """

    role: str | None
    purpose: str | None
    rules: str | None
    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TurnedOver:
    """So many past decisions that a change of the rules would turn over."""

    change: Change
    times: int


@dataclass(frozen=True, slots=True)
class Drift:
    """So many decisions that the rules in force would not answer as the journal has it.

    ``same_rules``: the set that decided is the one in force, so something else has changed, and that is a fault.
    """

    role: Role
    action: Action
    was_allowed: bool
    same_rules: bool
    times: int


@dataclass(frozen=True, slots=True)
class Replay:
    """``decisions``: how many were decided again. ``turned_over``: by the acts' order, what is lost first."""

    decisions: int
    turned_over: tuple[TurnedOver, ...]
    drift: tuple[Drift, ...]
    unreplayable: Mapping[Unreplayable, int]


def replay(
    past: Mapping[Situation, int], unreplayable: Mapping[Unreplayable, int], in_force: Engine, new: Engine
) -> Replay:
    """Decide again what was decided ``past[situation]`` times, each distinct question once.

    Raises ``BasesDiffer`` unless both engines are of one organisation and share the base rules.
    """
    changes = compare(in_force, new)
    failed = Counter(unreplayable)
    decisions, turned_over, drift = 0, Counter[int](), Counter[tuple[Role, Action, bool, bool]]()
    for (question, was_allowed, same_rules), times in _questions(past, failed, in_force).items():
        before, after = (_is_allowed(engine, question) for engine in (in_force, new))
        decisions += times
        if before is not was_allowed:
            drift[question.asker.role, question.action, was_allowed, same_rules] += times
        elif before is not after:
            turned_over[_turned_by(changes, question, gains=after)] += times
    return Replay(
        decisions,
        tuple(TurnedOver(changes[number], times) for number, times in sorted(turned_over.items())),
        tuple(
            sorted(
                (Drift(*about, times) for about, times in drift.items()),
                key=attrgetter("same_rules", "times"),
                reverse=True,
            )
        ),
        {why: failed[why] for why in Unreplayable if failed[why]},
    )


def _questions(
    past: Mapping[Situation, int], failed: Counter[Unreplayable], in_force: Engine
) -> Counter[tuple[Question, bool, bool]]:
    asked: Counter[tuple[Question, bool, bool]] = Counter()
    for found, times in past.items():
        for actions, was_allowed in ((found.allowed, True), (found.denied, False)):
            for action in actions:
                try:
                    question = question_of(
                        in_force.org, found.role or "", found.purpose or "", action, found.holds
                    )
                except NotAQuestion:
                    is_handoff = action in HANDOFF_ACTIONS
                    failed[Unreplayable.HANDOFF if is_handoff else Unreplayable.UNKNOWN] += times
                else:
                    asked[question, was_allowed, found.rules == in_force.hash] += times
    return asked


def _is_allowed(engine: Engine, question: Question) -> bool:
    asker, action, facts, context = question
    if isinstance(facts, CaseFacts):
        return engine.decide_case(asker, action, facts, context).allowed
    if isinstance(facts, ChangeFacts):
        return engine.decide_change(asker, action, facts, context).allowed
    return engine.decide_org(asker, action, context).allowed


def _turned_by(changes: tuple[Change, ...], question: Question, *, gains: bool) -> int:
    """The first change that holds the question's state: the diff is exhaustive, so there is one."""
    state = _state_of(question)
    return next(
        number
        for number, change in enumerate(changes)
        if (change.gains, change.role, change.action) == (gains, question.asker.role, question.action)
        and all(state[name] in values for name, values in change.cube.items())
    )


def _state_of(question: Question) -> State:
    """The question as the state of a ``truth.Space``."""
    asker, _, facts, context = question
    about = () if facts is None else ("kind", "mine") if isinstance(facts, ChangeFacts) else (*Fact, "status")
    return {
        ROLE: asker.role,
        **{f"profession:{profession}": profession in asker.professions for profession in Profession},
        **{name: getattr(context, name) for name in (*CIRCUMSTANCES, "purpose")},
        **{str(name): getattr(facts, name) for name in about},
    }
