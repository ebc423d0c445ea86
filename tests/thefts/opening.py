"""What the keys of a thief open: each sealed column of each row, tried with all of them."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from casework.columns import Column
from crypto.drop import drop_number, is_drop_envelope
from crypto.handoff import PartAddress, part_drop_number
from crypto.member_note import readers_of
from crypto.opener import open_draft, open_drop, open_frame, open_member_note, open_part
from crypto.place import Place
from crypto.session import SessionKeys
from tests.thefts.loot import Loot
from tests.thefts.thief import Keys, attempt, find_keys


@dataclass(frozen=True)
class Record:
    """What stood in one value: whose it is, the compartment it was sealed in, and the text."""

    org: UUID
    group: str
    case: UUID | None
    text: bytes


@dataclass(frozen=True)
class Opened:
    """A record that the thief reads, and the column (`table.column`) it stood in."""

    column: str
    record: Record


@dataclass(frozen=True)
class Haul:
    keys: Keys
    opened: tuple[Opened, ...]

    @property
    def compartments(self) -> set[tuple[UUID, str]]:
        return {(one.record.org, one.record.group) for one in self.opened}

    @property
    def columns(self) -> set[str]:
        return {one.column for one in self.opened}

    def groups_of(self, case: str) -> set[str]:
        """The groups of which the thief reads something in a case."""
        return {one.record.group for one in self.opened if one.record.case == UUID(case)}

    @property
    def text(self) -> str:
        return "\n".join(one.record.text.decode("utf-8", "replace") for one in self.opened)


def plunder(loot: Loot) -> Haul:
    """Find every key and open everything that any of them opens."""
    keys = find_keys(loot)
    opened = tuple(
        Opened(".".join(address), record)
        for address, opener in OPENERS.items()
        for record in opener(loot, keys)
    )
    return Haul(keys, opened)


def _record(
    keys: Keys, row: Row[Any], name: str, group: str, case: UUID | None, place: Place
) -> Iterator[Record]:
    """One value: an envelope at a drop key, or a frame under the case's key."""
    value = row._mapping[name]
    if value is None:
        return
    blob: bytes = value.blob if hasattr(value, "blob") else bytes(value)
    text: bytes | None = None
    if is_drop_envelope(blob):
        private = keys.drops.get((UUID(bytes=place.org), group, drop_number(blob)))
        text = attempt(open_drop, private, place, blob) if private is not None else None
    elif case is not None and (key := keys.cases.get((case, group))) is not None:
        text = attempt(open_frame, key, place, blob)
    if text is not None:
        yield Record(UUID(bytes=place.org), group, case, text)


def _case_column(name: str, column: Column) -> Callable[[Loot, Keys], Iterator[Record]]:
    def opener(loot: Loot, keys: Keys) -> Iterator[Record]:
        for row in loot.table("case_group"):
            version = 0 if column is Column.CASE_GROUP_ARRIVAL else row.version
            place = column.place(row.org_id, row.id, version)
            yield from _record(keys, row, name, row.compartment, row.case_id, place)

    return opener


def _erasure_column(name: str, column: Column) -> Callable[[Loot, Keys], Iterator[Record]]:
    def opener(loot: Loot, keys: Keys) -> Iterator[Record]:
        for row in loot.table("erasure"):
            place = column.place(row.org_id, row.id, 1)
            yield from _record(keys, row, name, "journal", None, place)

    return opener


def _follow_ups(loot: Loot, keys: Keys) -> Iterator[Record]:
    cases = {row.id: row.case_id for row in loot.table("follow_up")}
    for row in loot.table("follow_up_frame"):
        place = Column.FOLLOW_UP_FRAME.place(row.org_id, row.follow_up_id, row.version)
        yield from _record(keys, row, "frame", row.compartment, cases[row.follow_up_id], place)


def _consents(loot: Loot, keys: Keys) -> Iterator[Record]:
    for row in loot.table("consent"):
        place = Column.CONSENT_FRAME.place(row.org_id, row.id, 1)
        yield from _record(keys, row, "frame", "intake", row.case_id, place)


def _manifests(loot: Loot, keys: Keys) -> Iterator[Record]:
    cases = {row.id: row.case_id for row in loot.table("handoff_side") if row.case_id is not None}
    for row in loot.table("handoff_manifest"):
        place = Column.HANDOFF_MANIFEST.place(row.org_id, row.handoff_id, 1)
        yield from _record(keys, row, "frame", row.compartment, cases[row.handoff_id], place)


def _side_column(name: str, column: Column) -> Callable[[Loot, Keys], Iterator[Record]]:
    def opener(loot: Loot, keys: Keys) -> Iterator[Record]:
        for row in loot.table("handoff_side"):
            yield from _record(keys, row, name, "intake", None, column.place(row.org_id, row.id, 1))

    return opener


def _parts(loot: Loot, keys: Keys) -> Iterator[Record]:
    sides = {(row.org_id, row.id): row for row in loot.table("handoff_side")}
    for row in loot.table("handoff_part"):
        side, part = sides[row.org_id, row.handoff_id], row.part.blob
        private = keys.drops.get((row.org_id, row.compartment, part_drop_number(part)))
        if private is None:
            continue
        address = PartAddress(
            handoff=side.id.bytes,
            sender_org=side.partner_id.bytes,
            receiver_org=side.org_id.bytes,
            group=row.compartment,
            consent=side.consent_id.bytes,
            content_digest=bytes(side.content_digest),
            expiry=int(side.consent_expires_at.timestamp()),
        )
        signer = keys.directories[side.partner_id].members[side.signer_id.bytes].signing_public
        found = attempt(open_part, address, private, signer, part)
        if found is not None:
            yield Record(row.org_id, row.compartment, None, found.payload)


def _details(loot: Loot, keys: Keys) -> Iterator[Record]:
    for row in loot.table("audit_detail"):
        place = Column.JOURNAL_DETAIL.place(UUID(bytes=bytes(row.log)), UUID(str(row.entry_id)), 0)
        yield from _record(keys, row, "sealed", "journal", None, place)


def _marks(loot: Loot, keys: Keys) -> Iterator[Record]:
    rows = {(row.case_id, row.compartment): row for row in loot.table("case_group")}
    for row in loot.table("case_relation"):
        of = rows[row.case_id, row.of_group]
        place = Column.CASE_RELATION.place(row.org_id, of.id, of.related)
        yield from _record(keys, row, "sealed", "journal", None, place)


def _declaration_column(name: str, column: Column, group: str) -> Callable[[Loot, Keys], Iterator[Record]]:
    def opener(loot: Loot, keys: Keys) -> Iterator[Record]:
        for row in loot.table("declaration"):
            place = column.place(row.org_id, row.account_id, row.version)
            yield from _record(keys, row, name, group, None, place)

    return opener


def _reviews(loot: Loot, keys: Keys) -> Iterator[Record]:
    for row in loot.table("review"):
        place = Column.REVIEW_NOTE.place(row.org_id, row.id, 1)
        yield from _record(keys, row, "note", "journal", None, place)


def _drafts(loot: Loot, keys: Keys) -> Iterator[Record]:
    """Hers alone: what the daily key of their author opens, and no compartment's."""
    for row in loot.table("draft"):
        daily = keys.daily.get(row.member_id)
        if daily is None:
            continue
        place = Column.DRAFT.place(row.org_id, row.id, row.version)
        hers = SessionKeys(row.org_id.bytes, row.member_id.bytes, daily, ())
        text = attempt(open_draft, hers, row.case_id.bytes, place, row.sealed.blob)
        if text is not None:
            yield Record(row.org_id, "draft", row.case_id, text)


# (table, column) → what opens it. What holds keys and no record is in `KEY_COLUMNS`, and used by `find_keys`.
def _notes(loot: Loot, keys: Keys) -> Iterator[Record]:
    """Sealed twice: the case's key gives an envelope, and that opens for a reader's daily key or recovery."""
    for row in loot.table("member_note"):
        place = Column.MEMBER_NOTE.place(row.org_id, row.id, 1)
        for outer in _record(keys, row, "frame", row.compartment, row.case_id, place):
            envelope = b64decode(json.loads(outer.text)["envelope"])
            readers = [(keys.daily.get(UUID(bytes=member)), member) for member in readers_of(envelope)]
            for private, member in (*readers, (keys.recovery.get(row.org_id), None)):
                if private is not None:
                    text = attempt(open_member_note, private, member, row.case_id.bytes, place, envelope)
                    assert text is not None
                    yield Record(row.org_id, row.compartment, row.case_id, text)


OPENERS: Mapping[tuple[str, str], Callable[[Loot, Keys], Iterator[Record]]] = {
    ("case_group", "frame"): _case_column("frame", Column.CASE_GROUP_FRAME),
    ("case_group", "legal_name"): _case_column("legal_name", Column.CASE_LEGAL_NAME),
    ("case_group", "arrival"): _case_column("arrival", Column.CASE_GROUP_ARRIVAL),
    ("follow_up_frame", "frame"): _follow_ups,
    ("consent", "frame"): _consents,
    ("draft", "sealed"): _drafts,
    ("member_note", "frame"): _notes,
    ("handoff_manifest", "frame"): _manifests,
    ("handoff_side", "envelope"): _side_column("envelope", Column.HANDOFF_ENVELOPE),
    ("handoff_side", "case_sealed"): _side_column("case_sealed", Column.HANDOFF_CASE),
    ("handoff_side", "reply"): _side_column("reply", Column.HANDOFF_REPLY),
    ("handoff_part", "part"): _parts,
    ("erasure", "motive"): _erasure_column("motive", Column.ERASURE_MOTIVE),
    ("erasure", "certificate"): _erasure_column("certificate", Column.ERASURE_CERTIFICATE),
    ("audit_detail", "sealed"): _details,
    ("case_relation", "sealed"): _marks,
    ("declaration", "tokens"): _declaration_column("tokens", Column.DECLARATION_TOKENS, "journal"),
    ("declaration", "waiting"): _declaration_column("waiting", Column.DECLARATION_WAITING, "index"),
    ("review", "note"): _reviews,
}
KEY_COLUMNS = {
    ("account", "totp_seed"),
    ("membership", "daily_key"),
    ("membership", "signing_key"),
    ("renewal", "totp_seed"),
    ("renewed_key", "daily_key"),
    ("renewed_key", "signing_key"),
    ("session", "keys"),
    ("session", "step_up_keys"),
    ("key_grant", "sealed"),
    ("kek_recovery", "sealed"),
    ("drop_key", "private"),
    ("case_group", "dek"),
    ("named_seal", "sealed"),
    ("named_recovery", "sealed"),
    ("relation_key", "wrapped"),
}
