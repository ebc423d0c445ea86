"""Whatever is asked and by whom: one forbid more, or one permit less, allows nothing that was refused."""

from collections.abc import Sequence
from enum import StrEnum

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import Engine
from policies.facts import CASE_STATES, Asker, CaseFacts, ChangeFacts, ConsentFacts, Context, HandoffFacts
from policies.phrases import Phrase, Verdict, decide
from policies.sources import BASE, Source, base_source, org_source
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    ORG_ACTIONS,
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
from tests.policies.mutation import mutants
from tests.policies.situations import ORGS, engine_of

a_claim = st.booleans()
an_org = st.sampled_from(ORGS)
some_groups = st.frozensets(st.sampled_from(Group), min_size=1)

case_facts = st.integers(0, CASE_STATES - 1).map(CaseFacts.from_bits)
change_facts = st.builds(ChangeFacts, kind=st.sampled_from(ChangeKind), mine=a_claim)
handoff_facts = st.builds(
    HandoffFacts,
    from_=an_org,
    to=an_org,
    groups=some_groups,
    stage=st.sampled_from(Stage),
    mine=a_claim,
    # Rarely, so that something is allowed.
    conflict=st.integers(0, 7).map(lambda drawn: drawn == 0),
    consent=st.none()
    | st.builds(
        ConsentFacts, live=a_claim, same_content=a_claim, to=an_org, groups=st.just(frozenset(Group))
    ),
)
contexts = st.builds(
    Context,
    mfa=st.integers(0, 7).map(bool),
    step_up=a_claim,
    reason=a_claim,
    device=a_claim,
    hours=a_claim,
    self_target=a_claim,
    purpose=st.sampled_from(Purpose),
)


def askers(org: str) -> st.SearchStrategy[Asker]:
    return st.builds(
        Asker,
        org=st.just(org),
        role=st.sampled_from(Role),
        professions=st.frozensets(st.sampled_from(Profession)),
        active=st.integers(0, 7).map(bool),
    )


@st.composite
def questions(draw: st.DrawFn, org: str) -> Phrase:
    action = draw(st.sampled_from(sorted(set(Action) - CASE_ACTIONS)))
    facts = None
    if action in HANDOFF_ACTIONS:
        facts = draw(handoff_facts)
    elif action in CHANGE_ACTIONS:
        facts = draw(change_facts)
    return Phrase("", draw(askers(org)), action, facts, draw(contexts), Verdict.ALLOW, "")


def words(kind: type[StrEnum]) -> list[str]:
    return [f'{kind.__name__}::"{value}"' for value in kind]


ABOUT_THE_REQUEST = [
    *(f"context.{claim}" for claim in ("mfa", "step_up", "reason", "device", "hours", "self_target")),
    *(f"context.purpose == {purpose}" for purpose in words(Purpose)),
    *(f"principal in {role}" for role in words(Role)),
    *(f"principal.professions.contains({profession})" for profession in words(Profession)),
]
# No organisation's file may speak of these.
_OF_ALL = {Action.POLICY_PROPOSE, Action.POLICY_APPROVE}
# By the kind of resource: the acts on it, and what a condition may say of it.
KINDS: list[tuple[Sequence[Action], list[str]]] = [
    (
        sorted(CASE_ACTIONS - {Action.CONSENT_WITHDRAW}),
        [
            *(f"resource.{fact}" for fact in Fact),
            *(f"resource.status == {status}" for status in words(Status)),
        ],
    ),
    (
        sorted(HANDOFF_ACTIONS),
        [
            "resource.mine",
            "(resource has consent && resource.consent.live)",
            *(f"resource.stage == {stage}" for stage in words(Stage)),
            *(f"resource.groups.contains({group})" for group in words(Group)),
        ],
    ),
    (
        sorted(CHANGE_ACTIONS - _OF_ALL),
        ["resource.mine", *(f"resource.kind == {kind}" for kind in words(ChangeKind))],
    ),
    (sorted(ORG_ACTIONS - _OF_ALL), []),
]


@st.composite
def forbids(draw: st.DrawFn, org: str) -> str:
    """A forbid that an organisation could add: on any acts on one kind of resource, under any conditions."""
    acts, about_the_resource = draw(st.sampled_from(KINDS))
    named = draw(st.lists(st.sampled_from(acts), min_size=1, max_size=4, unique=True))
    said = st.sampled_from([*ABOUT_THE_REQUEST, *about_the_resource])
    negated = st.builds("{}({})".format, st.sampled_from(["", "!"]), said)
    junction = st.sampled_from([" && ", " || "])
    expression = st.builds(
        lambda joint, parts: joint.join(parts), junction, st.lists(negated, min_size=1, max_size=3)
    )
    clause = st.builds("{} {{ {} }}".format, st.sampled_from(["when", "unless"]), expression)
    scope = ", ".join(f'Action::"{action}"' for action in named)
    return (
        f'@id("{org}.added") @title("Ajoutée") forbid (principal in Org::"{org}", action in [{scope}], '
        f'resource in Org::"{org}") {" ".join(draw(st.lists(clause, max_size=2)))};'
    )


def assert_nothing_is_wider(before: Engine, after: Engine, data: st.DataObject) -> None:
    """On what Hypothesis draws: whole tables of cases, with their list filters, and single other questions."""
    asker, context = data.draw(askers(before.org)), data.draw(contexts)
    for action in data.draw(
        st.lists(st.sampled_from(sorted(CASE_ACTIONS)), min_size=1, max_size=2, unique=True)
    ):
        allowed = after.allowed_states(asker, action, context)
        assert allowed <= before.allowed_states(asker, action, context)
        listed = after.list_filter(asker, action, context)
        assert {
            facts.bits
            for facts in map(CaseFacts.from_bits, range(CASE_STATES))
            if any(cube.covers(facts) for cube in listed)
        } == allowed
    for question in data.draw(st.lists(questions(before.org), min_size=1, max_size=12)):
        assert decide(before, question).allowed or not decide(after, question).allowed


@given(an_org, st.data())
@settings(max_examples=25, deadline=None)
def test_an_added_forbid_never_widens(org: str, data: st.DataObject) -> None:
    added = Source(org, f"{org_source(org).text}\n{data.draw(forbids(org))}")
    assert_nothing_is_wider(engine_of(org), Engine(org, ORGS, [base_source(), added]), data)


# What stands in a file without each of its permits.
WITHOUT_PERMIT = {
    (mutant.file, mutant.policy): mutant.others
    for source in (base_source(), *map(org_source, ORGS))
    for mutant in mutants(source)
    if mutant.change == "removed" and mutant.effect == "permit"
}


@given(an_org, st.data())
@settings(max_examples=25, deadline=None)
def test_a_removed_permit_never_widens(org: str, data: st.DataObject) -> None:
    file, policy = data.draw(st.sampled_from([key for key in WITHOUT_PERMIT if key[0] in {BASE, org}]))
    less = {file: WITHOUT_PERMIT[file, policy]}
    sources = [
        Source(name, less.get(name, source.text))
        for name, source in ((BASE, base_source()), (org, org_source(org)))
    ]
    after = Engine(org, ORGS, sources)
    assert policy not in {loaded.id for loaded in after.policies}
    assert_nothing_is_wider(engine_of(org), after, data)
