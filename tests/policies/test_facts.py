from itertools import combinations, product

import pytest

from policies.facts import ALL_CASE_FACTS, CASE_STATES, Asker, CaseFacts, Context
from policies.vocabulary import Fact, Profession, Purpose, Role, Status


def test_the_96_states_are_numbered_without_gap_or_double() -> None:
    packed = {
        CaseFacts(
            mine=mine, my_team=team, restricted=restricted, conflict=conflict, glass=glass, status=status
        ).bits
        for mine, team, restricted, conflict, glass in product((False, True), repeat=5)
        for status in Status
    }
    assert packed == set(range(CASE_STATES))


def test_unpacking_gives_the_packed_facts_back() -> None:
    assert [facts.bits for facts in ALL_CASE_FACTS] == list(range(CASE_STATES))
    assert all(CaseFacts.from_bits(facts.bits) == facts for facts in ALL_CASE_FACTS)


@pytest.mark.parametrize("bits", [-1, 96, 128])
def test_a_number_that_is_no_state_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=str(bits)):
        CaseFacts.from_bits(bits)


def test_each_fact_weighs_its_own_bit() -> None:
    for fact, weight in CaseFacts.WEIGHTS.items():
        assert [bool(getattr(facts, fact)) for facts in ALL_CASE_FACTS] == [
            bool(facts.bits & weight) for facts in ALL_CASE_FACTS
        ]
    assert CaseFacts.WEIGHTS.keys() == set(Fact)


def test_a_new_case_is_hers_and_open_and_nothing_else() -> None:
    assert CaseFacts.of_a_new_case() == CaseFacts(
        mine=True, my_team=False, restricted=False, conflict=False, glass=False, status=Status.OPEN
    )


def test_no_two_kinds_of_asker_share_a_number() -> None:
    professions = [frozenset(some) for size in range(5) for some in combinations(Profession, size)]
    askers = [
        Asker(org="avec", role=role, professions=held, active=active)
        for role in Role
        for held in professions
        for active in (True, False)
    ]
    assert len({asker.bits for asker in askers}) == len(askers) == 192


def test_no_two_contexts_share_a_number() -> None:
    contexts = [
        Context(
            mfa=mfa,
            step_up=step_up,
            reason=reason,
            device=device,
            hours=hours,
            self_target=itself,
            purpose=purpose,
        )
        for mfa, step_up, reason, device, hours, itself in product((False, True), repeat=6)
        for purpose in Purpose
    ]
    assert {context.bits for context in contexts} == set(range(384))
