"""A question goes into words and comes back the same; words that say none are refused."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.asked import CIRCUMSTANCES, NotAQuestion, Question, question_of, words_of
from policies.facts import ALL_CASE_FACTS, Asker, CaseFacts, ChangeFacts, Context
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    ORG_ACTIONS,
    Action,
    ChangeKind,
    Profession,
    Purpose,
    Role,
    Stage,
)
from tests.policies.situations import WORKING_DAY, handoff, member

_CHANGES = [ChangeFacts(kind=kind, mine=mine) for kind, mine in product(ChangeKind, (True, False))]
_acts = st.one_of(
    st.tuples(st.sampled_from(sorted(CASE_ACTIONS)), st.sampled_from(ALL_CASE_FACTS)),
    st.tuples(st.sampled_from(sorted(CHANGE_ACTIONS)), st.sampled_from(_CHANGES)),
    st.tuples(st.sampled_from(sorted(ORG_ACTIONS)), st.none()),
)
_askers = st.builds(
    Asker,
    org=st.just("avec"),
    role=st.sampled_from(Role),
    professions=st.frozensets(st.sampled_from(Profession)),
    active=st.booleans(),
)
_contexts = st.builds(
    Context, **{name: st.booleans() for name in CIRCUMSTANCES}, purpose=st.sampled_from(Purpose)
)


@given(_askers, _acts, _contexts)
def test_a_question_is_read_back_from_its_words(
    asker: Asker, act: tuple[Action, CaseFacts | ChangeFacts | None], context: Context
) -> None:
    question = Question(asker, act[0], act[1], context)
    words = words_of(question)
    assert list(words) == sorted(set(words))
    assert question_of("avec", asker.role, context.purpose, act[0], words) == question


def test_the_words_say_what_holds_and_nothing_else() -> None:
    facts = CaseFacts(
        mine=True,
        my_team=False,
        restricted=True,
        conflict=False,
        glass=False,
        status=ALL_CASE_FACTS[0].status,
    )
    asker = member("avec", Role.WORKER, Profession.JURIST)
    words = words_of(Question(asker, Action.CASE_READ_LEGAL, facts, WORKING_DAY))
    assert words == (
        "active",
        "device",
        "hours",
        "mfa",
        "mine",
        "profession.jurist",
        "restricted",
        "status.open",
    )


@pytest.mark.parametrize(
    ("role", "purpose", "action", "words"),
    [
        ("nurse", "support", "case.list", ("status.open",)),
        ("worker", "curiosity", "case.list", ("status.open",)),
        ("worker", "support", "case.shred", ("status.open",)),
        ("worker", "support", "case.list", ("mine",)),
        ("worker", "support", "case.list", ("status.open", "status.closed")),
        ("worker", "support", "case.list", ("status.lost",)),
        ("worker", "support", "case.list", ("status.open", "friend")),
        ("worker", "support", "case.list", ("status.open", "profession.midwife")),
        ("worker", "support", "case.list", ("status.open", "kind.policy")),
        ("worker", "support", "policy.approve", ("mine",)),
        ("worker", "support", "journal.read", ("mine",)),
        *(("worker", "support", str(action), ()) for action in sorted(HANDOFF_ACTIONS)),
    ],
)
def test_words_that_say_no_question_are_refused(
    role: str, purpose: str, action: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(NotAQuestion):
        question_of("avec", role, purpose, action, words)


def test_of_a_handoff_no_word_says_how_it_is_nor_which_groups_it_holds() -> None:
    question = Question(
        member("avec", Role.WORKER), Action.HANDOFF_SEND, handoff(Stage.CONSENTED, mine=True), WORKING_DAY
    )
    assert words_of(question) == ("active", "device", "hours", "mfa")
