"""The keys that a log's checkpoints are signed by, while the log itself replaces them.

`log.key_rotated` announces a new public key (`basis.set`, hexadecimal), `log.key_retired` names the one that signs
no more. A key that is announced is trusted from the first checkpoint on that a trusted key signed, that covers the
announcement and that agrees with the entries: until then whoever can write an entry could announce his own.
"""

from collections.abc import Iterable

from audit.checkpoint import SignedCheckpoint, VerificationKey, Verify, verify_checkpoint
from audit.entry import Entry, Outcome
from audit.errors import NoteRefused
from audit.incarnation import keys_under

ROTATED_ACTION = "log.key_rotated"
RETIRED_ACTION = "log.key_retired"


class SigningKeys:
    """Follows one log in its order: its entries, and its checkpoints where the tree has their size."""

    def __init__(self, given: Iterable[VerificationKey], verify: Verify) -> None:
        self._given = tuple(given)
        self._verify = verify
        self._trusted = list(self._given)
        self._waiting: list[VerificationKey] = []
        self._announced: set[bytes] = set()
        # Sizes: of the first checkpoint that they signed, and of the last that they did not.
        self._first_signed: int | None = None
        self._last_unsigned: int | None = None

    def take(self, entry: Entry) -> None:
        """Note what an entry says about keys.

        Raises:
            NoteRefused: it announces a key that others than its holder can sign with.

        """
        if entry.action not in {ROTATED_ACTION, RETIRED_ACTION} or entry.outcome is not Outcome.ALLOWED:
            return
        public = bytes.fromhex(entry.basis.set or "")
        if entry.action == RETIRED_ACTION:
            self._trusted, self._waiting = (
                [key for key in keys if key.public != public] for keys in (self._trusted, self._waiting)
            )
        elif public:
            self._waiting.append(VerificationKey(entry.log, public))
            self._announced.add(public)

    def have_signed(self, note: SignedCheckpoint) -> bool:
        """Whether a key that is trusted by now has signed `note`, and none of them wrongly."""
        head = note.checkpoint
        try:
            verify_checkpoint(note, keys_under(head.origin, self._trusted), self._verify)
        except NoteRefused:
            self._last_unsigned = head.size
            return False
        if self._first_signed is None:
            self._first_signed = head.size
        return True

    def cover(self) -> None:
        """A checkpoint that they have signed agrees with every entry taken so far: what is announced is trusted."""
        self._trusted += self._waiting
        self._waiting = []

    @property
    def left_one_unsigned(self) -> bool:
        """Whether a checkpoint lacks the signature that it should have.

        Who was given a key that the log announced later has none for what came before its first signature.
        """
        if self._last_unsigned is None:
            return False
        came_later = any(key.public in self._announced for key in self._given)
        return not came_later or self._first_signed is None or self._last_unsigned > self._first_signed
