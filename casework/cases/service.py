"""Opening, listing, changing and assigning cases."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from sqlalchemy import bindparam, insert, select, update

from casework.access import Access, Content
from casework.act import Act, refusal
from casework.cases.past import EndReason, end_assignments, end_teams
from casework.cases.schemas import (
    Assignments,
    CaseCreated,
    CaseItem,
    CasePage,
    CaseView,
    GroupChanged,
    NewCase,
)
from casework.cases.tables import assignment, case_file, case_group, case_team
from casework.column_types import Id, Moment, Sealed
from casework.columns import Column
from casework.errors import NotNow, PreconditionFailed, SealedDataDamaged, bad_field
from casework.identity.members import active_members
from casework.ids import new_id
from casework.journal import Deed, Touched
from casework.loaded_case import LEGAL_NAME
from casework.organisations.teams import existing_teams
from casework.relations import relate
from casework.shreds import PSEUDONYM
from casework.statements import HotStatement
from crypto.dek import CaseKey, NewDek, new_dek, new_dek_to_drop
from crypto.drop import seal_to_drop
from crypto.frame import seal_frame
from crypto.honeytoken import honeytoken_pseudonym
from crypto.journal import PseudonymParts, new_pseudonym, pseudonym
from policies.facts import CaseFacts
from policies.vocabulary import RECORD, Action, Group, Status

PAGE_LIMIT = 100

_COUNTED = (
    update(case_file)
    .where(case_file.c.org_id == bindparam("org", type_=Id), case_file.c.id == bindparam("case", type_=Id))
    .values(version=case_file.c.version + 1)
)
_TOUCH = HotStatement(_COUNTED)
_TOUCH_AT_CONTACT = HotStatement(_COUNTED.values(last_contact_at=bindparam("now", type_=Moment)))


def create_case(act: Act, new: NewCase) -> CaseCreated:
    """Open a case with what is known at the first contact; whoever opens it is assigned to it.

    Every group gets its key now, under the KEK or to the drop key, so that no row's existence tells anything.

    Raises:
        Forbidden: the policies do not let this member create a case, or record one of the groups given.

    """
    contents = _contents_of(new)
    facts = CaseFacts.of_a_new_case()
    policies: set[str] = set()
    for action in (Action.CASE_CREATE, *(RECORD[group] for group in contents)):
        decision = act.decide_case(action, facts)
        if not decision.allowed:
            raise refusal(action, decision, hidden=False)
        policies.update(decision.policies)
    case_id = new_id()
    halves = new_pseudonym()
    if new.honeytoken:
        halves = honeytoken_pseudonym(act.deployment.pepper, act.org_id.bytes, case_id.bytes)
    person, rows = insert_case(act, case_id, contents, halves=halves)
    assign_members(act, case_id, [act.member_id])
    act.unit.touched()
    act.record(
        Deed(
            "case.create",
            touched=(Touched(person, rows),),
            policies=sorted(policies),
            # Of one length whatever it says: what is sealed shows its size. And no right of its own, whose policy
            # would stand in the entry in clear.
            detail={"groups": sorted(contents), "honeytoken": int(new.honeytoken)},
        )
    )
    return CaseCreated(case_id, Status.OPEN, 1)


def view_created(act: Act, case_id: UUID) -> CaseCreated:
    """What `create_case` answered, rebuilt for a replay, as far as the asker may still know it."""
    opened = Access(act).open_case(case_id, contents=False)
    return CaseCreated(case_id, opened.loaded.status, opened.loaded.version)


def insert_case(
    act: Act,
    case_id: UUID,
    contents: Mapping[Group, Content],
    arrivals: Mapping[Group, UUID] | None = None,
    *,
    halves: PseudonymParts | None = None,
) -> tuple[bytes, tuple[tuple[bytes, int], ...]]:
    """Insert a case with a key for each of the eight groups; returns its pseudonym and the rows written.

    `arrivals` names, per group, the handoff whose part waits there for the group's first holder; `halves` are of
    its pseudonym, fresh ones where none are given.
    """
    halves = halves or new_pseudonym()
    ids = {group: new_id() for group in Group}
    deks = {group: _new_dek(act, group, case_id) for group in Group}
    # The shred store commits first: a key without its half must never exist.
    shreds = {(case_id, str(group)): dek.shred_part for group, dek in deks.items()}
    act.deployment.shreds.add(act.org_id, shreds | {(case_id, PSEUDONYM): halves.shred_part})
    act.unit.connection.execute(
        insert(case_file).values(
            org_id=act.org_id,
            id=case_id,
            status=Status.OPEN,
            restricted=False,
            version=1,
            created_at=act.unit.now,
            created_by=act.member_id,
            last_contact_at=act.unit.now,
            pseudonym_part=halves.mapping_part,
        )
    )
    act.unit.connection.execute(
        insert(case_group),
        [
            {
                "org_id": act.org_id,
                "case_id": case_id,
                "compartment": group,
                "id": ids[group],
                "dek": Sealed(deks[group].row),
                "dek_generation": deks[group].key.generation,
                "version": int(group in contents),
                "arrival": _arrival(act, group, ids[group], (arrivals or {}).get(group)),
                **_frames(act, group, deks[group].key, ids[group], 1, contents.get(group)),
            }
            for group in Group
        ],
    )
    person = pseudonym(halves.mapping_part, halves.shred_part)
    for group, content in contents.items():
        relate(act, case_id, person, (ids[group], 1), group, content)
    return person, tuple((ids[group].bytes, 1) for group in contents)


def view_case(act: Act, case_id: UUID) -> CaseView:
    """A case as this member may see it; what is withheld is named, not shown."""
    opened = Access(act).open_case(case_id)
    return CaseView(
        id=case_id,
        status=opened.loaded.status,
        version=opened.loaded.version,
        groups=dict(opened.groups),
        versions={group: opened.version_of(group) for group in opened.groups},
        withheld=list(opened.withheld),
    )


def list_cases(act: Act, limit: int, cursor: UUID | None, status: Status | None) -> CasePage:
    """A page of the cases this member may list, newest first."""
    page = Access(act).list_cases(limit=min(limit, PAGE_LIMIT), after=cursor, status=status)
    return CasePage(
        items=[
            CaseItem(
                item.id, item.status, item.identity, SealedDataDamaged.code if item.is_damaged else UNSET
            )
            for item in page.items
        ],
        next=str(page.next) if page.next is not None else None,
        count=page.count,
        count_is_capped=page.count_is_capped,
    )


def change_group(
    act: Act, case_id: UUID, group: Group, content: Struct, version: int
) -> GroupChanged | PreconditionFailed:
    """Replace one group's content, if it is still at `version`; a civil status that is not given stays.

    Where somebody saved first, the problem is returned, not raised: it shows both versions to whoever may read
    the group, so its entry must be committed.

    Raises:
        NotNow: what a handoff brought for the group was not opened yet, and would be overwritten unread.

    """
    change = Access(act).change_case(case_id, [RECORD[group]])
    row = change.loaded.groups[group]
    if row.arrival is not None:
        title = "Un relais attend d’être ouvert dans cette rubrique."
        raise NotNow(RECORD[group], "arrival_unopened", title, tried={"case": str(case_id)})
    if row.version != version:
        return PreconditionFailed(extra=_both_versions(act, case_id, group, content))
    following = version + 1
    fields = msgspec.to_builtins(content)
    legal_name = fields.pop(LEGAL_NAME, None)
    place = Column.CASE_GROUP_FRAME.place(act.org_id, row.id, following)
    values: dict[str, Any] = {"frame": change.seal(group, place, fields), "version": following}
    civil = Column.CASE_LEGAL_NAME.place(act.org_id, row.id, following)
    if legal_name is not None:
        values["legal_name"] = change.seal(group, civil, {LEGAL_NAME: legal_name})
    elif row.legal_name is not None:
        old = Column.CASE_LEGAL_NAME.place(act.org_id, row.id, version)
        values["legal_name"] = change.reseal(group, row.legal_name, old, civil)
    act.unit.connection.execute(
        update(case_group).where(case_group.c.org_id == act.org_id, case_group.c.id == row.id).values(values)
    )
    change.relate(group, following, msgspec.to_builtins(content))
    touch_case(act, case_id)
    change.record("case.record", [(row.id, following)], detail={"groups": [group]})
    return GroupChanged(following)


def set_assignments(act: Act, case_id: UUID, wanted: Assignments) -> Assignments:
    """Replace who is assigned to a case: members and teams of this organisation.

    Raises:
        NotNow: the case is restricted: an assignment would give nobody its keys.

    """
    change = Access(act).change_case(case_id, [Action.CASE_ASSIGN])
    if change.loaded.facts.restricted:
        title = "Ce dossier est restreint : une personne nommée en nomme une autre."
        raise NotNow(Action.CASE_ASSIGN, "case_is_restricted", title, tried={"case": str(case_id)})
    if not wanted.members and not wanted.teams:
        raise bad_field("members", "nobody_assigned")
    if set(wanted.members) - active_members(act.unit.connection, act.org_id, wanted.members):
        raise bad_field("members", "unknown_member")
    if set(wanted.teams) - existing_teams(act.unit.connection, act.org_id, wanted.teams):
        raise bad_field("teams", "unknown_team")
    connection = act.unit.connection
    here = (assignment.c.org_id == act.org_id, assignment.c.case_id == case_id)
    ended = (*here, assignment.c.member_id.not_in(wanted.members))
    end_assignments(connection, *ended, now=act.unit.now, reason=EndReason.UNASSIGNED)
    there = set(connection.execute(select(assignment.c.member_id).where(*here)).scalars())
    assign_members(act, case_id, sorted(set(wanted.members) - there))
    end_teams(connection, act.org_id, case_id, act.unit.now, EndReason.UNASSIGNED, kept=wanted.teams)
    of_case = (case_team.c.org_id == act.org_id, case_team.c.case_id == case_id)
    kept = set(connection.execute(select(case_team.c.team_id).where(*of_case)).scalars())
    if new := sorted(set(wanted.teams) - kept):
        row = {"org_id": act.org_id, "case_id": case_id, "since": act.unit.now}
        connection.execute(insert(case_team), [{**row, "team_id": team} for team in new])
    touch_case(act, case_id)
    change.record("case.assign", [], count=len(set(wanted.members)))
    return wanted


def view_assignments(act: Act, case_id: UUID) -> Assignments:
    """Who is assigned to a case that the asker may list."""
    Access(act).open_case(case_id, action="case.assignments", contents=False)
    members, teams = (
        act.unit.connection.execute(
            select(column).where(table.c.org_id == act.org_id, table.c.case_id == case_id).order_by(column)
        )
        for table, column in ((assignment, assignment.c.member_id), (case_team, case_team.c.team_id))
    )
    return Assignments(list(members.scalars()), list(teams.scalars()))


def touch_case(act: Act, case_id: UUID, *, contact: bool = False) -> None:
    """Count a change of a case; `contact` also dates the last contact with the person."""
    touch = _TOUCH_AT_CONTACT if contact else _TOUCH
    touch.run(act.unit.connection, {"org": act.org_id, "case": case_id, "now": act.unit.now})


def require_members(act: Act, members: list[UUID]) -> None:
    """Refuse an empty list, and one that names somebody who is not an active member here.

    Raises:
        BadInput: names the field and the rule.

    """
    if not members:
        raise bad_field("members", "nobody_assigned")
    if set(members) - active_members(act.unit.connection, act.org_id, members):
        raise bad_field("members", "unknown_member")


def assign_members(act: Act, case_id: UUID, members: list[UUID]) -> None:
    """Assign members to a case; `require_members` has judged them before anything was written."""
    if members:
        act.unit.connection.execute(
            insert(assignment),
            [
                {"org_id": act.org_id, "case_id": case_id, "member_id": member, "since": act.unit.now}
                for member in sorted(set(members))
            ],
        )


def _contents_of(new: NewCase) -> dict[Group, Content]:
    given = {group: getattr(new, group) for group in Group}
    contents = {
        group: msgspec.to_builtins(content) for group, content in given.items() if content is not UNSET
    }
    # The public she belongs to is part of her request, not of the case's clear columns.
    contents[Group.INTAKE] = {**contents.get(Group.INTAKE, {}), "public": new.public}
    return contents


def _new_dek(act: Act, group: Group, case_id: UUID) -> NewDek:
    kek = act.keyring.current_kek(group)
    if kek is None:
        directory = act.deployment.directories.known(act.unit, act.org_id)
        return new_dek_to_drop(act.drop(group), case_id.bytes, algorithm=directory.case_minimum.made)
    return new_dek(kek, case_id.bytes)


def _frames(
    act: Act, group: Group, key: CaseKey, row: UUID, version: int, content: Content | None
) -> dict[str, Sealed | None]:
    if content is None:
        return {"frame": None, "legal_name": None}
    fields = dict(content)
    legal_name = fields.pop(LEGAL_NAME, None) if group is Group.IDENTITY else None
    place = Column.CASE_GROUP_FRAME.place(act.org_id, row, version)
    civil = Column.CASE_LEGAL_NAME.place(act.org_id, row, version)
    return {
        "frame": Sealed(seal_frame(key, place, msgspec.json.encode(fields))),
        "legal_name": (
            Sealed(seal_frame(key, civil, msgspec.json.encode({LEGAL_NAME: legal_name})))
            if legal_name is not None
            else None
        ),
    }


def _arrival(act: Act, group: Group, row: UUID, handoff_id: UUID | None) -> Sealed | None:
    if handoff_id is None:
        return None
    place = Column.CASE_GROUP_ARRIVAL.place(act.org_id, row, 0)
    return Sealed(seal_to_drop(act.drop(group), place, handoff_id.bytes))


def _both_versions(act: Act, case_id: UUID, group: Group, yours: Struct) -> dict[str, Any]:
    opened = Access(act).open_case(case_id)
    if group not in opened.groups:
        return {}
    current = {"version": opened.version_of(group), "content": opened.groups[group]}
    return {"current": current, "yours": msgspec.to_builtins(yours)}
