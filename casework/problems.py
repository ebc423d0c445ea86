"""Every error becomes one `application/problem+json` (RFC 9457), here and nowhere else. No value is echoed."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from casework.database import CommitFailed, UnrecordedAccess
from casework.errors import FieldError, Problem

log = structlog.get_logger(__name__)

TYPE_PREFIX = "urn:casework:problem:"
MEDIA_TYPE = "application/problem+json"

# What the framework itself refuses, by status: (code, French title).
_BY_STATUS = {
    400: ("bad_request", "La requête n’est pas lisible."),
    401: ("not_signed_in", "Connectez-vous pour continuer."),
    403: ("forbidden", "Cette action ne vous est pas ouverte."),
    404: ("not_found", "Introuvable."),
    405: ("method_not_allowed", "Cette adresse n’accepte pas cette action."),
    406: ("not_acceptable", "Ce format de réponse n’est pas disponible."),
    413: ("too_large", "L’envoi est trop volumineux."),
    415: ("unsupported_media_type", "Ce format d’envoi n’est pas accepté."),
    429: ("too_many_requests", "Trop de tentatives. Patientez un peu."),
}
# The beginnings of the decoder's messages: its text may quote what was sent, a code never does.
_CODES = (
    ("Object missing required field", "missing"),
    ("Object contains unknown field", "unknown_field"),
    ("Invalid enum value", "not_in_vocabulary"),
    ("Invalid UUID", "not_a_uuid"),
    ("Invalid RFC3339", "not_a_time"),
    ("Expected", "wrong_type_or_length"),
)


def answer(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The problem of any exception. Unknown ones are logged by type alone: a message may quote a row."""
    if isinstance(error, Problem):
        return _problem(error.status, error.code, error.title, error.errors, error.extra)
    if isinstance(error, ValidationException):
        return _problem(422, "bad_input", "Certaines informations sont à corriger.", _field_errors(error), {})
    if isinstance(error, HTTPException):
        code, title = _BY_STATUS.get(error.status_code, ("internal", Problem.title))
        return _problem(error.status_code, code, title, (), {})
    kind = "commit_failed" if isinstance(error, CommitFailed) else "request_failed"
    if isinstance(error, UnrecordedAccess):
        kind = "unrecorded_access"
    log.error(kind, error=type(error).__name__, sqlstate=_sqlstate(error))
    return _problem(500, "internal", Problem.title, (), {})


def _problem(
    status: int, code: str, title: str, errors: tuple[FieldError, ...], extra: dict[str, Any]
) -> Response[bytes]:
    body: dict[str, Any] = {"type": TYPE_PREFIX + code, "title": title, "status": status, "code": code}
    if errors:
        body["errors"] = [{"field": found.field, "code": found.code} for found in errors]
    return Response(content=msgspec.json.encode(body | extra), status_code=status, media_type=MEDIA_TYPE)


def _field_errors(error: ValidationException) -> tuple[FieldError, ...]:
    found = []
    for item in error.extra if isinstance(error.extra, list) else []:
        message = str(item.get("message", ""))
        code = next((code for beginning, code in _CODES if message.startswith(beginning)), "invalid")
        found.append(FieldError(str(item.get("key", "")) if code != "unknown_field" else "", code))
    return tuple(found)


def _sqlstate(error: Exception) -> str | None:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state if isinstance(state, str) else None
