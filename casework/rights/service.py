"""The right to erasure: one person prepares it, another decides, and what was done is certified."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from msgspec import UNSET, Struct
from sqlalchemy import Row, insert, select, update

from casework.access import Access
from casework.act import Act, refusal
from casework.alerts import AlertKind, alert
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import NotFound, NotNow, bad_field
from casework.handoffs.erasing import Told, has_open_handoff, lock_handoffs, received_as
from casework.identity.members import memberships_of, role_of
from casework.ids import new_id
from casework.journal import JOURNAL, Deed, Touched, Who
from casework.packets import open_envelope, open_left_record
from casework.rights.certificate import WHAT_STAYS, words
from casework.rights.erasing import approval_of, erase_rows, leave_owners, preparation_of
from casework.rights.schemas import (
    Approval,
    Certificate,
    Destroyed,
    Entry,
    NewRequest,
    Refusal,
    RequestItem,
    RequestPage,
    RequestView,
)
from casework.rights.states import LASTING, MOVES, Basis, Ground, State
from casework.rights.tables import erasure
from casework.shreds import COPIES_KEPT
from crypto.drop import seal_to_drop
from crypto.erasure import Preparation, require_proof
from crypto.errors import ProofRefused
from policies.engine import Decision
from policies.facts import ChangeFacts
from policies.vocabulary import Action, ChangeKind, Group, Purpose

log = structlog.get_logger(__name__)

LIST_LIMIT = 200
LONGEST_HOLD = timedelta(days=30 * 366)
_IN_THE_WAY = {
    "already_requested": "Un effacement de ce dossier est déjà demandé.",
    "not_as_prepared": (
        "Cette demande n’est pas celle qui a été préparée : la base a été modifiée. Rien n’est effacé. Prévenez "
        "l’administration du service, refusez cette demande et faites-en préparer une autre."
    ),
    "handoff_open": "Un relais de ce dossier attend une réponse : annulez-le, ou donnez-lui sa suite.",
    Ground.LEGAL_HOLD: "Une procédure demande de garder ce dossier.",
    Ground.RETENTION_DUTY: "Une obligation demande de garder ce dossier.",
}


class _Motive(Struct):
    """Why it is asked for, and the handoff by which the case came: what only the journal's readers open."""

    reason: str
    received: UUID | None


class _Kept(Struct):
    """What a certificate is made of."""

    prepared_by: str
    approved_by: str
    destroyed: Destroyed
    rests_on: Entry


def prepare_erasure(act: Act, new: NewRequest) -> RequestView:
    """Ask for the erasure of a case; nothing is destroyed before somebody else has approved it.

    Raises:
        NotFound, Forbidden: see `Access.change_case`; a reason that is blank is among what may be advised.
        NotNow: it is asked for already, a handoff waits for an answer, or a duty to keep it was found and lasts.
        MissingKey: she cannot tell by which handoff the case came.

    """
    act.state_purpose(Purpose.RIGHTS_REQUEST)
    reason = new.reason.strip()
    change = Access(act).change_case(new.case_id, [Action.CASE_ERASURE_PREPARE], reason=bool(reason))
    received = received_as(act, new.case_id)
    obstacle = _obstacle(act, new.case_id, received)
    if obstacle is not None:
        tried = {"case": str(new.case_id)}
        raise NotNow(Action.CASE_ERASURE_PREPARE, obstacle, _IN_THE_WAY[obstacle], tried=tried)
    request_id = new_id()
    motive = _seal(act, Column.ERASURE_MOTIVE, request_id, _Motive(reason, received))
    asked = Preparation(
        org=act.org_id.bytes,
        request=request_id.bytes,
        case=new.case_id.bytes,
        preparer=act.member_id.bytes,
        basis=new.basis,
        motive=motive.blob,
    )
    act.unit.connection.execute(
        insert(erasure).values(
            org_id=act.org_id,
            id=request_id,
            case_id=new.case_id,
            state=State.PREPARED,
            basis=new.basis,
            prepared_by=act.member_id,
            prepared_at=act.unit.now,
            proof=asked.proof(act.deployment.pepper),
            motive=motive,
        )
    )
    change.record(Action.CASE_ERASURE_PREPARE, [(request_id, 1)], detail={"basis": new.basis})
    return _view(_row(act, request_id), reason=None)


def approve_erasure(act: Act, request_id: UUID, approval: Approval) -> RequestView:
    """Destroy a case, as it was prepared by somebody else. Its halves go once this is committed: see `finish`.

    Raises:
        NotFound: no such request, or not hers to know of.
        Forbidden: she may know of it and may not approve it, her own least of all.
        NotNow: decided already, a handoff waits for an answer, or the request is not as it was prepared: somebody
            wrote to the database beside the service, which raises an alarm.
        BadInput: another case or basis than those that were prepared.
        MissingKey: she holds no key of the journal, so cannot read why it is asked for.

    """
    row, decision = _decide(act, request_id)
    _require_move(row, State.ERASED)
    if approval.basis is not Basis(row.basis):
        raise bad_field("basis", "not_what_was_prepared")
    if approval.case_id != row.case_id:
        raise bad_field("case_id", "not_what_was_prepared")
    _require_as_prepared(act, row)
    place = Column.ERASURE_MOTIVE.place(act.org_id, request_id, 1)
    motive = msgspec.json.decode(open_envelope(act, JOURNAL, place, row.motive), type=_Motive)
    received = frozenset({motive.received} if motive.received is not None else ())
    lock_handoffs(act.unit, act.org_id, row.case_id)
    if has_open_handoff(act.unit.connection, act.org_id, row.case_id, motive.received):
        raise _not_now(row, "handoff_open", _IN_THE_WAY["handoff_open"])
    owners = {row.case_id, *received}
    # First: behind the wall no case is deleted but one whose erasure was decided.
    _update(
        act,
        request_id,
        state=State.ERASED,
        decided_by=act.member_id,
        decided_at=act.unit.now,
        proof=approval_of(act.org_id, request_id, row.case_id, owners).proof(act.deployment.pepper),
    )
    gone = erase_rows(act.unit, act.org_id, row.case_id, received)
    if gone is None:
        raise _not_now(row, "wrong_state")
    leave_owners(act.unit.connection, act.org_id, request_id, owners)
    halves = act.deployment.shreds.count(act.org_id, owners)
    destroyed = msgspec.structs.replace(gone.destroyed, halves=halves)
    act.unit.touched()
    # It names no person: the certificate rests on it, and must lead to no pseudonym.
    receipt = act.record(
        Deed(
            Action.ERASURE_APPROVE,
            policies=decision.policies,
            count=destroyed.groups,
            detail={"request": str(request_id), "basis": row.basis},
        )
    )
    for told in gone.told:
        _tell(act, told)
    prepared_by = role_of(act.unit.connection, act.org_id, row.prepared_by)
    kept = _Kept(prepared_by, act.asker.role, destroyed, Entry(receipt.log, receipt.entry))
    _update(
        act, request_id, motive=None, certificate=_seal(act, Column.ERASURE_CERTIFICATE, request_id, kept)
    )
    return _view(_row(act, request_id), reason=None)


def refuse_erasure(act: Act, request_id: UUID, refused: Refusal) -> RequestView:
    """Refuse a request; a legal hold or a duty to keep stands in the way of another one until it ends.

    Raises: as `approve_erasure`; BadInput too where an end is missing, out of range or without a ground for it.
    """
    row, decision = _decide(act, request_id)
    _require_move(row, State.REFUSED)
    until = _until(act, refused)
    _update(
        act,
        request_id,
        state=State.REFUSED,
        decided_by=act.member_id,
        decided_at=act.unit.now,
        ground=refused.ground,
        keep_until=until,
        motive=None,
        proof=None,
    )
    _record(act, "erasure.refuse", row, decision, detail={"ground": refused.ground})
    return _view(_row(act, request_id), reason=None)


def list_requests(act: Act, state: State | None) -> RequestPage:
    """The newest requests that the asker may follow: an officer all, others their own of cases they list."""
    query = select(erasure).where(erasure.c.org_id == act.org_id)
    if state is not None:
        query = query.where(erasure.c.state == state)
    rows = act.unit.connection.execute(query.order_by(erasure.c.id.desc()).limit(LIST_LIMIT)).all()
    own = memberships_of(act.unit.connection, act.org_id, act.session.account_id)
    shown = [row for row in rows if _reading(act, row, own).allowed]
    act.unit.touched()
    cases = [row.case_id for row in shown if row.case_id is not None]
    act.record(
        Deed(
            "erasure.list",
            touched=[Touched(person) for person in Access(act).pseudonyms_of(cases)],
            count=len(shown),
        )
    )
    return RequestPage([RequestItem(row.id, row.state, row.basis, row.prepared_at) for row in shown])


def view_request(act: Act, request_id: UUID) -> RequestView:
    """One request; why it is asked for is shown to whoever reads the details of the journal."""
    row, decision = _find(act, request_id, Action.ERASURE_READ)
    reason = None
    if (
        row.motive is not None
        and act.engine.decide_org(act.asker, Action.JOURNAL_DETAIL, act.context).allowed
    ):
        place = Column.ERASURE_MOTIVE.place(act.org_id, request_id, 1)
        opened = open_left_record(act, JOURNAL, place, row.motive)
        reason = msgspec.json.decode(opened, type=_Motive).reason if opened is not None else None
    _record(act, Action.ERASURE_READ, row, decision)
    return _view(row, reason=reason)


def view_certificate(act: Act, request_id: UUID) -> Certificate:
    """The certificate of an erasure that is complete.

    Raises:
        NotFound: no such request, or not hers to know of.
        Forbidden: she may follow it and may not read the details of the journal.
        NotNow: nothing was erased, not everything yet, or a restore lost what the certificate is made of.

    """
    row, _ = _find(act, request_id, Action.ERASURE_READ)
    decision = act.require_org(Action.JOURNAL_DETAIL)
    if row.state != State.COMPLETE or row.certificate is None:
        raise _not_now(row, "no_certificate", "Il n’y a pas encore de certificat pour cette demande.")
    place = Column.ERASURE_CERTIFICATE.place(act.org_id, request_id, 1)
    kept = msgspec.json.decode(open_envelope(act, JOURNAL, place, row.certificate), type=_Kept)
    _record(act, "erasure.certificate", row, decision)
    certificate = Certificate(
        request=request_id,
        organisation=act.identity.slug,
        basis=Basis(row.basis),
        prepared_by=kept.prepared_by,
        prepared_at=row.prepared_at,
        approved_by=kept.approved_by,
        approved_at=row.decided_at,
        destroyed=kept.destroyed,
        # A case has a key for each of them from its first day: that they are named tells nothing.
        groups=list(Group),
        complete_after=row.completed_at + COPIES_KEPT,
        rests_on=kept.rests_on,
        what_stays=WHAT_STAYS,
        text="",
    )
    return msgspec.structs.replace(certificate, text=words(certificate))


def _obstacle(act: Act, case_id: UUID, received: UUID | None) -> str | None:
    """What stands in the way of asking for the erasure of a case, by its code."""
    rows = act.unit.connection.execute(
        select(erasure.c.state, erasure.c.ground, erasure.c.keep_until).where(
            erasure.c.org_id == act.org_id, erasure.c.case_id == case_id
        )
    ).all()
    if any(row.state == State.PREPARED for row in rows):
        return "already_requested"
    for row in rows:
        if row.keep_until is not None and row.keep_until > act.unit.now:
            return Ground(row.ground)
    return "handoff_open" if has_open_handoff(act.unit.connection, act.org_id, case_id, received) else None


def _decide(act: Act, request_id: UUID) -> tuple[Row[Any], Decision]:
    """A request, locked, that the asker may decide; that she says on what it rests is her reason."""
    row, _ = _find(act, request_id, Action.ERASURE_APPROVE)
    own = memberships_of(act.unit.connection, act.org_id, act.session.account_id)
    decision = act.decide_change(Action.ERASURE_APPROVE, _facts(row, own), reason=True)
    if not decision.allowed:
        tried = {"request": str(request_id)}
        raise refusal(Action.ERASURE_APPROVE, decision, hidden=False, tried=tried)
    return row, decision


def _find(act: Act, request_id: UUID, action: Action) -> tuple[Row[Any], Decision]:
    """A request, locked, that the asker may know of."""
    row = act.unit.connection.execute(
        select(erasure).where(erasure.c.org_id == act.org_id, erasure.c.id == request_id).with_for_update()
    ).one_or_none()
    if row is not None:
        own = memberships_of(act.unit.connection, act.org_id, act.session.account_id)
        decision = _reading(act, row, own)
        if decision.allowed:
            return row, decision
    raise NotFound(action, reason="not_found", tried={"request": str(request_id)})


def _reading(act: Act, row: Row[Any], own: set[UUID]) -> Decision:
    """Whether the asker may follow a request: as whoever prepared it, while the case is one that she may list."""
    facts = _facts(row, own)
    near = Access(act).facts_of(row.case_id) if facts.mine and row.case_id is not None else None
    if near is not None and not act.decide_case(Action.CASE_LIST, near).allowed:
        facts = dataclasses.replace(facts, mine=False)
    return act.decide_change(Action.ERASURE_READ, facts)


def _facts(row: Row[Any], own: set[UUID]) -> ChangeFacts:
    # By the person, not by her role: who has two does not approve under the one what she prepared under the other.
    return ChangeFacts(kind=ChangeKind.ERASURE, mine=row.prepared_by in own)


def _require_move(row: Row[Any], following: State) -> None:
    if State(row.state) is not MOVES[following]:
        raise _not_now(row, "wrong_state")


def _require_as_prepared(act: Act, row: Row[Any]) -> None:
    """Raise NotNow, and the alarm, where a request is not what its preparer asked for."""
    try:
        require_proof(act.deployment.peppers, preparation_of(row), row.proof)
    except ProofRefused:
        alert(AlertKind.ERASURE_ALTERED, organisation=act.identity.slug, request=str(row.id))
        raise _not_now(row, "not_as_prepared", _IN_THE_WAY["not_as_prepared"]) from None


def _not_now(row: Row[Any], code: str, title: str | None = None) -> NotNow:
    return NotNow(Action.ERASURE_APPROVE, code, title, tried={"request": str(row.id)})


def _until(act: Act, refused: Refusal) -> datetime | None:
    if refused.ground not in LASTING:
        if refused.until is not UNSET:
            raise bad_field("until", "not_with_this_ground")
        return None
    if refused.until is UNSET:
        raise bad_field("until", "missing")
    if refused.until.tzinfo is None:
        raise bad_field("until", "not_a_time")
    if not act.unit.now < refused.until <= act.unit.now + LONGEST_HOLD:
        raise bad_field("until", "out_of_range")
    return refused.until.astimezone(UTC)


def _row(act: Act, request_id: UUID) -> Row[Any]:
    return act.unit.connection.execute(
        select(erasure).where(erasure.c.org_id == act.org_id, erasure.c.id == request_id)
    ).one()


def _update(act: Act, request_id: UUID, **values: Any) -> None:
    act.unit.connection.execute(
        update(erasure).where(erasure.c.org_id == act.org_id, erasure.c.id == request_id).values(values)
    )


def _seal(act: Act, column: Column, request_id: UUID, record: Struct) -> Sealed:
    """A record for the journal's readers; without them nobody opens it."""
    place = column.place(act.org_id, request_id, 1)
    return Sealed(seal_to_drop(act.drop(JOURNAL), place, msgspec.json.encode(record)))


def _record(act: Act, action: str, row: Row[Any], decision: Decision, **more: Any) -> None:
    """Journal what was read or decided of a request, under the person's pseudonym while there is one."""
    act.unit.touched()
    cases = [row.case_id] if row.case_id is not None else []
    touched = [Touched(person, ((row.id.bytes, 1),)) for person in Access(act).pseudonyms_of(cases)]
    act.record(Deed(action, touched=touched, policies=decision.policies, **more))


def _tell(act: Act, told: Told) -> None:
    """An entry in the partner's own log, as for any handoff that ends: which one, and no one's name."""
    act.deployment.journal.record(
        act.unit,
        (told.partner_id, act.deployment.slugs[told.partner_id]),
        Who(act.identity.who.request),
        Deed("handoff.withdrawn", handoff=told.id),
    )


def _view(row: Row[Any], *, reason: str | None) -> RequestView:
    return RequestView(
        id=row.id,
        kind="erasure",
        state=State(row.state),
        basis=Basis(row.basis),
        prepared_at=row.prepared_at,
        case_id=row.case_id,
        reason=reason,
        decided_at=row.decided_at,
        ground=Ground(row.ground) if row.ground is not None else None,
        keep_until=row.keep_until,
        completed_at=row.completed_at,
    )
