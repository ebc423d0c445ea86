"""Refusals and faults, each with one HTTP status, mapped once in `casework.problems`.

A message names the field and the rule, never the value that was sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    code: str


class Problem(Exception):
    """An answer of RFC 9457: `status`, a stable `code`, a French `title`."""

    status: ClassVar[int] = 500
    code: str = "internal"
    title: str = "Une erreur est survenue. Rien n’a été enregistré."

    def __init__(self, *, errors: Sequence[FieldError] = (), extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(self.code)
        self.errors = tuple(errors)
        self.extra = dict(extra or {})


class BadInput(Problem):
    status = 422
    code = "bad_input"
    title = "Certaines informations sont à corriger."


def bad_field(field: str, code: str) -> BadInput:
    return BadInput(errors=[FieldError(field, code)])


class StorageRefuses(Problem):
    """No room is left for data or journal: nothing is saved, and nothing is shown that could not be journaled."""

    status = 507
    code = "storage_full"
    title = "Il n’y a plus de place. Rien n’a été enregistré. Prévenez l’administration du service."


class Unavailable(Problem):
    """A part of the service does not do its work; `errors` names it by its code."""

    status = 503
    code = "unavailable"
    title = "Le service n’est pas disponible pour le moment."


class DatabaseAway(Problem):
    """The database does not answer. What was asked may be asked again, under the same Idempotency-Key."""

    status = 503
    code = "database_unavailable"
    title = "Le service est momentanément indisponible. Réessayez dans un instant."


class Busy(Problem):
    """Too many wait for their password to be checked: this one was neither judged nor counted."""

    status = 503
    code = "busy"
    title = "Trop de connexions sont en cours. Réessayez dans un instant."


class SealedDataDamaged(Problem):
    """Something sealed does not open where it stands: altered, moved, or without its other half."""

    code = "sealed_data_damaged"
    title = (
        "Une donnée protégée est abîmée ou n’est pas à sa place : rien n’en est montré. "
        "Prévenez l’administration du service."
    )


class NotSignedIn(Problem):
    """No session, an expired one, or one that still waits for its second factor."""

    status = 401
    code = "not_signed_in"
    title = "Connectez-vous pour continuer."


class SignInRefused(Problem):
    """Unknown login, wrong password, wrong or replayed code: one answer for all."""

    status = 401
    code = "sign_in_refused"
    title = "Identifiant, mot de passe ou code incorrect."


class OnLeave(Problem):
    """Both factors are hers, and until her leave is over she does not work here."""

    status = 403
    code = "on_leave"
    title = "Vous êtes en congé\u00a0: votre accès reprendra à son terme. Une gestionnaire peut y mettre fin avant."


class Conflict(Problem):
    """The request is understood, and the present state does not allow it."""

    status = 409
    title = "L’état actuel ne le permet pas."

    def __init__(
        self, code: str, title: str | None = None, *, extra: Mapping[str, Any] | None = None
    ) -> None:
        self.code = code
        if title is not None:
            self.title = title
        super().__init__(extra=extra)


class PreconditionFailed(Problem):
    """Someone saved first: both versions are shown, nothing was overwritten."""

    status = 412
    code = "version_changed"
    title = "Ce contenu a été modifié entre-temps. Comparez les deux versions."


class Refusal(Problem):
    """An act that was refused by policy or by absence. It is journaled as a denial, in its own transaction.

    `leaves` is done in that transaction, whose unit of work it is given: what was found out and must stay.
    """

    def __init__(
        self,
        action: str,
        *,
        reason: str,
        policies: Sequence[str] = (),
        tried: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        leaves: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(extra=extra)
        self.leaves = leaves
        self.action = action
        self.reason = reason
        self.policies = tuple(policies)
        self.tried = dict(tried or {})


class NotFound(Refusal):
    """Absent, of another organisation, or forbidden: one answer, one denial, one cost."""

    status = 404
    code = "not_found"
    title = "Introuvable."


class Forbidden(Refusal):
    """Refused to someone who may know that the thing exists; says what would lift the refusal, if anything."""

    status = 403
    code = "forbidden"
    title = "Cette action ne vous est pas ouverte."


class AuthenticationStepNeeded(Forbidden):
    code = "step_up_needed"
    title = "Confirmez votre mot de passe pour continuer."


class CharterNotAccepted(Forbidden):
    """She has not accepted the charter in force: she may read and accept it, see who she is, and sign out."""

    code = "charter_not_accepted"
    title = "Lisez et acceptez d’abord la charte de votre association."


class NotNow(Refusal):
    """The state or the consent does not allow this act now. Journaled as any denial, under its code."""

    status = 409
    title = "L’état actuel ne le permet pas."

    def __init__(self, action: str, code: str, title: str | None = None, *, tried: Mapping[str, str]) -> None:
        self.code = code
        if title is not None:
            self.title = title
        super().__init__(action, reason=code, tried=tried)


class TooManyRequests(Problem):
    """Tried too often: nothing was judged. `seconds` is how long to wait, `counter` the key of what refused."""

    status = 429
    code = "too_many_requests"
    title = "Trop d’essais. Réessayez plus tard."

    def __init__(self, seconds: int, counter: bytes) -> None:
        self.seconds = seconds
        self.counter = counter
        self.title = f"Trop d’essais. Réessayez dans {_duration(seconds)}."
        super().__init__()


def _duration(seconds: int) -> str:
    """In words, rounded up: seconds below a minute, minutes up to two hours, then hours."""
    if seconds < _MINUTE:
        return _count(seconds, "seconde")
    minutes = -(-seconds // _MINUTE)
    return _count(minutes, "minute") if minutes <= 2 * _MINUTE else _count(-(-minutes // _MINUTE), "heure")


def _count(number: int, unit: str) -> str:
    return f"{number}\u00a0{unit}{'s' if number > 1 else ''}"


class MissingKey(Problem):
    """The policies allow it and the session holds no key for it: a grant is still to be made."""

    status = 409
    code = "key_not_granted"
    title = "La clé de cette rubrique ne vous a pas encore été remise."
