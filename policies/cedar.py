"""Cedar, asked safely: an answer is *allowed* only when Cedar says Allow and reports no error at all.

Cedar skips a policy that errs, a forbid too, and answers from the others; and without the schema an empty
context would give an answer rather than an error. So the schema goes with every request, and any reported
error, exception or decision other than Allow or Deny is a failure, which denies.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cedarpy

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
    """A schema and a set of policies, parsed once. Both are expected to have passed ``lint.check``."""

    def __init__(self, *, schema: str, policies: str) -> None:
        self._schema = cedarpy.Schema.from_str(schema)
        self._policies = cedarpy.PolicySet.from_str(policies)

    def entities(self, described: Sequence[Mapping[str, Any]]) -> cedarpy.Entities:
        """Parse entities under the schema; ``ValueError`` when they do not conform."""
        return cedarpy.Entities.from_json_str(json.dumps(described), self._schema)

    def ask(self, requests: Sequence[dict[str, Any]], entities: cedarpy.Entities) -> list[Answer]:
        """Answer each request, in order. Never raises: what goes wrong is a failed answer, and a refusal."""
        try:
            results = cedarpy.is_authorized_batch(list(requests), self._policies, entities, self._schema)
            return [_answer(result) for result in results]
        except Exception as error:  # noqa: BLE001 - whatever the engine raises, nobody is let in
            return [failed(error)] * len(requests)


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
