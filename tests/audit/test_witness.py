"""A witness's rules, each refusal by name: what was asked and refused, and that nothing of it is remembered."""

from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from audit.checkpoint import (
    Checkpoint,
    NoteSigner,
    SignatureType,
    parse_checkpoint,
    sign_checkpoint,
    verify_cosignature,
)
from audit.errors import StateRefused
from audit.heads import HeadsFile
from audit.tree import EMPTY_ROOT, Frontier, consistency_proof, leaf_hash
from audit.witness import (
    FILE_NAME,
    AddCheckpoint,
    LogUnknown,
    OtherHeadSigned,
    ProofFails,
    RequestMalformed,
    SignatureMissing,
    Witness,
    WitnessRefused,
)
from tests.audit.journal import Key, verify

ORIGIN = "casework.test/rollup"
LOG = NoteSigner(ORIGIN, Key(1))
NEW_KEY = NoteSigner(ORIGIN, Key(4))
WITNESS = NoteSigner("witness.example/w", Key(2), SignatureType.COSIGNATURE)
NOW = 1_800_000_000


@dataclass
class Tree:
    """A log that can be shown at any size; `mark` makes another history of it."""

    mark: str = ""
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    roots: list[bytes] = field(default_factory=lambda: [EMPTY_ROOT])

    def __post_init__(self) -> None:
        frontier = Frontier()
        for number in range(40):
            leaf = leaf_hash(f"{self.mark}{number}".encode())
            self.nodes[0, number] = leaf
            self.nodes.update({(level, index): node for level, index, node in frontier.append(leaf)})
            self.roots.append(frontier.root())

    def asked(self, old: int, size: int, *, signer: NoteSigner = LOG) -> bytes:
        proof = consistency_proof(old, size, self._full) if 0 < old < size else []
        note = sign_checkpoint(Checkpoint(ORIGIN, size, self.roots[size]), [signer])
        return AddCheckpoint(old, tuple(proof), note).to_bytes()

    def _full(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


TREE, FORK = Tree(), Tree("fork")


def open_witness(directory: Path) -> Witness:
    return Witness(WITNESS, [LOG.key, NEW_KEY.key], directory, verify, lambda: NOW)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    Witness.prepare(tmp_path)
    return open_witness(tmp_path)


def remembered(directory: Path) -> int:
    head = HeadsFile(directory / FILE_NAME).read().get(ORIGIN)
    return head.size if head is not None else 0


def test_a_head_that_continues_the_last_is_signed_with_the_time(witness: Witness, tmp_path: Path) -> None:
    for old, size in ((0, 3), (3, 3), (3, 4), (4, 31), (31, 40)):
        body = TREE.asked(old, size)
        line = witness.add_checkpoint(body)
        note = parse_checkpoint(AddCheckpoint.parse(body).note + line)
        assert verify_cosignature(note, WITNESS.key, verify) == NOW
        assert remembered(tmp_path) == size


def test_an_empty_log_is_signed_and_nothing_of_it_is_remembered(witness: Witness, tmp_path: Path) -> None:
    assert witness.add_checkpoint(TREE.asked(0, 0)).startswith("— witness.example/w ")
    assert remembered(tmp_path) == 0
    witness.add_checkpoint(TREE.asked(0, 5))


def test_either_key_of_a_log_that_changes_its_key_is_known(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(TREE.asked(0, 2))
    witness.add_checkpoint(TREE.asked(2, 3, signer=NEW_KEY))
    assert remembered(tmp_path) == 3


def test_two_roots_of_one_size_are_never_signed(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(TREE.asked(0, 7))
    with pytest.raises(OtherHeadSigned) as refused:
        witness.add_checkpoint(FORK.asked(7, 7))
    assert (refused.value.size, remembered(tmp_path)) == (7, 7)
    again = open_witness(tmp_path)
    with pytest.raises(OtherHeadSigned):
        again.add_checkpoint(FORK.asked(7, 7))
    assert again.add_checkpoint(TREE.asked(7, 7))


def test_a_history_that_is_not_the_one_that_was_signed_is_refused(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(TREE.asked(0, 7))
    with pytest.raises(ProofFails):
        witness.add_checkpoint(FORK.asked(7, 9))
    assert remembered(tmp_path) == 7


def test_another_old_size_than_the_last_is_answered_with_the_last(witness: Witness) -> None:
    witness.add_checkpoint(TREE.asked(0, 7))
    for old, size in ((0, 9), (6, 9), (8, 9), (0, 3), (3, 3)):
        with pytest.raises(OtherHeadSigned) as refused:
            witness.add_checkpoint(TREE.asked(old, size))
        assert refused.value.size == 7


def _with(proof: tuple[bytes, ...], old: int, size: int) -> bytes:
    return AddCheckpoint(old, proof, AddCheckpoint.parse(TREE.asked(old, size)).note).to_bytes()


@pytest.mark.parametrize(
    "body",
    [
        _with((bytes(32),), 0, 5),
        _with((), 4, 5),
        _with((bytes(32),) * 3, 4, 5),
        _with((bytes(32),) * 63, 4, 5),
        _with((bytes(32),), 4, 4),
    ],
)
def test_a_proof_that_proves_nothing_is_refused(witness: Witness, tmp_path: Path, body: bytes) -> None:
    old = AddCheckpoint.parse(body).old
    if old:
        witness.add_checkpoint(TREE.asked(0, old))
    with pytest.raises(ProofFails):
        witness.add_checkpoint(body)
    assert remembered(tmp_path) == old


def test_a_log_that_nobody_asked_it_to_watch_is_unknown(witness: Witness) -> None:
    other = NoteSigner("casework.test~20261122201500/rollup", Key(1))
    note = sign_checkpoint(Checkpoint(other.name, 1, bytes(32)), [other])
    with pytest.raises(LogUnknown):
        witness.add_checkpoint(AddCheckpoint(0, (), note).to_bytes())


def test_a_checkpoint_that_no_known_key_signed_is_refused(witness: Witness, tmp_path: Path) -> None:
    with pytest.raises(SignatureMissing):
        witness.add_checkpoint(TREE.asked(0, 2, signer=NoteSigner(ORIGIN, Key(3))))
    honest = AddCheckpoint.parse(TREE.asked(0, 2)).note
    other = Checkpoint(ORIGIN, 2, FORK.roots[2]).text
    with pytest.raises(SignatureMissing):
        witness.add_checkpoint(AddCheckpoint(0, (), other + honest[honest.index("\n— ") :]).to_bytes())
    assert remembered(tmp_path) == 0


NOTE = AddCheckpoint.parse(TREE.asked(0, 2)).note.encode()
HASH = b64encode(bytes(32))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        b"old 0\n" + NOTE,
        b"old 00\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old 1 \n\n" + NOTE,
        b"old 99999999999999999999\n\n" + NOTE,
        b"new 0\n\n" + NOTE,
        b"old 0\r\n\r\n" + NOTE,
        b"old 3\n\n" + NOTE,
        b"old 0\n" + HASH[:-1] + b"\n\n" + NOTE,
        b"old 0\n" + HASH[:-2] + b"B=\n\n" + NOTE,
        b"old 0\n" + (HASH + b"\n") * 64 + b"\n" + NOTE,
        b"old 0\n\n" + NOTE[:-1],
        b"old 0\n\n" + NOTE + b"\xff\n",
        b"old 0\n\n" + NOTE + b"x" * 80_000,
    ],
)
def test_what_is_not_a_request_is_refused(witness: Witness, tmp_path: Path, body: bytes) -> None:
    with pytest.raises(RequestMalformed):
        witness.add_checkpoint(body)
    assert remembered(tmp_path) == 0


def test_of_two_that_ask_at_once_one_is_signed_and_the_other_is_told(
    witness: Witness, tmp_path: Path
) -> None:
    """Two histories at once: whatever the order, no two roots of one size are signed, and none is rolled back."""
    witness.add_checkpoint(TREE.asked(0, 3))
    asked = [TREE.asked(3, 5), FORK.asked(3, 5), TREE.asked(3, 9), TREE.asked(3, 4)] * 4

    def ask(body: bytes) -> str | None:
        try:
            return open_witness(tmp_path).add_checkpoint(body)
        except WitnessRefused:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, asked))
    signed = {AddCheckpoint.parse(body).note for body, line in zip(asked, answers, strict=True) if line}
    # After the first that was taken every other one starts from a size that is no longer the last.
    assert len(signed) == 1
    assert remembered(tmp_path) == parse_checkpoint(signed.pop()).checkpoint.size


class Lost(Exception):
    """The machine stopped here."""


def _lost(_self: HeadsFile, _heads: object) -> None:
    raise Lost


def test_a_memory_that_could_not_be_written_signs_nothing(
    witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness.add_checkpoint(TREE.asked(0, 3))
    with monkeypatch.context() as patched:
        patched.setattr(HeadsFile, "write", _lost)
        with pytest.raises(Lost):
            witness.add_checkpoint(TREE.asked(3, 5))
    assert remembered(tmp_path) == 3
    # The log goes on as it likes from what was signed.
    assert witness.add_checkpoint(TREE.asked(3, 4))


def test_a_memory_that_was_written_and_reported_as_failed_is_kept_to(
    witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = HeadsFile.write

    def fail_afterwards(self: HeadsFile, heads: dict[str, Checkpoint | None]) -> None:
        write(self, heads)
        raise Lost

    with monkeypatch.context() as patched:
        patched.setattr(HeadsFile, "write", fail_afterwards)
        with pytest.raises(Lost):
            witness.add_checkpoint(TREE.asked(0, 5))
    # Nobody saw a signature; what was remembered binds it all the same, and is signed when asked again.
    with pytest.raises(OtherHeadSigned):
        witness.add_checkpoint(FORK.asked(0, 5))
    with pytest.raises(OtherHeadSigned):
        witness.add_checkpoint(FORK.asked(5, 5))
    assert witness.add_checkpoint(TREE.asked(5, 5))


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"{}")],
)
def test_a_memory_that_is_gone_or_damaged_signs_nothing(
    witness: Witness, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    witness.add_checkpoint(TREE.asked(0, 3))
    damage(tmp_path / FILE_NAME)
    with pytest.raises(StateRefused):
        witness.add_checkpoint(FORK.asked(0, 3))
    with pytest.raises(StateRefused):
        open_witness(tmp_path)


def test_the_memory_is_its_owners_alone(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(TREE.asked(0, 3))
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0
