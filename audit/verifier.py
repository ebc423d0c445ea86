"""The verification of a log, offline from a bundle or straight on the tables; the steps are those of
docs/audit/format.md. It holds one tile of entries at a time.

Trust comes from outside: a verification key or a checkpoint that the auditor kept. Without either nothing is
ever valid, because a bundle must not vouch for itself.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from audit.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    VerificationKey,
    Verify,
    parse_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from audit.continuity import Continuity
from audit.entry import Entry, Outcome
from audit.errors import EntryRefused, NoteRefused
from audit.evidence import Evidence, EvidenceMissing, EvidenceRefused, NodeName, Tile, review_columns
from audit.incarnation import RESTORED_ACTION, is_earlier, keys_under, unmarked
from audit.opened_bundle import OpenedBundle
from audit.stored import StoredLog
from audit.tree import EMPTY_ROOT, Frontier, leaf_hash
from audit.verdict import CheckName, Findings, Report, Verdict

PRUNE_ACTION = "log.prune"

Progress = Callable[[int, int], None]
"""(entries read, entries in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the auditor brings along.

    `keys`: the log's verification keys. `trusted`: tree heads known from before (an auditor's saved
    checkpoint, the signer's state). `witnesses`: keys that must have cosigned the newest checkpoint.
    `max_age`: how old, in µs before `now`, the newest entry may be.
    """

    keys: tuple[VerificationKey, ...] = ()
    trusted: tuple[Checkpoint, ...] = ()
    witnesses: tuple[VerificationKey, ...] = ()
    max_age: int | None = None
    now: int = 0


def verify_bundle(path: Path, trust: Trust, verify: Verify, progress: Progress | None = None) -> Report:
    """Verify the bundle at `path`. Whatever the file holds, the answer is a report."""
    try:
        with OpenedBundle(path) as bundle:
            return _Verification(bundle, trust, verify, progress).run()
    except (EvidenceMissing, EvidenceRefused) as error:
        findings = Findings()
        _note_unreadable(findings, error)
        return findings.report(None, 0, {})


def verify_database(
    connection: Connection, log: bytes, trust: Trust, verify: Verify, progress: Progress | None = None
) -> Report:
    """Verify `log` in the tables themselves, the columns beside the entries' bytes included."""
    return _Verification(StoredLog(connection, log), trust, verify, progress).run()


@dataclass(frozen=True, slots=True, order=True)
class _Head:
    """A tree head to compare with; `vouched` says that a trusted key or the auditor stands for it."""

    size: int
    root: bytes
    vouched: bool
    origin: str


class _Verification:
    """One run over one log."""

    def __init__(self, evidence: Evidence, trust: Trust, verify: Verify, progress: Progress | None) -> None:
        self._evidence = evidence
        self._trust = trust
        self._verify = verify
        self._progress = progress
        self._findings = Findings()
        self._frontier = Frontier()
        self._origin = ""
        # The origin of the entries that are being read: one of an earlier incarnation until `log.restored`.
        self._incarnation: str | None = None
        self._restored_at: int | None = None
        self._minimum = 0
        self._continuity = Continuity(from_the_beginning=True)
        self._ids: set[bytes] = set()
        self._newest_time = 0
        self._pruned_to = 0
        # The size of the last tree head that is vouched for and agrees, and the id of the entry after it.
        self._agreed = 0
        self._id_after_agreed: str | None = None
        self._unsigned_head = False
        self._tree_is_whole = True

    def run(self) -> Report:
        try:
            latest = parse_checkpoint(self._evidence.latest())
        except NoteRefused:
            self._findings.fault(
                CheckName.SIGNATURES, Verdict.INCONSISTENT, "le dernier point de contrôle est malformé"
            )
            return self._findings.report(None, 0, {})
        except (EvidenceMissing, EvidenceRefused) as error:
            _note_unreadable(self._findings, error)
            return self._findings.report(None, 0, {})
        head = latest.checkpoint
        self._origin = head.origin
        try:
            self._minimum = self._evidence.minimum_index()
            self._continuity = Continuity(from_the_beginning=self._minimum == 0)
            self._walk(latest)
        except (EvidenceMissing, EvidenceRefused) as error:
            _note_unreadable(self._findings, error)
        self._check_lanes()
        self._check_pruning()
        self._check_trust(head.size)
        self._check_witnesses(latest)
        self._check_freshness()
        return self._findings.report(head.origin, head.size, self._words(head.size))

    def _walk(self, latest: SignedCheckpoint) -> None:
        """Read every entry once, grow the tree, and compare it with each tree head when it has its size."""
        size = latest.checkpoint.size
        heads = self._heads(latest)
        following = self._compare_all(heads, next(heads, None))
        upper = self._evidence.upper_subtrees(size)
        for tile in self._evidence.tiles(size):
            computed = [None if raw is None else leaf_hash(raw) for raw in tile.entries]
            if computed != tile.leaves or None in tile.leaves:
                self._name_differing_leaves(tile, computed)
            for at, leaf in enumerate(computed):
                if leaf is not None:
                    self._check_entry(tile, at)
                node = leaf or tile.leaves[at]
                # Without a leaf there is no tree from here on, but the entries can still be read.
                self._tree_is_whole &= node is not None
                completed = self._frontier.append(node or EMPTY_ROOT)
                if completed:
                    self._check_subtrees(completed, tile.subtrees, upper)
                if following is not None and following.size == self._frontier.size:
                    following = self._compare_all(heads, following)
            if self._progress is not None:
                self._progress(self._frontier.size, size)
        if self._incarnation not in {None, latest.checkpoint.origin}:
            words = "la dernière écriture est d’un autre nom que le point de contrôle"
            self._findings.fault(CheckName.ENTRIES, Verdict.INCONSISTENT, words, index=size - 1)
        if self._evidence.leaves_beyond(size):
            words = "le journal ne s’arrête pas à son dernier point de contrôle"
            self._findings.fault(CheckName.TREE, Verdict.INCONSISTENT, words, index=size)

    def _heads(self, latest: SignedCheckpoint) -> Iterator[_Head]:
        """Every tree head, by size: the earlier checkpoints, the trusted ones, the newest."""
        head = latest.checkpoint
        trusted = []
        for known in self._trust.trusted:
            if unmarked(known.origin) != unmarked(head.origin):
                words = "le point de contrôle de confiance est celui d’un autre journal"
                self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words)
            elif known.size > head.size and is_earlier(known.origin, head.origin):
                self._fault_lost(known.size)
            elif known.size > head.size:
                words = f"le journal a {head.size} écritures, et {known.size} étaient attestées"
                self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words, index=head.size)
            else:
                trusted.append(_Head(known.size, known.root, vouched=True, origin=known.origin))
        newest = _Head(head.size, head.root, self._is_signed(latest), head.origin)
        # Of one size the auditor's own comes first: only what it agrees with counts as agreed.
        return heapq.merge(sorted(trusted), self._earlier(head), [newest], key=lambda one: one.size)

    def _earlier(self, latest: Checkpoint) -> Iterator[_Head]:
        previous = -1
        for text in self._evidence.earlier():
            note = _note_between(text, previous, latest)
            if note is None:
                words = "un point de contrôle antérieur est malformé ou hors de sa place"
                self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words)
                return
            head = note.checkpoint
            previous = head.size
            yield _Head(head.size, head.root, self._is_signed(note), head.origin)

    def _is_signed(self, note: SignedCheckpoint) -> bool:
        try:
            verify_checkpoint(note, keys_under(note.checkpoint.origin, self._trust.keys), self._verify)
        except NoteRefused:
            self._unsigned_head = True
            return False
        return True

    def _compare_all(self, heads: Iterator[_Head], following: _Head | None) -> _Head | None:
        """Compare the tree with every head of its size; returns the first head of a larger one."""
        while following is not None and following.size == self._frontier.size:
            if self._tree_is_whole:
                self._compare(following)
            following = next(heads, None)
        return following

    def _compare(self, head: _Head) -> None:
        if self._frontier.root() == head.root:
            if head.vouched:
                self._agreed, self._id_after_agreed = head.size, None
            return
        if self._incarnation is not None and is_earlier(head.origin, self._incarnation):
            # Another incarnation goes on from before this head: its last entries are the lost ones.
            self._fault_lost(head.size)
            return
        words = f"les écritures ne mènent pas au point de contrôle de taille {head.size}"
        if self._findings.failed(CheckName.TREE) or not head.vouched:
            # The entry is already named, or it is the tree head itself that nobody vouches for.
            self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words)
        else:
            self._fault_after_agreed(CheckName.HISTORY, words)

    def _fault_lost(self, size: int) -> None:
        words = f"le journal a été restauré : des {size} écritures attestées auparavant, les dernières sont perdues"
        self._findings.fault(CheckName.HISTORY, Verdict.INCOMPLETE, words)

    def _belongs(self, entry: Entry, index: int) -> bool:
        """Whether the entry is of the incarnation that is being read, or rightly begins the next one."""
        if entry.log == self._incarnation:
            return True
        begins = self._incarnation is None or entry.action == RESTORED_ACTION
        if not begins or unmarked(entry.log) != unmarked(self._origin):
            return False
        if self._incarnation is not None:
            self._restored_at = index
        self._incarnation = entry.log
        return True

    def _fault_after_agreed(self, check: CheckName, words: str) -> None:
        """The exact entry cannot be known: everything up to the last agreeing head is as it was."""
        self._findings.fault(
            check, Verdict.INCONSISTENT, words, index=self._agreed, entry_id=self._id_after_agreed
        )

    def _name_differing_leaves(self, tile: Tile, computed: list[bytes | None]) -> None:
        for at, (leaf, stored) in enumerate(zip(computed, tile.leaves, strict=True)):
            index = tile.first + at
            if stored is None or (leaf is None and index >= self._minimum):
                missing = "l’écriture" if leaf is None else "l’empreinte"
                self._findings.fault(
                    CheckName.TREE, Verdict.INCOMPLETE, f"{missing} {index} manque", index=index
                )
            elif leaf is not None and leaf != stored:
                words = f"l’écriture {index} n’est pas celle qui a été inscrite"
                raw = tile.entries[at]
                self._findings.fault(
                    CheckName.TREE, Verdict.INCONSISTENT, words, index=index, entry_id=_readable_id(raw)
                )

    def _check_subtrees(
        self,
        completed: list[tuple[int, int, bytes]],
        lower: Mapping[NodeName, bytes],
        upper: Mapping[NodeName, bytes],
    ) -> None:
        if self._findings.failed(CheckName.TREE):
            return
        for level, index, node in completed:
            name = (level, index)
            if self._evidence.stores(level) and node != (lower.get(name) or upper.get(name)):
                words = f"l’empreinte de niveau {level}, rang {index}, n’est pas celle des écritures"
                first = max(self._agreed, index << level)
                self._findings.fault(CheckName.TREE, Verdict.INCONSISTENT, words, index=first)
                return

    def _check_entry(self, tile: Tile, at: int) -> None:
        index, raw = tile.first + at, tile.entries[at]
        assert raw is not None
        try:
            entry = Entry.from_bytes(raw)
        except EntryRefused:
            words = f"l’écriture {index} n’est pas dans la forme prescrite"
            self._findings.fault(CheckName.ENTRIES, Verdict.INCONSISTENT, words, index=index)
            return
        if index == self._agreed:
            self._id_after_agreed = entry.id
        identity = bytes.fromhex(entry.id.replace("-", ""))
        if not self._belongs(entry, index) or identity in self._ids:
            words = f"l’écriture {index} est d’un autre journal, ou son identifiant a déjà servi"
            self._fault_entry(CheckName.ENTRIES, words, index, entry)
        self._ids.add(identity)
        if tile.columns is not None and tile.columns[at] != review_columns(entry):
            words = f"les colonnes de recherche de l’écriture {index} disent autre chose qu’elle"
            self._fault_entry(CheckName.ENTRIES, words, index, entry)
        if not self._continuity.number_is_new(entry.lane, index, entry.time):
            words = f"le numéro de l’écriture {index} a déjà servi dans sa file"
            self._fault_entry(CheckName.LANES, words, index, entry)
        if not self._continuity.time_runs_forwards(entry.lane.writer, entry.time):
            words = f"l’heure de l’écriture {index} revient en arrière"
            self._fault_entry(CheckName.TIME, words, index, entry)
        self._newest_time = max(self._newest_time, entry.time)
        if entry.action == PRUNE_ACTION and entry.outcome is Outcome.ALLOWED:
            self._pruned_to = max(self._pruned_to, entry.count or 0)

    def _fault_entry(self, check: CheckName, words: str, index: int, entry: Entry) -> None:
        self._findings.fault(check, Verdict.INCONSISTENT, words, index=index, entry_id=entry.id)

    def _check_lanes(self) -> None:
        for hole in self._continuity.holes():
            words = f"la file {hole.writer} n’a pas d’écriture {hole.first}"
            self._findings.fault(CheckName.LANES, Verdict.INCOMPLETE, words, index=hole.index)

    def _check_pruning(self) -> None:
        if not self._minimum:
            return
        self._findings.at_best(Verdict.VALID_PRUNED)
        if self._pruned_to < self._minimum:
            words = f"les écritures {self._pruned_to} à {self._minimum - 1} manquent sans élagage inscrit"
            self._findings.fault(CheckName.PRUNING, Verdict.INCOMPLETE, words, index=self._pruned_to)

    def _check_trust(self, size: int) -> None:
        if self._trust.keys:
            if self._unsigned_head:
                words = "un point de contrôle n’est pas signé par la clé donnée"
                if self._agreed < size:
                    self._fault_after_agreed(CheckName.SIGNATURES, words)
                else:
                    self._findings.fault(CheckName.SIGNATURES, Verdict.INCONSISTENT, words)
            return
        vouched = max((known.size for known in self._trust.trusted), default=0)
        if vouched < size or not vouched:
            words = f"sans clé de vérification, rien n’est prouvé au-delà de {vouched} écritures"
            self._findings.fault(CheckName.SIGNATURES, Verdict.INCOMPLETE, words)

    def _check_witnesses(self, latest: SignedCheckpoint) -> None:
        for witness in self._trust.witnesses:
            try:
                verify_cosignature(latest, witness, self._verify)
            except NoteRefused:
                words = f"le témoin {witness.name} n’a pas signé"
                self._findings.fault(CheckName.WITNESSES, Verdict.UNWITNESSED, words)

    def _check_freshness(self) -> None:
        oldest = self._trust.now - (self._trust.max_age or 0)
        if self._trust.max_age is not None and self._newest_time < oldest:
            words = "l’écriture la plus récente est plus ancienne que l’âge admis"
            self._findings.fault(CheckName.FRESHNESS, Verdict.STALE, words)

    def _words(self, size: int) -> dict[CheckName, str]:
        """What is said of each step that was asked for, where it passes."""
        words = {
            CheckName.SIGNATURES: "les points de contrôle sont signés"
            if self._trust.keys
            else "le dernier point de contrôle est celui de confiance",
            CheckName.TREE: f"l’arbre se reconstruit de ses {size} écritures",
            CheckName.HISTORY: "chaque point de contrôle antérieur en est un début"
            + (f" ; restauré à l’écriture {self._restored_at}" if self._restored_at is not None else ""),
            CheckName.ENTRIES: "chaque écriture est dans la forme prescrite",
            CheckName.LANES: "aucun numéro d’écriture ne manque",
            CheckName.TIME: "les heures se suivent",
            CheckName.PRUNING: f"élagué jusqu’à l’écriture {self._minimum}, selon le journal lui-même"
            if self._minimum
            else "rien n’est élagué",
        }
        if self._trust.witnesses:
            words[CheckName.WITNESSES] = "les témoins demandés ont signé"
        if self._trust.max_age is not None:
            words[CheckName.FRESHNESS] = "l’écriture la plus récente est assez récente"
        return words


def _note_between(text: str, previous: int, latest: Checkpoint) -> SignedCheckpoint | None:
    """The note, if it is one of this log and larger than the previous and smaller than the newest one."""
    try:
        note = parse_checkpoint(text)
    except NoteRefused:
        return None
    head = note.checkpoint
    of_this_log = unmarked(head.origin) == unmarked(latest.origin)
    return note if of_this_log and previous < head.size < latest.size else None


def _note_unreadable(findings: Findings, error: EvidenceMissing | EvidenceRefused) -> None:
    verdict = Verdict.INCOMPLETE if isinstance(error, EvidenceMissing) else Verdict.INCONSISTENT
    findings.fault(CheckName.FORM, verdict, str(error))


def _readable_id(raw: bytes | None) -> str | None:
    try:
        return Entry.from_bytes(raw or b"").id
    except EntryRefused:
        return None
