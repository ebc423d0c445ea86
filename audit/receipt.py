"""Receipts: C2SP tlog-proof, an inclusion proof and the checkpoint it leads to, in one text.

The `extra` line holds the bytes of the entry that is proved, so that one file is all that a verifier needs. Nothing
authenticates that line by itself; the proof does, which leads from these bytes to a signed root.
"""

from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from collections.abc import Iterable
from dataclasses import dataclass

from audit.checkpoint import Checkpoint, VerificationKey, Verify, parse_checkpoint, verify_checkpoint
from audit.errors import ProofRefused
from audit.incarnation import keys_under
from audit.tree import leaf_hash, verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
EXTRA = "extra "
MAX_PROOF_LINES = 64


@dataclass(frozen=True, slots=True)
class Receipt:
    """Entry `index` of the log whose signed checkpoint is `note`, and the way up from its leaf.

    `entry`: the bytes of the entry, where they go with it.
    """

    index: int
    proof: tuple[bytes, ...]
    note: str
    entry: bytes | None = None

    def __str__(self) -> str:
        """The tlog-proof text."""
        extra = [] if self.entry is None else [EXTRA + b64encode(self.entry).decode()]
        lines = [HEADER, *extra, f"index {self.index}", *(b64encode(node).decode() for node in self.proof)]
        return "\n".join(lines) + "\n\n" + self.note

    @staticmethod
    def parse(text: str) -> "Receipt":
        """Read a tlog-proof, strictly as it is written.

        Raises:
            ProofRefused: malformed.

        """
        head, separator, note = text.partition("\n\n")
        header, *lines = head.split("\n")
        extra = lines.pop(0).removeprefix(EXTRA) if lines and lines[0].startswith(EXTRA) else None
        if not separator or header != HEADER or not lines or not lines[0].startswith("index "):
            raise ProofRefused("not a receipt")
        number = lines[0].removeprefix("index ")
        try:
            receipt = Receipt(
                int(number[:20]),
                tuple(b64decode(line, validate=True) for line in lines[1:]),
                note,
                None if extra is None else b64decode(extra, validate=True),
            )
        except (BinasciiError, ValueError):
            raise ProofRefused("not a receipt") from None
        if receipt.index < 0 or len(receipt.proof) > MAX_PROOF_LINES or str(receipt) != text:
            raise ProofRefused("not a receipt as it is written")
        return receipt


def verify_receipt(
    text: str, entry: bytes | None, keys: Iterable[VerificationKey], verify: Verify
) -> tuple[Checkpoint, int]:
    """The entry is in the log; returns the checkpoint that says so, and the entry's index.

    `entry`: its bytes; None takes those that go with the receipt.

    Raises:
        ProofRefused: the receipt is malformed, does not lead from the entry to the checkpoint's root, or
            there are no bytes of an entry, or two different ones.
        NoteRefused: no trusted key has signed the checkpoint.

    """
    receipt = Receipt.parse(text)
    note = parse_checkpoint(receipt.note)
    head = note.checkpoint
    verify_checkpoint(note, keys_under(head.origin, keys), verify)
    raw = receipt.entry if entry is None else entry
    if raw is None or receipt.entry not in {None, raw}:
        raise ProofRefused("no entry goes with the receipt, or another one")
    verify_inclusion(receipt.index, head.size, leaf_hash(raw), receipt.proof, head.root)
    return head, receipt.index
