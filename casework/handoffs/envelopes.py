"""One side's row of a handoff: found, judged, and shown as an envelope."""

from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Row, select

from audit.entry import Outcome
from casework.access import Access
from casework.act import Act, refusal
from casework.alerts import AlertKind, alert
from casework.column_types import Sealed
from casework.columns import Column
from casework.consents.service import Consent
from casework.errors import NotFound, NotNow, SealedDataDamaged
from casework.handoffs.drafting import SealedHeader
from casework.handoffs.schemas import EnvelopeView, Urgency
from casework.handoffs.states import MOVES, UNANSWERED, Side
from casework.handoffs.tables import handoff_side
from casework.handoffs.untaken import due_at
from casework.journal import Deed
from casework.packets import open_left_record
from casework.restrictions import has_restricted_cases
from crypto.errors import CryptoError, SealBroken
from policies.facts import ConsentFacts, HandoffFacts
from policies.vocabulary import Action, Group, Stage

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Handoff:
    """A handoff as one side holds it. `header` is None where the session may not read it."""

    row: Row[Any]
    partner_slug: str
    own_slug: str
    header: SealedHeader | None
    case_id: UUID | None
    reply: dict[str, str] | None
    is_damaged: bool = False

    @property
    def id(self) -> UUID:
        found: UUID = self.row.id
        return found

    @property
    def side(self) -> Side:
        return Side(self.row.side)

    @property
    def stage(self) -> Stage:
        return Stage(self.row.state)

    @property
    def from_slug(self) -> str:
        return self.own_slug if self.side is Side.SENDER else self.partner_slug

    @property
    def to_slug(self) -> str:
        return self.partner_slug if self.side is Side.SENDER else self.own_slug

    def envelope(self) -> EnvelopeView:
        return EnvelopeView(
            id=self.id,
            state=self.stage,
            from_=self.from_slug,
            to=self.to_slug,
            kind=self.row.kind,
            urgency=self.row.urgency,
            sent_at=self.row.sent_at,
            due_at=due_at(Urgency(self.row.urgency), self.row.sent_at) if self.stage in UNANSWERED else None,
            service=self.header.service if self.header is not None else None,
            groups=list(self.header.groups) if self.header is not None else None,
            returns=self.header.returns if self.header is not None else None,
            reply=self.reply,
            problem=SealedDataDamaged.code if self.is_damaged else None,
        )


def find_handoff(act: Act, handoff_id: UUID, partners: dict[UUID, str], action: Action) -> Handoff:
    """This organisation's side of a handoff.

    Raises:
        NotFound: there is none.

    """
    row = act.unit.connection.execute(
        select(handoff_side).where(handoff_side.c.org_id == act.org_id, handoff_side.c.id == handoff_id)
    ).one_or_none()
    if row is None:
        raise NotFound(action, reason="not_found", tried={"handoff": str(handoff_id)})
    return as_handoff(act, row, partners)


def as_handoff(act: Act, row: Row[Any], partners: dict[UUID, str]) -> Handoff:
    """Open what of the row was sealed to this side's intake, where the session holds it.

    Raises:
        SealBroken: a part of it does not open here, or is not what stands there: the partner sealed it.

    """
    header = _left(act, row.id, Column.HANDOFF_ENVELOPE, row.envelope)
    case = _left(act, row.id, Column.HANDOFF_CASE, row.case_sealed)
    reply = _left(act, row.id, Column.HANDOFF_REPLY, row.reply)
    return Handoff(
        row=row,
        partner_slug=partners.get(row.partner_id, str(row.partner_id)),
        own_slug=act.identity.slug,
        header=_decode(header, SealedHeader) if header is not None else None,
        case_id=_case_id(case) if case is not None else row.case_id,
        reply=_decode(reply, dict[str, str]) if reply is not None else None,
    )


def as_listed(act: Act, row: Row[Any], partners: dict[UUID, str]) -> Handoff:
    """As `as_handoff`, and a row that does not open is known by its clear part: it must not hide the others.

    It raises the alarm and is journaled.
    """
    try:
        return as_handoff(act, row, partners)
    except CryptoError as error:
        alert(
            AlertKind.SEALED_DATA_DAMAGED,
            organisation=act.identity.slug,
            handoff=str(row.id),
            error=type(error).__name__,
        )
    act.record(Deed("seal.broken", outcome=Outcome.FAILED, reason=SealedDataDamaged.code, handoff=row.id))
    return Handoff(
        row=row,
        partner_slug=partners.get(row.partner_id, str(row.partner_id)),
        own_slug=act.identity.slug,
        header=None,
        case_id=row.case_id,
        reply=None,
        is_damaged=True,
    )


def require(act: Act, found: Handoff, action: Action, consent: ConsentFacts | None = None) -> tuple[str, ...]:
    """The policies that allow this act on a handoff.

    Raises:
        NotFound: she may not know of it.
        Forbidden: she may read it and may not do this.

    """
    decision = act.decide_handoff(action, facts_of(act, found, consent))
    if decision.allowed:
        return decision.policies
    require_readable(act, found, action)
    raise refusal(action, decision, hidden=False, tried={"handoff": str(found.id)})


def require_stage(act: Act, found: Handoff, action: Action, next_stage: Stage) -> None:
    """Raise NotNow where the handoff's stage does not allow the move, NotFound where she may not know of it."""
    if found.stage not in MOVES[next_stage][0]:
        require_readable(act, found, action)
        raise not_now(found, action, "wrong_state")


def not_now(found: Handoff, action: Action, code: str, title: str | None = None) -> NotNow:
    return NotNow(action, code, title, tried={"handoff": str(found.id)})


def require_readable(act: Act, found: Handoff, action: Action) -> None:
    """Raise NotFound unless she may know of the handoff: a state is told to nobody else."""
    decision = act.decide_handoff(Action.HANDOFF_READ, facts_of(act, found, None))
    if not decision.allowed:
        raise refusal(action, decision, hidden=True, tried={"handoff": str(found.id)})


def facts_of(act: Act, found: Handoff, consent: ConsentFacts | None) -> HandoffFacts:
    near = Access(act).facts_of(found.case_id) if found.case_id is not None else None
    if near is not None:
        # That a restricted case is handed over is told to its named members alone.
        is_hidden = near.restricted and not near.mine
    else:
        # Of a session that cannot tell which case it became: it may be a restricted one, where there are any.
        is_hidden = found.row.case_sealed is not None and has_restricted_cases(act)
    return HandoffFacts(
        from_=found.from_slug,
        to=found.to_slug,
        groups=frozenset(found.header.groups) if found.header is not None else frozenset(),
        stage=found.stage,
        mine=near.mine if near is not None else False,
        conflict=is_hidden or (near is not None and near.conflict),
        consent=consent,
    )


def consent_facts(
    act: Act, found: Handoff, given: Consent | None, groups: frozenset[Group]
) -> ConsentFacts | None:
    """What the sender's own consent row says of this content."""
    if given is None:
        return None
    return ConsentFacts(
        live=given.is_live(act.unit.now),
        same_content=given.content_digest == bytes(found.row.content_digest),
        to=found.to_slug,
        groups=groups,
    )


def _left(act: Act, handoff_id: UUID, column: Column, sealed: Sealed | None) -> bytes | None:
    if sealed is None:
        return None
    return open_left_record(act, Group.INTAKE, column.place(act.org_id, handoff_id, 1), sealed)


def _decode(record: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(record, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SealBroken("not the record that stands there") from None


def _case_id(record: bytes) -> UUID:
    try:
        return UUID(bytes=record)
    except ValueError:
        raise SealBroken("not the record that stands there") from None
