"""Cedar, asked safely: an answer is *allowed* only when Cedar says Allow and reports no error at all.

Cedar skips a policy that errs, a forbid too, and answers from the others; and without the schema an empty
context would give an answer rather than an error. So the schema goes with every request, and any reported
error, exception or decision other than Allow or Deny is a failure, which denies.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cedarpy
from cedarpy import pst

ENGINE_ERROR = "engine.error"


def uid(kind: str, name: str) -> dict[str, str]:
    """Name an entity in a request (Cedar's JSON form: no quoting to get wrong)."""
    return {"type": kind, "id": name}


def ref(kind: str, name: str) -> dict[str, dict[str, str]]:
    """Name an entity inside an attribute or a context."""
    return {"__entity": uid(kind, name)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What Cedar said: the ``@id`` of each determining policy, sorted; no ``failure`` when it worked."""

    allowed: bool
    policies: tuple[str, ...]
    failure: str = ""


class CedarSet:
    """A schema and a set of policies, parsed once. Both are expected to have passed ``lint.check``.

    Cedar is given the policies that have the action in their scope, which are a quarter of them: any other is
    neither satisfied nor evaluated to an error, so the answers are those of the whole set.
    """

    def __init__(self, *, schema: str, policies: str) -> None:
        self._schema = cedarpy.Schema.from_str(schema)
        self._policies = cedarpy.PolicySet.from_str(policies).to_pst()
        scopes = {number: _scope_alone(policy) for number, policy in self._policies.static_policies.items()}
        self._scopes = self._set_of(scopes)
        self._about: dict[str, cedarpy.PolicySet] = {}

    def entities(self, described: Sequence[Mapping[str, Any]]) -> cedarpy.Entities:
        """Parse entities under the schema; ``ValueError`` when they do not conform."""
        return cedarpy.Entities.from_json_str(json.dumps(described), self._schema)

    def ask(
        self, action: str, requests: Sequence[dict[str, Any]], entities: cedarpy.Entities
    ) -> list[Answer]:
        """Answer each request, all of this action, in order.

        Never raises: what goes wrong is a failed answer, and a refusal.
        """
        try:
            asked = [{**request, "action": uid("Action", action)} for request in requests]
            results = cedarpy.is_authorized_batch(asked, self._policies_about(action), entities, self._schema)
            return [_answer(result) for result in results]
        except Exception as error:  # noqa: BLE001 - whatever the engine raises, nobody is let in
            return [failed(error)] * len(requests)

    def _policies_about(self, action: str) -> cedarpy.PolicySet:
        """The policies with the action in their scope, as Cedar itself tells."""
        if action not in self._about:
            request = {
                "principal": _ANYBODY,
                "action": uid("Action", action),
                "resource": _ANYTHING,
                "context": {},
            }
            # Without the schema, which has no request that every policy's scope could hold.
            (told,) = cedarpy.is_authorized_batch([request], self._scopes, self.entities([]))
            if told.decision is cedarpy.Decision.NoDecision:
                raise ValueError(action)
            held = {number: self._policies.static_policies[number] for number in told.diagnostics.reasons}
            self._about[action] = self._set_of(held)
        return self._about[action]

    def _set_of(self, policies: Mapping[str, pst.Template]) -> cedarpy.PolicySet:
        return cedarpy.PolicySet.from_pst(replace(self._policies, static_policies=pst.FrozenMap(policies)))


_ANYBODY: Final = uid("Member", "anybody")
_ANYTHING: Final = uid("Case", "anything")


def _scope_alone(policy: pst.Template) -> pst.Template:
    """A permit that is satisfied wherever the action is in the policy's scope."""
    return replace(policy, effect="permit", principal=pst.ScopeAny(), resource=pst.ScopeAny(), clauses=())


def failed(error: Exception) -> Answer:
    return Answer(allowed=False, policies=(ENGINE_ERROR,), failure=f"{type(error).__name__}: {error}")


def _answer(result: cedarpy.AuthzResult) -> Answer:
    diagnostics = result.diagnostics
    if diagnostics.errors:
        return Answer(allowed=False, policies=(ENGINE_ERROR,), failure="; ".join(diagnostics.errors))
    if result.decision is cedarpy.Decision.NoDecision:
        return Answer(allowed=False, policies=(ENGINE_ERROR,), failure="no decision")
    names = diagnostics.id_annotations_by_reason
    policies = tuple(sorted(names[reason] for reason in diagnostics.reasons))
    return Answer(allowed=result.decision is cedarpy.Decision.Allow, policies=policies)
