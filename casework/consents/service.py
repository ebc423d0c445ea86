"""Recording and withdrawing a consent: immutable, to exactly one content, one receiver, for a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET
from sqlalchemy import Row, insert, select, update

from casework.access import Access, ChangingCase
from casework.act import Act
from casework.columns import Column
from casework.consents.schemas import Means, NewConsent
from casework.consents.tables import consent
from casework.errors import BadInput, FieldError, NotFound
from policies.vocabulary import Action, Group

DEFAULT_DURATION = timedelta(days=90)
LONGEST_DURATION = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent as the service needs it; its words stay sealed."""

    id: UUID
    case_id: UUID
    handoff_id: UUID
    content_digest: bytes
    expires_at: datetime
    withdrawn_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        return self.withdrawn_at is None and now < self.expires_at


def record_consent(act: Act, change: ChangingCase, handoff_id: UUID, new: NewConsent) -> Consent:
    """Store a consent to the content whose digest it names.

    Raises:
        BadInput: an oral consent without reason or witness, an expiry that is past or over a year away, the safe
            contact unchecked, or a representative whose conflict was not checked.

    """
    expires_at = act.unit.now + DEFAULT_DURATION if new.expires_at is UNSET else new.expires_at
    errors = _errors(new, expires_at, act.unit.now)
    if errors:
        raise BadInput(errors=errors)
    consent_id = uuid4()
    place = Column.CONSENT_FRAME.place(act.org_id, consent_id, 1)
    digest = bytes.fromhex(new.content_digest)
    act.unit.connection.execute(
        insert(consent).values(
            org_id=act.org_id,
            id=consent_id,
            case_id=change.id,
            handoff_id=handoff_id,
            content_digest=digest,
            recorded_by=act.member_id,
            given_at=act.unit.now,
            expires_at=expires_at,
            frame=change.seal(Group.INTAKE, place, msgspec.to_builtins(new)),
        )
    )
    change.record("consent.record", [(consent_id, 1)], consent=consent_id, handoff=handoff_id)
    return Consent(consent_id, change.id, handoff_id, digest, expires_at, None)


def withdraw_consent(act: Act, found: Consent, means: Means) -> ChangingCase:
    """Withdraw a consent. Always possible for whoever may act at all, off hours and on conflict too."""
    change = Access(act).change_case(found.case_id, [Action.CONSENT_WITHDRAW])
    if found.withdrawn_at is None:
        act.unit.connection.execute(
            update(consent)
            .where(consent.c.org_id == act.org_id, consent.c.id == found.id, consent.c.withdrawn_at.is_(None))
            .values(withdrawn_at=act.unit.now)
        )
    change.record(
        "consent.withdraw",
        [(found.id, 2)],
        consent=found.id,
        handoff=found.handoff_id,
        detail={"means": means},
    )
    return change


def find_consent(act: Act, consent_id: UUID) -> Consent:
    """A consent of this organisation.

    Raises:
        NotFound: there is none.

    """
    row = act.unit.connection.execute(
        select(consent).where(consent.c.org_id == act.org_id, consent.c.id == consent_id)
    ).one_or_none()
    if row is None:
        raise NotFound("consent.withdraw", reason="not_found", tried={"consent": str(consent_id)})
    return _consent(row)


def consent_of(act: Act, handoff_id: UUID) -> Consent | None:
    """The consent given for a handoff, or None; a draft takes one."""
    row = act.unit.connection.execute(
        select(consent).where(consent.c.org_id == act.org_id, consent.c.handoff_id == handoff_id)
    ).one_or_none()
    return _consent(row) if row is not None else None


def _consent(row: Row[Any]) -> Consent:
    return Consent(
        row.id, row.case_id, row.handoff_id, bytes(row.content_digest), row.expires_at, row.withdrawn_at
    )


def _errors(new: NewConsent, expires_at: datetime, now: datetime) -> list[FieldError]:
    errors = []
    if new.means is Means.ORAL:
        errors += [
            FieldError(name, "needed_for_oral")
            for name in ("oral_reason", "witness")
            if getattr(new, name) is UNSET
        ]
    if not new.safe_contact_checked:
        errors.append(FieldError("safe_contact_checked", "must_be_done"))
    if new.refusal_has_no_effect_said is False:
        errors.append(FieldError("refusal_has_no_effect_said", "must_be_done"))
    if new.representative is not UNSET and not new.representative.conflict_checked:
        errors.append(FieldError("representative.conflict_checked", "must_be_done"))
    if expires_at.tzinfo is None:
        errors.append(FieldError("expires_at", "not_a_time"))
    elif not now < expires_at <= now + LONGEST_DURATION:
        errors.append(FieldError("expires_at", "out_of_range"))
    return errors
