"""Who may sign which entry of a key directory, and what each entry changes.

A change needs an entitled signer *at that time*: someone removed, or whose keys were reset, signs nothing
more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from crypto.algorithms import CASE_ALGORITHMS, NO_MINIMUM, Algorithm, CaseMinimum
from crypto.directory_agreements import CharterAcceptedBody, CharterBody, PolicyApprovalBody
from crypto.directory_entries import (
    ROOT,
    CompartmentBody,
    DirectoryEntry,
    GrantBody,
    GrantEndedBody,
    JournalBody,
    KekRetiredBody,
    MemberBody,
    MemberRemovedBody,
    MinimumBody,
    NamedSeal,
    PolicyBody,
    RecoveryBody,
    RestrictionBody,
    RootChangedBody,
)
from crypto.directory_kinds import EntryKind
from crypto.drop import DropPublic
from crypto.errors import DirectoryFault, DirectoryRefused
from crypto.pae import pae

CUSTODIAN = "custodian"
"""The one role that the directory itself knows: it certifies members."""

POLICY_APPROVERS = frozenset({"supervisor", "dpo"})
"""The roles whose members approve rules. The policies' base rules have the same, and no organisation's
own change them: so whoever verifies a directory need not know the policies."""

APPROVALS_NEEDED = 2
"""By different members; that these are different persons is for whoever knows their accounts to say."""

FEWEST_NAMED = 2
"""A restricted case that one member alone holds would be lost with her password."""

_MEMBER_LABEL = b"csm/member-key/v1"


def member_key_fingerprint(org: bytes, member: bytes, daily_public: bytes, signing_public: bytes) -> bytes:
    """Return SHA-256(PAE("csm/member-key/v1", org, member, daily public, signing public))."""
    return sha256(pae(_MEMBER_LABEL, org, member, daily_public, signing_public)).digest()


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """A membership as certified: role, professions, public keys, and the fingerprint over both keys.

    ``certified_by`` is who signed the newest entry about it: root, or a custodian's membership.
    """

    role: str
    professions: tuple[str, ...]
    daily_public: bytes
    signing_public: bytes
    fingerprint: bytes
    certified_by: bytes


@dataclass(frozen=True, slots=True)
class CompartmentKeys:
    """The current key numbers of a group, its key id and its public drop key."""

    kek_no: int
    kid: bytes
    drop: DropPublic


@dataclass(frozen=True, slots=True)
class Grant:
    """A certified grant: the KEK of a group, given by a granter to a member's keys in one entry."""

    epoch: int
    group: str
    kek_no: int
    kid: bytes
    member: bytes
    member_key_fp: bytes
    granter: bytes
    sealed_hash: bytes


@dataclass(frozen=True, slots=True)
class Restriction:
    """The newest entry about a restricted case; ``named`` is by member, and empty once it is lifted."""

    tag: bytes
    number: int
    part_id: bytes
    named: Mapping[bytes, NamedSeal]
    recovery_hash: bytes


@dataclass(frozen=True, slots=True)
class Charter:
    """The version of the charter in force, and SHA-256 of its text."""

    version: int
    text_hash: bytes


@dataclass(frozen=True, slots=True)
class ApprovedRules:
    """A set of rules that enough have approved: its number, SHA-256 of its text, since when and by whom.

    ``effective`` is in Unix seconds. ``approvers`` are memberships in the order in which they signed, or ROOT alone
    for the set of the founding.
    """

    number: int
    text_hash: bytes
    effective: int
    approvers: tuple[bytes, ...]


def _require(fact: bool, fault: DirectoryFault) -> None:
    if not fact:
        raise DirectoryRefused(fault)


@dataclass(slots=True)
class Ledger:
    """The state that entries build up. Owned by one extension at a time; a Directory shows it read-only."""

    org: bytes
    root_public: bytes
    recovery_public: bytes
    journal_key: bytes | None = None
    members: dict[bytes, MemberKeys] = field(default_factory=dict)
    removed: set[bytes] = field(default_factory=set)
    compartments: dict[str, CompartmentKeys] = field(default_factory=dict)
    kids: dict[tuple[str, int], bytes] = field(default_factory=dict)
    makers: dict[tuple[str, int], bytes] = field(default_factory=dict)
    grants: dict[int, Grant] = field(default_factory=dict)
    holdings: dict[tuple[bytes, str, int], int] = field(default_factory=dict)
    exposed: set[tuple[str, int]] = field(default_factory=set)
    restrictions: dict[bytes, Restriction] = field(default_factory=dict)
    case_minimum: CaseMinimum = NO_MINIMUM
    charter: Charter | None = None
    accepted: dict[bytes, int] = field(default_factory=dict)
    rules: tuple[ApprovedRules, ...] = ()
    approvals: dict[PolicyApprovalBody, tuple[bytes, ...]] = field(default_factory=dict)

    def copy(self) -> "Ledger":
        return replace(
            self,
            members=dict(self.members),
            removed=set(self.removed),
            compartments=dict(self.compartments),
            kids=dict(self.kids),
            makers=dict(self.makers),
            grants=dict(self.grants),
            holdings=dict(self.holdings),
            exposed=set(self.exposed),
            restrictions=dict(self.restrictions),
            accepted=dict(self.accepted),
            approvals=dict(self.approvals),
        )

    def apply(self, entry: DirectoryEntry) -> None:
        """Check signer, signature and content of an entry, then take it in."""
        signer = self.members.get(entry.signer)
        _require(entry.signer == ROOT or signer is not None, DirectoryFault.UNKNOWN_SIGNER)
        entry.require_signature(self.root_public if signer is None else signer.signing_public)
        rule = _RULES.get(entry.kind)
        if rule is None:
            raise DirectoryRefused(DirectoryFault.CONTRADICTION)
        rule(self, entry, entry.body)

    def may_certify(self, signer: bytes) -> bool:
        """Root and custodians certify members and policies."""
        return signer == ROOT or self.members[signer].role == CUSTODIAN

    def has_key(self, signer: bytes, group: str, kek_no: int) -> bool:
        """Tell whether the signer was granted this KEK, or made it."""
        return (signer, group, kek_no) in self.holdings or self.makers.get((group, kek_no)) == signer

    def has_keys(self, named: NamedSeal) -> bool:
        """Tell whether the member still has the certified keys under which she was named."""
        member = self.members.get(named.member)
        return member is not None and member.fingerprint == named.member_key_fp

    def forget_keys_of(self, member: bytes) -> None:
        """Her keys are gone or replaced: what was given to them gives nothing any more."""
        self.makers = {made: maker for made, maker in self.makers.items() if maker != member}
        self.grants = {epoch: grant for epoch, grant in self.grants.items() if grant.member != member}
        self.holdings = {held: epoch for held, epoch in self.holdings.items() if held[0] != member}

    def forget_approvals_of(self, member: bytes) -> None:
        """What waits for a second signature no longer counts hers: she is gone, or no longer who signed it."""
        without = {
            body: tuple(signer for signer in signers if signer != member)
            for body, signers in self.approvals.items()
        }
        self.approvals = {body: signers for body, signers in without.items() if signers}

    def end_grants(self, member: bytes, group: str) -> None:
        """What she held of a group she keeps in her memory until it is rotated, and gives to nobody any more."""
        ended = {held for held in self.holdings if held[:2] == (member, group)}
        self.exposed |= {(group, kek_no) for _, _, kek_no in ended}
        self.makers = {
            made: maker for made, maker in self.makers.items() if (maker, made[0]) != (member, group)
        }
        self.grants = {e: one for e, one in self.grants.items() if (one.member, one.group) != (member, group)}
        self.holdings = {held: epoch for held, epoch in self.holdings.items() if held not in ended}

    def retire(self, kek: tuple[str, int]) -> None:
        """An older key is gone: whatever gave it gives nothing any more."""
        del self.kids[kek]
        self.makers.pop(kek, None)
        self.exposed.discard(kek)
        self.grants = {e: grant for e, grant in self.grants.items() if (grant.group, grant.kek_no) != kek}
        self.holdings = {held: epoch for held, epoch in self.holdings.items() if held[1:] != kek}


def _member(ledger: Ledger, entry: DirectoryEntry, body: MemberBody) -> None:
    _require(ledger.may_certify(entry.signer), DirectoryFault.NOT_ENTITLED)
    _require(body.member not in ledger.removed, DirectoryFault.CONTRADICTION)
    fingerprint = member_key_fingerprint(ledger.org, body.member, body.daily_public, body.signing_public)
    before = ledger.members.get(body.member)
    if before is not None and before.fingerprint != fingerprint:
        ledger.forget_keys_of(body.member)
    if before is not None and (before.fingerprint, before.role) != (fingerprint, body.role):
        ledger.forget_approvals_of(body.member)
    ledger.members[body.member] = MemberKeys(
        body.role, body.professions, body.daily_public, body.signing_public, fingerprint, entry.signer
    )


def _member_removed(ledger: Ledger, entry: DirectoryEntry, body: MemberRemovedBody) -> None:
    _require(ledger.may_certify(entry.signer), DirectoryFault.NOT_ENTITLED)
    _require(body.member in ledger.members, DirectoryFault.CONTRADICTION)
    del ledger.members[body.member]
    ledger.removed.add(body.member)
    ledger.accepted.pop(body.member, None)
    ledger.forget_approvals_of(body.member)
    # Before what she held is forgotten: she keeps these in her memory until each was rotated.
    ledger.exposed |= {(group, kek_no) for member, group, kek_no in ledger.holdings if member == body.member}
    ledger.forget_keys_of(body.member)


def _compartment(ledger: Ledger, entry: DirectoryEntry, body: CompartmentBody) -> None:
    current = ledger.compartments.get(body.group)
    if current is None:
        _require(entry.signer == ROOT, DirectoryFault.NOT_ENTITLED)
        _require(body.kek_no == body.drop_no == 1, DirectoryFault.CONTRADICTION)
    else:
        may_rotate = entry.signer == ROOT or ledger.has_key(entry.signer, body.group, current.kek_no)
        _require(may_rotate, DirectoryFault.NOT_ENTITLED)
        _require(_follows(current, body), DirectoryFault.CONTRADICTION)
    if current is None or body.kek_no != current.kek_no:
        ledger.makers[body.group, body.kek_no] = entry.signer
    ledger.kids[body.group, body.kek_no] = body.kid
    drop = DropPublic(ledger.org, body.group, body.drop_no, body.drop_public)
    ledger.compartments[body.group] = CompartmentKeys(body.kek_no, body.kid, drop)


def _follows(current: CompartmentKeys, body: CompartmentBody) -> bool:
    """A number rises by one exactly when its key changes, and one of the two must."""
    kek_step = (body.kek_no - current.kek_no, body.kid != current.kid)
    drop_step = (body.drop_no - current.drop.number, body.drop_public != current.drop.public)
    steps = {kek_step, drop_step}
    return steps <= {(0, False), (1, True)} and (1, True) in steps


def _kek_retired(ledger: Ledger, entry: DirectoryEntry, body: KekRetiredBody) -> None:
    retired = (body.group, body.kek_no)
    _require(retired in ledger.kids, DirectoryFault.CONTRADICTION)
    current = ledger.compartments[body.group]
    _require(body.kek_no != current.kek_no, DirectoryFault.CONTRADICTION)
    may_retire = entry.signer == ROOT or ledger.has_key(entry.signer, body.group, current.kek_no)
    _require(may_retire, DirectoryFault.NOT_ENTITLED)
    ledger.retire(retired)


def _grant(ledger: Ledger, entry: DirectoryEntry, body: GrantBody) -> None:
    # Of an older KEK too: both are live while a rotation runs.
    may_grant = entry.signer == ROOT or ledger.has_key(entry.signer, body.group, body.kek_no)
    _require(may_grant, DirectoryFault.NOT_ENTITLED)
    _require(ledger.kids.get((body.group, body.kek_no)) == body.kid, DirectoryFault.CONTRADICTION)
    member = ledger.members.get(body.member)
    _require(member is not None and member.fingerprint == body.member_key_fp, DirectoryFault.CONTRADICTION)
    held = (body.member, body.group, body.kek_no)
    ledger.grants.pop(ledger.holdings.get(held, 0), None)
    ledger.holdings[held] = entry.epoch
    ledger.grants[entry.epoch] = Grant(
        entry.epoch,
        body.group,
        body.kek_no,
        body.kid,
        body.member,
        body.member_key_fp,
        entry.signer,
        body.sealed_hash,
    )


def _grant_ended(ledger: Ledger, entry: DirectoryEntry, body: GrantEndedBody) -> None:
    _require(ledger.may_certify(entry.signer), DirectoryFault.NOT_ENTITLED)
    held = any(holding[:2] == (body.member, body.group) for holding in ledger.holdings)
    _require(held, DirectoryFault.CONTRADICTION)
    ledger.end_grants(body.member, body.group)


def _charter(ledger: Ledger, entry: DirectoryEntry, body: CharterBody) -> None:
    _require(ledger.may_certify(entry.signer), DirectoryFault.NOT_ENTITLED)
    before = ledger.charter.version if ledger.charter is not None else 0
    _require(body.version == before + 1, DirectoryFault.CONTRADICTION)
    ledger.charter = Charter(body.version, body.text_hash)


def _charter_accepted(ledger: Ledger, entry: DirectoryEntry, body: CharterAcceptedBody) -> None:
    """By herself alone, the version in force alone, and once."""
    _require(entry.signer in ledger.members, DirectoryFault.NOT_ENTITLED)
    _require(ledger.charter == Charter(body.version, body.text_hash), DirectoryFault.CONTRADICTION)
    _require(ledger.accepted.get(entry.signer) != body.version, DirectoryFault.CONTRADICTION)
    ledger.accepted[entry.signer] = body.version


def _policy(ledger: Ledger, entry: DirectoryEntry, _body: PolicyBody) -> None:
    """Of foundings before there were approvals. It put nothing in force, and may not seem to beside them."""
    _require(ledger.may_certify(entry.signer), DirectoryFault.NOT_ENTITLED)
    _require(not ledger.rules and not ledger.approvals, DirectoryFault.CONTRADICTION)


def _policy_approval(ledger: Ledger, entry: DirectoryEntry, body: PolicyApprovalBody) -> None:
    """The next number alone: no set that was in force comes back under its old one, and none is left out."""
    before = ledger.rules[-1].number if ledger.rules else 0
    _require(body.number == before + 1, DirectoryFault.CONTRADICTION)
    if entry.signer == ROOT:
        # At the founding there are no two members yet.
        _require(not ledger.rules, DirectoryFault.NOT_ENTITLED)
    else:
        _require(ledger.members[entry.signer].role in POLICY_APPROVERS, DirectoryFault.NOT_ENTITLED)
    given = ledger.approvals.get(body, ())
    _require(entry.signer not in given, DirectoryFault.CONTRADICTION)
    approvers = (ROOT,) if entry.signer == ROOT else (*given, entry.signer)
    if entry.signer == ROOT or len(approvers) >= APPROVALS_NEEDED:
        approved = ApprovedRules(body.number, body.text_hash, body.effective, approvers)
        ledger.rules = (*ledger.rules, approved)
        # What else was proposed under this number can be approved no more.
        ledger.approvals.clear()
    else:
        ledger.approvals[body] = approvers


def _recovery(ledger: Ledger, entry: DirectoryEntry, body: RecoveryBody) -> None:
    _require(entry.signer == ROOT, DirectoryFault.NOT_ENTITLED)
    ledger.recovery_public = body.value


def _journal(ledger: Ledger, entry: DirectoryEntry, body: JournalBody) -> None:
    _require(entry.signer == ROOT, DirectoryFault.NOT_ENTITLED)
    ledger.journal_key = body.value


def _minimum(ledger: Ledger, entry: DirectoryEntry, body: MinimumBody) -> None:
    """Neither number ever goes down, and one of them rises; what is made must be accepted."""
    _require(ledger.may_certify(entry.signer), DirectoryFault.NOT_ENTITLED)
    _require({body.made, body.accepted} <= CASE_ALGORITHMS, DirectoryFault.CONTRADICTION)
    now = ledger.case_minimum
    _require(now.made <= body.made and now.accepted <= body.accepted, DirectoryFault.CONTRADICTION)
    _require((now.made, now.accepted) != (body.made, body.accepted), DirectoryFault.CONTRADICTION)
    _require(body.accepted <= body.made, DirectoryFault.CONTRADICTION)
    ledger.case_minimum = CaseMinimum(Algorithm(body.made), Algorithm(body.accepted))


def _root_changed(ledger: Ledger, entry: DirectoryEntry, body: RootChangedBody) -> None:
    _require(entry.signer == ROOT, DirectoryFault.NOT_ENTITLED)
    ledger.root_public = body.value


def _restriction(ledger: Ledger, entry: DirectoryEntry, body: RestrictionBody) -> None:
    before = ledger.restrictions.get(body.tag)
    if before is not None and before.named:
        # Whoever certified her new keys must not thereby be named: under those she has to be named anew.
        named = before.named.get(entry.signer)
        is_named = named is not None and ledger.has_keys(named)
        _require(entry.signer == ROOT or is_named, DirectoryFault.NOT_ENTITLED)
    else:
        _require(bool(body.named), DirectoryFault.CONTRADICTION)
    _require(body.number == (before.number if before is not None else 0) + 1, DirectoryFault.CONTRADICTION)
    _require(not body.named or len(body.named) >= FEWEST_NAMED, DirectoryFault.CONTRADICTION)
    _require(all(map(ledger.has_keys, body.named)), DirectoryFault.CONTRADICTION)
    ledger.restrictions[body.tag] = Restriction(
        body.tag,
        body.number,
        body.part_id,
        MappingProxyType({seal.member: seal for seal in body.named}),
        body.recovery_hash,
    )


# Without a rule: a second root. The body's type follows from the kind, which mypy cannot see across a table.
_RULES: dict[EntryKind, Callable[[Ledger, DirectoryEntry, Any], None]] = {
    EntryKind.MEMBER: _member,
    EntryKind.MEMBER_REMOVED: _member_removed,
    EntryKind.COMPARTMENT: _compartment,
    EntryKind.KEK_RETIRED: _kek_retired,
    EntryKind.GRANT: _grant,
    EntryKind.POLICY: _policy,
    EntryKind.RECOVERY: _recovery,
    EntryKind.JOURNAL: _journal,
    EntryKind.MINIMUM: _minimum,
    EntryKind.ROOT_CHANGED: _root_changed,
    EntryKind.RESTRICTION: _restriction,
    EntryKind.GRANT_ENDED: _grant_ended,
    EntryKind.CHARTER: _charter,
    EntryKind.CHARTER_ACCEPTED: _charter_accepted,
    EntryKind.POLICY_APPROVAL: _policy_approval,
}
