"""What a change of an organisation's policies gives and takes: exhaustive, over every state of every act.

Two engines that share the base rules are compared on sets of states (``truth.Truth``); what differs is put into few
words by covering it with cubes. States that a base rule forbids to all are not told: nothing an organisation writes
changes them, and so a word that only they would need is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from policies.engine import Engine
from policies.grants import granted_groups
from policies.lint import Policy
from policies.truth import ROLE, Space, Truth, Value, Variable, named_in
from policies.vocabulary import Action, Profession, Role

Cube = Mapping[str, tuple[Value, ...]]
"""The values that each variable named in it may have; what it does not name may have any."""


class BasesDiffer(ValueError):
    """The two sets do not stand on the same base rules: a diff of one organisation's file says nothing of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a role gains or loses: ``action``, in the states of ``cube``."""

    gains: bool
    role: Role
    action: Action
    cube: Cube


def compare(old: Engine, new: Engine) -> tuple[Change, ...]:
    """Everything that members of the organisation may do under one of the two engines and not under the other.

    Raises ``BasesDiffer`` unless both are of one organisation and share the base rules.
    """
    if old.org != new.org or _shared(old) != _shared(new):
        raise BasesDiffer(old.org)
    named = named_in((old, new))
    before, after = Truth(old, *named), Truth(new, *named)
    return tuple(change for action in Action for change in _changes(before, after, action))


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A compartment's key that a role, with at most this profession, is to be given or may hold no longer."""

    gains: bool
    role: Role
    profession: Profession | None
    compartment: str


def key_changes(old: Engine, new: Engine) -> tuple[KeyChange, ...]:
    """Whose keys follow from the change: to be granted, or to be renewed where it is no longer hers."""
    found = []
    for role, profession in _POSITIONS:
        professions = frozenset({profession} if profession else ())
        before, after = (granted_groups(engine, role, professions) for engine in (old, new))
        found += [KeyChange(True, role, profession, name) for name in sorted(after - before)]
        found += [KeyChange(False, role, profession, name) for name in sorted(before - after)]
    return tuple(found)


_POSITIONS: tuple[tuple[Role, Profession | None], ...] = (
    *((role, None) for role in Role),
    *((Role.WORKER, profession) for profession in Profession),
)


def _changes(before: Truth, after: Truth, action: Action) -> Iterator[Change]:
    if _rules(before.covering(action)) == _rules(after.covering(action)):
        return
    space = _space(before, after, action)
    old, new = before.allowed(action, space), after.allowed(action, space)
    told = space.full & ~before.forbidden_to_all(action, space)
    for gains, states in ((False, old & ~new), (True, new & ~old)):
        for role, these, told_of_role in zip(Role, space.slices(states), space.slices(told), strict=True):
            cubes = cover(space.inner, these, these | (space.inner.full & ~told_of_role))
            for cube in _needed(space.inner, cubes, these):
                yield Change(gains, role, action, cube)


def _needed(space: Space, cubes: Sequence[Cube], states: int) -> Iterator[Cube]:
    """The cubes without those whose states the others hold: what a base rule forbids makes some superfluous."""
    kept = list(cubes)
    for cube in cubes:
        others = [other for other in kept if other is not cube]
        if not states & ~_states(space, others):
            kept = others
    yield from kept


def _space(before: Truth, after: Truth, action: Action) -> Space:
    """The role first, then what either looks at."""
    found = before.variables(action) | after.variables(action)
    rest = sorted(
        (variable for variable in found if variable.name != ROLE), key=lambda variable: variable.name
    )
    return Space((Variable(ROLE, tuple(Role)), *rest))


def _rules(policies: Sequence[Policy]) -> list[str]:
    """What the policies say, whatever their names and their order."""
    return sorted(
        repr({name: part for name, part in policy.body.items() if name != "annotations"})
        for policy in policies
    )


def _shared(engine: Engine) -> list[str]:
    return _rules([policy for policy in engine.policies if policy.source != engine.org])


def cover(space: Space, states: int, at_most: int) -> list[Cube]:
    """Cubes that hold all of ``states`` and nothing outside ``at_most``, which contains them.

    Irredundant sums of products by recursion on the variables (Minato 1992, "Fast generation of irredundant
    sum-of-products forms from binary decision diagrams"), with variables of more than two values.
    """
    if not states:
        return []
    if at_most == space.full:
        return [{}]
    first, inner = space.variables[0], space.inner
    needed, possible = space.slices(states), space.slices(at_most)
    whatever = inner.full
    for part in possible:
        whatever &= part
    any_value = 0
    for part in needed:
        any_value |= part
    # First what holds whatever the value: those cubes do not name the variable.
    cubes = cover(inner, any_value & whatever, whatever)
    covered = _states(inner, cubes)
    left = sorted(
        (
            (part & ~covered, limit, value)
            for part, limit, value in zip(needed, possible, first.values, strict=True)
            if part & ~covered
        ),
        key=lambda item: item[0],
    )
    for rest, alike in groupby(left, key=lambda item: item[0]):
        same = list(alike)
        limit = inner.full
        for _, possible_here, _ in same:
            limit &= possible_here
        values = tuple(value for value in first.values if value in {item[2] for item in same})
        cubes += [{first.name: values, **cube} for cube in cover(inner, rest, limit)]
    return cubes


def _states(space: Space, cubes: Sequence[Cube]) -> int:
    states = 0
    for cube in cubes:
        states |= states_of(space, cube)
    return states


def states_of(space: Space, cube: Cube) -> int:
    """The states that a cube holds."""
    if not space.variables:
        return 1
    first, inner = space.variables[0], space.inner
    part = states_of(inner, cube)
    states = 0
    for number, value in enumerate(first.values):
        if value in cube.get(first.name, first.values):
            states |= part << number * inner.size
    return states
