from dataclasses import replace
from typing import Any

import cedarpy
import pytest

from policies import engine as engine_module
from policies.cedar import ENGINE_ERROR, CedarSet, uid
from policies.engine import Decision, Engine, EngineFailure
from policies.facts import ALL_CASE_FACTS, CaseFacts, ChangeFacts
from policies.sources import Source, base_source, org_source, schema_for
from policies.vocabulary import Action, Advice, ChangeKind, Profession, Role, Stage, Status
from tests.policies.situations import AT_BEST, ORGS, WORKING_DAY, engine_of, handoff, member

SOCIAL = member("avec", Role.WORKER, Profession.SOCIAL)
SUPERVISOR = member("avec", Role.SUPERVISOR)
RECEPTION = member("avec", Role.RECEPTION)
MINE = CaseFacts.of_a_new_case()
ANYBODYS = CaseFacts.from_bits(0)

ERRS = "9223372036854775807 + 1 > 0"
SCOPE = 'principal in Org::"avec", action in Action::"case.any", resource in Org::"avec"'


def planted(policy: str, alarms: list[EngineFailure] | None = None) -> Engine:
    """AVEC's engine with one more policy."""
    source = org_source("avec")
    added = f'{source.text}\n@id("avec.planted") @title("Ajoutée") {policy}'
    alarm = None if alarms is None else alarms.append
    return Engine("avec", ORGS, [base_source(), Source("avec", added)], alarm=alarm)


def broken(*_: Any) -> list[cedarpy.AuthzResult]:
    raise RuntimeError("the engine is gone")


def test_an_erring_forbid_denies_although_cedar_skips_it() -> None:
    alarms: list[EngineFailure] = []
    engine = planted(f"forbid ({SCOPE}) when {{ {ERRS} }};", alarms)
    decision = engine.decide_case(SOCIAL, Action.CASE_READ_SOCIAL, MINE, WORKING_DAY)
    assert decision == Decision(allowed=False, policies=(ENGINE_ERROR,), error=True)
    (alarm,) = alarms
    assert (alarm.org, alarm.action) == ("avec", Action.CASE_READ_SOCIAL)
    assert "overflow" in alarm.detail


def test_an_erring_forbid_lists_no_case_and_is_asked_again() -> None:
    alarms: list[EngineFailure] = []
    engine = planted(f"forbid ({SCOPE}) when {{ resource.mine && {ERRS} }};", alarms)
    assert not any(
        CaseFacts.from_bits(state).mine
        for state in engine.allowed_states(SOCIAL, Action.CASE_LIST, WORKING_DAY)
    )
    assert len(alarms) == 48
    assert engine.list_filter(SOCIAL, Action.CASE_LIST, WORKING_DAY)
    engine.list_filter(SOCIAL, Action.CASE_LIST, WORKING_DAY)
    assert len(alarms) == 3 * 48


def test_an_engine_exception_denies_and_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine.load("avec", ORGS)
    change = ChangeFacts(kind=ChangeKind.POLICY, mine=False)

    def decisions() -> list[Decision]:
        return [
            engine.decide_case(SOCIAL, Action.CASE_READ_SOCIAL, MINE, WORKING_DAY),
            engine.decide_org(SOCIAL, Action.CASE_SEARCH, WORKING_DAY),
            engine.decide_handoff(SOCIAL, Action.HANDOFF_DRAFT, handoff(Stage.DRAFT, mine=True), WORKING_DAY),
            engine.decide_change(SUPERVISOR, Action.POLICY_APPROVE, change, AT_BEST),
        ]

    with monkeypatch.context() as patch:
        patch.setattr(cedarpy, "is_authorized_batch", broken)
        assert all(
            decision == Decision(allowed=False, policies=(ENGINE_ERROR,), error=True)
            for decision in decisions()
        )
    assert all(decision.allowed for decision in decisions())


def test_what_was_decided_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine.load("avec", ORGS)

    def decisions() -> list[object]:
        return [
            engine.decide_case(SOCIAL, Action.CASE_READ_SOCIAL, MINE, WORKING_DAY),
            engine.decide_org(SOCIAL, Action.CASE_SEARCH, WORKING_DAY),
            engine.decide_handoff(SOCIAL, Action.HANDOFF_DRAFT, handoff(Stage.DRAFT, mine=True), WORKING_DAY),
            engine.list_filter(SOCIAL, Action.CASE_LIST, WORKING_DAY),
            engine.allowed_states(SOCIAL, Action.CASE_LIST, WORKING_DAY),
        ]

    first = decisions()
    monkeypatch.setattr(cedarpy, "is_authorized_batch", broken)
    assert decisions() == first


def test_a_decision_other_than_allow_or_deny_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    undecided = cedarpy.AuthzResult({"decision": "NoDecision", "diagnostics": {}})
    monkeypatch.setattr(cedarpy, "is_authorized_batch", lambda requests, *_: [undecided] * len(requests))
    decision = Engine.load("avec", ORGS).decide_case(SOCIAL, Action.CASE_LIST, MINE, WORKING_DAY)
    assert (decision.allowed, decision.error) == (False, True)


@pytest.mark.parametrize("context", [{}, {"mfa": True}, None])
def test_a_missing_or_empty_context_denies(context: dict[str, bool] | None) -> None:
    permit = "permit (principal, action, resource);"
    cedar = CedarSet(schema=schema_for(ORGS), policies=permit)
    request = {"principal": uid("Member", "m"), "resource": uid("Org", "avec")}
    (answer,) = cedar.ask("org.stats", [request | {"context": context}], cedar.entities([]))
    assert not answer.allowed
    assert "context" in answer.failure


def test_a_missing_attribute_denies_although_a_permit_is_satisfied() -> None:
    """Nothing is known of the asker: Cedar skips the forbid that wants to know it, and would allow."""
    scope = "(principal, action, resource)"
    policies = f'@id("a.any") permit {scope}; @id("a.active") forbid {scope} unless {{ principal.active }};'
    cedar = CedarSet(schema=schema_for(ORGS), policies=policies)
    engine = engine_of("avec")
    request = engine._request(engine_module._Question(Action.ORG_STATS, None, AT_BEST))
    result = cedarpy.is_authorized({**request, "action": uid("Action", Action.ORG_STATS)}, policies, [])
    assert result.decision is cedarpy.Decision.Allow
    (answer,) = cedar.ask(Action.ORG_STATS, [request], cedar.entities([]))
    assert (answer.allowed, answer.policies) == (False, (ENGINE_ERROR,))


def test_an_entity_without_one_of_its_attributes_is_refused() -> None:
    cedar = CedarSet(schema=schema_for(ORGS), policies="")
    described = engine_module.member_entity(SOCIAL)
    cedar.entities([described])
    for attribute in described["attrs"]:
        attrs = {name: value for name, value in described["attrs"].items() if name != attribute}
        with pytest.raises(ValueError, match="entity"):
            cedar.entities([described | {"attrs": attrs}])


def test_cedar_is_handed_parsed_policies_and_batches_that_keep_no_other_thread_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine.load("avec", ORGS)
    # Which policies are about listing is known then.
    engine.decide_case(SOCIAL, Action.CASE_LIST, MINE, AT_BEST)
    asked: list[int] = []
    really = cedarpy.is_authorized_batch

    def watched(requests: Any, policies: Any, entities: Any, schema: Any) -> list[cedarpy.AuthzResult]:
        asked.append(len(requests))
        assert (type(policies), type(entities), type(schema)) == (
            cedarpy.PolicySet,
            cedarpy.Entities,
            cedarpy.Schema,
        )
        return really(requests, policies, entities, schema)

    monkeypatch.setattr(cedarpy, "is_authorized_batch", watched)
    engine.allowed_states(SOCIAL, Action.CASE_LIST, WORKING_DAY)
    assert sum(asked) >= len(ALL_CASE_FACTS)
    assert max(asked) <= 24


def test_an_action_on_the_wrong_kind_of_resource_denies() -> None:
    decision = engine_of("avec").decide_org(SUPERVISOR, Action.CASE_LIST, AT_BEST)
    assert (decision.allowed, decision.error) == (False, True)


def test_an_organisation_unknown_to_the_deployment_denies() -> None:
    facts = handoff(Stage.DRAFT, mine=True, to="emmaus")
    decision = engine_of("avec").decide_handoff(SOCIAL, Action.HANDOFF_DRAFT, facts, AT_BEST)
    assert (decision.allowed, decision.error) == (False, True)


def test_an_asker_of_another_organisation_meets_neither_memo_nor_permission() -> None:
    engine = engine_of("avec")
    theirs = member("cidff", Role.SUPERVISOR)
    facts = handoff(Stage.DRAFT, mine=True)
    change = ChangeFacts(kind=ChangeKind.POLICY, mine=False)
    for asker, allowed in ((SUPERVISOR, True), (theirs, False), (theirs, False)):
        assert engine.decide_case(asker, Action.CASE_LIST, MINE, AT_BEST).allowed is allowed
        assert engine.decide_org(asker, Action.ORG_STATS, AT_BEST).allowed is allowed
        assert engine.decide_handoff(asker, Action.HANDOFF_DRAFT, facts, AT_BEST).allowed is allowed
        assert engine.decide_change(asker, Action.POLICY_APPROVE, change, AT_BEST).allowed is allowed
        assert bool(engine.list_filter(asker, Action.CASE_LIST, AT_BEST)) is allowed
        assert bool(engine.allowed_states(asker, Action.CASE_LIST, AT_BEST)) is allowed


@pytest.mark.parametrize(
    ("asker", "action", "facts", "context", "advice"),
    [
        (SOCIAL, Action.CASE_CLOSE, MINE, WORKING_DAY, (Advice.REASON,)),
        (SOCIAL, Action.CASE_BREAK_GLASS, ANYBODYS, WORKING_DAY, (Advice.STEP_UP, Advice.REASON)),
        (SOCIAL, Action.CASE_BREAK_GLASS, ANYBODYS, replace(AT_BEST, step_up=False), (Advice.STEP_UP,)),
        (SOCIAL, Action.CASE_READ_SOCIAL, MINE, replace(AT_BEST, mfa=False), (Advice.MFA,)),
        (SOCIAL, Action.CASE_READ_CONTACT, MINE, replace(AT_BEST, device=False), (Advice.MANAGED_DEVICE,)),
        (SOCIAL, Action.CASE_RECORD_SOCIAL, replace(MINE, status=Status.CLOSED), AT_BEST, (Advice.REOPEN,)),
        (
            SOCIAL,
            Action.CASE_AMEND_SOCIAL,
            replace(MINE, status=Status.CLOSED),
            WORKING_DAY,
            (Advice.REASON, Advice.REOPEN),
        ),
    ],
)
def test_advice_is_all_that_is_missing(
    asker: Any, action: Action, facts: CaseFacts, context: Any, advice: tuple[Advice, ...]
) -> None:
    decision = engine_of("avec").decide_case(asker, action, facts, context)
    assert (decision.allowed, decision.advice) == (False, advice)


@pytest.mark.parametrize(
    ("asker", "action", "facts", "context"),
    [
        # Nothing permits it: a reason would not help.
        (SOCIAL, Action.CASE_CLOSE, ANYBODYS, WORKING_DAY),
        # A forbid without advice stands beside one with advice.
        (SOCIAL, Action.CASE_BREAK_GLASS, replace(ANYBODYS, restricted=True), WORKING_DAY),
        # Nobody can change the hour.
        (RECEPTION, Action.CASE_READ_IDENTITY, ANYBODYS, replace(AT_BEST, hours=False)),
        (RECEPTION, Action.CASE_READ_IDENTITY, ANYBODYS, replace(AT_BEST, hours=False, device=False)),
    ],
)
def test_no_advice_is_given_where_following_it_would_not_help(
    asker: Any, action: Action, facts: CaseFacts, context: Any
) -> None:
    decision = engine_of("avec").decide_case(asker, action, facts, context)
    assert (decision.allowed, decision.advice) == (False, ())


def test_advice_about_a_case_changes_nothing_elsewhere() -> None:
    reopened = engine_module._satisfy(
        engine_module._Question(Action.ORG_STATS, None, WORKING_DAY), Advice.REOPEN
    )
    assert reopened == engine_module._Question(Action.ORG_STATS, None, WORKING_DAY)


def test_a_table_filled_in_batches_gives_the_decisions_taken_one_by_one() -> None:
    tables, points = Engine.load("avec", ORGS), Engine.load("avec", ORGS)
    tables.allowed_states(SOCIAL, Action.CASE_CLOSE, WORKING_DAY)
    for facts in ALL_CASE_FACTS:
        one = points.decide_case(SOCIAL, Action.CASE_CLOSE, facts, WORKING_DAY)
        assert tables.decide_case(SOCIAL, Action.CASE_CLOSE, facts, WORKING_DAY) == one


def test_the_handoff_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_HANDOFF_MEMO", 2)
    engine = Engine.load("avec", ORGS)
    for stage in (Stage.DRAFT, Stage.SENT, Stage.ACCEPTED, Stage.DRAFT):
        assert engine.decide_handoff(
            SOCIAL, Action.HANDOFF_READ, handoff(stage, mine=True), WORKING_DAY
        ).allowed
        assert len(engine._handoff_memo) <= 2


def test_an_added_permit_does_widen() -> None:
    """The counterpart of ``test_properties.py``: a planted policy is really in force."""
    engine = planted(f"permit ({SCOPE}) when {{ resource.restricted || true }};")
    assert engine.decide_case(SOCIAL, Action.CASE_READ_HEALTH, ANYBODYS, WORKING_DAY).policies == (
        "avec.planted",
    )
