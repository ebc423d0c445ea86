"""Builds the entries of this process: lanes, pseudonyms, and details sealed to the auditor."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import msgspec

from audit.entry import Asked, AuthLevel, Basis, Entry, LaneNumber, Outcome, Row, Subject
from audit.lane import Lane
from audit.lane_file import AbandonedLane, LaneFile
from audit.memory import WriterMemory
from audit.tables import DEPLOYMENT_LOG
from casework.clock import microseconds
from casework.columns import Column
from casework.database import UnitOfWork
from crypto.drop import DropPublic, seal_to_drop
from crypto.journal import detail_commitment, row_pseudonym

JOURNAL = "journal"
# Within so many seconds of a heartbeat the next one is promised.
HEARTBEAT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Who:
    """The one who acts, as far as she has proved it, and where her request came from."""

    request: UUID
    source: str | None = None
    member: UUID | None = None
    role: str | None = None
    auth: AuthLevel = AuthLevel.NONE
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """A person of whom something was shown or changed: her pseudonym, and (row key, version) of each row."""

    pseudonym: bytes
    rows: tuple[tuple[bytes, int], ...] = ()

    def subject(self) -> Subject:
        return Subject(
            p=self.pseudonym.hex(),
            rows=tuple(
                Row(r=row_pseudonym(self.pseudonym, key).hex(), v=version) for key, version in self.rows
            ),
        )


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done and what came of it. `detail` is sealed to the auditor; two logs may share an `id`."""

    action: str
    outcome: Outcome = Outcome.ALLOWED
    reason: str | None = None
    policies: Sequence[str] = ()
    policy_set: str | None = None
    asked: Sequence[Asked] = ()
    consent: UUID | None = None
    handoff: UUID | None = None
    glass: UUID | None = None
    touched: Sequence[Touched] = ()
    count: int | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an entry can be found: its log's origin and its id. `leaf` is its leaf hash."""

    log: str
    entry: str
    leaf: bytes


class Journal:
    """One lane per log for the life of the process; `file` outlives it where transactions run beside each other.

    `memory` keeps what is committed until it is covered, where somebody follows the logs.
    """

    def __init__(
        self, deployment_name: str, file: LaneFile | None = None, memory: WriterMemory | None = None
    ) -> None:
        self._name = deployment_name
        self._file = file
        self._memory = memory
        self._lanes: dict[bytes, Lane] = {}

    def origin(self, slug: str | None) -> str:
        """The C2SP origin of an organisation's log, or of the deployment's own (`slug` None)."""
        return f"{self._name}/{slug}" if slug is not None else self._name

    def record(
        self,
        unit: UnitOfWork,
        org: tuple[UUID, str] | None,
        who: Who,
        deed: Deed,
        drop: DropPublic | None = None,
        lane: Lane | None = None,
    ) -> Receipt:
        """Put one entry into the unit, in the organisation's log or the deployment's own.

        `drop` is the public drop key of the organisation's `journal` compartment; it is needed for a detail.
        `lane` is this process's own, unless another is closed.
        """
        log = org[0].bytes if org is not None else DEPLOYMENT_LOG
        origin = self.origin(org[1] if org is not None else None)
        entry_id = deed.id or uuid4()
        commitment, sealed = _seal_detail(org, entry_id, deed.detail, drop)
        entry = Entry(
            action=deed.action,
            actor=str(who.member) if who.member is not None else None,
            auth=who.auth,
            basis=Basis(
                asked=tuple(deed.asked),
                policies=tuple(deed.policies),
                set=deed.policy_set,
                consent=_text(deed.consent),
                handoff=_text(deed.handoff),
                glass=_text(deed.glass),
            ),
            count=deed.count,
            detail=commitment,
            id=str(entry_id),
            lane=_number(unit, lane or self._lane(log)),
            log=origin,
            nonce=secrets.token_hex(16),
            outcome=deed.outcome,
            purpose=who.purpose,
            reason=deed.reason,
            request=str(who.request),
            role=who.role,
            source=who.source,
            subjects=tuple(touched.subject() for touched in deed.touched),
            time=microseconds(unit.now),
        )
        leaf = unit.record(log, entry, sealed)
        memory = self._memory
        if memory is not None:
            unit.on_commit(lambda: memory.remember(log, leaf, entry.id))
        return Receipt(origin, entry.id, leaf)

    def beat(self, unit: UnitOfWork, slugs: Mapping[UUID, str], reason: str | None = None) -> None:
        """Say in every log that this process serves that it does, and within how many seconds it will again."""
        who = Who(uuid4())
        deed = Deed("log.heartbeat", reason=reason, count=HEARTBEAT_SECONDS)
        for org in (None, *slugs.items()):
            self.record(unit, org, who, deed)

    def close_lanes(self, unit: UnitOfWork, slugs: Mapping[UUID, str]) -> None:
        """Say in each log that this process wrote to that its lane ends here; nothing may follow in it."""
        who = Who(uuid4())
        for log in list(self._lanes):
            org_id = UUID(bytes=log)
            org = (org_id, slugs[org_id]) if log != DEPLOYMENT_LOG else None
            self.record(unit, org, who, Deed("lane.close"))
        # Once it is committed: what is still open at the end is left to the next start.
        unit.on_commit(self._lanes.clear)

    def close_lane(self, unit: UnitOfWork, org: tuple[UUID, str] | None, abandoned: AbandonedLane) -> None:
        """Declare void what a writer that died took and nobody saw committed; no hole is left, nor one excused."""
        self.record(unit, org, Who(uuid4()), Deed("lane.close"), lane=abandoned.resume())

    def end(self) -> None:
        """The end of the process: the file goes, unless a lane has numbers for the next start to declare void."""
        if self._file is not None:
            self._file.close(is_settled=not any(lane.is_unsettled for lane in self._lanes.values()))

    def _lane(self, log: bytes) -> Lane:
        lane = self._lanes.get(log)
        if lane is None:
            writer = str(uuid4())
            memory = self._file.slot(log, writer) if self._file is not None else None
            lane = self._lanes.setdefault(log, Lane(writer, memory))
        return lane


def _number(unit: UnitOfWork, lane: Lane) -> LaneNumber:
    number = lane.next()
    unit.on_rollback(lambda: lane.void(number))
    unit.on_commit(lambda: lane.settle(number))
    return number


def _text(value: UUID | None) -> str | None:
    return str(value) if value is not None else None


def _seal_detail(
    org: tuple[UUID, str] | None, entry_id: UUID, detail: Mapping[str, object], drop: DropPublic | None
) -> tuple[str | None, bytes | None]:
    """Commit to the detail with a random salt and seal salt and detail to the auditor's drop key."""
    if not detail or org is None or drop is None:
        return None, None
    salt = secrets.token_bytes(32)
    plaintext = msgspec.json.encode(detail, order="sorted")
    place = Column.JOURNAL_DETAIL.place(org[0], entry_id, 0)
    return detail_commitment(salt, plaintext).hex(), seal_to_drop(drop, place, salt + plaintext)
