"""Drafting a handoff: the frozen manifest of exactly what would be sent, its preview and its digest."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET
from sqlalchemy import insert, select

from casework.access import Access, ChangingCase, OpenedCase
from casework.act import Act, refusal
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import bad_field
from casework.follow_ups.service import follow_ups_of
from casework.handoffs.packet import FollowUpItem, GroupManifest, Header, digest_of
from casework.handoffs.schemas import Draft, NewHandoff, PreviewGroup, PreviewItem
from casework.handoffs.states import Side
from casework.handoffs.tables import handoff, handoff_manifest, handoff_side
from casework.loaded_case import LEGAL_NAME
from casework.organisations.partners import Partner, find_partner
from casework.packets import open_left_record
from casework.unshown import Unshown
from crypto.drop import seal_to_drop
from crypto.handoff import new_salt
from policies.facts import HandoffFacts
from policies.vocabulary import Action, Group, Stage


class FrozenGroup(Unshown, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group of a draft as it is kept, sealed: the salt of its HMAC, what is sent, and where that came from."""

    salt: bytes
    manifest: GroupManifest
    # The version of the group, and of each follow-up, that was read.
    version: int
    sources: dict[str, int]


class SealedHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a handoff is not clear: sealed to each side's intake."""

    service: str
    purpose: str
    groups: tuple[Group, ...]
    # The handoff that this one brings back: of the same two organisations, the other way.
    returns: UUID | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the drafter chose, read and opened."""

    partner: Partner
    header: Header
    groups: dict[Group, FrozenGroup]


def draft_handoff(act: Act, case_id: UUID, new: NewHandoff) -> Draft:
    """Freeze what would be sent and return it with its digest. Nothing leaves the organisation.

    Raises:
        BadInput: unknown partner, a group it publishes no key for, a group the drafter may not read, an unknown
            follow-up or exclusion, a return of what did not come from this partner as this case.
        Forbidden, NotFound: see `Access.change_case`.

    """
    partner = find_partner(act.unit.connection, act.deployment.directories, act.org_id, new.to, act.unit.now)
    if not all(partner.takes(group) for group in new.groups):
        raise bad_field("groups", "not_taken_by_receiver")
    access = Access(act)
    opened = access.open_case(case_id, action="handoff.preview")
    if not set(new.groups) <= opened.readable:
        raise bad_field("groups", "not_readable")
    policies = _require_draft_allowed(act, opened, partner, new)
    if new.returns is not UNSET and not _came_as(act, case_id, partner, new.returns):
        raise bad_field("returns", "not_the_handoff_of_this_case")
    change = access.change_case(case_id, [])
    chosen = Chosen(partner, _header(new), _freeze(act, opened, new))
    handoff_id = uuid4()
    digest = _digest(act, chosen)
    _store(act, change, handoff_id, new, chosen, digest)
    change.record(
        "handoff.draft",
        [(handoff_id, 1)],
        handoff=handoff_id,
        policies=policies,
        detail={"groups": sorted(new.groups)},
    )
    return view_draft(handoff_id, Stage.DRAFT, digest, chosen.groups)


def _require_draft_allowed(
    act: Act, opened: OpenedCase, partner: Partner, new: NewHandoff
) -> tuple[str, ...]:
    facts = HandoffFacts(
        from_=act.identity.slug,
        to=partner.slug,
        groups=frozenset(new.groups),
        stage=Stage.DRAFT,
        mine=opened.loaded.facts.mine,
        conflict=opened.loaded.facts.conflict,
        consent=None,
    )
    decision = act.decide_handoff(Action.HANDOFF_DRAFT, facts)
    if not decision.allowed:
        raise refusal(Action.HANDOFF_DRAFT, decision, hidden=False, tried={"case": str(opened.id)})
    return decision.policies


def _came_as(act: Act, case_id: UUID, partner: Partner, handoff_id: UUID) -> bool:
    """Whether a case is what a handoff of this partner became here."""
    row = act.unit.connection.execute(
        select(handoff_side.c.case_sealed).where(
            handoff_side.c.org_id == act.org_id,
            handoff_side.c.id == handoff_id,
            handoff_side.c.side == Side.RECEIVER,
            handoff_side.c.partner_id == partner.id,
            handoff_side.c.case_sealed.is_not(None),
        )
    ).one_or_none()
    if row is None:
        return False
    place = Column.HANDOFF_CASE.place(act.org_id, handoff_id, 1)
    return open_left_record(act, Group.INTAKE, place, row.case_sealed) == case_id.bytes


def view_draft(handoff_id: UUID, state: Stage, digest: bytes, groups: Mapping[Group, FrozenGroup]) -> Draft:
    return Draft(
        handoff_id, state, digest.hex(), {group: _preview(frozen) for group, frozen in groups.items()}
    )


def frozen_groups(act: Act, opened: OpenedCase, handoff_id: UUID) -> dict[Group, FrozenGroup]:
    """What a draft froze, as far as this session may read it; groups that were not chosen are absent."""
    place = Column.HANDOFF_MANIFEST.place(act.org_id, handoff_id, 1)
    rows = act.unit.connection.execute(
        select(handoff_manifest.c.compartment, handoff_manifest.c.frame).where(
            handoff_manifest.c.org_id == act.org_id, handoff_manifest.c.handoff_id == handoff_id
        )
    ).all()
    found = {}
    for compartment, frame in rows:
        content = opened.open(Group(compartment), place, frame, _never_dropped)
        if content is not None:
            found[Group(compartment)] = msgspec.convert(content, FrozenGroup)
    return found


def without_legal_name(frozen: FrozenGroup) -> FrozenGroup:
    """A frozen group as it is shown to whoever may not read civil status."""
    fields = {name: value for name, value in frozen.manifest.fields.items() if name != LEGAL_NAME}
    return msgspec.structs.replace(frozen, manifest=msgspec.structs.replace(frozen.manifest, fields=fields))


def _never_dropped(_frame: object) -> None:
    """A draft's rows are written by a holder of the group; there is nothing to take over."""


def _header(new: NewHandoff) -> Header:
    return Header(new.kind, new.service if new.service is not UNSET else "", new.purpose, new.urgency)


def _freeze(act: Act, opened: OpenedCase, new: NewHandoff) -> dict[Group, FrozenGroup]:
    excluded = set(new.excluded) if new.excluded is not UNSET else set()
    wanted = [
        item for item in (new.follow_ups if new.follow_ups is not UNSET else []) if str(item) not in excluded
    ]
    _require_known_exclusions(opened, excluded, new)
    read = follow_ups_of(act, opened, wanted)
    # The packet's own ids: the sender's would date and link her records.
    items = {head.id: uuid4() for head, _ in read}
    frozen = {}
    for group in sorted(set(new.groups)):
        fields = {
            name: value for name, value in opened.groups[group].items() if f"{group}.{name}" not in excluded
        }
        with_group = [(head, records[group]) for head, records in read if group in records]
        frozen[group] = FrozenGroup(
            salt=new_salt(),
            manifest=GroupManifest(
                fields=fields,
                follow_ups=tuple(
                    FollowUpItem(items[head.id], head.occurred_at, record) for head, record in with_group
                ),
            ),
            version=opened.version_of(group),
            sources={str(head.id): head.version for head, _ in with_group},
        )
    return frozen


def _require_known_exclusions(opened: OpenedCase, excluded: set[str], new: NewHandoff) -> None:
    """A misspelt exclusion must not send what it meant to keep back."""
    fields = {f"{group}.{name}" for group in new.groups for name in opened.groups.get(group, {})}
    follow_ups = {str(item) for item in new.follow_ups} if new.follow_ups is not UNSET else set()
    if excluded - fields - follow_ups:
        raise bad_field("excluded", "unknown_item")


def _digest(act: Act, chosen: Chosen) -> bytes:
    salted = {group: (frozen.salt, frozen.manifest) for group, frozen in chosen.groups.items()}
    return digest_of(chosen.header, act.org_id, chosen.partner.id, salted)[0]


def _store(
    act: Act, change: ChangingCase, handoff_id: UUID, new: NewHandoff, chosen: Chosen, digest: bytes
) -> None:
    connection = act.unit.connection
    connection.execute(
        insert(handoff).values(
            id=handoff_id,
            from_org=act.org_id,
            to_org=chosen.partner.id,
            state=Stage.DRAFT,
            consent_is_live=False,
        )
    )
    sealed_header = SealedHeader(
        chosen.header.service,
        chosen.header.purpose,
        tuple(sorted(chosen.groups)),
        new.returns if new.returns is not UNSET else None,
    )
    place = Column.HANDOFF_ENVELOPE.place(act.org_id, handoff_id, 1)
    connection.execute(
        insert(handoff_side).values(
            org_id=act.org_id,
            id=handoff_id,
            side=Side.SENDER,
            partner_id=chosen.partner.id,
            kind=new.kind,
            urgency=new.urgency,
            state=Stage.DRAFT,
            created_at=act.unit.now,
            moved_at=act.unit.now,
            content_digest=digest,
            case_id=change.id,
            envelope=Sealed(seal_to_drop(act.drop(Group.INTAKE), place, msgspec.json.encode(sealed_header))),
        )
    )
    place = Column.HANDOFF_MANIFEST.place(act.org_id, handoff_id, 1)
    connection.execute(
        insert(handoff_manifest),
        [
            {
                "org_id": act.org_id,
                "handoff_id": handoff_id,
                "compartment": group,
                "frame": change.seal(group, place, msgspec.to_builtins(frozen)),
            }
            for group, frozen in chosen.groups.items()
        ],
    )


def _preview(frozen: FrozenGroup) -> PreviewGroup:
    items = [PreviewItem(item.occurred_at, item.record) for item in frozen.manifest.follow_ups]
    return PreviewGroup(dict(frozen.manifest.fields), items)
