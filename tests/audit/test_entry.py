"""The entry's schema lets nothing through that could say who somebody is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import canonical
from audit.entry import Asked, AuthLevel, Basis, Entry, LaneNumber, Outcome, Row, Subject
from audit.errors import EntryRefused
from tests.audit.journal import WRITER, make_entry

hex32 = st.binary(min_size=32, max_size=32).map(bytes.hex)
uuids = st.uuids().map(str)
codes = st.from_regex(r"\A[a-z][a-z0-9_.]{0,20}\Z")
counts = st.integers(0, 2**53 - 1)
words = st.lists(codes, max_size=2).map(tuple)
entries = st.builds(
    make_entry,
    action=codes,
    actor=st.none() | uuids,
    auth=st.sampled_from(AuthLevel),
    basis=st.builds(
        Basis,
        policies=st.lists(codes, max_size=3).map(tuple),
        set=st.none() | hex32,
        asked=st.lists(st.builds(Asked, allowed=words, denied=words, holds=words), max_size=2).map(tuple),
        consent=st.none() | uuids,
        handoff=st.none() | uuids,
        glass=st.none() | uuids,
    ),
    count=st.none() | counts,
    detail=st.none() | hex32,
    lane=st.sets(st.integers(1, 50), min_size=1, max_size=4).map(
        lambda numbers: LaneNumber(n=max(numbers), void=tuple(sorted(numbers)[:-1]), writer=WRITER)
    ),
    outcome=st.sampled_from(Outcome),
    subjects=st.lists(
        st.builds(Subject, p=hex32, rows=st.lists(st.builds(Row, r=hex32, v=counts), max_size=2).map(tuple)),
        max_size=3,
        unique_by=lambda subject: subject.p,
    ).map(tuple),
    time=counts,
)


@settings(max_examples=60)
@given(entries)
def test_an_entry_reads_back_and_its_bytes_are_canonical_json(entry: Entry) -> None:
    raw = entry.to_bytes()
    assert Entry.from_bytes(raw) == entry
    assert msgspec.convert(canonical.decode(raw), Entry) == entry


def test_the_bytes_of_an_entry_are_fixed() -> None:
    entry = make_entry(id="00000000-0000-4000-8000-000000000007", subjects=())
    assert entry.to_bytes() == (
        b'{"action":"case.open","actor":"00000000-0000-4000-8000-00000000000a","auth":"mfa",'
        b'"basis":{"policies":["avec.worker.own"],"set":"' + b"ab" * 32 + b'"},"count":null,"detail":null,'
        b'"id":"00000000-0000-4000-8000-000000000007",'
        b'"lane":{"n":1,"writer":"00000000-0000-4000-8000-000000000001"},'
        b'"log":"casework.test/journal/avec","nonce":"' + b"0f" * 16 + b'","outcome":"allowed",'
        b'"purpose":"support","reason":null,"request":"00000000-0000-4000-8000-0000000000ff","role":"worker",'
        b'"source":null,"subjects":[],"time":1700000000000000,"v":1}'
    )


@pytest.mark.parametrize(
    "change",
    [
        {"action": "Marie Dupont"},
        {"action": "case.open\n"},
        {"action": "a" * 101},
        {"actor": "marie@example.org"},
        {"actor": "00000000-0000-4000-8000-00000000000A"},
        {"auth": "strong"},
        {"outcome": "maybe"},
        {"reason": "elle a appelé"},
        {"purpose": "https://example.org"},
        {"source": "192.0.2.1"},
        {"nonce": "0f" * 15},
        {"detail": "0F" * 32},
        {"id": "7"},
        {"request": "GET /cases"},
        {"log": "a log"},
        {"log": "a+log"},
        {"time": -1},
        {"time": 2**53},
        {"time": 1.0},
        {"count": -1},
        {"count": True},
        {"v": 2},
        {"lane": LaneNumber(n=0, writer=WRITER)},
        {"lane": LaneNumber(n=1, writer="marie")},
        {"subjects": (Subject(p="Marie", rows=()),)},
        {"subjects": (Subject(p="11" * 32, rows=(Row(r="12", v=1),)),)},
        {"basis": Basis(policies=("Avec",), set=None)},
        {"basis": Basis(policies=(), set=None, consent="yes")},
        {"basis": Basis(policies=(), set=None, asked=(Asked(allowed=(), denied=(), holds=("Marie",)),))},
    ],
    ids=str,
)
def test_what_the_schema_does_not_allow_is_not_written(change: dict[str, Any]) -> None:
    with pytest.raises(EntryRefused):
        make_entry(**change).to_bytes()


def test_a_person_stands_once_in_an_entry() -> None:
    twice = Subject(p="11" * 32, rows=())
    with pytest.raises(ValueError, match="stands once"):
        make_entry(subjects=(twice, twice))


@pytest.mark.parametrize(("n", "void"), [(3, (3,)), (3, (2, 1)), (3, (1, 1))])
def test_void_numbers_ascend_and_lie_below_their_bearer(n: int, void: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="void"):
        LaneNumber(n=n, void=void, writer=WRITER)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"action"', b'{ "action"'),
        (b'"v":1}', b'"v":1,"v":1}'),
        (b'"v":1}', b'"v":1.0}'),
        (b'"v":1}', b'"v":1,"x":0}'),
        (b'"v":1}', b'"v":1}\n'),
        (b',"v":1}', b"}"),
        (b'"case.open"', b'"\\u0063ase.open"'),
        (b'"role":"worker",', b""),
        (b'"policies"', b'"consent":null,"policies"'),
        (b'"policies"', b'"asked":[],"policies"'),
        (b'"n":1,', b'"n":1,"void":[],'),
    ],
)
def test_bytes_that_say_the_same_otherwise_are_refused(old: bytes, new: bytes) -> None:
    raw = make_entry().to_bytes()
    assert old in raw
    with pytest.raises(EntryRefused):
        Entry.from_bytes(raw.replace(old, new))


def test_keys_in_another_order_are_refused() -> None:
    raw = make_entry().to_bytes()
    moved = b'{"v":1,' + raw.removeprefix(b"{").removesuffix(b',"v":1}') + b"}"
    assert msgspec.json.decode(moved) == msgspec.json.decode(raw)
    with pytest.raises(EntryRefused):
        Entry.from_bytes(moved)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"\xff", b"[" * 60_000, b'{"a":' * 10_000], ids=lambda raw: repr(raw[:9])
)
def test_bytes_that_are_no_entry_are_refused(raw: bytes) -> None:
    with pytest.raises(EntryRefused):
        Entry.from_bytes(raw)


def test_an_entry_has_at_most_65535_bytes() -> None:
    many = tuple(Subject(p=f"{number:064x}", rows=()) for number in range(900))
    with pytest.raises(EntryRefused, match="65,535"):
        make_entry(subjects=many).to_bytes()


def test_a_refusal_does_not_repeat_what_was_refused() -> None:
    with pytest.raises(EntryRefused) as refused:
        make_entry(action="Marie Dupont").to_bytes()
    assert "Marie" not in str(refused.value)
    assert refused.value.__suppress_context__
