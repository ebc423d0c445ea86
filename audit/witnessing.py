"""What others saw of a log: its head in the roll-up that witnesses sign, and entries of a partner's log."""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    VerificationKey,
    Verify,
    parse_checkpoint,
    parse_text,
    verify_checkpoint,
    verify_cosignature,
)
from audit.entry import Entry
from audit.errors import NoteRefused, ProofRefused
from audit.incarnation import keys_under, unmarked
from audit.receipt import Receipt, verify_receipt
from audit.rollup import ROLLUP
from audit.tree import leaf_hash, verify_inclusion


@dataclass(frozen=True, slots=True)
class RolledUpHead:
    """A head of the log, and the checkpoint of the roll-up that holds it: signed by nobody yet."""

    head: Checkpoint
    note: SignedCheckpoint

    @staticmethod
    def parse(leaf: str, proof: str, origin: str) -> "RolledUpHead":
        """Read `leaf` (three lines, a head of the log `origin`) and the tlog-proof that it is in the roll-up.

        Raises:
            NoteRefused: a checkpoint is malformed.
            ProofRefused: the proof is malformed or does not lead to the roll-up's root; or it is of another log, or
                of another deployment's roll-up.

        """
        head = parse_text(leaf)
        receipt = Receipt.parse(proof)
        note = parse_checkpoint(receipt.note)
        rollup = note.checkpoint
        mine = unmarked(origin)
        rollups = {f"{deployment}/{ROLLUP}" for deployment in (mine, mine.rpartition("/")[0])}
        if unmarked(rollup.origin) not in rollups or unmarked(head.origin) != mine:
            raise ProofRefused("another log, or the roll-up of another deployment")
        verify_inclusion(receipt.index, rollup.size, leaf_hash(leaf.encode()), receipt.proof, rollup.root)
        return RolledUpHead(head, note)

    def unsigned_by(
        self, keys: Sequence[VerificationKey], witnesses: Sequence[VerificationKey], verify: Verify
    ) -> list[str]:
        """The names of those who were asked for and have not signed the roll-up: its own key, and each witness."""
        missing = []
        if keys:
            try:
                verify_checkpoint(self.note, keys_under(self.note.checkpoint.origin, keys), verify)
            except NoteRefused:
                missing.append(self.note.checkpoint.origin)
        for witness in witnesses:
            try:
                verify_cosignature(self.note, witness, verify)
            except NoteRefused:
                missing.append(witness.name)
        return missing


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What a partner's auditor handed over: the receipt of an entry of her log, and that log's verification key."""

    receipt: str
    key: VerificationKey

    def entry_id(self, verify: Verify) -> str:
        """The id of the entry that is proved to be in the partner's log; a handoff has one id in both logs.

        Raises:
            ProofRefused, NoteRefused, EntryRefused: it proves nothing.

        """
        raw = Receipt.parse(self.receipt).entry
        verify_receipt(self.receipt, raw, [self.key], verify)
        return Entry.from_bytes(raw or b"").id
