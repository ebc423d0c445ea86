"""Tree heads that a verification compares the tree with."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from audit.checkpoint import Checkpoint, SignedCheckpoint, Verify, parse_checkpoint
from audit.errors import NoteRefused, ProofRefused
from audit.evidence import Evidence
from audit.incarnation import is_earlier, unmarked
from audit.trust import Trust
from audit.verdict import CheckName, Findings, Verdict
from audit.witnessing import RolledUpHead


@dataclass(frozen=True, slots=True)
class Head:
    """A tree head to compare with: the log's own, in a signed note, or one that others have kept.

    `vouched`: the auditor stands for it, or those she asked for. Of a note its signature decides.
    """

    checkpoint: Checkpoint
    vouched: bool = False
    note: SignedCheckpoint | None = None

    @property
    def size(self) -> int:
        return self.checkpoint.size


def note_between(text: str, previous: int, latest: Checkpoint) -> SignedCheckpoint | None:
    """The note, if it is one of this log and larger than the previous and smaller than the newest one."""
    try:
        note = parse_checkpoint(text)
    except NoteRefused:
        return None
    head = note.checkpoint
    of_this_log = unmarked(head.origin) == unmarked(latest.origin)
    return note if of_this_log and previous < head.size < latest.size else None


class KnownHeads:
    """The heads that the auditor brought along and those that the evidence holds."""

    def __init__(self, evidence: Evidence, trust: Trust, verify: Verify, findings: Findings) -> None:
        self._evidence = evidence
        self._trust = trust
        self._verify = verify
        self._findings = findings
        self.rolled_up: RolledUpHead | None = None

    def by_size(self, latest: SignedCheckpoint) -> Iterator[Head]:
        """Every tree head, by size: the earlier checkpoints, the trusted ones, the newest."""
        head = latest.checkpoint
        kept = []
        for known in [*(Head(one, vouched=True) for one in self._trust.trusted), *self._witnessed(head)]:
            if unmarked(known.checkpoint.origin) != unmarked(head.origin):
                words = "le point de contrôle de confiance est celui d’un autre journal"
                self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words)
            elif known.size > head.size and is_earlier(known.checkpoint.origin, head.origin):
                fault_lost(self._findings, known.size)
            elif known.size > head.size:
                words = f"le journal a {head.size} écritures, et {known.size} étaient attestées"
                self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words, index=head.size)
            else:
                kept.append(known)
        kept.sort(key=lambda one: one.size)
        newest = Head(head, note=latest)
        # Of one size the auditor's own comes first: only what it agrees with counts as agreed.
        return heapq.merge(kept, self._earlier(head), [newest], key=lambda one: one.size)

    def _witnessed(self, latest: Checkpoint) -> list[Head]:
        """The head in the roll-up, vouched for where everybody who was asked for has signed."""
        asked = bool(self._trust.rollup_keys or self._trust.witnesses)
        members = self._evidence.rolled_up()
        if members is None:
            if asked:
                words = "aucun point de contrôle de ce journal n’est inscrit au récapitulatif"
                self._findings.fault(CheckName.WITNESSES, Verdict.UNWITNESSED, words)
            return []
        try:
            found = self.rolled_up = RolledUpHead.parse(*members, latest.origin)
        except (NoteRefused, ProofRefused):
            words = "l’inscription au récapitulatif ne prouve rien"
            self._findings.fault(CheckName.WITNESSES, Verdict.INCONSISTENT, words)
            return []
        missing = found.unsigned_by(self._trust.rollup_keys, self._trust.witnesses, self._verify)
        for name in missing:
            words = f"{name} n’a pas signé le récapitulatif"
            self._findings.fault(CheckName.WITNESSES, Verdict.UNWITNESSED, words)
        return [Head(found.head, vouched=asked and not missing)]

    def _earlier(self, latest: Checkpoint) -> Iterator[Head]:
        previous = -1
        for text in self._evidence.earlier():
            note = note_between(text, previous, latest)
            if note is None:
                words = "un point de contrôle antérieur est malformé ou hors de sa place"
                self._findings.fault(CheckName.HISTORY, Verdict.INCONSISTENT, words)
                return
            head = note.checkpoint
            previous = head.size
            yield Head(head, note=note)


def fault_lost(findings: Findings, size: int) -> None:
    """Note that a head of `size` was vouched for, and that the log was restored without its last entries."""
    words = (
        f"le journal a été restauré : des {size} écritures attestées auparavant, les dernières sont perdues"
    )
    findings.fault(CheckName.HISTORY, Verdict.INCOMPLETE, words)
