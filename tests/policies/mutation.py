"""The mutants of a policy file: each line of each policy taken out or turned into its contrary, one at a time.

A line is the policy itself, its effect, each part of its scope (principal, action, resource; each act of a
list), each ``when`` and ``unless``, each operand of an ``&&`` or ``||`` in them and each word of a set. A mutant
is made on Cedar's JSON form of one policy and written back as Cedar text beside the untouched others.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cedarpy

from policies.lint import parse
from policies.sources import Source
from policies.vocabulary import AMEND, CASE_ACTIONS, HANDOFF_ACTIONS, READ, RECORD, Action, Group

_Body = dict[str, Any]

_ALL = {"op": "All"}
_CONTRARY = {"permit": "forbid", "forbid": "permit", "when": "unless", "unless": "when"}
_JUNCTIONS = ("&&", "||")
_FRONT_DESK = {Group.IDENTITY, Group.CONTACT, Group.INTAKE}
# The action groups of the schema.
_GROUPS = {
    "case.any": CASE_ACTIONS - {Action.CONSENT_WITHDRAW},
    "case.read": frozenset(READ.values()),
    "case.record": frozenset(RECORD.values()),
    "case.amend": frozenset(AMEND.values()),
    "case.content": frozenset(
        acts[group] for acts in (READ, RECORD, AMEND) for group in Group if group not in _FRONT_DESK
    ),
    "handoff": HANDOFF_ACTIONS,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one policy of ``file`` (``base``, or an organisation's slug).

    ``name`` says which, in words that a later change of other policies leaves alone. ``text``: the policy as it
    is now, empty when it is gone; ``others``: the rest of its file. ``acts``: those whose decisions can change.
    ``effect``: what the policy was, permit or forbid.
    """

    file: str
    policy: str
    change: str
    text: str
    others: str
    effect: str
    acts: frozenset[Action]

    @property
    def name(self) -> str:
        return f"{self.policy}: {self.change}"


def mutants(source: Source) -> Iterator[Mutant]:
    """Every mutant of a file, in its order."""
    policies = parse(source)
    texts = [_text(policy.body) for policy in policies]
    for number, policy in enumerate(policies):
        others = "\n".join([*texts[:number], *texts[number + 1 :]])
        for change, body, acts in _changes(policy.body):
            text = _text(body) if body else ""
            yield Mutant(source.name, policy.id, change, text, others, policy.body["effect"], acts)


def _changes(body: _Body) -> Iterator[tuple[str, _Body | None, frozenset[Action]]]:
    """What is changed, the policy that it gives (None when it is gone), and the acts that it can touch."""
    acts = _acts(body["action"])
    yield "removed", None, acts
    contrary = _CONTRARY[body["effect"]]
    yield f"a {contrary}", {**body, "effect": contrary}, acts
    for part in ("principal", "action", "resource"):
        if body[part] != _ALL:
            touched = frozenset(Action) if part == "action" else acts
            wide = {**body, part: _ALL}
            outside = {"kind": "unless", "body": _scope_as_condition(part, body[part])}
            yield f"any {part}", wide, touched
            yield f"any {part} but its own", {**wide, "conditions": [*body["conditions"], outside]}, touched
    for entity in body["action"].get("entities", ()):
        left = [other for other in body["action"]["entities"] if other != entity]
        scope = {**body["action"], "entities": left}
        yield f"without {entity['id']}", {**body, "action": scope}, _acts({"op": "==", "entity": entity})
    for number, condition in enumerate(body["conditions"]):
        before, after = body["conditions"][:number], body["conditions"][number + 1 :]
        said = f"{condition['kind']} {number + 1}"
        yield f"without {said}", {**body, "conditions": [*before, *after]}, acts
        for what, changed in _of_condition(condition):
            yield f"{said} {what}", {**body, "conditions": [*before, changed, *after]}, acts


def _of_condition(condition: _Body) -> Iterator[tuple[str, _Body]]:
    yield "contrary", {**condition, "kind": _CONTRARY[condition["kind"]]}
    for what, expression in _of_expression(condition["body"]):
        yield what, {**condition, "body": expression}


def _of_expression(node: Any) -> Iterator[tuple[str, Any]]:
    """Each operand of a junction dropped or negated, each word of a set dropped, at any depth."""
    if isinstance(node, dict):
        for key, inner in node.items():
            yield from _of_operator(key, inner)
            for what, changed in _of_expression(inner):
                yield what, {**node, key: changed}
    elif isinstance(node, list):
        for number, child in enumerate(node):
            for what, changed in _of_expression(child):
                yield what, [*node[:number], changed, *node[number + 1 :]]


def _of_operator(key: str, inner: Any) -> Iterator[tuple[str, _Body]]:
    if key in _JUNCTIONS:
        for side, other in (("left", "right"), ("right", "left")):
            # An operand that is a chain of the same junction is several lines: each comes in its turn.
            if key not in inner[side]:
                said = _said(inner[side])
                yield f"without ‹{said}›", inner[other]
                yield f"not ‹{said}›", {key: {**inner, side: {"!": {"arg": inner[side]}}}}
    elif key == "Set":
        for number, word in enumerate(inner):
            yield f"without ‹{_said(word)}›", {"Set": [*inner[:number], *inner[number + 1 :]]}


def _scope_as_condition(part: str, scope: _Body) -> _Body:
    variable = {"Var": part}
    if scope["op"] == "is":
        return {"is": {"left": variable, "entity_type": scope["entity_type"]}}
    if "entities" in scope:
        return {"in": {"left": variable, "right": {"Set": [_value(entity) for entity in scope["entities"]]}}}
    return {scope["op"]: {"left": variable, "right": _value(scope["entity"])}}


def _value(entity: dict[str, str]) -> _Body:
    return {"Value": {"__entity": entity}}


def _said(expression: Any) -> str:
    """An expression as Cedar writes it, on one line."""
    text = _text(
        {
            "effect": "permit",
            "principal": _ALL,
            "action": _ALL,
            "resource": _ALL,
            "conditions": [{"kind": "when", "body": expression}],
        }
    )
    _, _, said = text.partition("when {")
    return " ".join(said.rpartition("}")[0].split())


def _text(body: _Body) -> str:
    document = {"staticPolicies": {"policy0": body}, "templates": {}, "templateLinks": []}
    return cedarpy.policies_from_json_str(json.dumps(document))


def _acts(scope: _Body) -> frozenset[Action]:
    """The acts that an action scope covers."""
    if scope["op"] == "All":
        return frozenset(Action)
    named = [entity["id"] for entity in [*scope.get("entities", ()), *filter(None, [scope.get("entity")])]]
    return frozenset(act for name in named for act in _GROUPS.get(name) or {Action(name)})
