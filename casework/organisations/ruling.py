"""Change of an organisation's rules: a custodian proposes, two supervisors or data-protection officers sign.

Each signs at the server's terminal with her own key, which her own password opens. What is signed is the number,
the hash of the file and the moment from which it holds (decision 0023); `casework.rules` loads what is approved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity.members import persons_of
from casework.ids import new_id
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActFault,
    KeyActRefused,
    Opened,
    Signer,
    open_account,
    record_refusal,
)
from casework.organisations.tables import policy_set
from crypto.directory import Directory
from crypto.directory_agreements import PolicyApprovalBody
from policies.engine import Engine
from policies.facts import ChangeFacts
from policies.vocabulary import Action, ChangeKind

REFUSE = "policy.refuse"
WITHDRAW = "policy.withdraw"


class State(StrEnum):
    """What has become of a set."""

    PROPOSED = "proposed"
    IN_FORCE = "in_force"
    APPROVED = "approved"
    """Its day has not come."""
    PAST = "past"
    """It was in force, or another took its place before its day."""
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OVERTAKEN = "overtaken"
    """Another set was approved under its number."""


@dataclass(frozen=True, slots=True)
class RulesSet:
    """A set that was proposed. `approved_by` are the memberships that have signed it; none of the founding's."""

    id: UUID
    number: int
    text_hash: bytes
    text: str
    phrases: str
    state: State
    effective_at: datetime
    proposed_by: UUID | None
    approved_by: tuple[UUID, ...]

    @property
    def body(self) -> PolicyApprovalBody:
        """What its approval signs."""
        return PolicyApprovalBody(self.number, self.text_hash, int(self.effective_at.timestamp()))


async def sets_of(deployment: Deployment, slug: str) -> tuple[Engine, list[RulesSet]]:
    """The rules that decide now, and every set that was proposed, newest first.

    Raises:
        AnchorMissing, DirectoryRefused: the directory is not to be believed.

    """
    org_id = _id_of(deployment, slug)

    def read(unit: UnitOfWork) -> tuple[Engine, list[RulesSet]]:
        unit.enter_organisation(org_id)
        directory = deployment.directories.fresh(unit, org_id)
        return deployment.engine(unit, org_id), _sets(unit, directory, org_id)

    return await deployment.database.unit(read)


async def propose(
    deployment: Deployment,
    slug: str,
    text: str,
    phrases: str,
    effective_at: datetime | None,
    custodian: Credentials,
) -> RulesSet:
    """Propose the next set, of a text that `policies.proposals` found sound; at once where no time is given.

    Raises:
        KeyActRefused: her password is wrong, she may not, or the text is the one in force. It is journaled.

    """
    work = partial(_propose, text=text, phrases=phrases, effective_at=effective_at)
    return await _act(deployment, slug, custodian, Action.POLICY_PROPOSE, work)


async def approve(
    deployment: Deployment, slug: str, number: int, text_hash: bytes, approver: Credentials
) -> RulesSet:
    """Sign a proposed set, named by its number and hash; with the second signature it is approved.

    Raises:
        KeyActRefused: her password is wrong, she may not, she proposed it or has signed it in any role, or no such
            set is proposed. It is journaled.

    """
    work = partial(_approve, number=number, text_hash=text_hash)
    return await _act(deployment, slug, approver, Action.POLICY_APPROVE, work)


async def end(
    deployment: Deployment, slug: str, number: int, text_hash: bytes, member: Credentials
) -> RulesSet:
    """Refuse a proposed set, or withdraw one's own.

    Raises:
        KeyActRefused: her password is wrong, she may neither, or no such set is proposed. It is journaled.

    """
    work = partial(_end, number=number, text_hash=text_hash)
    return await _act(deployment, slug, member, REFUSE, work)


async def _act(deployment: Deployment, slug: str, given: Credentials, action: str, work: Any) -> RulesSet:
    org_id = _id_of(deployment, slug)

    def unit_of_work(unit: UnitOfWork, opened: Opened) -> RulesSet:
        made: RulesSet = work(KeyAct(deployment, unit, org_id, alone=False), opened)
        return made

    try:
        opened = await open_account(deployment, org_id, given)
        return await deployment.database.unit(partial(unit_of_work, opened=opened))
    except (KeyActRefused, IntegrityError) as error:
        raise await record_refusal(deployment, org_id, action, error, given.login) from None


def _propose(
    act: KeyAct, opened: Opened, *, text: str, phrases: str, effective_at: datetime | None
) -> RulesSet:
    signers = act.signers(opened, Action.POLICY_PROPOSE)
    signer = _first(signers, opened, KeyActFault.MAY_NOT_PROPOSE)
    rules, text_hash = act.directory.rules, sha256(text.encode()).digest()
    now = act.directory.rules_at(int(act.unit.now.timestamp()))
    if now is not None and now.text_hash == text_hash:
        raise KeyActRefused(KeyActFault.RULES_IN_FORCE, opened.login)
    number = (rules[-1].number if rules else 0) + 1
    proposal = {
        "org_id": act.org_id,
        "id": new_id(),
        "number": number,
        "text_hash": text_hash,
        "text": text.encode(),
        "phrases": phrases.encode(),
        "effective_at": (effective_at or act.unit.now).replace(microsecond=0),
        "proposed_at": act.unit.now,
        "proposed_by": signer.member.id,
    }
    act.unit.connection.execute(insert(policy_set).values(**proposal))
    _record(act, Action.POLICY_PROPOSE, signer, number, text_hash)
    return _proposed(act, opened, number, text_hash)


def _approve(act: KeyAct, opened: Opened, *, number: int, text_hash: bytes) -> RulesSet:
    found = _proposed(act, opened, number, text_hash)
    signer = _approver(act, opened, mine=_is_hers(act, opened, found))
    signed = [*found.approved_by, signer.member.id]
    if len(persons_of(act.unit.connection, act.org_id, signed)) < len(signed):
        raise KeyActRefused(KeyActFault.APPROVED_ALREADY, opened.login)
    act.append(found.body, signer)
    _record(act, Action.POLICY_APPROVE, signer, number, text_hash)
    return next(one for one in _sets(act.unit, act.directory, act.org_id) if one.id == found.id)


def _end(act: KeyAct, opened: Opened, *, number: int, text_hash: bytes) -> RulesSet:
    found = _proposed(act, opened, number, text_hash)
    is_hers = _is_hers(act, opened, found)
    if is_hers:
        signers = act.signers(opened, Action.POLICY_PROPOSE)
        signer = _first(signers, opened, KeyActFault.MAY_NOT_PROPOSE)
    else:
        signer = _approver(act, opened, mine=False)
    state = State.WITHDRAWN if is_hers else State.REFUSED
    row = (policy_set.c.org_id == act.org_id, policy_set.c.id == found.id)
    ended = {"ended": state, "ended_at": act.unit.now, "ended_by": signer.member.id}
    act.unit.connection.execute(update(policy_set).where(*row).values(**ended))
    _record(act, WITHDRAW if is_hers else REFUSE, signer, number, text_hash)
    return next(one for one in _sets(act.unit, act.directory, act.org_id) if one.id == found.id)


def _approver(act: KeyAct, opened: Opened, *, mine: bool) -> Signer:
    change = ChangeFacts(kind=ChangeKind.POLICY, mine=mine)
    signers = act.signers(opened, Action.POLICY_APPROVE, change)
    return _first(signers, opened, KeyActFault.MAY_NOT_APPROVE)


def _first(signers: Sequence[Signer], opened: Opened, fault: KeyActFault) -> Signer:
    if not signers:
        raise KeyActRefused(fault, opened.login)
    return signers[0]


def _is_hers(act: KeyAct, opened: Opened, found: RulesSet) -> bool:
    """Whether she proposed it, in whichever of her roles."""
    if found.proposed_by is None:
        return False
    return persons_of(act.unit.connection, act.org_id, [found.proposed_by]) == {opened.account.row.id}


def _proposed(act: KeyAct, opened: Opened, number: int, text_hash: bytes) -> RulesSet:
    for found in _sets(act.unit, act.directory, act.org_id):
        if (found.number, found.text_hash, found.state) == (number, text_hash, State.PROPOSED):
            return found
    raise KeyActRefused(KeyActFault.NOT_PROPOSED, opened.login)


def _record(act: KeyAct, action: str, signer: Signer, number: int, text_hash: bytes) -> None:
    act.record(action, signer, {"number": number, "sha256": text_hash.hex()}, count=number)


def _sets(unit: UnitOfWork, directory: Directory, org_id: UUID) -> list[RulesSet]:
    """Those whose text still has its hash: what was changed can be neither approved nor shown as what it was."""
    rows = unit.connection.execute(
        select(policy_set)
        .where(policy_set.c.org_id == org_id)
        .order_by(policy_set.c.number.desc(), policy_set.c.id.desc())
    ).all()
    return [
        _set(row, directory, int(unit.now.timestamp()))
        for row in rows
        if sha256(row.text).digest() == row.text_hash
    ]


def _set(row: Row[Any], directory: Directory, now: int) -> RulesSet:
    at = row.effective_at.replace(tzinfo=row.effective_at.tzinfo or UTC)
    body = PolicyApprovalBody(row.number, bytes(row.text_hash), int(at.timestamp()))
    approved = next(
        (
            rules
            for rules in directory.rules
            if (rules.number, rules.text_hash) == (body.number, body.text_hash)
        ),
        None,
    )
    current = directory.rules_at(now)
    if approved is not None and approved == current:
        state = State.IN_FORCE
    elif approved is not None:
        state = State.APPROVED if approved.effective > now else State.PAST
    elif row.ended is not None:
        state = State(row.ended)
    else:
        last = directory.rules[-1].number if directory.rules else 0
        state = State.PROPOSED if body.number == last + 1 else State.OVERTAKEN
    signers = approved.approvers if approved is not None else directory.approvals.get(body, ())
    members = tuple(UUID(bytes=signer) for signer in signers if len(signer) == len(directory.org))
    text, phrases = bytes(row.text).decode(), bytes(row.phrases).decode()
    return RulesSet(row.id, row.number, body.text_hash, text, phrases, state, at, row.proposed_by, members)


def _id_of(deployment: Deployment, slug: str) -> UUID:
    return next(found for found, known in deployment.slugs.items() if known == slug)
