"""What a policy file must be before it is loaded: valid under the schema, named, titled, within its walls."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cedarpy

from policies.sources import BASE, Source
from policies.vocabulary import Action, Advice

_ANNOTATIONS = frozenset({"id", "title", "advice"})
_WHOLES = frozenset({"principal", "resource", "context"})
_INDIVIDUALS = frozenset({"Member", "Case", "Handoff", "Change"})


class Rule(StrEnum):
    SYNTAX = "syntax"
    SCHEMA = "schema"
    TEMPLATE = "template"
    ID = "id"
    ID_TWICE = "id_twice"
    TITLE = "title"
    ANNOTATION = "annotation"
    ADVICE = "advice"
    PRINCIPAL_SCOPE = "principal_scope"
    RESOURCE_SCOPE = "resource_scope"
    INDIVIDUAL = "individual"
    FREE_STRING = "free_string"
    WITHDRAWAL = "withdrawal"
    CHANGE = "change"
    WHOLE = "whole"


SAYS = {
    Rule.TEMPLATE: "les modèles de règles (?principal, ?resource) ne sont pas admis",
    Rule.ID: "chaque règle porte un @id qui commence par le nom de son fichier",
    Rule.ID_TWICE: "cet @id est porté par plusieurs règles",
    Rule.TITLE: "chaque règle porte un @title en français",
    Rule.ANNOTATION: "annotation inconnue (admises : id, title, advice)",
    Rule.ADVICE: "@advice ne va que sur un forbid et ne nomme que des conseils connus",
    Rule.PRINCIPAL_SCOPE: "le principal n’est pas limité à l’association du fichier",
    Rule.RESOURCE_SCOPE: "la ressource n’est pas limitée à l’association du fichier",
    Rule.INDIVIDUAL: "une règle ne nomme ni une personne, ni un dossier, ni un relais",
    Rule.FREE_STRING: "pas de texte libre : seulement les mots du schéma",
    Rule.WITHDRAWAL: "aucune association ne peut interdire le retrait d’un accord",
    Rule.CHANGE: "qui propose et qui approuve des règles, les règles communes seules le disent",
    Rule.WHOLE: "une condition regarde un attribut de principal, resource ou context, ou un rôle ; jamais le tout",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a set: the file, the policy's ``@id`` (empty when unknown), the rule, the words."""

    source: str
    policy: str
    rule: Rule
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.policy or '?'}: {self.message}"


class PolicyRefused(ValueError):
    """A set that is not loaded; ``findings`` say which file and which policy."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy: its file, its annotations and its body in Cedar's JSON policy format."""

    source: str
    annotations: dict[str, str]
    body: dict[str, Any]

    @property
    def id(self) -> str:
        return self.annotations.get("id", "")

    @property
    def advice(self) -> tuple[Advice, ...]:
        """The advice of a policy that passed the lint."""
        text = self.annotations.get("advice", "")
        return tuple(Advice(token) for token in text.split(",") if token)


def parse(source: Source) -> tuple[Policy, ...]:
    """Read the policies of a file, in its order; ``PolicyRefused`` when it does not parse."""
    try:
        document = json.loads(cedarpy.policies_to_json_str(source.text))
    except ValueError as error:
        raise PolicyRefused([Finding(source.name, "", Rule.SYNTAX, str(error))]) from error
    if document["templates"]:
        raise PolicyRefused([Finding(source.name, "", Rule.TEMPLATE, SAYS[Rule.TEMPLATE])])
    # Cedar numbers policies in the file's order, and sorts the numbers as text.
    numbered = sorted(
        document["staticPolicies"].items(), key=lambda item: int(item[0].removeprefix("policy"))
    )
    return tuple(Policy(source.name, body.get("annotations", {}), body) for _, body in numbered)


def check(sources: Sequence[Source], schema: str) -> tuple[Policy, ...]:
    """Return the policies of ``sources`` when every one is valid and follows the rules.

    Strict validation (an unknown name, a wrong type, a policy that can never apply) comes first, file by
    file, then the rules of this module. ``PolicyRefused`` lists every finding of the first stage with any.
    """
    policies = tuple(policy for source in sources for policy in parse(source))
    invalid = [finding for source in sources for finding in _validate(source, schema)]
    if invalid:
        raise PolicyRefused(invalid)
    broken = [
        Finding(policy.source, policy.id, rule, SAYS[rule])
        for policy in policies
        for rule in _broken_rules(policy)
    ]
    carriers = Counter(policy.id for policy in policies)
    broken += [
        Finding(policy.source, policy.id, Rule.ID_TWICE, SAYS[Rule.ID_TWICE])
        for policy in policies
        if carriers[policy.id] > 1
    ]
    if broken:
        raise PolicyRefused(broken)
    return policies


def _validate(source: Source, schema: str) -> Iterator[Finding]:
    result = cedarpy.validate_policies(source.text, schema)
    for error in result.errors:
        policy = result.id_annotations_by_policy_id.get(error.policy_id, "")
        yield Finding(source.name, policy, Rule.SCHEMA, error.error)
    if not result.validation_passed and not result.errors:
        yield Finding(source.name, "", Rule.SCHEMA, "validation refusée sans message")


def _broken_rules(policy: Policy) -> Iterator[Rule]:
    if not policy.id.startswith(f"{policy.source}."):
        yield Rule.ID
    if not policy.annotations.get("title", "").strip():
        yield Rule.TITLE
    if not policy.annotations.keys() <= _ANNOTATIONS:
        yield Rule.ANNOTATION
    if "advice" in policy.annotations and not _advice_is_known(policy):
        yield Rule.ADVICE
    if _names_an_individual(policy.body):
        yield Rule.INDIVIDUAL
    if _has_free_string(policy.body["conditions"]):
        yield Rule.FREE_STRING
    if policy.source != BASE:
        yield from _broken_walls(policy)


def _broken_walls(policy: Policy) -> Iterator[Rule]:
    if not _is_within(policy.body["principal"], policy.source):
        yield Rule.PRINCIPAL_SCOPE
    if not _is_within(policy.body["resource"], policy.source):
        yield Rule.RESOURCE_SCOPE
    if policy.body["effect"] == "forbid" and _covers(policy.body["action"], {Action.CONSENT_WITHDRAW}):
        yield Rule.WITHDRAWAL
    if _covers(policy.body["action"], {Action.POLICY_PROPOSE, Action.POLICY_APPROVE}):
        yield Rule.CHANGE
    if _looks_at_a_whole(policy.body["conditions"]):
        yield Rule.WHOLE


def _advice_is_known(policy: Policy) -> bool:
    tokens = policy.annotations["advice"].split(",")
    return policy.body["effect"] == "forbid" and all(token in set(Advice) for token in tokens)


def _is_within(scope: dict[str, Any], org: str) -> bool:
    """Whether a scope is ``in Org::"org"`` or ``is Type in Org::"org"``."""
    within = scope["in"] if scope["op"] == "is" and "in" in scope else scope
    return (scope["op"] in {"in", "is"}) and within.get("entity") == {"type": "Org", "id": org}


def _covers(scope: dict[str, Any], actions: set[Action]) -> bool:
    """Whether an action scope covers one of these, which belong to no action group."""
    named = [*scope.get("entities", ()), *filter(None, [scope.get("entity")])]
    return scope["op"] == "All" or any(entity["id"] in actions for entity in named)


def _looks_at_a_whole(node: Any) -> bool:
    """Whether a condition takes ``principal``, ``resource`` or ``context`` but for an attribute or a role.

    What such a condition looks at (``context == {…}``, ``resource in Org::"…"``) is in none of its words: whoever
    compares rules state by state (``truth.py``) would not try both sides of it, and see no change.
    """
    if isinstance(node, list):
        return any(_looks_at_a_whole(child) for child in node)
    if not isinstance(node, dict):
        return False
    if node.get("Var") in _WHOLES:
        return True
    attribute = node.get(".") or node.get("has")
    if attribute is not None and attribute["left"].get("Var") in _WHOLES:
        return False
    if "in" in node and node["in"]["left"] == {"Var": "principal"}:
        right = node["in"]["right"].get("Value", {})
        if right.get("__entity", {}).get("type") == "Role":
            return False
    return any(_looks_at_a_whole(child) for child in node.values())


def _names_an_individual(node: Any) -> bool:
    if isinstance(node, dict):
        if node.keys() == {"type", "id"} and node["type"] in _INDIVIDUALS:
            return True
        return any(_names_an_individual(child) for child in node.values())
    return isinstance(node, list) and any(_names_an_individual(child) for child in node)


def _has_free_string(node: Any) -> bool:
    if isinstance(node, dict):
        if isinstance(node.get("Value"), str) or "like" in node:
            return True
        return any(_has_free_string(child) for child in node.values())
    return isinstance(node, list) and any(_has_free_string(child) for child in node)
