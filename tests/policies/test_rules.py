"""What holds for every organisation, whatever its own file says."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from policies.engine import Decision
from policies.facts import CASE_STATES, Asker, CaseFacts, ChangeFacts, Context, HandoffFacts
from policies.grants import favourable_contexts
from policies.vocabulary import (
    AMEND,
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    ORG_ACTIONS,
    READ,
    RECORD,
    Action,
    ChangeKind,
    Fact,
    Group,
    Profession,
    Purpose,
    Role,
    Stage,
    Status,
)
from tests.policies.situations import (
    AT_BEST,
    AT_WORST,
    MEMBERS,
    ORGS,
    WORKING_DAY,
    engine_of,
    handoff,
    member,
)

each_org = pytest.mark.parametrize("org", ORGS)

CONTENT = (Group.SAFETY, Group.SOCIAL, Group.LEGAL, Group.HEALTH, Group.FAMILY)
FOR_RIGHTS = replace(AT_BEST, purpose=Purpose.RIGHTS_REQUEST)
MINE = CaseFacts.of_a_new_case()
CHANGES = tuple(ChangeFacts(kind=kind, mine=mine) for kind in ChangeKind for mine in (True, False))


def members(org: str, *roles: Role) -> Iterator[Asker]:
    for role, professions in MEMBERS:
        if not roles or role in roles:
            yield member(org, role, *professions)


def allowed_facts(asker: Asker, action: Action) -> list[CaseFacts]:
    states = engine_of(asker.org).allowed_states(asker, action, AT_BEST)
    return [CaseFacts.from_bits(state) for state in states]


def everything(asker: Asker, context: Context = AT_BEST) -> Iterator[Decision]:
    """One favourable request for each action."""
    engine, theirs = engine_of(asker.org), "cidff" if asker.org == "avec" else "avec"
    for action in CASE_ACTIONS:
        yield engine.decide_case(asker, action, MINE, context)
    for action in ORG_ACTIONS:
        yield engine.decide_org(asker, action, context)
    for action in HANDOFF_ACTIONS:
        for facts in (between(asker.org, theirs), between(theirs, asker.org)):
            yield engine.decide_handoff(asker, action, facts, context)
    for action in CHANGE_ACTIONS:
        for change in CHANGES:
            yield engine.decide_change(asker, action, change, context)


def between(sender: str, receiver: str, stage: Stage = Stage.SENT) -> HandoffFacts:
    return handoff(stage, from_=sender, to=receiver, mine=True)


@each_org
def test_another_organisations_case_is_denied_to_every_role_for_every_action(org: str) -> None:
    engine = engine_of(org)
    (other, *_) = (slug for slug in ORGS if slug != org)
    for stranger in members(other):
        for action in CASE_ACTIONS:
            decision = engine.decide_case(stranger, action, MINE, AT_BEST)
            assert not decision.allowed
            assert "base.tenant.case" in decision.policies
        assert not any(engine.decide_org(stranger, action, AT_BEST).allowed for action in ORG_ACTIONS)
        assert not any(
            engine.decide_change(stranger, action, change, AT_BEST).allowed
            for action in CHANGE_ACTIONS
            for change in CHANGES
        )


@each_org
def test_a_handoff_between_two_others_is_denied_to_every_role(org: str) -> None:
    sender, receiver, *_ = (slug for slug in ORGS if slug != org)
    for asker in members(org):
        for action in HANDOFF_ACTIONS:
            for stage in Stage:
                facts = between(sender, receiver, stage)
                assert not engine_of(org).decide_handoff(asker, action, facts, AT_BEST).allowed


@each_org
def test_an_inactive_member_may_do_nothing(org: str) -> None:
    for asker in members(org):
        assert not any(decision.allowed for decision in everything(replace(asker, active=False)))


@each_org
def test_without_a_second_factor_nothing_is_allowed(org: str) -> None:
    for asker in members(org):
        assert not any(decision.allowed for decision in everything(asker, replace(AT_BEST, mfa=False)))


@each_org
def test_every_role_has_something_to_do_and_no_request_errs(org: str) -> None:
    for asker in members(org):
        decisions = list(everything(asker))
        assert any(decision.allowed for decision in decisions)
        assert not any(decision.error for decision in decisions)


@each_org
def test_break_glass_lifts_the_assignment_never_a_group(org: str) -> None:
    for asker in members(org):
        for action in CASE_ACTIONS:
            allowed = set(allowed_facts(asker, action))
            opened_by_glass = [facts for facts in allowed if facts.glass]
            assert all(replace(facts, glass=False, mine=True) in allowed for facts in opened_by_glass)


@each_org
def test_break_glass_lets_nobody_write(org: str) -> None:
    for asker in members(org):
        for action in (*RECORD.values(), *AMEND.values()):
            allowed = set(allowed_facts(asker, action))
            assert all(replace(facts, glass=False) in allowed for facts in allowed)


@each_org
def test_a_restricted_case_has_no_break_glass(org: str) -> None:
    for asker in members(org):
        assert not any(facts.restricted for facts in allowed_facts(asker, Action.CASE_BREAK_GLASS))


@each_org
def test_a_restricted_case_is_for_its_named_members_and_an_export_for_the_dpo(org: str) -> None:
    exempt = {Action.CONSENT_WITHDRAW, Action.CASE_EXPORT_APPROVE}
    for asker in members(org):
        for action in CASE_ACTIONS - exempt:
            assert not any(facts.restricted and not facts.mine for facts in allowed_facts(asker, action))


@each_org
def test_named_members_alone_add_others_to_a_restricted_case(org: str) -> None:
    for asker in members(org, Role.WORKER, Role.SUPERVISOR):
        restricted = [facts for facts in allowed_facts(asker, Action.CASE_ASSIGN) if facts.restricted]
        assert restricted
        assert all(facts.mine for facts in restricted)


@each_org
def test_a_conflict_of_interest_closes_the_case_save_for_a_withdrawal(org: str) -> None:
    for asker in members(org):
        for action in CASE_ACTIONS - {Action.CONSENT_WITHDRAW}:
            assert not any(facts.conflict for facts in allowed_facts(asker, action))


@each_org
def test_a_closed_case_is_not_written(org: str) -> None:
    for asker in members(org):
        for action in (*RECORD.values(), *AMEND.values()):
            assert all(facts.status is Status.OPEN for facts in allowed_facts(asker, action))


@each_org
def test_an_archived_case_shows_its_identity_and_no_more(org: str) -> None:
    for asker in members(org):
        for group in set(Group) - {Group.IDENTITY}:
            assert all(facts.status is not Status.ARCHIVED for facts in allowed_facts(asker, READ[group]))


def test_an_archived_case_is_read_for_a_rights_request_by_whoever_is_assigned() -> None:
    asker = member("avec", Role.WORKER, Profession.SOCIAL)
    archived = replace(MINE, status=Status.ARCHIVED)
    assert engine_of("avec").decide_case(asker, Action.CASE_READ_SOCIAL, archived, FOR_RIGHTS).allowed


@each_org
@pytest.mark.parametrize("group", CONTENT)
def test_reception_never_reads_or_amends_content(org: str, group: Group) -> None:
    engine, desk = engine_of(org), member(org, Role.RECEPTION)
    for context in favourable_contexts():
        assert engine.allowed_states(desk, READ[group], context) == frozenset()
        assert engine.allowed_states(desk, AMEND[group], context) == frozenset()


@each_org
def test_reception_creates_a_case_with_identity_contact_and_request(org: str) -> None:
    engine, desk = engine_of(org), member(org, Role.RECEPTION)
    needed = [Action.CASE_CREATE, *(RECORD[group] for group in (Group.IDENTITY, Group.CONTACT, Group.INTAKE))]
    assert all(engine.decide_case(desk, action, MINE, AT_BEST).allowed for action in needed)


@each_org
@pytest.mark.parametrize("role", [Role.CUSTODIAN, Role.AUDITOR, Role.DPO])
def test_custodian_auditor_and_dpo_read_no_group_and_list_no_case(org: str, role: Role) -> None:
    engine, asker = engine_of(org), member(org, role, *Profession)
    for action in (Action.CASE_LIST, Action.CASE_READ_LEGAL_NAME, *READ.values()):
        for context in (AT_BEST, FOR_RIGHTS):
            assert engine.allowed_states(asker, action, context) == frozenset()


@each_org
@pytest.mark.parametrize("role", [Role.CUSTODIAN, Role.RECEPTION, Role.WORKER, Role.SUPERVISOR])
def test_the_journal_is_for_auditor_and_dpo_alone(org: str, role: Role) -> None:
    for action in (Action.JOURNAL_READ, Action.JOURNAL_VERIFY, Action.JOURNAL_DETAIL, Action.JOURNAL_REVIEW):
        assert not engine_of(org).decide_org(member(org, role), action, AT_BEST).allowed
        assert engine_of(org).decide_org(member(org, Role.AUDITOR), action, AT_BEST).allowed
        assert engine_of(org).decide_org(member(org, Role.DPO), action, AT_BEST).allowed


@each_org
@pytest.mark.parametrize("role", [Role.RECEPTION, Role.WORKER, Role.SUPERVISOR])
def test_withdrawal_of_consent_is_allowed_off_hours_on_conflict_and_in_every_state(
    org: str, role: Role
) -> None:
    states = engine_of(org).allowed_states(member(org, role), Action.CONSENT_WITHDRAW, AT_WORST)
    assert states == frozenset(range(CASE_STATES))


@each_org
def test_nobody_approves_what_she_proposed(org: str) -> None:
    for asker in members(org):
        for action in CHANGE_ACTIONS - {Action.ERASURE_READ}:
            for kind in ChangeKind:
                mine = ChangeFacts(kind=kind, mine=True)
                assert not engine_of(org).decide_change(asker, action, mine, AT_BEST).allowed


@each_org
def test_every_kind_of_change_can_be_approved_by_its_own_act_alone(org: str) -> None:
    acts = {
        Action.POLICY_APPROVE: ChangeKind.POLICY,
        Action.ERASURE_APPROVE: ChangeKind.ERASURE,
        Action.KEY_RECOVER_APPROVE: ChangeKind.KEY_RECOVERY,
    }
    for action, approved in acts.items():
        for kind in ChangeKind:
            change = ChangeFacts(kind=kind, mine=False)
            decisions = [
                engine_of(org).decide_change(asker, action, change, AT_BEST) for asker in members(org)
            ]
            assert any(decision.allowed for decision in decisions) is (kind is approved)


@each_org
def test_a_copy_is_prepared_by_a_holder_and_approved_by_a_dpo_who_did_not_prepare_it(org: str) -> None:
    engine = engine_of(org)
    preparing = {asker.role for asker in members(org) if _may(asker, Action.CASE_EXPORT_PREPARE)}
    approving = {asker.role for asker in members(org) if _may(asker, Action.CASE_EXPORT_APPROVE)}
    assert approving == {Role.DPO}
    assert preparing
    assert not preparing & approving
    prepared = replace(FOR_RIGHTS, self_target=True)
    assert not engine.decide_case(member(org, Role.DPO), Action.CASE_EXPORT_APPROVE, MINE, prepared).allowed


@each_org
def test_an_erasure_is_prepared_by_who_works_on_the_case_and_approved_by_a_dpo_who_did_not(org: str) -> None:
    engine = engine_of(org)
    preparing = {asker.role for asker in members(org) if _may(asker, Action.CASE_ERASURE_PREPARE)}
    for mine, roles in ((False, {Role.DPO}), (True, set())):
        change = ChangeFacts(kind=ChangeKind.ERASURE, mine=mine)
        approving = {
            asker.role
            for asker in members(org)
            if engine.decide_change(asker, Action.ERASURE_APPROVE, change, AT_BEST).allowed
        }
        assert approving == roles
    assert Role.SUPERVISOR in preparing
    assert preparing.isdisjoint({Role.DPO, Role.CUSTODIAN, Role.AUDITOR})
    for_support = replace(AT_BEST, purpose=Purpose.SUPPORT)
    for asker in members(org):
        assert not engine.decide_case(asker, Action.CASE_ERASURE_PREPARE, MINE, for_support).allowed


@each_org
def test_an_erasure_is_followed_by_the_dpo_and_by_who_prepared_it_alone(org: str) -> None:
    engine = engine_of(org)
    for asker in members(org):
        for mine in (False, True):
            change = ChangeFacts(kind=ChangeKind.ERASURE, mine=mine)
            decision = engine.decide_change(asker, Action.ERASURE_READ, change, WORKING_DAY)
            assert decision.allowed is (mine or asker.role is Role.DPO)


def _may(asker: Asker, action: Action) -> bool:
    return engine_of(asker.org).decide_case(asker, action, MINE, FOR_RIGHTS).allowed


def test_the_custodian_does_not_manage_her_own_rights() -> None:
    keys = member("avec", Role.CUSTODIAN)
    assert engine_of("avec").decide_org(keys, Action.MEMBER_MANAGE, AT_BEST).allowed
    itself = replace(AT_BEST, self_target=True)
    assert not engine_of("avec").decide_org(keys, Action.MEMBER_MANAGE, itself).allowed


@each_org
@pytest.mark.parametrize("action", [Action.HANDOFF_SEND, Action.HANDOFF_ACCEPT, Action.HANDOFF_OPEN])
def test_nobody_sends_accepts_or_opens_a_handoff_without_a_live_consent_to_exactly_it(
    org: str, action: Action
) -> None:
    (other, *_) = (slug for slug in ORGS if slug != org)
    for stage in Stage:
        sent, received = between(org, other, stage), between(other, org, stage)
        for facts in (sent, received):
            given = facts.consent
            assert given is not None
            third = next(slug for slug in ORGS if slug not in {org, other})
            for consent in (
                None,
                replace(given, live=False),
                replace(given, same_content=False),
                replace(given, to=third),
                replace(given, groups=frozenset({Group.IDENTITY})),
            ):
                uncovered = replace(facts, consent=consent)
                for asker in members(org, Role.RECEPTION, Role.WORKER, Role.SUPERVISOR):
                    assert not engine_of(org).decide_handoff(asker, action, uncovered, AT_BEST).allowed


STAGES = {
    Action.HANDOFF_DRAFT: {Stage.DRAFT, Stage.CONSENTED},
    Action.HANDOFF_SEND: {Stage.CONSENTED},
    Action.HANDOFF_CANCEL: {Stage.DRAFT, Stage.CONSENTED, Stage.SENT, Stage.RECEIVED, Stage.NEEDS_INFO},
    Action.HANDOFF_READ: set(Stage),
    Action.HANDOFF_ACCEPT: {Stage.SENT, Stage.RECEIVED, Stage.NEEDS_INFO},
    Action.HANDOFF_DECLINE: {Stage.SENT, Stage.RECEIVED, Stage.NEEDS_INFO},
    Action.HANDOFF_OPEN: {Stage.ACCEPTED, Stage.SCHEDULED, Stage.ATTENDED, Stage.NO_SHOW, Stage.COMPLETED},
    Action.HANDOFF_OUTCOME: {Stage.ACCEPTED, Stage.SCHEDULED, Stage.ATTENDED, Stage.NO_SHOW},
}


@each_org
@pytest.mark.parametrize("action", sorted(HANDOFF_ACTIONS))
def test_each_act_on_a_handoff_belongs_to_its_stages_and_its_side(org: str, action: Action) -> None:
    (other, *_) = (slug for slug in ORGS if slug != org)
    head = member(org, Role.SUPERVISOR)
    sending = {Action.HANDOFF_DRAFT, Action.HANDOFF_SEND, Action.HANDOFF_CANCEL, Action.HANDOFF_READ}
    receiving = HANDOFF_ACTIONS - sending | {Action.HANDOFF_READ}

    def stages(sender: str, receiver: str) -> set[Stage]:
        return {
            stage
            for stage in Stage
            if engine_of(org).decide_handoff(head, action, between(sender, receiver, stage), AT_BEST).allowed
        }

    unseen = {Stage.DRAFT, Stage.CONSENTED} if action is Action.HANDOFF_READ else set[Stage]()
    assert stages(org, other) == (STAGES[action] if action in sending else set())
    assert stages(other, org) == (STAGES[action] - unseen if action in receiving else set())
    assert stages(org, org) == set()


@each_org
def test_acceptance_needs_no_group_that_the_supervisor_may_read(org: str) -> None:
    """She takes responsibility; the parts stay sealed until a holder opens them."""
    (other, *_) = (slug for slug in ORGS if slug != org)
    head = member(org, Role.SUPERVISOR)
    received = replace(between(other, org), mine=False)
    assert engine_of(org).decide_handoff(head, Action.HANDOFF_ACCEPT, received, AT_BEST).allowed


def test_the_plannings_supervisor_accepts_health_that_she_cannot_read() -> None:
    head = member("planning", Role.SUPERVISOR)
    groups = frozenset({Group.IDENTITY, Group.HEALTH})
    received = handoff(Stage.SENT, to="planning", groups=groups)
    assert engine_of("planning").decide_handoff(head, Action.HANDOFF_ACCEPT, received, AT_BEST).allowed
    assert not engine_of("planning").allowed_states(head, Action.CASE_READ_HEALTH, AT_BEST)


@each_org
def test_a_conflict_of_interest_closes_the_handoff(org: str) -> None:
    (other, *_) = (slug for slug in ORGS if slug != org)
    for asker in members(org):
        for action in HANDOFF_ACTIONS:
            for stage in (Stage.CONSENTED, Stage.SENT, Stage.ACCEPTED):
                for facts in (between(org, other, stage), between(other, org, stage)):
                    conflicted = replace(facts, conflict=True)
                    assert not engine_of(org).decide_handoff(asker, action, conflicted, AT_BEST).allowed


@each_org
@pytest.mark.parametrize("role", [Role.AUDITOR, Role.CUSTODIAN])
def test_auditor_and_custodian_see_no_handoff(org: str, role: Role) -> None:
    (other, *_) = (slug for slug in ORGS if slug != org)
    for action in HANDOFF_ACTIONS:
        for facts in (between(org, other), between(other, org)):
            assert not engine_of(org).decide_handoff(member(org, role), action, facts, AT_BEST).allowed


def test_every_fact_is_used_by_some_policy() -> None:
    """A fact that no rule reads would be collected for nothing."""
    texts = " ".join(str(policy.body) for org in ORGS for policy in engine_of(org).policies)
    assert all(f"'{fact}'" in texts for fact in Fact)
