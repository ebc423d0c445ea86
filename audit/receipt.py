"""Receipts: C2SP tlog-proof, an inclusion proof and the checkpoint it leads to, in one text."""

from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from collections.abc import Iterable
from dataclasses import dataclass

from audit.checkpoint import Checkpoint, VerificationKey, Verify, parse_checkpoint, verify_checkpoint
from audit.errors import ProofRefused
from audit.tree import leaf_hash, verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_LINES = 64


@dataclass(frozen=True, slots=True)
class Receipt:
    """Entry `index` of the log whose signed checkpoint is `note`, and the way up from its leaf."""

    index: int
    proof: tuple[bytes, ...]
    note: str

    def __str__(self) -> str:
        """The tlog-proof text."""
        lines = [HEADER, f"index {self.index}", *(b64encode(node).decode() for node in self.proof)]
        return "\n".join(lines) + "\n\n" + self.note

    @staticmethod
    def parse(text: str) -> "Receipt":
        """Read a tlog-proof. We write no `extra` line, and refuse one: nothing would authenticate it.

        Raises:
            ProofRefused: malformed.

        """
        head, separator, note = text.partition("\n\n")
        header, *lines = head.split("\n")
        if not separator or header != HEADER or not lines or not lines[0].startswith("index "):
            raise ProofRefused("not a receipt")
        number = lines[0].removeprefix("index ")
        try:
            receipt = Receipt(
                int(number[:20]), tuple(b64decode(line, validate=True) for line in lines[1:]), note
            )
        except (BinasciiError, ValueError):
            raise ProofRefused("not a receipt") from None
        if receipt.index < 0 or len(receipt.proof) > MAX_PROOF_LINES or str(receipt) != text:
            raise ProofRefused("not a receipt as it is written")
        return receipt


def verify_receipt(
    text: str, entry: bytes, keys: Iterable[VerificationKey], verify: Verify
) -> tuple[Checkpoint, int]:
    """The entry with exactly these bytes is in the log; returns the checkpoint that says so, and its index.

    Raises:
        ProofRefused: the receipt is malformed or does not lead from the entry to the checkpoint's root.
        NoteRefused: no trusted key has signed the checkpoint.

    """
    receipt = Receipt.parse(text)
    note = parse_checkpoint(receipt.note)
    verify_checkpoint(note, keys, verify)
    head = note.checkpoint
    verify_inclusion(receipt.index, head.size, leaf_hash(entry), receipt.proof, head.root)
    return head, receipt.index
