"""The one gateway to an opened case: load, decide, record, open; in that order, in one unit of work.

A case that is absent, of another organisation or forbidden is one error. What a session may not read is left out
before decryption, and what it holds no key for could not be decrypted by any policy.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select, update

from casework import candidates, case_queries, conflicts, packets, rekeying, relations, restrictions
from casework.act import Act, refusal
from casework.alerts import AlertKind, alert
from casework.case_queries import COUNT_CAP
from casework.cases.tables import break_glass, case_group
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import MissingKey, NotFound
from casework.facts import facts_of_row
from casework.journal import Deed, Touched
from casework.loaded_case import LEGAL_NAME, LoadedCase, half_purposes
from casework.shreds import PSEUDONYM, ShredMissing
from crypto.dek import CaseKey, dek_row_is_dropped, dek_row_key_number, unwrap_dek
from crypto.drop import is_drop_envelope, seal_to_drop
from crypto.errors import CryptoError
from crypto.frame import seal_frame
from crypto.honeytoken import is_honeytoken
from crypto.journal import pseudonym
from crypto.opener import FrameReader, open_frame
from crypto.place import Place
from crypto.secret import Secret
from policies.engine import Decision
from policies.facts import CaseFacts
from policies.vocabulary import READ, Action, Group, Status

log = structlog.get_logger(__name__)

Content = dict[str, Any]
_CONTENT = msgspec.json.Decoder(Content)


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """What one act may read of one case: the allowed groups alone, and the keys of those."""

    loaded: LoadedCase
    groups: Mapping[Group, Content] = field(repr=False)
    withheld: tuple[Group, ...]
    _act: Act = field(repr=False)
    _keys: Mapping[Group, CaseKey] = field(repr=False)

    @property
    def id(self) -> UUID:
        return self.loaded.id

    @property
    def readable(self) -> frozenset[Group]:
        return frozenset(self._keys)

    def version_of(self, group: Group) -> int:
        return int(self.loaded.groups[group].version)

    def open(
        self, group: Group, place: Place, sealed: Sealed, store: Callable[[Sealed], None]
    ) -> Content | None:
        """A further record of this case; None where its group is withheld.

        `store` is called with the frame that replaces an envelope left by somebody who could not read it.
        """
        key = self._keys.get(group)
        if key is None:
            return None
        return _open(self._act, key, place, sealed, store)


@dataclass(frozen=True, slots=True)
class ChangingCase:
    """A case locked for one change that was allowed."""

    loaded: LoadedCase
    policies: tuple[str, ...]
    _act: Act = field(repr=False)

    @property
    def id(self) -> UUID:
        return self.loaded.id

    def seal(self, group: Group, place: Place, content: Content) -> Sealed:
        """Seal a record under the case's key of the group, or to the group's drop key where none is held.

        Raises:
            MissingKey: none is held and the case is restricted: the drop key is everybody's who holds the group.

        """
        plaintext = msgspec.json.encode(content)
        key = _case_key(self._act, self.loaded, group)
        if key is None and self.loaded.facts.restricted:
            raise MissingKey
        if key is None:
            return Sealed(seal_to_drop(self._act.drop(group), place, plaintext))
        return Sealed(seal_frame(key, place, plaintext))

    def reseal(
        self, group: Group, sealed: Sealed, old: Place, new: Place, over: Content | None = None
    ) -> Sealed:
        """A record bound to its new place and shown to nobody; the fields of `over` are laid over its own.

        Raises:
            MissingKey: the session does not hold the group.

        """
        key = _case_key(self._act, self.loaded, group)
        if key is None:
            raise MissingKey
        record = _open(self._act, key, old, sealed, _keep_none) | (over or {})
        return Sealed(seal_frame(key, new, msgspec.json.encode(record)))

    def relate(self, group: Group, version: int, content: Content) -> None:
        """Have relation flags told of what was written of a group; a civil status that stays is read for it."""
        row, key = self.loaded.groups[group], _case_key(self._act, self.loaded, group)
        written = dict(content)
        if row.legal_name is not None and LEGAL_NAME not in written and key is not None:
            place = Column.CASE_LEGAL_NAME.place(self._act.org_id, row.id, row.version)
            written |= _open(self._act, key, place, row.legal_name, _keep_none)
        relations.relate(self._act, self.id, self.loaded.pseudonym, (row.id, version), group, written)

    def renew_keys(self, named_part: Secret | None) -> frozenset[Group]:
        """Give every group a new half, and a new key where the session opens the old one: `rekeying.renew`."""
        keys = {group: _case_key(self._act, self.loaded, group) for group in Group}
        return rekeying.renew(self._act, self.loaded, keys, named_part)

    def record(self, action: str, rows: Iterable[tuple[UUID, int]], **more: Any) -> None:
        """Journal the change: the rows it wrote with their versions, and what else the deed says."""
        touched = Touched(self.loaded.pseudonym, tuple((row.bytes, version) for row, version in rows))
        self._act.record(Deed(action, touched=(touched,), **{"policies": self.policies, **more}))


@dataclass(frozen=True, slots=True)
class ListedCase:
    """`identity` is None where it is withheld; and where it does not open, which `is_damaged` says."""

    id: UUID
    status: Status
    identity: Content | None = field(repr=False)
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class CasePage:
    """A page of cases; `count` is of all that may be listed, capped."""

    items: list[ListedCase]
    next: UUID | None
    count: int
    count_is_capped: bool


class Access:
    """The gateway for one act."""

    def __init__(self, act: Act) -> None:
        self._act = act

    def open_case(
        self,
        case_id: UUID,
        *,
        action: str = "case.open",
        contents: bool = True,
        also: Callable[[], Sequence[tuple[UUID, int]]] = tuple,
    ) -> OpenedCase:
        """Open the groups of a case that the asker may read.

        `contents=False` opens no group of the case itself, only the keys for its further records; `also` is
        asked for those records (row, version), so that they stand in the same entry.

        Raises:
            NotFound: absent, of another organisation, or not hers to know of.

        """
        loaded = self._load(case_id)
        listing = self._require_listable(loaded)
        allowed = self._readable_groups(loaded)
        keys = self._keys(loaded, allowed)
        if loaded.half_renewed(keys):
            loaded = self._renew_rest(case_id, keys)
            keys = self._keys(loaded, allowed)
        loaded = self._take_in_arrivals(loaded, keys)
        names_civil_status = self._act.decide_case(Action.CASE_READ_LEGAL_NAME, loaded.facts).allowed
        rows = [
            (row.id.bytes, row.version) for group, row in loaded.groups.items() if contents and group in keys
        ]
        rows += [(row.bytes, version) for row, version in also()]
        policies = {policy for decision in (listing, *allowed.values()) for policy in decision.policies}
        self._raise_alarm_of_honeytoken(loaded)
        self._act.unit.touched()
        self._act.record(
            Deed(
                action,
                touched=(Touched(loaded.pseudonym, tuple(rows)),),
                policies=sorted(policies),
                glass=self._glass_under(loaded, [Action.CASE_LIST, *(READ[group] for group in allowed)]),
                detail={"groups": sorted(keys), LEGAL_NAME: names_civil_status},
            )
        )
        opened = {
            group: self._open_group(loaded, group, key, names_civil_status)
            for group, key in keys.items()
            if contents
        }
        relations.catch_up(
            self._act, loaded, keys, partial(self._open_group, loaded, names_civil_status=True)
        )
        withheld = tuple(group for group in Group if group not in keys)
        return OpenedCase(loaded, opened, withheld, self._act, keys)

    def list_cases(self, *, limit: int, after: UUID | None, status: Status | None) -> CasePage:
        """The newest cases that the asker may list, with what she may see of each identity."""
        act = self._act
        cubes = act.engine.list_filter(act.asker, Action.CASE_LIST, act.context)
        values = {
            "org": act.org_id,
            "member": act.member_id,
            "now": act.unit.now,
            "status": status,
            "after": after,
        }
        counted = case_queries.count(act.unit.connection, cubes, values)
        rows = case_queries.page(act.unit.connection, cubes, limit + 1, values)
        shown = rows[:limit]
        shreds = act.deployment.shreds.of(act.org_id, [row.id for row in shown], (PSEUDONYM, Group.IDENTITY))
        renewed = [row for row in shown if row.half != 1]
        closed = restrictions.lay_open(act, renewed, shreds) if renewed else frozenset()
        closed |= conflicts.not_compared(act, shown)
        readable = [row.id not in closed and self._shows_identity(row) for row in shown]
        for facts in {facts_of_row(row) for row in shown}:
            act.decide_case(Action.CASE_LIST, facts)  # The filter asked about every state: noted are these.
        act.unit.touched()
        act.record(
            Deed(
                "case.list",
                touched=[
                    Touched(
                        pseudonym(bytes(row.pseudonym_part), _shred(shreds, row.id, PSEUDONYM)),
                        ((row.row.bytes, row.version),) if is_readable else (),
                    )
                    for row, is_readable in zip(shown, readable, strict=True)
                ],
                count=len(shown),
            )
        )
        readers: dict[int, FrameReader] = {}
        items = [
            self._listed(row, _shred(shreds, row.id, Group.IDENTITY), readers)
            if is_readable
            else ListedCase(row.id, Status(row.status), None)
            for row, is_readable in zip(shown, readable, strict=True)
        ]
        following = shown[-1].id if len(rows) > limit else None
        return CasePage(items, following, min(counted, COUNT_CAP), counted > COUNT_CAP)

    def change_case(self, case_id: UUID, actions: Iterable[Action], *, reason: bool = False) -> ChangingCase:
        """Lock a case for a change that needs all of `actions`.

        Raises:
            NotFound: absent, or not hers to know of.
            Forbidden: she may list the case and may not do this; `extra` says what would lift it.

        """
        wanted = list(actions)
        # Lock first: what is decided here must still hold when the change is written.
        case_queries.LOCK.rows(self._act.unit.connection, {"org": self._act.org_id, "case": case_id})
        loaded = self._load(case_id)
        decisions = [self._act.decide_case(action, loaded.facts, reason=reason) for action in wanted]
        denied = next(((a, d) for a, d in zip(wanted, decisions, strict=True) if not d.allowed), None)
        if denied is not None:
            self._require_listable(loaded)
            raise refusal(denied[0], denied[1], hidden=False, tried={"case": str(case_id)})
        self._raise_alarm_of_honeytoken(loaded)
        self._act.unit.touched()
        if (old := loaded.half_renewed(Group)) and (keys := self._keys(loaded, old)):
            loaded = self._renew_rest(case_id, keys)
        policies = sorted({policy for decision in decisions for policy in decision.policies})
        return ChangingCase(loaded, tuple(policies), self._act)

    def pseudonyms_of(self, cases: Sequence[UUID]) -> list[bytes]:
        """The names under which the journal knows these cases' persons; what was erased has none."""
        return list(candidates.pseudonyms(self._act, cases).values())

    def facts_of(self, case_id: UUID) -> CaseFacts | None:
        """The facts of a case for the asker, and nothing else of it; None where it is not there."""
        row = case_queries.FACTS.row(self._act.unit.connection, self._values(case_id))
        return facts_of_row(row) if row is not None else None

    def _load(self, case_id: UUID) -> LoadedCase:
        try:
            return self._read(case_id)
        except ShredMissing:
            # Its keys may have been renewed between the reading of rows and of halves.
            return self._read(case_id)

    def _read(self, case_id: UUID) -> LoadedCase:
        act = self._act
        rows = case_queries.LOAD.rows(act.unit.connection, self._values(case_id))
        if not rows:
            raise NotFound("case.open", reason="not_found", tried={"case": str(case_id)})
        first, facts = rows[0], facts_of_row(rows[0])
        purposes = half_purposes(rows)
        shreds = act.deployment.shreds.of(act.org_id, [case_id], (PSEUDONYM, *purposes.values()))
        if len(shreds) <= len(purposes) and not act.decide_case(Action.CASE_LIST, facts).allowed:
            # What is missing of a case that she may not know of must not tell that it is there.
            raise NotFound("case.open", reason="not_found", tried={"case": str(case_id)})
        return LoadedCase(
            id=case_id,
            status=Status(first.status),
            version=first.case_version,
            facts=facts,
            pseudonym=pseudonym(bytes(first.pseudonym_part), _shred(shreds, case_id, PSEUDONYM)),
            groups={Group(row.compartment): row for row in rows},
            shreds=restrictions.halves_of(
                act,
                case_id,
                facts.restricted,
                {group: _shred(shreds, case_id, purpose) for group, purpose in purposes.items()},
            ),
        )

    def _raise_alarm_of_honeytoken(self, loaded: LoadedCase) -> None:
        """Tell the log and the auditor, and nobody else: whoever opened it sees a case like any other."""
        act, asker = self._act, self._act.identity
        if is_honeytoken(act.deployment.peppers, act.org_id.bytes, loaded.id.bytes, loaded.pseudonym):
            alert(AlertKind.HONEYTOKEN_OPENED, organisation=asker.slug, request=str(asker.who.request))
            act.record(Deed("honeytoken.opened", detail={"case": str(loaded.id)}))

    def _values(self, case_id: UUID) -> dict[str, Any]:
        act = self._act
        return {"org": act.org_id, "case": case_id, "member": act.member_id, "now": act.unit.now}

    def _require_listable(self, loaded: LoadedCase) -> Decision:
        decision = self._act.decide_case(Action.CASE_LIST, loaded.facts)
        if not decision.allowed:
            # The very error of an absent case: same action, same reason, same detail.
            raise NotFound("case.open", reason="not_found", tried={"case": str(loaded.id)})
        return decision

    def _glass_under(self, loaded: LoadedCase, allowed: Iterable[Action]) -> UUID | None:
        """The emergency access that something allowed rests on; None where all of it is hers without."""
        if not loaded.facts.glass:
            return None
        act, without = self._act, replace(loaded.facts, glass=False)
        # Asked of the engine itself: it is no decision about her, and is noted nowhere.
        decide = act.engine.decide_case
        if all(decide(act.asker, action, without, act.context).allowed for action in allowed):
            return None
        query = select(break_glass.c.id).where(
            break_glass.c.org_id == act.org_id,
            break_glass.c.case_id == loaded.id,
            break_glass.c.member_id == act.member_id,
            break_glass.c.expires_at > act.unit.now,
        )
        newest = query.order_by(break_glass.c.expires_at.desc()).limit(1)
        glass: UUID = act.unit.connection.execute(newest).scalar_one()
        return glass

    def _readable_groups(self, loaded: LoadedCase) -> dict[Group, Decision]:
        decisions = {group: self._act.decide_case(READ[group], loaded.facts) for group in Group}
        return {group: decision for group, decision in decisions.items() if decision.allowed}

    def _keys(self, loaded: LoadedCase, allowed: Iterable[Group]) -> dict[Group, CaseKey]:
        keys = {group: _case_key(self._act, loaded, group) for group in allowed}
        return {group: key for group, key in keys.items() if key is not None}

    def _open_group(
        self, loaded: LoadedCase, group: Group, key: CaseKey, names_civil_status: bool
    ) -> Content:
        row = loaded.groups[group]
        if row.frame is None:
            return {}
        place = Column.CASE_GROUP_FRAME.place(self._act.org_id, row.id, row.version)
        content = _open(self._act, key, place, row.frame, self._store(row.id, "frame", row.frame))
        if row.legal_name is not None and names_civil_status:
            place = Column.CASE_LEGAL_NAME.place(self._act.org_id, row.id, row.version)
            store = self._store(row.id, LEGAL_NAME, row.legal_name)
            content |= _open(self._act, key, place, row.legal_name, store)
        return content

    def _store(self, row: UUID, column: str, envelope: Sealed) -> Callable[[Sealed], None]:
        def store(frame: Sealed) -> None:
            # Only over the very envelope that was opened: a change may have come between.
            this = (
                case_group.c.org_id == self._act.org_id,
                case_group.c.id == row,
                case_group.c[column] == envelope,
            )
            self._act.unit.connection.execute(update(case_group).where(*this).values({column: frame}))

        return store

    def _renew_rest(self, case_id: UUID, groups: Iterable[Group]) -> LoadedCase:
        """Renew keys that whoever renewed the others could not open; returns the case anew."""
        case_queries.LOCK.rows(self._act.unit.connection, {"org": self._act.org_id, "case": case_id})
        # Once more under the lock: another holder may have come first.
        loaded = self._load(case_id)
        part = restrictions.named_part(self._act, case_id) if loaded.facts.restricted else None
        rekeying.renew_rest(self._act, loaded, self._keys(loaded, loaded.half_renewed(groups)), part)
        return self._load(case_id)

    def _shows_identity(self, row: Any) -> bool:
        decision = self._act.decide_case(Action.CASE_READ_IDENTITY, facts_of_row(row))
        return row.frame is not None and decision.allowed and self._act.keyring.holds(Group.IDENTITY)

    def _listed(self, row: Any, shred: bytes, readers: dict[int, FrameReader]) -> ListedCase:
        """One damaged record must not hide the others: it raises the alarm and is journaled."""
        status = Status(row.status)
        try:
            return ListedCase(row.id, status, self._identity(row, shred, readers))
        except CryptoError as error:
            self._act.report_damage(error, case=str(row.id))
        return ListedCase(row.id, status, None, is_damaged=True)

    def _identity(self, row: Any, shred: bytes, readers: dict[int, FrameReader]) -> Content | None:
        act, dek = self._act, row.dek.blob
        # A key left at the drop key is taken over when the case itself is opened.
        if dek_row_is_dropped(dek):
            return None
        number = dek_row_key_number(dek)
        kek = act.keyring.kek(Group.IDENTITY, number)
        if kek is None:
            return None
        if is_drop_envelope(row.frame.blob):
            key = unwrap_dek(kek, row.id.bytes, row.dek_generation, dek, shred)
            place = Column.CASE_GROUP_FRAME.place(act.org_id, row.row, row.version)
            return _open(act, key, place, row.frame, self._store(row.row, "frame", row.frame))
        reader = readers.get(number)
        if reader is None:
            reader = readers[number] = FrameReader(kek, *Column.CASE_GROUP_FRAME.value)
        content: Content = _CONTENT.decode(
            reader.open(
                row.id.bytes, row.dek_generation, dek, shred, row.row.bytes, row.version, row.frame.blob
            )
        )
        return content

    def _take_in_arrivals(self, loaded: LoadedCase, keys: Mapping[Group, CaseKey]) -> LoadedCase:
        """Re-encrypt what a handoff brought for the groups that this holder may read."""
        arrived = [group for group in keys if loaded.groups[group].arrival is not None]
        if not arrived:
            return loaded
        for group in arrived:
            packets.take_in(self._act, loaded, group, keys[group])
        return self._load(loaded.id)


def _case_key(act: Act, loaded: LoadedCase, group: Group) -> CaseKey | None:
    """The case's key of a group; one that was made by somebody who could not read it is taken over first."""
    half = loaded.shreds.get(group)
    if half is None:
        return None
    row = loaded.groups[group]
    dek: bytes = row.dek.blob
    if dek_row_is_dropped(dek):
        adopted = act.keyring.adopt(group, loaded.id, row.dek_generation, dek)
        if adopted is None:
            return None
        dek = adopted
        act.unit.connection.execute(
            update(case_group)
            .where(case_group.c.org_id == act.org_id, case_group.c.id == row.id, case_group.c.dek == row.dek)
            .values(dek=Sealed(adopted))
        )
    return act.keyring.case_key(group, loaded.id, row.dek_generation, dek, half)


def _open(act: Act, key: CaseKey, place: Place, sealed: Sealed, store: Callable[[Sealed], None]) -> Content:
    """Open a frame; or an envelope left at the group's drop key, which `store` then replaces with a frame."""
    if is_drop_envelope(sealed.blob):
        plaintext = packets.open_envelope(act, key.group, place, sealed)
        store(Sealed(seal_frame(key, place, plaintext)))
    else:
        plaintext = open_frame(key, place, sealed.blob)
    content: Content = _CONTENT.decode(plaintext)
    return content


def _keep_none(_frame: Sealed) -> None:
    """For a record that is about to be sealed anew anyway."""


def _shred(parts: Mapping[tuple[UUID, str], bytes], owner: UUID, purpose: str) -> bytes:
    part = parts.get((owner, purpose))
    if part is None:
        raise ShredMissing
    return part
