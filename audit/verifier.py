"""The verification of a log, offline from a bundle or straight on the tables; the steps are those of
docs/audit/format.md. It holds a few tiles of entries at a time, and every entry's id (about 100 bytes, in a set);
of a number that waits for a smaller one of its lane, 250 bytes more.

Trust comes from outside: a verification key or a checkpoint that the auditor kept. Without either nothing is
ever valid, because a bundle must not vouch for itself.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from audit.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    Verify,
    parse_checkpoint,
)
from audit.continuity import MOST_LANES, MOST_VOID, Continuity
from audit.entry import Entry, Outcome
from audit.errors import EntryRefused, NoteRefused, ProofRefused
from audit.evidence import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Evidence,
    EvidenceMissing,
    EvidenceRefused,
    NodeName,
    Tile,
    review_columns,
)
from audit.heartbeats import Heartbeats
from audit.incarnation import RESTORED_ACTION, is_earlier, unmarked
from audit.known_heads import Head, KnownHeads, fault_lost
from audit.opened_bundle import OpenedBundle
from audit.signing_keys import SigningKeys
from audit.skimming import Run, SkimmedTile, skimmed_tiles
from audit.stored import StoredLog
from audit.tree import EMPTY_ROOT, Frontier, leaf_hash
from audit.trust import Trust
from audit.verdict import CheckName, Findings, Report, Verdict

PRUNE_ACTION = "log.prune"

Progress = Callable[[int, int], None]
"""(entries read, entries in all)."""


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
        self._heartbeats = Heartbeats()
        self._keys = SigningKeys(trust.keys, verify)
        self._disclosed: dict[bytes, str] = {}
        self._details = 0
        self._known = KnownHeads(evidence, trust, verify, self._findings)
        # Ids of entries that partners' logs hold.
        self._awaited: list[str] = []
        self._ids: set[bytes] = set()
        self._pruned_to = 0
        # The size of the last tree head that is vouched for and agrees, and the id of the entry after it.
        self._agreed = 0
        self._id_after_agreed: str | None = None
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
            self._disclosed = dict(self._evidence.disclosed())
            self._details = len(self._disclosed)
            self._read_counterparts()
            self._walk(latest)
        except (EvidenceMissing, EvidenceRefused) as error:
            _note_unreadable(self._findings, error)
        self._check_lanes()
        self._check_pruning()
        self._check_trust(head.size)
        self._check_details()
        self._check_counterparts()
        self._check_freshness()
        return self._findings.report(head.origin, head.size, self._words(head.size))

    def _walk(self, latest: SignedCheckpoint) -> None:
        """Read every entry once, grow the tree, and compare it with each tree head when it has its size."""
        size = latest.checkpoint.size
        heads = self._known.by_size(latest)
        try:
            self._grow(heads, size)
        except EvidenceMissing:
            # The checkpoints that nothing was compared with may still be such as no journal has.
            deque(heads, maxlen=0)
            raise
        if self._incarnation not in {None, latest.checkpoint.origin}:
            words = "la dernière écriture est d’un autre nom que le point de contrôle"
            self._findings.fault(CheckName.ENTRIES, Verdict.INCONSISTENT, words, index=size - 1)
        if self._evidence.leaves_beyond(size):
            words = "le journal ne s’arrête pas à son dernier point de contrôle"
            self._findings.fault(CheckName.TREE, Verdict.INCONSISTENT, words, index=size)

    def _grow(self, heads: Iterator[Head], size: int) -> None:
        following = self._compare_all(heads, next(heads, None))
        upper = self._evidence.upper_subtrees(size)
        for tile in skimmed_tiles(self._evidence, size, whole=bool(self._disclosed)):
            if tile.differs and tile.tile is not None:
                self._name_differing_leaves(tile.tile)
            stored = tile.tile.subtrees if tile.tile is not None else {}
            ends_before = following is None or following.size >= tile.first + len(tile.nodes)
            if tile.root is not None and ends_before and not stored:
                # No head lies within: the tile counts as one subtree.
                self._check_entries(tile, 0, len(tile.nodes))
                self._check_subtrees(self._frontier.append(tile.root, TILE_HEIGHT), {}, upper)
                following = self._compare_all(heads, following)
            else:
                following = self._grow_by_leaves(tile, stored, upper, heads, following)
            if self._progress is not None:
                self._progress(self._frontier.size, size)

    def _grow_by_leaves(
        self,
        tile: SkimmedTile,
        lower: Mapping[NodeName, bytes],
        upper: Mapping[NodeName, bytes],
        heads: Iterator[Head],
        following: Head | None,
    ) -> Head | None:
        start = 0
        while start < len(tile.nodes):
            ends = len(tile.nodes) if following is None else following.size - tile.first
            nodes = tile.nodes[start:ends]
            self._check_entries(tile, start, start + len(nodes))
            for node in nodes:
                # Without a leaf there is no tree from here on, but the entries can still be read.
                self._tree_is_whole &= node is not None
                completed = self._frontier.append(node or EMPTY_ROOT)
                if completed:
                    self._check_subtrees(completed, lower, upper)
            following = self._compare_all(heads, following)
            start += len(nodes)
        return following

    def _compare_all(self, heads: Iterator[Head], following: Head | None) -> Head | None:
        """Compare the tree with every head of its size; returns the first head of a larger one."""
        while following is not None and following.size == self._frontier.size:
            vouched = following.vouched if following.note is None else self._keys.have_signed(following.note)
            if self._tree_is_whole:
                self._compare(following.checkpoint, vouched)
            following = next(heads, None)
        return following

    def _compare(self, head: Checkpoint, vouched: bool) -> None:
        if self._frontier.root() == head.root:
            if vouched:
                self._agreed, self._id_after_agreed = head.size, None
                self._keys.cover()
            return
        if self._incarnation is not None and is_earlier(head.origin, self._incarnation):
            # Another incarnation goes on from before this head: its last entries are the lost ones.
            fault_lost(self._findings, head.size)
            return
        words = f"les écritures ne mènent pas au point de contrôle de taille {head.size}"
        if self._findings.failed(CheckName.TREE) or not vouched:
            # The entry is already named, or it is the tree head itself that nobody vouches for.
            self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words)
        else:
            self._fault_after_agreed(CheckName.HISTORY, words)

    def _belongs(self, log: str, action: str, index: int) -> bool:
        """Whether an entry is of the incarnation that is being read, or rightly begins the next one."""
        if log == self._incarnation:
            return True
        begins = self._incarnation is None or action == RESTORED_ACTION
        if not begins or unmarked(log) != unmarked(self._origin):
            return False
        if self._incarnation is not None:
            self._restored_at = index
        self._incarnation = log
        return True

    def _fault_after_agreed(self, check: CheckName, words: str) -> None:
        """The exact entry cannot be known: everything up to the last agreeing head is as it was."""
        self._findings.fault(
            check, Verdict.INCONSISTENT, words, index=self._agreed, entry_id=self._id_after_agreed
        )

    def _name_differing_leaves(self, tile: Tile) -> None:
        for at, (raw, stored) in enumerate(zip(tile.entries, tile.leaves, strict=True)):
            index = tile.first + at
            leaf = None if raw is None else leaf_hash(raw)
            if stored is None or (leaf is None and index >= self._minimum):
                missing = "l’écriture" if leaf is None else "l’empreinte"
                self._findings.fault(
                    CheckName.TREE, Verdict.INCOMPLETE, f"{missing} {index} manque", index=index
                )
            elif leaf is not None and leaf != stored:
                words = f"l’écriture {index} n’est pas celle qui a été inscrite"
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

    def _check_entries(self, tile: SkimmedTile, start: int, stop: int) -> None:
        for each in tile.entries(start, stop):
            if isinstance(each, Run):
                self._check_run(each)
            else:
                self._check_whole(*each, tile.tile)

    def _check_run(self, run: Run, action: str = "", void: Sequence[int] = ()) -> None:
        """What every entry is checked for: its log, its id, its number, its time. Of one with an action, alone."""
        if run.first == self._agreed:  # a run ends wherever a head is compared
            self._id_after_agreed = _hyphenated(run.ids[0])
        belong = self._belongs(run.log, action, run.first)
        new = set(run.ids)
        if not belong or len(new) < len(run.ids) or not self._ids.isdisjoint(new):
            self._fault_ids(run, belong)
        self._ids |= new
        for at in self._continuity.singular(run.writers, run.numbers, run.times):
            index, writer, time = run.first + at, run.writers[at], run.times[at]
            if not self._continuity.number_is_new(writer, run.numbers[at], void, index, time):
                words = f"le numéro de l’écriture {index} a déjà servi dans sa file"
                self._fault_entry(CheckName.LANES, words, index, run.ids[at])
            if not self._continuity.time_runs_forwards(writer, time):
                words = f"l’heure de l’écriture {index} revient en arrière"
                self._fault_entry(CheckName.TIME, words, index, run.ids[at])

    def _fault_ids(self, run: Run, belong: bool) -> None:
        for at, identity in enumerate(run.ids):
            if not belong or identity in self._ids or identity in run.ids[:at]:
                words = f"l’écriture {run.first + at} est d’un autre journal, ou son identifiant a déjà servi"
                self._fault_entry(CheckName.ENTRIES, words, run.first + at, identity)

    def _check_whole(self, index: int, raw: bytes, tile: Tile | None) -> None:
        try:
            entry = Entry.from_bytes(raw)
        except EntryRefused:
            words = f"l’écriture {index} n’est pas dans la forme prescrite"
            self._findings.fault(CheckName.ENTRIES, Verdict.INCONSISTENT, words, index=index)
            return
        lane = entry.lane
        identity = bytes.fromhex(entry.id.replace("-", ""))
        run = Run(index, entry.log, [identity], [lane.writer], [lane.n], [entry.time])
        self._check_run(run, entry.action, self._continuity.declared_void(lane.void))
        columns = None if tile is None else tile.columns
        if columns is not None and columns[index % TILE_WIDTH] != review_columns(entry):
            words = f"les colonnes de recherche de l’écriture {index} disent autre chose qu’elle"
            self._fault_entry(CheckName.ENTRIES, words, index, identity)
        if not self._heartbeats.promise_is_kept(entry):
            words = f"le signe de vie {index} vient plus tard que le précédent ne l’annonçait"
            self._findings.fault(CheckName.TIME, Verdict.INCOMPLETE, words, index=index, entry_id=entry.id)
        try:
            self._keys.take(entry)
        except NoteRefused:
            words = (
                f"l’écriture {index} annonce une clé avec laquelle d’autres que son détenteur peuvent signer"
            )
            self._fault_entry(CheckName.SIGNATURES, words, index, identity)
        if self._disclosed.pop(entry.id.encode(), entry.detail) != entry.detail:
            words = f"le détail divulgué n’est pas celui de l’écriture {index}"
            self._fault_entry(CheckName.DETAILS, words, index, identity)
        if entry.action == PRUNE_ACTION and entry.outcome is Outcome.ALLOWED:
            # What was not yet written could not be pruned: such an entry would excuse whatever vanishes later.
            count = entry.count or 0
            self._pruned_to = max(self._pruned_to, count if count <= index else 0)

    def _fault_entry(self, check: CheckName, words: str, index: int, identity: bytes) -> None:
        self._findings.fault(check, Verdict.INCONSISTENT, words, index=index, entry_id=_hyphenated(identity))

    def _check_lanes(self) -> None:
        for hole in self._continuity.holes():
            words = f"la file {hole.writer} n’a pas d’écriture {hole.first}"
            self._findings.fault(CheckName.LANES, Verdict.INCOMPLETE, words, index=hole.index)
        if self._continuity.has_too_many:
            words = f"plus de {MOST_LANES} files, ou de {MOST_VOID} numéros annulés : ils n’ont pas tous été suivis"
            self._findings.fault(CheckName.LANES, Verdict.INCOMPLETE, words)

    def _check_pruning(self) -> None:
        if not self._minimum:
            return
        self._findings.at_best(Verdict.VALID_PRUNED)
        if self._pruned_to < self._minimum:
            words = f"les écritures {self._pruned_to} à {self._minimum - 1} manquent sans élagage inscrit"
            self._findings.fault(CheckName.PRUNING, Verdict.INCOMPLETE, words, index=self._pruned_to)

    def _check_trust(self, size: int) -> None:
        if self._trust.keys:
            if self._keys.left_one_unsigned:
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

    def _check_details(self) -> None:
        if self._disclosed:
            words = f"{len(self._disclosed)} détails divulgués ne sont ceux d’aucune écriture lisible"
            self._findings.fault(CheckName.DETAILS, Verdict.INCOMPLETE, words)

    def _read_counterparts(self) -> None:
        for counterpart in self._trust.counterparts:
            try:
                self._awaited.append(counterpart.entry_id(self._verify))
            except (EntryRefused, NoteRefused, ProofRefused):
                words = "le reçu d’un partenaire ne prouve rien"
                self._findings.fault(CheckName.COUNTERPARTS, Verdict.INCOMPLETE, words)

    def _check_counterparts(self) -> None:
        for entry_id in self._awaited:
            if bytes.fromhex(entry_id.replace("-", "")) in self._ids:
                continue
            words = f"l’écriture {entry_id} du journal d’un partenaire n’est pas dans celui-ci"
            self._findings.fault(CheckName.COUNTERPARTS, Verdict.INCOMPLETE, words)

    def _check_freshness(self) -> None:
        oldest = self._trust.now - (self._trust.max_age or 0)
        newest = self._continuity.newest_time if self._heartbeats.newest is None else self._heartbeats.newest
        if self._trust.max_age is not None and newest < oldest:
            words = "le dernier signe de vie est plus ancien que l’âge admis"
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
            CheckName.TIME: "les heures se suivent"
            + (f" ; arrêts du service : {stoppages}" if (stoppages := self._heartbeats.stoppages) else ""),
            CheckName.PRUNING: f"élagué jusqu’à l’écriture {self._minimum}, selon le journal lui-même"
            if self._minimum
            else "rien n’est élagué",
        }
        if self._details:
            words[CheckName.DETAILS] = f"détails divulgués, tels qu’ils ont été inscrits : {self._details}"
        if self._known.rolled_up is not None:
            covered = f"les {self._known.rolled_up.head.size} premières écritures sont au récapitulatif"
            asked = self._trust.rollup_keys or self._trust.witnesses
            words[CheckName.WITNESSES] = covered + (", signé de qui le devait" if asked else "")
        if self._trust.counterparts:
            words[CheckName.COUNTERPARTS] = "les écritures des partenaires sont aussi dans ce journal"
        if self._trust.max_age is not None:
            words[CheckName.FRESHNESS] = "le dernier signe de vie est assez récent"
        return words


def _note_unreadable(findings: Findings, error: EvidenceMissing | EvidenceRefused) -> None:
    verdict = Verdict.INCOMPLETE if isinstance(error, EvidenceMissing) else Verdict.INCONSISTENT
    findings.fault(CheckName.FORM, verdict, str(error))


def _hyphenated(identity: bytes) -> str:
    return str(UUID(bytes=identity))


def _readable_id(raw: bytes | None) -> str | None:
    try:
        return Entry.from_bytes(raw or b"").id
    except EntryRefused:
        return None
