"""Every error becomes one `application/problem+json` (RFC 9457), here and nowhere else. No value is echoed."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from casework.alerts import AlertKind, alert
from casework.database import UnrecordedAccess
from casework.errors import (
    BadInput,
    Busy,
    DatabaseAway,
    FieldError,
    NotSignedIn,
    Problem,
    SealedDataDamaged,
    StorageRefuses,
    TooManyRequests,
)
from casework.json_input import BODY, rule_of
from casework.outages import CommitFailed, database_is_away, storage_is_full
from casework.shreds import ShredMissing
from crypto.errors import CryptoError

log = structlog.get_logger(__name__)

TYPE_PREFIX = "urn:casework:problem:"
MEDIA_TYPE = "application/problem+json"
# A database that was killed is back within seconds; as many are fifty passwords.
RETRY_AFTER_SECONDS = "5"

# What the framework itself refuses, by status: (code, French title).
BY_STATUS = {
    400: ("bad_request", "La requête n’est pas lisible."),
    401: ("not_signed_in", "Connectez-vous pour continuer."),
    403: ("forbidden", "Cette action ne vous est pas ouverte."),
    404: ("not_found", "Introuvable."),
    405: ("method_not_allowed", "Cette adresse n’accepte pas cette action."),
    406: ("not_acceptable", "Ce format de réponse n’est pas disponible."),
    413: ("too_large", "L’envoi est trop volumineux."),
    415: ("unsupported_media_type", "Ce format d’envoi n’est pas accepté."),
    429: (TooManyRequests.code, TooManyRequests.title),
}
_MISSING = re.compile(r"Missing required \w+ parameter '([\w-]+)' ")


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The problem of any exception. Unknown ones are logged by type alone: a message may quote a row."""
    if isinstance(error, ValidationException):
        error = BadInput(errors=_field_errors(request, error))
    if isinstance(error, Problem):
        return _problem(error.status, error.code, error.title, error.errors, error.extra, _waits(error))
    if isinstance(error, HTTPException):
        code, title = BY_STATUS.get(error.status_code, ("internal", Problem.title))
        allow = (error.headers or {}).get("allow")
        return _problem(error.status_code, code, title, headers={"allow": allow} if allow else {})
    if isinstance(error, CryptoError | ShredMissing):
        # Somebody or something altered what is stored: an alarm, whoever asked.
        alert(AlertKind.SEALED_DATA_DAMAGED, error=type(error).__name__, id=str(request.state.request_id))
        return _problem(SealedDataDamaged.status, SealedDataDamaged.code, SealedDataDamaged.title)
    kind = "commit_failed" if isinstance(error, CommitFailed) else "request_failed"
    if isinstance(error, UnrecordedAccess):
        kind = "unrecorded_access"
    # A failed commit carries the type of its cause, and no text of it.
    cause = str(error) if isinstance(error, CommitFailed) else None
    log.error(kind, error=type(error).__name__, cause=cause, sqlstate=_sqlstate(error))
    if storage_is_full(error):
        return _problem(StorageRefuses.status, StorageRefuses.code, StorageRefuses.title)
    if database_is_away(error):
        headers = {"retry-after": RETRY_AFTER_SECONDS}
        return _problem(DatabaseAway.status, DatabaseAway.code, DatabaseAway.title, headers=headers)
    return _problem(500, "internal", Problem.title)


def conflicts(*codes: str) -> dict[int, ResponseSpec]:
    """What a route says in its `responses` of the 409 that its acts may answer, by code."""
    listed = ", ".join(f"`{code}`" for code in codes)
    return {409: ResponseSpec(None, description=f"The present state does not allow it: {listed}.")}


def problem_body(status: int, code: str, title: str) -> dict[str, Any]:
    return {"type": TYPE_PREFIX + code, "title": title, "status": status, "code": code}


def _problem(
    status: int,
    code: str,
    title: str,
    errors: Sequence[FieldError] = (),
    extra: Mapping[str, Any] = MappingProxyType({}),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response[bytes]:
    body = problem_body(status, code, title)
    if errors:
        body["errors"] = [{"field": found.field, "code": found.code} for found in errors]
    if status == NotSignedIn.status:
        headers = {**headers, "www-authenticate": "Bearer"}
    return Response(
        content=msgspec.json.encode({**body, **extra}),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def _waits(error: Problem) -> dict[str, str]:
    """The header that says when to ask again, where the error knows."""
    if isinstance(error, TooManyRequests):
        return {"retry-after": str(error.seconds)}
    return {"retry-after": RETRY_AFTER_SECONDS} if isinstance(error, Busy) else {}


def _field_errors(request: Request[Any, Any, Any], error: ValidationException) -> list[FieldError]:
    """What is wrong with parameters and headers, by the names that a client gives them."""
    missing = _MISSING.match(error.detail)
    if missing is not None:
        return [FieldError(missing[1], "missing")]
    found = error.extra if isinstance(error.extra, list) else []
    return [_field_error(request, str(item.get("key", "")), str(item["message"])) for item in found]


def _field_error(request: Request[Any, Any, Any], key: str, message: str) -> FieldError:
    name = key.partition(".")[0]
    if name == "data":
        # A body that there is has been decoded already.
        return FieldError(BODY, "missing")
    field = request.route_handler.parsed_fn_signature.parameters[name]
    return FieldError(getattr(field.kwarg_definition, "name", None) or name, rule_of(message))


def _sqlstate(error: Exception) -> str | None:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state if isinstance(state, str) else None
