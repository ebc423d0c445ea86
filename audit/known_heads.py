"""Tree heads that a verification compares the tree with."""

from dataclasses import dataclass

from audit.checkpoint import Checkpoint, SignedCheckpoint, parse_checkpoint
from audit.errors import NoteRefused
from audit.incarnation import unmarked


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
