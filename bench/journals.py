"""A journal to verify: a bundle of as many entries as asked for, made without a database."""

import random
from pathlib import Path
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile

from audit.checkpoint import Checkpoint, NoteSigner, VerificationKey, sign_checkpoint
from audit.entry import AuthLevel, Basis, Entry, LaneNumber, Outcome, Row, Subject
from audit.evidence import TILE_HEIGHT, TILE_WIDTH
from audit.layout import CHECKPOINT, CHECKPOINTS, tile_path, upper_tiles
from audit.tree import Frontier, leaf_hash
from crypto.signing import SigningKey

ORIGIN = "casework.example/avec"
WRITERS = 8
_START = 1_700_000_000_000_000
# An entry a second, and a checkpoint for each thousand: where entries come one by one, each has its own.
_APART = 1_000_000
_A_CHECKPOINT = 1_000
_HEARTBEAT = 600


def write_journal(path: Path, size: int) -> VerificationKey:
    """Write a valid bundle of `size` entries to `path`; returns the key it verifies under."""
    signer = NoteSigner(ORIGIN, SigningKey.new())
    entries, frontier, notes = _Entries(), Frontier(), list[str]()
    nodes: dict[tuple[int, int], bytes] = {}
    with ZipFile(path, "w", ZIP_DEFLATED) as bundle:
        for first in range(0, size, TILE_WIDTH):
            raws = [entries.make(at) for at in range(first, min(first + TILE_WIDTH, size))]
            leaves = [leaf_hash(raw) for raw in raws]
            for leaf in leaves:
                nodes.update(
                    ((level, index), node)
                    for level, index, node in frontier.append(leaf)
                    if level % TILE_HEIGHT == 0
                )
                if frontier.size % _A_CHECKPOINT == 0 or frontier.size == size:
                    head = Checkpoint(ORIGIN, frontier.size, frontier.root())
                    notes.append(sign_checkpoint(head, [signer]))
            index, width = first // TILE_WIDTH, len(raws)
            bundle.writestr(tile_path(0, index, width), b"".join(leaves))
            lines = b"".join(len(raw).to_bytes(2) + raw for raw in raws)
            bundle.writestr(tile_path("entries", index, width), lines)
        for level, index, width in upper_tiles(size):
            names = ((TILE_HEIGHT * level, index * TILE_WIDTH + at) for at in range(width))
            bundle.writestr(tile_path(level, index, width), b"".join(nodes[name] for name in names))
        earlier = b"".join(len(note.encode()).to_bytes(2) + note.encode() for note in notes[:-1])
        bundle.writestr(CHECKPOINTS, earlier)
        bundle.writestr(CHECKPOINT, notes[-1])
    return signer.key


class _Entries:
    """Entries as a service writes them: one in ten lists four persons, heartbeats among them."""

    def __init__(self) -> None:
        self._random = random.Random(5)
        self._numbers = [0] * WRITERS
        self._writers = [self._uuid() for _ in range(WRITERS)]
        self._set = self._hex(32)

    def make(self, at: int) -> bytes:
        writer = at % WRITERS
        self._numbers[writer] += 1
        beats = at % _HEARTBEAT == 0
        persons = 0 if beats else 4 if at % 10 == 0 else 1
        return Entry(
            action="log.heartbeat" if beats else "case.read",
            actor=None if beats else self._uuid(),
            auth=AuthLevel.MFA,
            basis=Basis(policies=("avec.worker.own",), set=self._set),
            count=_HEARTBEAT if beats else None,
            detail=None if persons != 1 else self._hex(32),
            id=self._uuid(),
            lane=LaneNumber(n=self._numbers[writer], writer=self._writers[writer]),
            log=ORIGIN,
            nonce=self._hex(16),
            outcome=Outcome.ALLOWED,
            purpose="support",
            reason=None,
            request=self._uuid(),
            role="worker",
            source=self._hex(32),
            subjects=tuple(
                Subject(p=self._hex(32), rows=(Row(r=self._hex(32), v=1),)) for _ in range(persons)
            ),
            time=_START + at * _APART,
        ).to_bytes()

    def _hex(self, width: int) -> str:
        return self._random.randbytes(width).hex()

    def _uuid(self) -> str:
        return str(UUID(bytes=self._random.randbytes(16), version=4))
