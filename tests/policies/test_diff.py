"""What a change gives and takes is told whole, in words, and only what it is."""

from dataclasses import replace
from functools import cache
from random import Random

import pytest

from policies.cedar import CedarSet
from policies.diff import BasesDiffer, Change, compare, cover, key_changes, states_of
from policies.engine import Decision, Engine
from policies.facts import Asker, CaseFacts, ChangeFacts, Context, HandoffFacts
from policies.sources import Source, base_source, org_source, schema_for
from policies.truth import ROLE, Space, State, Truth, Value, Variable, named_in
from policies.vocabulary import Action, Group, Role
from policies.wording import key_sentence, sentence
from tests.policies.situations import ORGS, engine_of


def changed(org: str, *, without: str = "", added: str = "") -> Engine:
    """The engine of an organisation's file without one policy, or with more text."""
    policies = org_source(org).text.split("\n@id(")
    kept = [policy for policy in policies if not without or not policy.startswith(f'"{without}"')]
    assert len(kept) == len(policies) - bool(without)
    return Engine(org, ORGS, [base_source(), Source(org, "\n@id(".join(kept) + added)])


def said(old: Engine, new: Engine) -> list[str]:
    return [sentence(change) for change in compare(old, new)]


@cache
def without_hours() -> tuple[Change, ...]:
    return compare(engine_of("avec"), changed("avec", without="avec.reception.hours"))


def test_the_front_desk_that_gains_reading_away_from_managed_devices_is_told_in_words() -> None:
    told = [sentence(change) for change in without_hours()]
    assert "l’accueil GAGNE lire l’identité hors poste géré" in told
    assert "l’accueil GAGNE lire l’identité hors des heures d’ouverture" in told
    assert not any("PERD" in line for line in told)
    assert all(line.startswith("l’accueil ") for line in told)


def test_what_another_rule_still_refuses_is_not_told_as_gained() -> None:
    told = [sentence(change) for change in without_hours() if change.action is Action.CASE_READ_CONTACT]
    assert told == ["l’accueil GAGNE lire le contact sur poste géré hors des heures d’ouverture"]


def test_both_ways_round_a_change_says_the_opposite() -> None:
    back = compare(changed("avec", without="avec.reception.hours"), engine_of("avec"))
    turned = [replace(change, gains=True) for change in back]
    assert turned == list(without_hours())


def test_a_set_that_says_the_same_in_other_words_changes_nothing() -> None:
    text = org_source("med").text.replace('@title("', '@title("Autrement : ')
    assert said(engine_of("med"), Engine("med", ORGS, [base_source(), Source("med", text)])) == []


def test_a_rule_that_is_written_twice_changes_nothing() -> None:
    twice = (
        '\n@id("cidff.twice") @title("Encore")\n'
        'forbid (principal in Org::"cidff", action == Action::"case.read.health", resource in Org::"cidff");'
    )
    assert said(engine_of("cidff"), changed("cidff", added=twice)) == []


def test_sets_of_two_organisations_are_not_compared() -> None:
    with pytest.raises(BasesDiffer):
        compare(engine_of("avec"), engine_of("med"))


def test_sets_on_different_base_rules_are_not_compared() -> None:
    base = replace(base_source(), text=base_source().text.replace("unless { context.mfa }", ""))
    assert base != base_source()
    with pytest.raises(BasesDiffer):
        compare(engine_of("med"), Engine("med", ORGS, [base, org_source("med")]))


def test_professions_purposes_partners_and_proposals_have_their_words() -> None:
    added = """
@id("planning.a") @title("a") permit (principal in Org::"planning", action == Action::"case.read.legal",
resource in Org::"planning") when { principal in Role::"worker" && resource.mine }
when { context.purpose == Purpose::"care" } unless { principal.professions.contains(Profession::"jurist") };
@id("planning.b") @title("b") forbid (principal in Org::"planning", action == Action::"handoff.send",
resource in Org::"planning") when { resource.to == Org::"cidff" && !resource.groups.contains(Group::"family") };
@id("planning.c") @title("c") permit (principal in Org::"planning", action == Action::"erasure.read",
resource in Org::"planning") when { principal in Role::"auditor" && resource.kind == ChangeKind::"erasure" }
unless { resource.mine };
@id("planning.d") @title("d") permit (principal in Org::"planning", action == Action::"case.read.identity",
resource in Org::"planning") when { principal in Role::"supervisor" && resource.status == Status::"closed" }
unless { context.hours };
@id("planning.e") @title("e") forbid (principal in Org::"planning", action == Action::"handoff.outcome",
resource in Org::"planning") when { resource.stage == Stage::"no_show" };
"""
    told = said(engine_of("planning"), changed("planning", added=added))
    assert (
        "l’intervenante non juriste GAGNE lire le juridique quand le dossier lui est affecté pour soins"
        in told
    )
    assert any(
        "envoyer un relais" in line and "sans la famille" in line and "avec cidff" in line for line in told
    )
    assert "l’audit GAGNE suivre les effacements sur la demande d’une autre" in told
    assert any("donner la suite d’un relais" in line and "personne non venue" in line for line in told)


@pytest.mark.parametrize(
    ("org", "policy"),
    [
        ("avec", "avec.team"),
        ("cidff", "cidff.handoff.receive"),
        ("planning", "planning.health.secret"),
        ("med", "med.handoff.groups"),
    ],
)
def test_what_is_told_is_exactly_what_two_engines_decide_otherwise(org: str, policy: str) -> None:
    old, new = engine_of(org), changed(org, without=policy)
    changes = compare(old, new)
    assert changes
    named = named_in((old, new))
    truth, other = Truth(old, *named), Truth(new, *named)
    random = Random(policy)
    for _ in range(150):
        action = random.choice([change.action for change in changes])
        looked_at = truth.variables(action) | other.variables(action)
        role = random.choice(list(Role))
        state: dict[str, Value] = {
            ROLE: role,
            **{variable.name: random.choice(variable.values) for variable in sorted(looked_at, key=str)},
        }
        before, after = decide(old, truth, action, state), decide(new, truth, action, state)
        told = {
            change.gains
            for change in changes
            if (change.action, change.role) == (action, state[ROLE])
            and all(state[name] in values for name, values in change.cube.items())
        }
        if before.allowed != after.allowed:
            assert told == {after.allowed}
        elif told:
            # Words are left out that only a state would need which a base rule forbids to all.
            assert any(policy.startswith("base.") for policy in before.policies)
            assert not before.allowed


def decide(engine: Engine, truth: Truth, action: Action, state: State) -> Decision:
    asker, facts, context = truth.request(action, state)
    if isinstance(facts, HandoffFacts):
        # A partner that no policy names is any other organisation.
        partner = next(org for org in ORGS if org not in {engine.org, "cidff", "avec"})
        from_, to = (partner if org == "une-autre" else org for org in (facts.from_, facts.to))
        consent = replace(facts.consent, to=to) if facts.consent is not None else None
        facts = replace(facts, from_=from_, to=to, consent=consent)
    return put(engine, asker, action, facts, context)


def put(
    engine: Engine,
    asker: Asker,
    action: Action,
    facts: CaseFacts | HandoffFacts | ChangeFacts | None,
    context: Context,
) -> Decision:
    match facts:
        case CaseFacts():
            return engine.decide_case(asker, action, facts, context)
        case HandoffFacts():
            return engine.decide_handoff(asker, action, facts, context)
        case ChangeFacts():
            return engine.decide_change(asker, action, facts, context)
        case _:
            return engine.decide_org(asker, action, context)


def test_cubes_hold_every_state_that_they_must_and_none_that_they_may_not() -> None:
    random = Random(0)
    space = Space((Variable("a", (1, 2, 3)), Variable("b", (True, False)), Variable("c", (1, 2, 3, 4))))  # type: ignore[arg-type]
    for _ in range(300):
        states = random.getrandbits(space.size)
        at_most = states | random.getrandbits(space.size)
        held = 0
        for cube in cover(space, states, at_most):
            held |= states_of(space, cube)
        assert not states & ~held
        assert not held & ~at_most


def test_an_engine_that_errs_tells_no_difference() -> None:
    truth = Truth(engine_of("med"), frozenset({Group.IDENTITY}), frozenset())
    erring = '@id("x") permit (principal, action, resource) when { resource.consent.live };'
    truth._whole = CedarSet(schema=schema_for(ORGS), policies=erring)
    space = Space((Variable(ROLE, tuple(Role)),))
    with pytest.raises(ValueError, match="rror"):
        truth.allowed(Action.CASE_SEARCH, space)


def test_widening_says_whose_keys_are_to_be_granted_and_narrowing_which_are_to_be_renewed() -> None:
    narrower = changed("avec", without="avec.health.read")
    told = [key_sentence(change) for change in key_changes(engine_of("avec"), narrower)]
    assert told == [
        "clé « health » : à renouveler (l’intervenante psychologue n’y a plus droit)",
        "clé « health » : à renouveler (l’intervenante santé n’y a plus droit)",
    ]
    back = key_changes(narrower, engine_of("avec"))
    assert "clé « health » : à remettre (l’intervenante santé y gagne droit)" in map(key_sentence, back)
