"""A witness: it signs that the head of a log continues every head that it signed of it before (C2SP tlog-witness).

It sees heads and hashes, never an entry. Its whole memory is the last head of each log, in a file that is replaced
before anything is answered: whenever it is killed and however many ask at once, it never signs two roots of one
size, nor a smaller size after a larger one.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from audit.checkpoint import (
    MAX_NOTE_BYTES,
    Checkpoint,
    NoteSigner,
    SignedCheckpoint,
    VerificationKey,
    Verify,
    cosign,
    parse_checkpoint,
    verify_checkpoint,
)
from audit.errors import NoteRefused, ProofRefused, StateRefused
from audit.heads import HeadsFile
from audit.tree import EMPTY_ROOT, verify_consistency

FILE_NAME = "witness-heads.json"
MAX_PROOF_LINES = 63
# The old size, 63 hashes in base64, an empty line, and the note.
MAX_REQUEST_BYTES = 32 + MAX_PROOF_LINES * 45 + 1 + MAX_NOTE_BYTES

_HEAD = re.compile(
    rb"old (?P<old>0|[1-9][0-9]{0,15})\n(?P<proof>(?:[A-Za-z0-9+/]{43}=\n){0,63})\n(?P<note>.*)\Z", re.DOTALL
)


class WitnessRefused(Exception):
    """A head is not signed. Each kind is one status of the protocol."""


class RequestMalformed(WitnessRefused):
    """The request is not an old size, a proof and a checkpoint; or its old size is beyond the checkpoint (400)."""


class LogUnknown(WitnessRefused):
    """This witness was not asked to watch a log of this origin (404)."""


class SignatureMissing(WitnessRefused):
    """No key that the witness knows of this log has signed the checkpoint (403)."""


class OtherHeadSigned(WitnessRefused):
    """The last head that was signed has another size than the old one, or another root at this size (409)."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the last signed head has {size} leaves")
        self.size = size


class ProofFails(WitnessRefused):
    """The proof does not lead from the last signed head to the checkpoint (422)."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The body of `add-checkpoint`: the size that the client takes for the witness's last, the proof, the note."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def to_bytes(self) -> bytes:
        lines = [f"old {self.old}", *(b64encode(node).decode() for node in self.proof)]
        return ("\n".join(lines) + "\n\n" + self.note).encode()

    @staticmethod
    def parse(body: bytes) -> "AddCheckpoint":
        """Read a body strictly.

        Raises:
            RequestMalformed: anything else than the three parts.

        """
        found = _HEAD.match(body)
        if found is None or len(body) > MAX_REQUEST_BYTES:
            raise RequestMalformed
        try:
            request = AddCheckpoint(
                int(found["old"]),
                tuple(b64decode(line, validate=True) for line in found["proof"].split()),
                found["note"].decode(),
            )
        except ValueError:
            raise RequestMalformed from None
        # Base64 has several texts for one hash; the protocol has one.
        if request.to_bytes() != body:
            raise RequestMalformed
        return request


class Witness:
    """Signs as `signer` for the logs whose keys are `logs`; remembers in `directory`, once made ready by `prepare`.

    Several threads, and several processes of one machine, may ask at once. `clock` gives POSIX seconds.
    """

    def __init__(
        self,
        signer: NoteSigner,
        logs: Iterable[VerificationKey],
        directory: Path,
        verify: Verify,
        clock: Callable[[], int],
    ) -> None:
        self._signer = signer
        self._keys = tuple(logs)
        self._heads = HeadsFile(directory / FILE_NAME)
        self._verify = verify
        self._clock = clock
        self._read()

    @staticmethod
    def prepare(directory: Path) -> None:
        """Begin with no memory. Only ever where this witness has signed nothing yet."""
        HeadsFile(directory / FILE_NAME).write({})

    def add_checkpoint(self, body: bytes) -> str:
        """The cosignature line of the checkpoint in `body`, which from then on is the last signed head of its log.

        Raises:
            WitnessRefused: one of its kinds; nothing is remembered nor signed.
            StateRefused: the memory is gone or unreadable; nothing is signed until an operator has looked.

        """
        request = AddCheckpoint.parse(body)
        head = self._verified(request)
        with self._heads.locked():
            heads = self._read()
            last = heads.get(head.origin) or Checkpoint(head.origin, 0, EMPTY_ROOT)
            _require_continues(last, request, head)
            if head.size > last.size:
                # Before the signature exists: what was answered and then forgotten could be contradicted.
                self._heads.write({**heads, head.origin: head})
            return cosign(head, self._signer, self._clock())

    def _verified(self, request: AddCheckpoint) -> Checkpoint:
        try:
            note = parse_checkpoint(request.note)
        except NoteRefused:
            raise RequestMalformed from None
        head = note.checkpoint
        keys = [key for key in self._keys if key.name == head.origin]
        if not keys:
            raise LogUnknown
        self._require_signed(note, keys)
        if request.old > head.size:
            raise RequestMalformed
        return head

    def _require_signed(self, note: SignedCheckpoint, keys: Iterable[VerificationKey]) -> None:
        try:
            verify_checkpoint(note, keys, self._verify)
        except NoteRefused:
            raise SignatureMissing from None

    def _read(self) -> dict[str, Checkpoint | None]:
        # A file that is gone is not an empty memory: every log could be shown to it anew.
        if not self._heads.path.exists():
            raise StateRefused("the witness's memory is gone")
        return self._heads.read()


def _require_continues(last: Checkpoint, request: AddCheckpoint, head: Checkpoint) -> None:
    if request.old != last.size or (head.size == last.size and head.root != last.root):
        raise OtherHeadSigned(last.size)
    if last.size in {0, head.size}:
        # Nothing is to be proved, and so nothing may be there.
        if request.proof:
            raise ProofFails
        return
    try:
        verify_consistency(last.size, head.size, last.root, head.root, request.proof)
    except ProofRefused:
        raise ProofFails from None
