"""Journals that their own signer signed and should not have: each has one fault, and nothing else is wrong with it.

Both verifiers are asked each time.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from audit.checkpoint import Checkpoint, NoteSigner, sign_checkpoint
from audit.entry import Asked, Basis, Entry, LaneNumber, Outcome, Row, Subject
from audit.incarnation import marked
from audit.layout import tile_path, upper_tiles
from audit.receipt import Receipt
from audit.tree import Frontier, leaf_hash, node_hash
from audit.trust import Trust
from audit.verdict import CheckName, Report, Verdict
from audit.verifier import verify_bundle
from tests.audit import second
from tests.audit.journal import ORIGIN, START, Key, make_entry, new_id, verify
from tests.audit.test_verifier import failed
from tests.audit.test_verifier_testimony import ASKED, ROLLUP, rolled_up
from tests.unsound_keys import BEYOND_THE_PRIME, OF_NO_SMALL_ORDER, SMALL_ORDER

SIGNER = NoteSigner(ORIGIN, Key(1))
NEW = NoteSigner(ORIGIN, Key(2))
NEXT = marked("casework.test", "20261122201500") + "/journal/avec"
OTHER = "casework.test/journal/cidff"
HASH = b"h" * 32


def written(at: int, **changes: Any) -> bytes:
    """An entry as the journal's one writer writes its entry number `at`."""
    lane = LaneNumber(n=at + 1, writer="0" * 8)
    return make_entry(**{"lane": lane, "time": START + at * 1_000, **changes}).to_bytes()


def journal_of(size: int, others: Mapping[int, bytes] | None = None) -> list[bytes]:
    return [(others or {}).get(at) or written(at) for at in range(size)]


def heads_of(raws: Sequence[bytes]) -> list[Checkpoint]:
    """The tree head at each size."""
    frontier = Frontier()
    heads = [Checkpoint(ORIGIN, 0, frontier.root())]
    for raw in raws:
        frontier.append(leaf_hash(raw))
        heads.append(Checkpoint(ORIGIN, frontier.size, frontier.root()))
    return heads


def signed(head: Checkpoint, signer: NoteSigner = SIGNER) -> str:
    return sign_checkpoint(head, [replace(signer, name=head.origin)])


def bundle(raws: Sequence[bytes], latest: str, earlier: Sequence[str] = ()) -> dict[str, bytes]:
    """The members of a bundle of these entries."""
    notes = b"".join(len(note.encode()).to_bytes(2) + note.encode() for note in earlier)
    content = {"checkpoint": latest.encode(), "checkpoints": notes}
    frontier, nodes = Frontier(), dict[tuple[int, int], bytes]()
    for raw in raws:
        nodes |= {(level, index): node for level, index, node in frontier.append(leaf_hash(raw))}
    for first in range(0, len(raws), 256):
        part = raws[first : first + 256]
        index, width = first // 256, len(part)
        content[tile_path(0, index, width)] = b"".join(map(leaf_hash, part))
        content[tile_path("entries", index, width)] = b"".join(len(raw).to_bytes(2) + raw for raw in part)
    for level, index, width in upper_tiles(len(raws)):
        hashes = (nodes[8 * level, 256 * index + at] for at in range(width))
        content[tile_path(level, index, width)] = b"".join(hashes)
    return content


def judged(folder: Path, content: Mapping[str, bytes], **trusted: Any) -> Report:
    path = folder / "journal.zip"
    with ZipFile(path, "w") as file:
        for name, raw in content.items():
            file.writestr(name, raw)
    trust = Trust(**{"keys": (SIGNER.key,), **trusted})
    report = verify_bundle(path, trust, verify)
    assert second.exit_code(path, trust) == report.exit_code, report
    return report


def found(report: Report) -> tuple[Verdict, set[CheckName], int | None]:
    return report.verdict, failed(report), report.first_wrong.index if report.first_wrong else None


def test_what_is_signed_and_as_it_must_be_is_valid(tmp_path: Path) -> None:
    raws = journal_of(300)
    heads = heads_of(raws)
    earlier = [signed(heads[size]) for size in (0, 7, 255, 256, 257)]
    assert judged(tmp_path, bundle(raws, signed(heads[300]), earlier)).verdict is Verdict.VALID


def test_both_verifiers_take_entries_that_say_what_was_asked(tmp_path: Path) -> None:
    asked = Asked(allowed=("case.list",), denied=("case.read.health",), holds=("mine", "status.open"))
    bases = [Basis(policies=(), set=None, asked=(asked,) * number, glass=new_id()) for number in (1, 2)]
    raws = journal_of(4, {at: written(at, basis=basis) for at, basis in enumerate(bases)})
    assert judged(tmp_path, bundle(raws, signed(heads_of(raws)[4]))).verdict is Verdict.VALID
    for odd in (b'"asked":[],', b'"asked":[{"allowed":[],"denied":[],"holds":["Marie"]}],'):
        raws[3] = written(3).replace(b'"policies"', odd + b'"policies"')
        report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[4])))
        assert found(report) == (Verdict.INCONSISTENT, {CheckName.ENTRIES}, 3)


@pytest.mark.parametrize(("first", "again"), [(3, 9), (3, 290), (3, 4)])
def test_an_id_used_twice_is_found_within_a_tile_and_across_tiles(
    tmp_path: Path, first: int, again: int
) -> None:
    identity = new_id()
    raws = journal_of(300, {at: written(at, id=identity) for at in (first, again)})
    report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[300])))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.ENTRIES}, again)
    assert report.first_wrong is not None
    assert report.first_wrong.entry_id == identity


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_stands_there_twice_alike_is_refused_by_both(tmp_path: Path) -> None:
    raws = journal_of(3)
    path = tmp_path / "journal.zip"
    content = bundle(raws, signed(heads_of(raws)[3]))
    with ZipFile(path, "w") as file:
        for name, raw in [*content.items(), *content.items()]:
            file.writestr(name, raw)
    trust = Trust(keys=(SIGNER.key,))
    assert verify_bundle(path, trust, verify).verdict is Verdict.INCONSISTENT
    assert second.exit_code(path, trust) == Verdict.INCONSISTENT


def test_the_entry_after_the_last_checkpoint_that_agrees_is_named(tmp_path: Path) -> None:
    raws = journal_of(20)
    heads = heads_of(raws)
    earlier = [signed(heads[8]), signed(replace(heads[12], root=bytes(32)))]
    report = judged(tmp_path, bundle(raws, signed(heads[20]), earlier))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.HISTORY}, 8)
    assert report.first_wrong is not None
    assert report.first_wrong.entry_id == Entry.from_bytes(raws[8]).id


def test_a_checkpoint_within_a_full_tile_must_agree_too(tmp_path: Path) -> None:
    raws = journal_of(300)
    heads = heads_of(raws)
    for size in (100, 256):
        content = bundle(raws, signed(heads[300]), [signed(replace(heads[size], root=bytes(32)))])
        assert found(judged(tmp_path, content)) == (Verdict.INCONSISTENT, {CheckName.HISTORY}, 0)


def test_heads_that_were_kept_are_compared_whatever_their_order(tmp_path: Path) -> None:
    raws = journal_of(20)
    heads = heads_of(raws)
    content = bundle(raws, signed(heads[20]))
    for kept in ((heads[9], heads[4]), (heads[4], heads[9])):
        assert judged(tmp_path, content, trusted=kept).verdict is Verdict.VALID
        early = tuple(replace(head, root=bytes(32)) if head.size == 4 else head for head in kept)
        assert judged(tmp_path, content, trusted=early).verdict is Verdict.INCONSISTENT


@pytest.mark.parametrize("sizes", [(9, 4), (4, 4), (4, 20), (4, 21)])
def test_earlier_checkpoints_stand_in_the_order_of_their_sizes(
    tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    raws = journal_of(21)
    heads = heads_of(raws)
    content = bundle(raws[:20], signed(heads[20]), [signed(heads[size]) for size in sizes])
    report = judged(tmp_path, content)
    assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.HISTORY})


def test_an_empty_journal_is_proved_by_a_key_alone(tmp_path: Path) -> None:
    (head,) = heads_of([])
    content = bundle([], signed(head))
    assert judged(tmp_path, content).verdict is Verdict.VALID
    for trusted in ((), (head,)):
        report = judged(tmp_path, content, keys=(), trusted=trusted)
        assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.SIGNATURES})


# Names


def restored(at: int, log: str, **changes: Any) -> bytes:
    return written(at, action="log.restored", log=log, subjects=(), **changes)


def test_a_restored_journal_is_valid_under_its_next_name_alone(tmp_path: Path) -> None:
    raws = [written(0), restored(1, NEXT), written(2, log=NEXT)]
    head = heads_of(raws)[3]
    assert judged(tmp_path, bundle(raws, signed(replace(head, origin=NEXT)))).verdict is Verdict.VALID
    report = judged(tmp_path, bundle(raws, signed(head)))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.ENTRIES}, 2)


def test_a_checkpoint_under_a_name_that_no_entry_has_is_found(tmp_path: Path) -> None:
    raws = journal_of(3)
    report = judged(tmp_path, bundle(raws, signed(replace(heads_of(raws)[3], origin=NEXT))))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.ENTRIES}, 2)


@pytest.mark.parametrize("entry", [restored(1, OTHER), written(1, log=NEXT), written(1, log=OTHER)])
def test_no_entry_makes_another_log_of_it_in_passing(tmp_path: Path, entry: bytes) -> None:
    raws = [written(0), entry, restored(2, NEXT), written(3, log=NEXT)]
    head = replace(heads_of(raws)[4], origin=NEXT)
    report = judged(tmp_path, bundle(raws, signed(head)))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.ENTRIES}, 1)


def test_the_first_entry_names_this_log(tmp_path: Path) -> None:
    raws = [written(0, log=OTHER), restored(1, NEXT)]
    head = replace(heads_of(raws)[2], origin=NEXT)
    report = judged(tmp_path, bundle(raws, signed(head)))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.ENTRIES}, 0)


# Form

PERSONS = (Subject(p="11" * 32, rows=()), Subject(p="33" * 32, rows=(Row(r="22" * 32, v=1),)))


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ({"subjects": PERSONS}, b"33" * 32, b"11" * 32),
        ({"lane": LaneNumber(n=4, void=(1, 2), writer="1" * 8)}, b"[1,2]", b"[2,1]"),
        ({"lane": LaneNumber(n=4, void=(1, 2), writer="1" * 8)}, b"[1,2]", b"[1,1]"),
        ({"lane": LaneNumber(n=4, void=(1, 2), writer="1" * 8)}, b"[1,2]", b"[1,4]"),
        ({}, b'"time":1700', b'"time":9700'),
    ],
    ids=["a-person-twice", "void-descends", "void-twice", "void-of-its-own", "beyond-2-to-53"],
)
def test_what_only_looks_like_an_entry_is_found_by_both(
    tmp_path: Path, changes: dict[str, Any], old: bytes, new: bytes
) -> None:
    entry = written(1, **changes)
    assert old in entry
    raws = [written(0), entry.replace(old, new)]
    report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[2])))
    assert report.verdict is Verdict.INCONSISTENT
    assert CheckName.ENTRIES in failed(report)
    assert report.first_wrong is not None
    assert report.first_wrong.index == 1


# Lanes


def test_numbers_that_the_next_entry_declares_void_are_no_hole(tmp_path: Path) -> None:
    void = LaneNumber(n=5, void=(3, 4), writer="0" * 8)
    raws = [
        *journal_of(2),
        written(2, lane=void),
        *(written(at, lane=LaneNumber(n=at + 3, writer="0" * 8)) for at in range(3, 6)),
        written(6, lane=LaneNumber(n=9, writer="0" * 8), time=START + 40_000_000),
    ]
    assert judged(tmp_path, bundle(raws, signed(heads_of(raws)[7]))).verdict is Verdict.VALID
    raws[2] = written(2, lane=LaneNumber(n=5, void=(3,), writer="0" * 8))
    report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[7])))
    assert found(report) == (Verdict.INCOMPLETE, {CheckName.LANES}, 2)


def test_a_number_that_is_used_next_is_declared_void_all_the_same(tmp_path: Path) -> None:
    """The next entry of a lane, which declares numbers before it void that came after all."""
    late = LaneNumber(n=2, void=(1,), writer="0" * 8)
    raws = [written(0, lane=late), written(1, lane=LaneNumber(n=1, writer="0" * 8))]
    assert judged(tmp_path, bundle(raws, signed(heads_of(raws)[2]))).verdict is Verdict.VALID
    raws.append(written(2, lane=LaneNumber(n=1, writer="0" * 8)))
    report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[3])))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.LANES}, 2)


def test_a_number_that_was_declared_void_comes_once(tmp_path: Path) -> None:
    """It came before the numbers that were waited for."""
    numbers = [(1, ()), (2, ()), (7, (5,)), (5, ()), (3, ()), (4, ()), (6, ())]
    raws = [
        written(at, lane=LaneNumber(n=n, void=void, writer="0" * 8)) for at, (n, void) in enumerate(numbers)
    ]
    assert judged(tmp_path, bundle(raws, signed(heads_of(raws)[7]))).verdict is Verdict.VALID
    raws.append(written(7, lane=LaneNumber(n=5, writer="0" * 8)))
    report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[8])))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.LANES}, 7)


# The form of what nobody signed


@pytest.mark.parametrize("name", ["a+b", "", "a\u00a0b"])
def test_a_signature_of_nobody_has_a_name_all_the_same(tmp_path: Path, name: str) -> None:
    raws = journal_of(3)
    note = signed(heads_of(raws)[3]) + f"— {name} AAAAAAA=\n"
    assert judged(tmp_path, bundle(raws, note)).verdict is Verdict.INCONSISTENT
    assert judged(tmp_path, bundle(raws, note.replace(f"— {name} ", "— a.b "))).verdict is Verdict.VALID


def test_a_roll_up_has_the_name_of_a_deployments_whoever_asked_for_it(tmp_path: Path) -> None:
    """Of the deployment's own log, whose name has no slash."""
    name = "casework.test"
    raws = [written(at, log=name) for at in range(3)]
    heads = [replace(head, origin=name) for head in heads_of(raws)]
    content = bundle(raws, signed(heads[3]))
    for rollup, verdict in ((f"{name}/rollup", Verdict.VALID), ("rollup", Verdict.INCONSISTENT)):
        both = {**content, **rolled_up(heads[2], origin=rollup)}
        assert judged(tmp_path, both, keys=(NoteSigner(name, Key(1)).key,)).verdict is verdict


def test_a_tree_larger_than_any_number_of_the_journal_is_refused(tmp_path: Path) -> None:
    raws = journal_of(3)
    heads = heads_of(raws)
    for height, verdict in ((52, Verdict.VALID), (53, Verdict.INCONSISTENT)):
        leaf = heads[2].text.encode()
        proof, root = tuple([HASH] * height), leaf_hash(leaf)
        for sibling in proof:
            root = node_hash(root, sibling)
        # Nobody signed it, and nobody was asked for a signature.
        note = f"{ROLLUP.name}\n{2**height}\n{b64encode(root).decode()}\n\n— a.b AAAAAAA=\n"
        member = str(Receipt(0, proof, note)).encode()
        content = {**bundle(raws, signed(heads[3])), "rollup/leaf": leaf, "rollup/proof": member}
        assert judged(tmp_path, content).verdict is verdict


@pytest.mark.parametrize(("at", "value"), [(6, 99), (8, 0x800)])
def test_an_archive_that_no_reader_reads_is_incomplete_for_both(tmp_path: Path, at: int, value: int) -> None:
    """A version that nobody has written yet; and a name that is said to be UTF-8, and is not."""
    path = tmp_path / "journal.zip"
    with ZipFile(path, "w") as file:
        file.writestr("checkpoint", b"")
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + at : entry + at + 2] = value.to_bytes(2, "little")
    raw[entry + 46] = 0xFF
    path.write_bytes(raw)
    trust = Trust(keys=(SIGNER.key,))
    report = verify_bundle(path, trust, verify)
    assert report.verdict is Verdict.INCOMPLETE
    assert second.exit_code(path, trust) == report.exit_code


# Keys


@pytest.mark.parametrize("public", [*SMALL_ORDER, *BEYOND_THE_PRIME, OF_NO_SMALL_ORDER[0]], ids=bytes.hex)
def test_a_key_with_which_anybody_signs_is_announced_by_no_journal(tmp_path: Path, public: bytes) -> None:
    """Whoever holds the signer would let everybody sign, and could say later that somebody else did."""
    basis = Basis(policies=(), set=public.hex())
    raws = journal_of(3, {1: written(1, action="log.key_rotated", basis=basis, subjects=())})
    report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[3])))
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.SIGNATURES}, 1)
    # What was refused or failed announces nothing.
    raws = journal_of(3, {1: written(1, action="log.key_rotated", basis=basis, outcome=Outcome.DENIED)})
    assert judged(tmp_path, bundle(raws, signed(heads_of(raws)[3]))).verdict is Verdict.VALID


def test_a_head_in_a_roll_up_brings_a_key_in_only_where_all_who_were_asked_have_signed(
    tmp_path: Path,
) -> None:
    basis = Basis(policies=(), set=NEW.key.public.hex())
    raws = journal_of(6, {1: written(1, action="log.key_rotated", basis=basis, subjects=())})
    heads = heads_of(raws)
    content = bundle(raws, signed(heads[6], NEW), [signed(heads[1])])
    report = judged(tmp_path, {**content, **rolled_up(heads[4])})
    assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.SIGNATURES})
    # Nor does one that a witness was asked to sign, and has not.
    report = judged(tmp_path, {**content, **rolled_up(heads[4], witnessed=False)}, **ASKED)
    assert failed(report) == {CheckName.SIGNATURES, CheckName.WITNESSES}
    # One that they signed stands for the announcement that it covers.
    assert judged(tmp_path, {**content, **rolled_up(heads[4])}, **ASKED).verdict is Verdict.VALID
    # A checkpoint that the old key signed, behind the announcement, does.
    content = bundle(raws, signed(heads[6], NEW), [signed(heads[4])])
    assert judged(tmp_path, content).verdict is Verdict.VALID
