"""Which compartments' keys a membership is granted: derived from the policies, never kept by hand."""

from functools import cache, lru_cache

from policies.engine import Engine
from policies.facts import ALL_CASE_FACTS, Asker, Context
from policies.vocabulary import READ, Action, Group, Profession, Purpose, Role, Status

JOURNAL = "journal"
INDEX = "index"

# Any state without break-glass, which lifts the assignment and never a group. States with a conflict are left
# out: the base rules, which no organisation lifts, refuse every one. What usually suffices comes first.
_STATES = tuple(
    sorted(
        (facts for facts in ALL_CASE_FACTS if not facts.glass and not facts.conflict),
        key=lambda facts: (not facts.mine, facts.restricted, facts.my_team, facts.status is not Status.OPEN),
    )
)


@cache
def favourable_contexts() -> tuple[Context, ...]:
    """One context for each purpose, in which everything that a request can satisfy is satisfied."""
    return tuple(
        Context(
            mfa=True, step_up=True, reason=True, device=True, hours=True, self_target=False, purpose=purpose
        )
        for purpose in Purpose
    )


def granted_groups(engine: Engine, role: Role, professions: frozenset[Profession]) -> frozenset[str]:
    """The compartments whose keys an active member of this role and these professions is granted.

    A field group when she may read it in some state without break-glass, for some purpose; ``journal`` when
    she may read the journal's sealed detail; ``index`` when she may list cases in some state. None for a role
    that opens nothing.
    """
    names = (*map(str, Group), INDEX, JOURNAL)
    return frozenset(name for name in names if is_granted(engine, role, professions, name))


# Some hundredths of a second each that is not granted; the policies of an engine never change.
@lru_cache(maxsize=1_024)
def is_granted(engine: Engine, role: Role, professions: frozenset[Profession], compartment: str) -> bool:
    """Tell whether ``granted_groups`` holds this compartment: it costs far less where it does."""
    asker = Asker(org=engine.org, role=role, professions=professions, active=True)
    if compartment == JOURNAL:
        return any(
            engine.decide_org(asker, Action.JOURNAL_DETAIL, context).allowed
            for context in favourable_contexts()
        )
    return _may_ever(engine, asker, Action.CASE_LIST if compartment == INDEX else READ[Group(compartment)])


def _may_ever(engine: Engine, asker: Asker, action: Action) -> bool:
    likely, *others = _STATES
    return any(
        engine.decide_case(asker, action, likely, context).allowed for context in favourable_contexts()
    ) or any(
        decision.allowed
        for context in favourable_contexts()
        for decision in engine.decide_cases(asker, action, others, context)
    )
