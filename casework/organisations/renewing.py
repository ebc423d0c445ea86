"""Confirming renewals and granting keys: by somebody who asked the member herself for eight words.

The words are over public keys, computed from what is to be confirmed or what the directory certifies: keys that
anybody put in the place of hers give other words.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, insert

from casework.act import Act
from casework.column_types import Sealed
from casework.deployment import Deployment
from casework.drafts.tables import draft
from casework.errors import Conflict, Forbidden, NotFound, Refusal
from casework.identity import renewals
from casework.identity.members import account_of_member, active_memberships, memberships_of
from casework.identity.renewals import Kind
from casework.journal import Deed
from casework.keyring import lock_keys
from casework.organisations.entries import append_in_act
from casework.organisations.schemas import Granted, RenewalBegun, RenewalConfirmed, Words
from casework.organisations.tables import key_grant
from crypto.directory import Directory
from crypto.directory_entries import Body, EntrySigner, MemberBody
from crypto.directory_rules import member_key_fingerprint
from crypto.errors import SealBroken
from crypto.grant import make_grant
from crypto.hpke import public_half
from crypto.words import verification_words, words_match
from policies.engine import Decision
from policies.grants import granted_groups
from policies.vocabulary import Action, Profession, Role

BEGIN: Final = "renewal.begin"
CONFIRM: Final = "renewal.confirm"
GRANT: Final = "key.grant"


class WordsRefused(Refusal):
    """The words are not those of the keys: another member's, mistyped, or the keys are not hers."""

    status = 403
    code = "words_refused"
    title = "Ces huit mots ne sont pas les siens. Rappelez-la\u00a0; s’ils diffèrent encore, n’accordez rien."

    def __init__(self, action: str, member_id: UUID) -> None:
        super().__init__(action, reason="words", tried={"member": str(member_id)})


class SecondPersonNeeded(Forbidden):
    """A second factor is confirmed by somebody else than who has it, and than who began its renewal.

    Keys are granted by somebody else than who has them, and than who signed them into the directory. By the person
    each time, whatever her roles.
    """

    code = "second_person_needed"
    title = (
        "Il faut une autre collègue\u00a0: ni la personne elle-même, ni celle qui a lancé le renouvellement "
        "ou certifié les clés."
    )


@dataclass(frozen=True, slots=True)
class Question:
    """What the words are over, as one unit of work found it."""

    org_id: UUID
    owner: UUID
    fingerprints: tuple[bytes, ...]
    context: bytes


@dataclass(frozen=True, slots=True)
class _Certified:
    """Who of an account's memberships is certified, and the directory that says so: what is compared is used."""

    directory: Directory
    members: tuple[UUID, ...]

    def question(self, act: Act, account_id: UUID, context: bytes = b"") -> Question:
        certified = self.directory.members
        fingerprints = tuple(certified[member.bytes].fingerprint for member in self.members)
        return Question(act.org_id, account_id, fingerprints, context)


@dataclass(frozen=True, slots=True)
class _Confirmable:
    """A renewal that the asker may confirm: its row and its new keys as one reading found them."""

    question: Question
    hers: Row[Any]
    keys: Sequence[Row[Any]]
    decision: Decision


def begin_renewal(act: Act, member_id: UUID, kind: Kind, reason: str) -> RenewalBegun:
    """Begin a renewal of a colleague's keys or second factor; the secret is to be handed to her in person.

    Raises:
        Forbidden: she does not manage members, has not stepped up, or asks for herself.
        NotFound: not a member of her organisation.

    """
    found = account_of_member(act.unit.connection, act.org_id, member_id)
    is_herself = found is not None and found.id == act.session.account_id
    decision = act.require_org(Action.MEMBER_MANAGE, reason=True, self_target=is_herself)
    if found is None:
        raise NotFound(BEGIN, reason="not_found", tried={"member": str(member_id)})
    begun = renewals.begin(act.unit, act.deployment.pepper, act.org_id, found.id, kind, act.member_id)
    detail = {"member": str(member_id), "kind": kind, "reason": reason}
    act.record(Deed(BEGIN, policies=decision.policies, detail=detail))
    return RenewalBegun(begun.secret.reveal().decode(), begun.expires_at)


def ask_own_words(act: Act) -> Question:
    """The asker's own keys, as the directory certifies them and her session holds them.

    Raises:
        SealBroken: the directory certifies other keys for her than those that her password opened.

    """
    hers = _certified(act, act.session.account_id)
    certified = hers.directory.members[act.member_id.bytes]
    if certified.daily_public != public_half(act.session.keys.daily_private):
        raise SealBroken("the directory certifies another key")
    return hers.question(act, act.session.account_id)


async def words_of(deployment: Deployment, question: Question) -> tuple[str, ...]:
    """Stretch what the words are over, in a turn."""
    async with deployment.step_up_turns:
        return await asyncio.to_thread(
            verification_words,
            question.org_id.bytes,
            question.owner.bytes,
            question.fingerprints,
            question.context,
        )


def show_own_words(act: Act, words: Sequence[str]) -> Words:
    """Her own words, to be read to a colleague. Nobody else is shown them."""
    act.record(Deed("words.show"))
    return Words(list(words))


def ask_confirmation(act: Act, member_id: UUID) -> Question:
    """Decide, and find what is to be confirmed.

    Raises:
        Forbidden, NotFound, Conflict: as `confirm`.

    """
    return _confirmable(act, member_id).question


def confirm(
    act: Act, member_id: UUID, asked: Question, expected: Sequence[str], heard: str
) -> RenewalConfirmed:
    """Put in force what a renewal has prepared, by somebody else who heard the member say the words.

    Keys are confirmed by a custodian, who signs them into the directory; they open nothing until they are granted.
    A second factor is confirmed by a colleague who may grant, and did not begin it in any of her roles.

    Raises:
        Forbidden: she may not, has not stepped up, or it is her own.
        NotFound: not a member of her organisation, or nothing waits for confirmation.
        WordsRefused: other words.
        Conflict: something moved meanwhile.

    """
    found = _confirmable(act, member_id)
    if found.question != asked:
        raise Conflict("renewal_moved", "Ce renouvellement a changé entre-temps. Recommencez.")
    if not words_match(expected, heard):
        raise WordsRefused(CONFIRM, member_id)
    if found.hers.kind == Kind.FACTOR:
        renewals.install_factor(act.deployment, act.unit.connection, found.hers)
    else:
        _certify(act, found.keys)
        renewals.install_keys(act.unit.connection, found.hers, found.keys)
    detail = {"member": str(member_id), "kind": found.hers.kind}
    act.record(Deed(CONFIRM, policies=found.decision.policies, detail=detail))
    return RenewalConfirmed(member_id)


def ask_grant(act: Act, member_id: UUID) -> Question:
    """Decide, and find the certified keys that are to be granted to.

    Raises:
        Forbidden, NotFound: as `grant`.

    """
    found, hers, _ = _grantee(act, member_id)
    return hers.question(act, found.id)


def grant(act: Act, member_id: UUID, asked: Question, expected: Sequence[str], heard: str) -> Granted:
    """Give a colleague every compartment that the policies derive for her and the asker holds.

    Raises:
        Forbidden: she may not grant, has not stepped up, asks for herself, or certified the keys herself.
        NotFound: not a certified member of her organisation.
        WordsRefused: other words.
        Conflict: the directory moved meanwhile.

    """
    # First: what is granted must not be rotated meanwhile.
    lock_keys(act.unit.connection, act.org_id, shared=True)
    found, hers, decision = _grantee(act, member_id)
    if hers.question(act, found.id) != asked:
        raise Conflict("directory_moved", "L’annuaire des clés a changé entre-temps. Recommencez.")
    if not words_match(expected, heard):
        raise WordsRefused(GRANT, member_id)
    directory = hers.directory
    signer = EntrySigner(act.member_id.bytes, act.require_signing_key(Action.KEY_GRANT))
    wanted: dict[UUID, frozenset[str]] = {}
    for member in hers.members:
        keys = directory.members[member.bytes]
        wanted[member] = granted_groups(
            act.engine, Role(keys.role), frozenset(Profession(word) for word in keys.professions)
        )
        directory = _grant_all(act, directory, signer, decision, member, wanted[member])
    held = {group for member in wanted for group in wanted[member] if directory.holds(member.bytes, group)}
    everything = frozenset[str]().union(*wanted.values())
    return Granted(sorted(held), sorted(everything - held))


def _grant_all(
    act: Act,
    directory: Directory,
    signer: EntrySigner,
    decision: Decision,
    member: UUID,
    wanted: frozenset[str],
) -> Directory:
    given = {(found.group, found.kek_no) for found in directory.grants_of(member.bytes)}
    for group in sorted(wanted):
        for number, kek in sorted(act.keyring.newest_keks_of(group).items()):
            # A session may still hold one that was retired while it was open.
            if (group, number) in given or (group, number) not in directory.kids:
                continue
            entry, sealed = make_grant(directory, kek, member.bytes, signer)
            directory = append_in_act(act, directory, entry)
            act.unit.connection.execute(
                insert(key_grant).values(
                    org_id=act.org_id,
                    epoch=entry.epoch,
                    member_id=member,
                    compartment=group,
                    kek_no=number,
                    sealed=Sealed(sealed),
                )
            )
            detail = {"member": str(member), "compartment": group}
            act.record(Deed(GRANT, policies=decision.policies, detail=detail))
    return directory


def _confirmable(act: Act, member_id: UUID) -> _Confirmable:
    """Decide about an account's renewal, and read what is to be confirmed."""
    found = account_of_member(act.unit.connection, act.org_id, member_id)
    hers = renewals.open_renewal(act.unit, act.org_id, found.id) if found is not None else None
    is_herself = found is not None and found.id == act.session.account_id
    if hers is not None and hers.kind == Kind.FACTOR:
        # Neither herself nor who began it: no custodian alone gives anybody's second factor to another.
        is_her_own = is_herself or hers.started_by in _own_memberships(act)
        decision = act.require_org(Action.KEY_GRANT)
        if is_her_own:
            raise SecondPersonNeeded(CONFIRM, reason="second_person", policies=decision.policies)
    else:
        decision = act.require_org(Action.MEMBER_MANAGE, reason=True, self_target=is_herself)
    if found is None or hers is None or hers.taken_up_at is None:
        raise NotFound(CONFIRM, reason="not_found", tried={"member": str(member_id)})
    if hers.kind == Kind.FACTOR:
        context = renewals.factor_context(hers.id, renewals.seed_of(act.deployment, hers))
        return _Confirmable(_certified(act, found.id).question(act, found.id, context), hers, (), decision)
    keys = renewals.new_keys_of(act.unit.connection, hers)
    fingerprints = tuple(
        member_key_fingerprint(
            act.org_id.bytes, key.member_id.bytes, bytes(key.daily_public), bytes(key.signing_public)
        )
        for key in keys
    )
    return _Confirmable(Question(act.org_id, found.id, fingerprints, b""), hers, keys, decision)


def _grantee(act: Act, member_id: UUID) -> tuple[Row[Any], _Certified, Decision]:
    found = account_of_member(act.unit.connection, act.org_id, member_id)
    decision = act.require_org(Action.KEY_GRANT)
    unknown = NotFound(GRANT, reason="not_found", tried={"member": str(member_id)})
    if found is None:
        raise unknown
    hers = _certified(act, found.id)
    if found.id == act.session.account_id or _has_certified(act, hers):
        raise SecondPersonNeeded(GRANT, reason="second_person", policies=decision.policies)
    if not hers.members:
        raise unknown
    return found, hers, decision


def _own_memberships(act: Act) -> set[UUID]:
    """Whatever her role, she is one person: what she began under one she does not confirm under another."""
    return memberships_of(act.unit.connection, act.org_id, act.session.account_id)


def _has_certified(act: Act, hers: _Certified) -> bool:
    """Whether the asker, in any of her roles, signed this account's keys into the directory."""
    certified, own = hers.directory.members, {one.bytes for one in _own_memberships(act)}
    return any(certified[one.bytes].certified_by in own for one in hers.members)


def _certified(act: Act, account_id: UUID) -> _Certified:
    """The memberships of an account whose keys the directory certifies now."""
    directory = _fresh(act)
    members = active_memberships(act.unit.connection, act.org_id, account_id)
    return _Certified(directory, tuple(one for one in members if one.bytes in directory.members))


def _certify(act: Act, keys: Sequence[Row[Any]]) -> None:
    """Sign the new public keys into the directory, under the roles that it certified before; drafts are lost."""
    directory = _fresh(act)
    signer = EntrySigner(act.member_id.bytes, act.require_signing_key(Action.MEMBER_MANAGE))
    for key in keys:
        before = directory.members[key.member_id.bytes]
        body: Body = MemberBody(
            member=key.member_id.bytes,
            role=before.role,
            professions=before.professions,
            daily_public=bytes(key.daily_public),
            signing_public=bytes(key.signing_public),
        )
        directory = append_in_act(act, directory, directory.next_entry(body, signer))
        # Sealed under the daily key that is gone: nobody would ever open them.
        act.unit.connection.execute(
            delete(draft).where(draft.c.org_id == act.org_id, draft.c.member_id == key.member_id)
        )


def _fresh(act: Act) -> Directory:
    return act.deployment.directories.fresh(act.unit, act.org_id)
