"""What an organisation's policies allow, as sets of states: exhaustive, and told by Cedar itself.

A policy looks at few things (a role, two facts, the device). Cedar is asked about every combination of what a
policy mentions, once, with every policy turned into a permit so that the answer names each one that applies. The
decision then follows on sets of states, integers of one bit a state: allowed where a permit applies and no forbid.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import cedarpy

from policies.asked import CIRCUMSTANCES
from policies.cedar import CedarSet, uid
from policies.engine import (
    Engine,
    case_entity,
    change_entity,
    circumstances,
    handoff_entity,
    member_entity,
    resource_uid,
)
from policies.facts import Asker, CaseFacts, ChangeFacts, ConsentFacts, Context, HandoffFacts
from policies.lint import Policy
from policies.sources import BASE, schema_for
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
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

Value = str | bool
State = Mapping[str, Value]
"""A value for each variable that is looked at; what is not named is as in ``_USUAL``."""

ROLE = "role"
CONSENT = "consent"
PARTNER = "partner"
SENT = "sent"
OTHER_GROUP = "group:"
_EITHER: tuple[Value, ...] = (True, False)
# Of handoffs: what a consent is to exactly what is sent, by the ways in which it can be none.
CONSENTS = ("live", "withdrawn", "other_content", "identity_only", "none")
# Stands for every organisation that no policy names.
_ANOTHER = "une-autre"
# Cedar holds the interpreter's lock for a whole batch.
_BATCH = 48


@dataclass(frozen=True, slots=True)
class Variable:
    """Something that policies look at, and its values in their order."""

    name: str
    values: tuple[Value, ...]


_ROLES = Variable(ROLE, tuple(Role))
_PROFESSIONS = tuple(Variable(f"profession:{profession}", _EITHER) for profession in Profession)
_SIMPLE = {
    **{name: Variable(name, _EITHER) for name in CIRCUMSTANCES},
    **{str(fact): Variable(str(fact), _EITHER) for fact in Fact},
    "purpose": Variable("purpose", tuple(Purpose)),
    "status": Variable("status", tuple(Status)),
    "stage": Variable("stage", tuple(Stage)),
    "kind": Variable("kind", tuple(ChangeKind)),
    CONSENT: Variable(CONSENT, CONSENTS),
}
_USUAL: dict[str, Value] = {
    ROLE: Role.WORKER,
    **dict.fromkeys(CIRCUMSTANCES, True),
    **dict.fromkeys(map(str, Fact), False),
    "purpose": Purpose.SUPPORT,
    "status": Status.OPEN,
    "stage": Stage.SENT,
    "kind": ChangeKind.POLICY,
    CONSENT: "live",
    SENT: True,
}


@dataclass(frozen=True, slots=True)
class Space:
    """Every combination of the variables' values; a set of states is an integer of ``size`` bits."""

    variables: tuple[Variable, ...]

    @property
    def size(self) -> int:
        size = 1
        for variable in self.variables:
            size *= len(variable.values)
        return size

    @property
    def full(self) -> int:
        return (1 << self.size) - 1

    @property
    def inner(self) -> "Space":
        """The space without its first variable."""
        return Space(self.variables[1:])

    def slices(self, states: int) -> list[int]:
        """A set of states by the first variable's values."""
        inner = self.inner
        return [
            (states >> number * inner.size) & inner.full for number in range(len(self.variables[0].values))
        ]

    def spread(self, looked_at: frozenset[str], rows: Sequence[State]) -> int:
        """The states of which ``rows`` say everything that is looked at."""
        if not rows:
            return 0
        if not self.variables:
            return 1
        first, inner = self.variables[0], self.inner
        states = 0
        if first.name not in looked_at:
            same = inner.spread(looked_at, rows)
            for number in range(len(first.values)):
                states |= same << number * inner.size
            return states
        for number, value in enumerate(first.values):
            these = [row for row in rows if row[first.name] == value]
            states |= inner.spread(looked_at, these) << number * inner.size
        return states


class Truth:
    """What each policy of an engine applies to.

    ``groups`` and ``partners``: the field groups and the other organisations that policies tell apart by name, in
    any of the engines that are to be compared (``named_in``); all others stand for one another.
    """

    def __init__(self, engine: Engine, groups: frozenset[Group], partners: frozenset[str]) -> None:
        self.org = engine.org
        self.policies = engine.policies
        schema = schema_for({*engine.orgs, *partners, _ANOTHER})
        self._whole = _as_permits(schema, engine.policies, conditions=True)
        self._scopes = _as_permits(schema, engine.policies, conditions=False)
        self._groups = tuple(group for group in Group if group in groups)
        self._partner = Variable(PARTNER, (*sorted(partners), _ANOTHER))
        self._covering: dict[Action, tuple[Policy, ...]] = {}
        self._rows: dict[tuple[str, str, Action | None], list[State]] = {}

    def covering(self, action: Action) -> tuple[Policy, ...]:
        """The policies that are about ``action``, whoever asks."""
        if action not in self._covering:
            named = frozenset[str]().union(*self._ask(self._scopes, action, [{}]))
            self._covering[action] = tuple(policy for policy in self.policies if policy.id in named)
        return self._covering[action]

    def variables(self, action: Action) -> frozenset[Variable]:
        """What the policies about ``action`` look at, beside the asker's role."""
        return frozenset().union(*(self._looked_at(policy, action) for policy in self.covering(action)))

    def allowed(self, action: Action, space: Space) -> int:
        """The states in which an active member of the organisation may do ``action``."""
        permitted = forbidden = 0
        for policy in self.covering(action):
            if policy.body["effect"] == "permit":
                permitted |= self._applies(policy, action, space)
            else:
                forbidden |= self._applies(policy, action, space)
        return permitted & ~forbidden

    def forbidden_to_all(self, action: Action, space: Space) -> int:
        """The states that a base rule forbids, whatever an organisation says."""
        states = 0
        for policy in self.covering(action):
            if policy.source == BASE and policy.body["effect"] == "forbid":
                states |= self._applies(policy, action, space)
        return states

    def _applies(self, policy: Policy, action: Action, space: Space) -> int:
        looked_at = self._looked_at(policy, action)
        names = [variable.name for variable in looked_at]
        # Two acts on the same kind of thing are one to a policy that covers both, unless it asks which it is.
        about = action if _mentions(policy.body["conditions"], "Var", "action") else None
        rows = self._rows.get((policy.id, _kind(action), about))
        if rows is None:
            combinations = product(*(variable.values for variable in looked_at))
            states: list[State] = [dict(zip(names, values, strict=True)) for values in combinations]
            answers = self._ask(self._whole, action, states)
            rows = [state for state, applying in zip(states, answers, strict=True) if policy.id in applying]
            self._rows[policy.id, _kind(action), about] = rows
        return space.spread(frozenset(names), rows)

    def _looked_at(self, policy: Policy, action: Action) -> tuple[Variable, ...]:
        body = [policy.body["principal"], policy.body["resource"], policy.body["conditions"]]
        attributes = _found(body, "attr")
        found = [_SIMPLE[name] for name in attributes if name in _SIMPLE]
        if _mentions(body, "type", "Role"):
            found.append(_ROLES)
        if "professions" in attributes:
            found += _PROFESSIONS
        if action in HANDOFF_ACTIONS:
            if attributes & {"groups", CONSENT}:
                found += [Variable(f"group:{group}", _EITHER) for group in self._groups]
                found.append(Variable(OTHER_GROUP, _EITHER))
            if attributes & {"from", "to", "org"}:
                found += [Variable(SENT, _EITHER), self._partner]
        return tuple(sorted(found, key=lambda variable: variable.name))

    def _ask(self, policies: CedarSet, action: Action, states: Sequence[State]) -> list[tuple[str, ...]]:
        """For each state, the ``@id`` of every policy that applies. What errs is a ``ValueError``."""
        applying: list[tuple[str, ...]] = []
        for start in range(0, len(states), _BATCH):
            members: dict[int, dict[str, Any]] = {}
            things: dict[object, dict[str, Any]] = {}
            requests = []
            for state in states[start : start + _BATCH]:
                asker, facts, context = self.request(action, state)
                member = uid("Member", f"asker{asker.bits}")
                members[asker.bits] = {**member_entity(asker), "uid": member}
                thing = resource_uid(facts, self.org)
                if facts is not None:
                    thing = uid(
                        thing["type"], str(len(things)) if facts not in things else things[facts]["uid"]["id"]
                    )
                    things[facts] = {**_entity(facts, self.org), "uid": thing}
                requests.append(
                    {
                        "principal": member,
                        "resource": thing,
                        "context": circumstances(context),
                    }
                )
            entities = policies.entities([*members.values(), *things.values()])
            for answer in policies.ask(action, requests, entities):
                if answer.failure:
                    raise ValueError(answer.failure)
                applying.append(answer.policies)
        return applying

    def request(
        self, action: Action, state: State
    ) -> tuple[Asker, CaseFacts | HandoffFacts | ChangeFacts | None, Context]:
        """What a state is as a question to an engine."""
        state = {**_USUAL, **state}
        asker = Asker(
            org=self.org,
            role=Role(str(state[ROLE])),
            professions=frozenset(
                profession for profession in Profession if state.get(f"profession:{profession}", False)
            ),
            active=True,
        )
        context = Context(
            **{name: bool(state[name]) for name in CIRCUMSTANCES}, purpose=Purpose(str(state["purpose"]))
        )
        return asker, self._facts(action, state), context

    def _facts(self, action: Action, state: State) -> CaseFacts | HandoffFacts | ChangeFacts | None:
        if action in CASE_ACTIONS:
            return CaseFacts(
                **{fact: bool(state[fact]) for fact in Fact}, status=Status(str(state["status"]))
            )
        if action in HANDOFF_ACTIONS:
            return self._handoff(state)
        if action in CHANGE_ACTIONS:
            return ChangeFacts(kind=ChangeKind(str(state["kind"])), mine=bool(state["mine"]))
        return None

    def _handoff(self, state: State) -> HandoffFacts:
        partner = str(state.get(PARTNER, _ANOTHER))
        from_, to = (self.org, partner) if state[SENT] else (partner, self.org)
        named = {group for group in self._groups if state.get(f"group:{group}", False)}
        others = set(Group) - set(self._groups) if state.get(OTHER_GROUP, False) else set[Group]()
        groups = frozenset(named | others)
        consent = ConsentFacts(
            live=state[CONSENT] != "withdrawn",
            same_content=state[CONSENT] != "other_content",
            to=to,
            groups=frozenset({Group.IDENTITY}) if state[CONSENT] == "identity_only" else groups,
        )
        return HandoffFacts(
            from_=from_,
            to=to,
            groups=groups,
            stage=Stage(str(state["stage"])),
            mine=bool(state["mine"]),
            conflict=bool(state["conflict"]),
            consent=consent if state[CONSENT] != "none" else None,
        )


def named_in(engines: Iterable[Engine]) -> tuple[frozenset[Group], frozenset[str]]:
    """The field groups and the other organisations that some policy of the engines names.

    ``identity`` always: a consent to less than what is sent is one to identity alone.
    """
    groups, partners = {Group.IDENTITY}, set[str]()
    for engine in engines:
        for policy in engine.policies:
            conditions = policy.body["conditions"]
            groups |= {Group(name) for name in _entities_of(conditions, "Group")}
            partners |= _entities_of(conditions, "Org") - {engine.org}
    return frozenset(groups), frozenset(partners)


def _as_permits(schema: str, policies: Sequence[Policy], *, conditions: bool) -> CedarSet:
    """Every policy as a permit, whole or by act and resource alone: an answer names each one that applies."""
    bodies = {
        f"policy{number}": {
            **policy.body,
            "effect": "permit",
            "conditions": policy.body["conditions"] if conditions else [],
            "principal": policy.body["principal"] if conditions else {"op": "All"},
        }
        for number, policy in enumerate(policies)
    }
    document = {"staticPolicies": bodies, "templates": {}, "templateLinks": []}
    return CedarSet(schema=schema, policies=cedarpy.policies_from_json_str(json.dumps(document)))


def _kind(action: Action) -> str:
    for kind, actions in (("case", CASE_ACTIONS), ("handoff", HANDOFF_ACTIONS), ("change", CHANGE_ACTIONS)):
        if action in actions:
            return kind
    return "org"


def _entity(facts: CaseFacts | HandoffFacts | ChangeFacts, org: str) -> dict[str, Any]:
    if isinstance(facts, CaseFacts):
        return case_entity(facts, org)
    return handoff_entity(facts) if isinstance(facts, HandoffFacts) else change_entity(facts, org)


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for part in node.values():
            yield from _walk(part)
    elif isinstance(node, list):
        for part in node:
            yield from _walk(part)


def _found(body: object, key: str) -> frozenset[str]:
    return frozenset(node[key] for node in _walk(body) if isinstance(node.get(key), str))


def _mentions(body: object, key: str, value: str) -> bool:
    return value in _found(body, key)


def _entities_of(body: object, kind: str) -> set[str]:
    return {node["id"] for node in _walk(body) if node.get("type") == kind}
