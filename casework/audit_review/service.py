"""Reading and verifying the organisation's journal. Every reading is itself an entry."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from audit.entry import Basis, Outcome
from audit.errors import EntryNotFound, NothingPublished
from audit.log import (
    Filters,
    Integrated,
    entries,
    find_entry,
    latest_checkpoint,
    prove_inclusion,
    sealed_detail,
)
from casework.access import Access
from casework.act import Act
from casework.audit_review.relating import relations_of
from casework.audit_review.schemas import EntryPage, EntryView, Related
from casework.audit_review.sentences import sentence
from casework.clock import microseconds
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import AuthenticationStepNeeded, Conflict, NotFound
from casework.journal import JOURNAL, Deed
from casework.organisations.founding import organisation_name
from casework.packets import open_envelope, open_left_record
from policies.vocabulary import Action, Advice

PAGE_LIMIT = 200
_SALT = 32
_CONSENT, _HANDOFF, _EMERGENCY = "Accord de la personne", "Relais", "Accès d’urgence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a review looks for; everything given must hold."""

    case: UUID | None = None
    member: UUID | None = None
    action: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


def read_entries(act: Act, search: Search, cursor: int | None, limit: int) -> EntryPage:
    """A page of the journal, newest first, details opened where the journal's key is held."""
    decision = act.require_org(Action.JOURNAL_READ)
    found = entries(
        act.unit.connection,
        act.org_id.bytes,
        filters_of(act, search),
        cursor=cursor,
        limit=min(limit, PAGE_LIMIT),
    )
    opens_details = may_open_details(act)
    act.record(
        Deed(
            "journal.read",
            policies=decision.policies,
            count=len(found.entries),
            detail=tried(search),
        )
    )
    name = organisation_name(act.unit.connection, act.org_id)
    return EntryPage(
        view_entries(act, name, found.entries, opens_details=opens_details),
        str(found.cursor) if found.cursor is not None else None,
    )


def filters_of(act: Act, search: Search) -> Filters:
    """What is looked for, in the terms of the log: a case by its persons' pseudonyms."""
    subjects = None
    if search.case is not None:
        subjects = frozenset(Access(act).pseudonyms_of([search.case]))
    return Filters(
        subjects=subjects,
        actor=str(search.member) if search.member is not None else None,
        action=search.action,
        outcome=search.outcome,
        since=microseconds(search.since) if search.since is not None else None,
        until=microseconds(search.until) if search.until is not None else None,
    )


def tried(search: Search) -> dict[str, str]:
    """What was looked for, as it is sealed into the detail of the entry."""
    return {name: str(value) for name, value in asdict(search).items() if value is not None}


def read_checkpoint(act: Act) -> str:
    """The newest signed checkpoint of the organisation's log."""
    act.require_org(Action.JOURNAL_VERIFY)
    return _newest_checkpoint(act)


def read_proof(act: Act, entry_id: UUID) -> str:
    """The tlog-proof that an entry is in the newest checkpoint.

    Raises:
        NotFound: not in this organisation's log, or not integrated yet.

    """
    act.require_org(Action.JOURNAL_VERIFY)
    try:
        return prove_inclusion(act.unit.connection, act.org_id.bytes, str(entry_id))
    except (EntryNotFound, NothingPublished):
        raise NotFound("journal.proof", reason="not_found", tried={"entry": str(entry_id)}) from None


@dataclass(frozen=True, slots=True)
class Taken:
    """Whose log is taken away, and the salted detail (salt ‖ plaintext) of each entry that it discloses."""

    org_id: UUID
    details: Mapping[str, bytes] = field(repr=False)


def record_bundle(act: Act, disclosed: Collection[UUID]) -> Taken:
    """Decide and journal the export of the whole log, with the details of the entries `disclosed` in clear.

    Raises:
        AuthenticationStepNeeded: details leave, and her password was not confirmed in the last five minutes.
        NotFound: no such entry in this log, or it has no detail, or no longer.
        MissingKey: the session does not hold the journal's key.
        Conflict: the log has no checkpoint yet.

    """
    decision = act.require_org(Action.JOURNAL_VERIFY)
    _newest_checkpoint(act)
    details = _disclose(act, disclosed) if disclosed else {}
    act.record(Deed("journal.export", policies=decision.policies))
    return Taken(act.org_id, details)


def _disclose(act: Act, disclosed: Collection[UUID]) -> dict[str, bytes]:
    decision = act.require_org(Action.JOURNAL_DETAIL)
    if not act.context.step_up:
        raise AuthenticationStepNeeded(
            Action.JOURNAL_DETAIL, reason="step_up", extra={"advice": [Advice.STEP_UP]}
        )
    details = {str(entry_id): _salted_detail(act, entry_id) for entry_id in sorted(disclosed)}
    act.record(
        Deed(
            Action.JOURNAL_DETAIL,
            policies=decision.policies,
            count=len(details),
            detail={"entries": list(details)},
        )
    )
    return details


def _salted_detail(act: Act, entry_id: UUID) -> bytes:
    """Salt ‖ plaintext of an integrated entry's detail: what waits is in no bundle yet."""
    connection, log = act.unit.connection, act.org_id.bytes
    try:
        find_entry(connection, log, str(entry_id))
    except EntryNotFound:
        sealed = None
    else:
        sealed = sealed_detail(connection, log, str(entry_id))
    if sealed is None:
        raise NotFound(Action.JOURNAL_DETAIL, reason="not_found", tried={"entry": str(entry_id)})
    place = Column.JOURNAL_DETAIL.place(act.org_id, entry_id, 0)
    return open_envelope(act, JOURNAL, place, Sealed(sealed))


def _newest_checkpoint(act: Act) -> str:
    try:
        return latest_checkpoint(act.unit.connection, act.org_id.bytes)
    except NothingPublished:
        raise Conflict("nothing_published") from None


def may_open_details(act: Act) -> bool:
    return act.engine.decide_org(act.asker, Action.JOURNAL_DETAIL, act.context).allowed


def view_entries(act: Act, name: str, found: Sequence[Integrated], *, opens_details: bool) -> list[EntryView]:
    """Entries as a reviewer of the organisation `name` reads them."""
    if not opens_details:
        return [_view(act, name, integrated, None, None) for integrated in found]
    details = [_detail(act, act.unit.connection, integrated.entry.id) for integrated in found]
    related = relations_of(act, list(zip([each.entry for each in found], details, strict=True)))
    return [_view(act, name, *each) for each in zip(found, details, related, strict=True)]


def _view(
    act: Act,
    name: str,
    integrated: Integrated,
    detail: Mapping[str, Any] | None,
    related: list[Related] | None,
) -> EntryView:
    entry = integrated.entry
    return EntryView(
        index=integrated.index,
        id=UUID(entry.id),
        time=datetime.fromtimestamp(entry.time / 1_000_000, UTC),
        action=entry.action,
        outcome=entry.outcome,
        sentence=sentence(entry, act.identity.slug, name),
        grounds=_grounds(act, entry.basis),
        entry=msgspec.json.decode(integrated.raw),
        detail=detail,
        relations=related,
    )


def _grounds(act: Act, basis: Basis) -> list[str]:
    titles = {policy.id: policy.annotations["title"] for policy in act.engine.policies}
    others = ((basis.consent, _CONSENT), (basis.handoff, _HANDOFF), (basis.glass, _EMERGENCY))
    # A rule that is in force no more has its name alone.
    named = [titles.get(policy, policy) for policy in basis.policies]
    return named + [words for ground, words in others if ground is not None]


def _detail(act: Act, connection: Connection, entry_id: str) -> Mapping[str, Any] | None:
    sealed = sealed_detail(connection, act.org_id.bytes, entry_id)
    if sealed is None:
        return None
    place = Column.JOURNAL_DETAIL.place(act.org_id, UUID(entry_id), 0)
    plaintext = open_left_record(act, JOURNAL, place, Sealed(sealed))
    return msgspec.json.decode(plaintext[_SALT:], type=dict[str, Any]) if plaintext is not None else None
