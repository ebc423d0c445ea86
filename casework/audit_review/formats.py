"""Entries for other programs: CSV (RFC 4180) and FHIR R4 AuditEvent. Codes, pseudonyms and sentences; no detail."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from audit.entry import Entry, Outcome
from audit.log import Integrated
from casework.audit_review.sentences import Kind, UnknownAct, act_of, sentence

_COLUMNS: Final = (
    *("index", "id", "time", "sentence", "action", "outcome", "reason", "role", "actor", "auth", "purpose"),
    *("policies", "policy_set", "consent", "handoff", "glass", "persons", "count", "source", "request"),
)
# What a spreadsheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_ACTIONS: Final = {Kind.READ: "R", Kind.CREATE: "C", Kind.CHANGE: "U", Kind.DELETE: "D"}
_OUTCOMES: Final = {Outcome.ALLOWED: "0", Outcome.DENIED: "4", Outcome.FAILED: "8"}
_OURS: Final = "urn:casework:"


class Format(StrEnum):
    CSV = "csv"
    FHIR = "fhir"

    @property
    def media_type(self) -> str:
        return "text/csv" if self is Format.CSV else "application/fhir+json"


def render(found: Format, entries: Iterable[Integrated], slug: str, name: str) -> bytes:
    """The entries as a file; sentences are said for the organisation of this slug and name."""
    return to_csv(entries, slug, name) if found is Format.CSV else to_fhir(entries, slug, name)


def to_csv(entries: Iterable[Integrated], slug: str, name: str) -> bytes:
    """UTF-8, with a header, every field quoted; what would be a formula begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    for one in entries:
        writer.writerow([_cell(value) for value in _row(one, sentence(one.entry, slug, name))])
    return out.getvalue().encode()


def to_fhir(entries: Iterable[Integrated], slug: str, name: str) -> bytes:
    """A Bundle (collection) of AuditEvent resources of FHIR R4 (4.0.1)."""
    found = [
        {
            "fullUrl": f"urn:uuid:{one.entry.id}",
            "resource": _audit_event(one, sentence(one.entry, slug, name)),
        }
        for one in entries
    ]
    # An empty list is no FHIR.
    bundle = {"resourceType": "Bundle", "type": "collection", **({"entry": found} if found else {})}
    return msgspec.json.encode(bundle)


def _row(one: Integrated, words: str) -> tuple[object, ...]:
    entry, basis = one.entry, one.entry.basis
    return (
        *(
            one.index,
            entry.id,
            _time(entry),
            words,
            entry.action,
            entry.outcome.value,
            entry.reason,
            entry.role,
        ),
        *(entry.actor, entry.auth.value, entry.purpose, " ".join(basis.policies), basis.set, basis.consent),
        *(basis.handoff, basis.glass, " ".join(subject.p for subject in entry.subjects), entry.count),
        *(entry.source, entry.request),
    )


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.time / 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def _audit_event(one: Integrated, words: str) -> dict[str, Any]:
    entry = one.entry
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": entry.id,
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
            "display": "RESTful Operation",
        },
        "subtype": [{"system": f"{_OURS}action", "code": entry.action}],
        "action": _ACTIONS.get(_kind(entry.action), "E"),
        "recorded": _time(entry),
        "outcome": _OUTCOMES[entry.outcome],
        "outcomeDesc": words,
        "agent": [_agent(entry)],
        "source": {"observer": _named("log", entry.log)},
    }
    persons = [
        {
            "what": _named("pseudonym", subject.p),
            "type": {
                "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                "code": "1",
                "display": "Person",
            },
            "role": {
                "system": "http://terminology.hl7.org/CodeSystem/object-role",
                "code": "1",
                "display": "Patient",
            },
        }
        for subject in entry.subjects
    ]
    return event | ({"entity": persons} if persons else {})


def _agent(entry: Entry) -> dict[str, Any]:
    who = _named("member", entry.actor) if entry.actor is not None else _named("request", entry.request)
    agent: dict[str, Any] = {"who": who, "requestor": entry.actor is not None}
    if entry.role is not None:
        agent["role"] = [{"coding": [{"system": f"{_OURS}role", "code": entry.role}]}]
    if entry.basis.policies:
        agent["policy"] = [f"{_OURS}policy:{policy}" for policy in entry.basis.policies]
    if entry.purpose is not None:
        agent["purposeOfUse"] = [{"coding": [{"system": f"{_OURS}purpose", "code": entry.purpose}]}]
    return agent


def _named(kind: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": f"{_OURS}{kind}", "value": value}}


def _kind(action: str) -> Kind:
    try:
        return act_of(action).kind
    except UnknownAct:
        return Kind.OTHER
