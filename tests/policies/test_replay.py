"""A planted month is decided again: what other rules refuse and allow, what has drifted, what cannot be told."""

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from policies.asked import Question, words_of
from policies.diff import BasesDiffer
from policies.engine import Engine
from policies.facts import CaseFacts, ChangeFacts, Context
from policies.replay import Drift, Replay, Situation, Unreplayable, replay
from policies.vocabulary import Action, ChangeKind, Profession, Purpose, Role
from policies.wording import replayed
from tests.policies.situations import AT_BEST, WORKING_DAY, engine_of, member
from tests.policies.test_diff import changed

MINE = CaseFacts.of_a_new_case()
THEIRS = CaseFacts.of_an_ordinary_case()
OFF_HOURS = replace(WORKING_DAY, hours=False)
AT_HOME = replace(WORKING_DAY, device=False)


@cache
def widened() -> Engine:
    """The front desk may work at any hour, away from managed devices."""
    return changed("avec", without="avec.reception.hours")


def situation(
    engine: Engine,
    role: Role,
    *actions: Action,
    facts: CaseFacts | ChangeFacts | None = MINE,
    context: Context = WORKING_DAY,
    professions: tuple[Profession, ...] = (),
) -> Situation:
    """What the journal says of these acts, as the engine decides them."""
    asker = member(engine.org, role, *professions)
    allowed = []
    for action in actions:
        match facts:
            case CaseFacts():
                decision = engine.decide_case(asker, action, facts, context)
            case ChangeFacts():
                decision = engine.decide_change(asker, action, facts, context)
            case None:
                decision = engine.decide_org(asker, action, context)
        if decision.allowed:
            allowed.append(str(action))
    holds = words_of(Question(asker, actions[0], facts, context))
    denied = tuple(str(action) for action in actions if action not in allowed)
    return Situation(role, context.purpose, engine.hash, tuple(allowed), denied, holds)


def month(engine: Engine) -> Counter[Situation]:
    """A month of one organisation, by how often each thing was decided."""
    reading = (Action.CASE_LIST, Action.CASE_READ_IDENTITY, Action.CASE_READ_HEALTH)
    nurse, desk = (Profession.HEALTH,), Role.RECEPTION
    return Counter(
        {
            situation(engine, desk, *reading): 40,
            situation(engine, desk, *reading, context=AT_HOME): 12,
            situation(engine, desk, *reading, context=OFF_HOURS): 3,
            situation(engine, Role.WORKER, *reading, professions=nurse): 30,
            situation(engine, Role.WORKER, *reading, facts=THEIRS): 5,
            situation(engine, Role.SUPERVISOR, Action.ORG_STATS, facts=None): 2,
            situation(
                engine,
                Role.DPO,
                Action.ERASURE_APPROVE,
                facts=ChangeFacts(kind=ChangeKind.ERASURE, mine=False),
                context=AT_BEST,
            ): 1,
        }
    )


def said(past: Counter[Situation], new: Engine) -> list[str]:
    return replayed(replay(past, {}, engine_of("avec"), new))


def test_a_month_under_the_same_rules_changes_nothing() -> None:
    found = replay(month(engine_of("avec")), {}, engine_of("avec"), changed("avec"))
    assert found == Replay(273, (), (), {})
    assert replayed(found) == ["Aucune décision rejouée ne changerait.", "Décisions rejouées : 273."]


def test_a_widened_file_tells_which_denied_acts_would_have_been_allowed() -> None:
    assert said(month(engine_of("avec")), widened()) == [
        "3 fois, « voir dans sa liste » par l’accueil serait permis hors des heures d’ouverture",
        "12 fois, « voir dans sa liste » par l’accueil serait permis hors poste géré",
        "3 lectures de l’identité par l’accueil seraient permises hors des heures d’ouverture",
        "12 lectures de l’identité par l’accueil seraient permises hors poste géré",
        "Décisions rejouées : 273.",
    ]


def test_a_narrowed_file_tells_which_allowed_acts_would_have_been_refused() -> None:
    narrowed = changed("avec", without="avec.health.read")
    assert said(month(engine_of("avec")), narrowed) == [
        "30 lectures de la santé par l’intervenante santé seraient refusées quand le dossier lui est affecté",
        "Décisions rejouées : 273.",
    ]


def test_acts_about_changes_and_about_the_organisation_are_decided_again_too() -> None:
    engine = engine_of("avec")
    added = (
        '\n@id("avec.one") @title("Une") forbid (principal in Org::"avec", action == Action::"org.stats",'
        ' resource in Org::"avec");'
        '\n@id("avec.two") @title("Deux") forbid (principal in Org::"avec", action == Action::"erasure.approve",'
        ' resource in Org::"avec") when { resource.kind == ChangeKind::"erasure" };'
    )
    found = replay(month(engine), {}, engine, changed("avec", added=added))
    assert [(turned.change.action, turned.times) for turned in found.turned_over] == [
        (Action.ORG_STATS, 2),
        (Action.ERASURE_APPROVE, 1),
    ]


def test_one_is_said_in_the_singular_and_a_masculine_group_is_elided() -> None:
    past = Counter(
        {situation(engine_of("avec"), Role.WORKER, Action.CASE_READ_SOCIAL, Action.CASE_READ_HEALTH): 1}
    )
    (line, _) = said(past, changed("avec", without="avec.own.read"))
    assert line.startswith("1 lecture du social par l’intervenante serait refusée")


def test_what_the_rules_in_force_would_answer_otherwise_is_drift_and_changes_nothing() -> None:
    engine = engine_of("avec")
    reading = situation(engine, Role.RECEPTION, Action.CASE_READ_IDENTITY, context=OFF_HOURS)
    forged = replace(reading, allowed=reading.denied, denied=())
    earlier = replace(forged, rules="00" * 32)
    found = replay({forged: 2, earlier: 7, reading: 1}, {}, engine, widened())
    about = (Role.RECEPTION, Action.CASE_READ_IDENTITY, True)
    assert found.drift == (Drift(*about, same_rules=True, times=2), Drift(*about, same_rules=False, times=7))
    assert [turned.times for turned in found.turned_over] == [1]
    assert replayed(found)[2:] == [
        "ATTENTION, écart : 2 lectures de l’identité par l’accueil seraient refusées par les règles en vigueur,"
        " qui l’avaient permis.",
        "Sous des règles antérieures : 7 lectures de l’identité par l’accueil seraient refusées par celles en"
        " vigueur ; c’était permis.",
    ]


def test_drift_the_other_way_says_that_it_was_refused() -> None:
    engine = engine_of("avec")
    reading = situation(engine, Role.RECEPTION, Action.CASE_READ_IDENTITY)
    found = replay({replace(reading, allowed=(), denied=reading.allowed): 1}, {}, engine, engine)
    assert replayed(found)[-1] == (
        "ATTENTION, écart : 1 lecture de l’identité par l’accueil serait permise par les règles en vigueur,"
        " qui l’avaient refusé."
    )


def test_what_cannot_be_decided_again_is_counted_and_told_loudly() -> None:
    engine = engine_of("avec")
    known = situation(engine, Role.RECEPTION, Action.CASE_LIST)
    past = {
        known: 1,
        replace(known, holds=("friend", *known.holds)): 4,
        replace(known, role=None): 2,
        replace(known, purpose=None): 1,
        replace(known, allowed=("handoff.accept",), denied=("handoff.open",)): 5,
    }
    told = {Unreplayable.NOT_NOTED: 9, Unreplayable.HIDDEN: 3, Unreplayable.FAILED: 0}
    found = replay(past, told, engine, engine)
    assert (found.decisions, found.unreplayable) == (
        1,
        {
            Unreplayable.NOT_NOTED: 9,
            Unreplayable.HANDOFF: 10,
            Unreplayable.HIDDEN: 3,
            Unreplayable.UNKNOWN: 7,
        },
    )
    assert replayed(found)[2:] == [
        "ATTENTION, non rejouées : 9 (le journal n’en note pas la situation).",
        "ATTENTION, non rejouées : 10 (le journal ne dit pas quels compartiments porte un relais).",
        "ATTENTION, non rejouées : 3 (dossier absent ou refusé, le journal ne dit pas lequel).",
        "ATTENTION, non rejouées : 7 (un mot n’est plus du vocabulaire).",
    ]


def test_the_rules_of_two_organisations_are_never_mixed() -> None:
    with pytest.raises(BasesDiffer):
        replay(month(engine_of("avec")), {}, engine_of("avec"), engine_of("cidff"))


def test_a_hundred_thousand_decisions_ask_each_question_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, new = engine_of("avec"), widened()
    past = Counter({found: times * 1_000 for found, times in month(engine).items()})
    asked: list[object] = []
    decide = Engine.decide_case
    monkeypatch.setattr(
        Engine, "decide_case", lambda self, *about: (asked.append((self, *about)), decide(self, *about))[1]
    )
    assert replay(past, {}, engine, new).decisions == 273_000
    assert len(asked) == 2 * 3 * 5
    assert Purpose.SUPPORT in {about[-1].purpose for about in asked}  # type: ignore[index]
