import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import Engine
from policies.facts import ALL_CASE_FACTS, CASE_STATES
from policies.filters import minimise
from policies.vocabulary import CASE_ACTIONS, Action, Fact, Role, Status
from tests.policies.situations import AT_BEST, MEMBERS, ORGS, WORKING_DAY, engine_of, member


def covered(cubes: tuple[object, ...]) -> set[int]:
    return {facts.bits for facts in ALL_CASE_FACTS if any(cube.covers(facts) for cube in cubes)}  # type: ignore[attr-defined]


@given(st.sets(st.integers(0, CASE_STATES - 1)))
@settings(max_examples=60, deadline=None)
def test_the_cubes_of_any_set_of_states_are_exactly_these_states(states: set[int]) -> None:
    assert covered(minimise(states)) == states


def test_no_state_is_no_cube_and_every_state_is_one_cube_that_asks_nothing() -> None:
    assert minimise([]) == ()
    (everything,) = minimise(range(CASE_STATES))
    assert (everything.required, everything.statuses) == ((), frozenset(Status))


def test_a_cube_is_as_large_as_it_can_be() -> None:
    mine = {facts.bits for facts in ALL_CASE_FACTS if facts.mine and not facts.conflict}
    (cube,) = minimise(mine)
    assert dict(cube.required) == {Fact.MINE: True, Fact.CONFLICT: False}


@pytest.mark.parametrize("org", ORGS)
def test_list_filters_agree_with_the_allowed_states_for_every_role_and_action(org: str) -> None:
    engine = engine_of(org)
    for role, professions in MEMBERS:
        asker = member(org, role, *professions)
        for action in CASE_ACTIONS:
            allowed = engine.allowed_states(asker, action, AT_BEST)
            assert covered(engine.list_filter(asker, action, AT_BEST)) == allowed
            # A second time, from the memo.
            assert covered(engine.list_filter(asker, action, AT_BEST)) == allowed


@pytest.mark.parametrize("org", ORGS)
def test_list_filters_agree_with_point_decisions_taken_by_another_engine(org: str) -> None:
    """The other engine has never filled a table: each of its decisions is one request to Cedar."""
    one_by_one = Engine.load(org, ORGS)
    for role, professions in MEMBERS:
        asker = member(org, role, *professions)
        point = {
            facts.bits
            for facts in ALL_CASE_FACTS
            if one_by_one.decide_case(asker, Action.CASE_LIST, facts, WORKING_DAY).allowed
        }
        assert covered(engine_of(org).list_filter(asker, Action.CASE_LIST, WORKING_DAY)) == point


@pytest.mark.parametrize("org", ORGS)
def test_an_auditors_list_is_false_and_needs_no_query(org: str) -> None:
    assert engine_of(org).list_filter(member(org, Role.AUDITOR), Action.CASE_LIST, AT_BEST) == ()


@pytest.mark.parametrize("org", ORGS)
def test_a_list_filter_is_a_handful_of_cubes(org: str) -> None:
    for role, professions in MEMBERS:
        assert (
            len(engine_of(org).list_filter(member(org, role, *professions), Action.CASE_LIST, AT_BEST)) <= 4
        )
