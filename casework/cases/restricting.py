"""Restricted cases: who is named for one, and how the named change that. The policies say who may begin it.

From then on only those whom the directory names can: whoever holds no named part has none to give, and an entry
that she signs is refused by everybody who verifies the directory, whatever the policies allow.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import select, update

from casework.access import Access, ChangingCase
from casework.act import Act
from casework.cases.past import EndReason, end_assignments, end_teams
from casework.cases.schemas import NewRestriction, Restriction
from casework.cases.service import assign_members
from casework.cases.tables import assignment, case_file
from casework.errors import Forbidden, NotFound, NotNow, bad_field
from casework.identity.members import active_members, persons_behind
from casework.organisations.entries import append_in_act
from casework.restrictions import forget_seals, named_part, store_seals, who_is_named
from crypto.directory import Directory
from crypto.directory_entries import EntrySigner
from crypto.directory_rules import FEWEST_NAMED
from crypto.restriction import lift_restriction, name_members, restriction_of
from crypto.secret import Secret
from policies.vocabulary import Action, Group


def restrict_case(act: Act, case_id: UUID, wanted: NewRestriction) -> Restriction:
    """Close a case to everybody but the members named: its keys are renewed, and need a part that those alone hold.

    Whoever was assigned and is not named loses it, the asker included.

    Raises:
        NotFound, Forbidden: see `Access.change_case`; a step-up is needed to sign.
        NotNow: it is restricted already.
        BadInput: fewer than two people, whatever their roles; somebody unknown, or who holds no key of a case.

    """
    reason = wanted.reason.strip()
    change = Access(act).change_case(case_id, [Action.CASE_RESTRICT], reason=bool(reason))
    if change.loaded.facts.restricted:
        raise _not_now(case_id, Action.CASE_RESTRICT, "already_restricted", "Ce dossier est déjà restreint.")
    signer = _signer(act, Action.CASE_RESTRICT)
    directory = _directory(act)
    members = set(wanted.members)
    _require_able(act, directory, members)
    _require_two(act, members)
    _name(act, change, _renew_keys(change), members, signer)
    _record(change, "case.restrict", members, reason=reason)
    return Restriction(sorted(members), [])


def name_member(act: Act, case_id: UUID, member_id: UUID) -> Restriction:
    """Give a member the named part of a case. The keys stay as they are, unless somebody drops out by it.

    Raises:
        NotFound, Forbidden: see `Access.change_case`; or she is not named herself.
        NotNow: the case is not restricted.
        BadInput: somebody unknown, or who holds no key of a case; or she would be the only person named.

    """
    change, part = _require_named(act, case_id, Action.CASE_ASSIGN)
    signer = _signer(act, Action.CASE_ASSIGN)
    directory = _directory(act)
    _require_able(act, directory, {member_id})
    members = {*who_is_named(directory, case_id), member_id}
    _require_two(act, members)
    dropped = _drop_out(directory, case_id, members)
    if dropped:
        # Their keys are gone, or others now: what they may have kept opens nothing newer.
        part = _renew_keys(change)
    _name(act, change, part, members, signer)
    _record(change, "case.name", members, dropped=dropped, named=member_id)
    return Restriction(sorted(members), [], dropped or UNSET)


def unname_member(act: Act, case_id: UUID, member_id: UUID) -> Restriction:
    """Take a case from one of its named members: its keys are renewed, so that what she kept opens nothing newer.

    Raises:
        NotFound, Forbidden: see `Access.change_case`; she is not named herself, or the other is not.
        NotNow: the case is not restricted, or fewer than two people would be left.

    """
    change, _ = _require_named(act, case_id, Action.CASE_ASSIGN)
    signer = _signer(act, Action.CASE_ASSIGN)
    directory = _directory(act)
    restriction = restriction_of(directory, case_id.bytes)
    if restriction is None or member_id.bytes not in restriction.named:
        tried = {"case": str(case_id), "member": str(member_id)}
        raise NotFound(Action.CASE_ASSIGN, reason="not_found", tried=tried)
    members = {*who_is_named(directory, case_id)} - {member_id}
    if not _are_two(act, members):
        title = "Un dossier restreint garde au moins deux personnes nommées."
        raise _not_now(case_id, Action.CASE_ASSIGN, "fewer_than_two", title)
    _name(act, change, _renew_keys(change), members, signer)
    dropped = [one for one in _drop_out(directory, case_id, members) if one != member_id]
    _record(change, "case.unname", members, dropped=dropped, unnamed=member_id)
    return Restriction(sorted(members), [], dropped or UNSET)


def lift(act: Act, case_id: UUID, reason: str) -> Restriction:
    """Make a restricted case an ordinary one again; whoever was named stays assigned.

    Raises:
        NotFound, Forbidden: see `Access.change_case`; or she is not named herself.
        NotNow: the case is not restricted.

    """
    motive = reason.strip()
    change, _ = _require_named(act, case_id, Action.CASE_RESTRICT, reason=bool(motive))
    signer = _signer(act, Action.CASE_RESTRICT)
    directory = _directory(act)
    change.renew_keys(None)
    entry = lift_restriction(directory, case_id.bytes, signer)
    append_in_act(act, directory, entry)
    forget_seals(act.unit.connection, act.org_id, case_id)
    _set_restricted(act, change, restricted=False)
    _record(change, "case.unrestrict", [], reason=motive)
    return Restriction([], [])


def view_restriction(act: Act, case_id: UUID) -> Restriction:
    """Who is named for a case, and who of them must be named anew for her keys changed; nobody where ordinary."""
    opened = Access(act).open_case(case_id, action="case.restriction", contents=False)
    directory = _directory(act)
    restriction = restriction_of(directory, case_id.bytes)
    if restriction is None or not opened.loaded.facts.restricted:
        return Restriction([], [])
    able = set(who_is_named(directory, case_id))
    named = {UUID(bytes=member) for member in restriction.named}
    return Restriction(sorted(able), sorted(named - able))


def _require_named(
    act: Act, case_id: UUID, action: Action, *, reason: bool = False
) -> tuple[ChangingCase, Secret]:
    change = Access(act).change_case(case_id, [action], reason=reason)
    if not change.loaded.facts.restricted:
        raise _not_now(case_id, action, "not_restricted", "Ce dossier n’est pas restreint.")
    part = named_part(act, case_id)
    if part is None:
        raise Forbidden(action, reason="not_named", tried={"case": str(case_id)})
    return change, part


def _require_two(act: Act, members: set[UUID]) -> None:
    if not _are_two(act, members):
        raise bad_field("members", "fewer_than_two")


def _are_two(act: Act, members: set[UUID]) -> bool:
    # The directory knows memberships alone: one person in two roles would do for its rule.
    return len(persons_behind(act.unit.connection, act.org_id, members)) >= FEWEST_NAMED


def _require_able(act: Act, directory: Directory, members: set[UUID]) -> None:
    """Active members, each of whom holds some group's key: the part alone opens nothing."""
    if members - active_members(act.unit.connection, act.org_id, list(members)):
        raise bad_field("members", "unknown_member")
    if not all(any(directory.holds(member.bytes, group) for group in Group) for member in members):
        raise bad_field("members", "holds_no_key")


def _drop_out(directory: Directory, case_id: UUID, members: set[UUID]) -> list[UUID]:
    """Who is named for a case as the directory stands, and will not be any more."""
    restriction = restriction_of(directory, case_id.bytes)
    named = restriction.named if restriction is not None else ()
    return sorted({UUID(bytes=one) for one in named} - members)


def _signer(act: Act, action: Action) -> EntrySigner:
    return EntrySigner(act.member_id.bytes, act.require_signing_key(action))


def _directory(act: Act) -> Directory:
    return act.deployment.directories.fresh(act.unit, act.org_id)


def _renew_keys(change: ChangingCase) -> Secret:
    """Renew a case's keys under a new named part, and return it."""
    part = Secret.random()
    change.renew_keys(part)
    return part


def _name(act: Act, change: ChangingCase, part: Secret, members: set[UUID], signer: EntrySigner) -> None:
    """Name these members, and nobody else, for a case: the part is sealed to them, and they are the assigned."""
    named = [member.bytes for member in members]
    directory = _directory(act)
    made = name_members(directory, change.id.bytes, part, named, signer)
    append_in_act(act, directory, made.entry)
    store_seals(act.unit.connection, act.org_id, change.id, made)
    _set_restricted(act, change, restricted=True)
    _assign(act, change.id, members)


def _set_restricted(act: Act, change: ChangingCase, *, restricted: bool) -> None:
    act.unit.connection.execute(
        update(case_file)
        .where(case_file.c.org_id == act.org_id, case_file.c.id == change.id)
        .values(restricted=restricted, version=change.loaded.version + 1)
    )


def _assign(act: Act, case_id: UUID, members: set[UUID]) -> None:
    """The named are the assigned, and no team is: the policies call such a case hers."""
    connection = act.unit.connection
    here = (assignment.c.org_id == act.org_id, assignment.c.case_id == case_id)
    there = set(connection.execute(select(assignment.c.member_id).where(*here)).scalars())
    ended = (*here, assignment.c.member_id.not_in(members))
    end_assignments(connection, *ended, now=act.unit.now, reason=EndReason.RESTRICTED)
    end_teams(connection, act.org_id, case_id, act.unit.now, EndReason.RESTRICTED)
    assign_members(act, case_id, list(members - there))


def _record(
    change: ChangingCase,
    action: str,
    members: Iterable[UUID],
    *,
    reason: str = "",
    dropped: Sequence[UUID] = (),
    **who: UUID,
) -> None:
    named = sorted(map(str, members))
    detail: dict[str, object] = {"members": named, **{name: str(one) for name, one in who.items()}}
    if reason:
        detail["reason"] = reason
    if dropped:
        detail["dropped"] = [str(one) for one in dropped]
    change.record(action, [(change.id, change.loaded.version + 1)], count=len(named), detail=detail)


def _not_now(case_id: UUID, action: Action, code: str, title: str) -> NotNow:
    return NotNow(action, code, title, tried={"case": str(case_id)})
