import pytest

from policies.grants import INDEX, JOURNAL, granted_groups
from policies.vocabulary import Group, Profession, Role
from tests.policies.situations import MEMBERS, ORGS, engine_of

DESK = {"identity", "contact", "intake", INDEX}


@pytest.mark.parametrize(
    ("org", "role", "profession", "compartments"),
    [
        ("avec", Role.RECEPTION, None, DESK),
        ("avec", Role.WORKER, Profession.SOCIAL, {*DESK, "safety", "social", "family", "legal"}),
        ("avec", Role.WORKER, Profession.PSYCHOLOGIST, {*DESK, "safety", "social", "family", "health"}),
        ("avec", Role.SUPERVISOR, None, {*DESK, "safety", "social", "family", "legal"}),
        ("cidff", Role.WORKER, Profession.JURIST, {*DESK, "safety", "social", "family", "legal"}),
        ("cidff", Role.WORKER, Profession.SOCIAL, {*DESK, "safety", "social", "family"}),
        ("cidff", Role.WORKER, Profession.HEALTH, {*DESK, "safety", "social", "family"}),
        ("planning", Role.RECEPTION, None, {"identity", "intake", INDEX}),
        ("planning", Role.WORKER, Profession.HEALTH, {*DESK, "safety", "social", "health"}),
        ("planning", Role.WORKER, Profession.SOCIAL, {*DESK, "safety", "social"}),
        ("planning", Role.SUPERVISOR, None, {*DESK, "safety", "social"}),
        ("med", Role.RECEPTION, None, DESK),
        ("med", Role.SUPERVISOR, None, DESK),
        ("med", Role.WORKER, Profession.SOCIAL, set()),
    ],
)
def test_a_membership_is_granted_the_groups_that_it_may_ever_read(
    org: str, role: Role, profession: Profession | None, compartments: set[str]
) -> None:
    professions = frozenset({profession} if profession else ())
    assert granted_groups(engine_of(org), role, professions) == compartments


@pytest.mark.parametrize("org", ORGS)
def test_a_custodian_is_granted_nothing_an_auditor_and_a_dpo_the_journal_alone(org: str) -> None:
    every = frozenset(Profession)
    assert granted_groups(engine_of(org), Role.CUSTODIAN, every) == frozenset()
    assert granted_groups(engine_of(org), Role.AUDITOR, every) == {JOURNAL}
    assert granted_groups(engine_of(org), Role.DPO, every) == {JOURNAL}


@pytest.mark.parametrize("org", ORGS)
def test_two_roles_at_least_may_hold_what_every_organisation_keeps(org: str) -> None:
    engine = engine_of(org)
    for group in (Group.IDENTITY, Group.INTAKE):
        roles = {role for role, professions in MEMBERS if group in granted_groups(engine, role, professions)}
        assert len(roles) >= 2
