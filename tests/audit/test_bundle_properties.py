"""A bundle that was changed in any way that says something else is never valid, and never a traceback."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.checkpoint import parse_checkpoint
from audit.trust import Trust
from audit.verdict import Verdict
from audit.verifier import verify_bundle
from tests.audit import second, test_signing_keys
from tests.audit import test_verifier_testimony as testimony
from tests.audit.journal import Journal, verify
from tests.audit.test_bundle import bundle_of, judge, members, zipped

# One journal for all examples: it is only read.
FOR_A_FIXTURE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ENTRIES = "tile/entries/000.p/9"


@pytest.fixture
def engine_name() -> str:
    """What is tested here is the file."""
    return "sqlite"


@pytest.fixture
def content(journal: Journal) -> dict[str, bytes]:
    journal.grow(4, 5)
    return members(bundle_of(journal))


def lines(raw: bytes) -> list[bytes]:
    """The entries of a tile, each with its length before it."""
    found = []
    while raw:
        size = 2 + int.from_bytes(raw[:2])
        found.append(raw[:size])
        raw = raw[size:]
    return found


@FOR_A_FIXTURE
@given(data=st.data())
def test_a_flipped_byte_of_any_member_is_not_valid(
    journal: Journal, content: dict[str, bytes], data: Any
) -> None:
    name = data.draw(st.sampled_from(sorted(name for name, raw in content.items() if raw)))
    raw = bytearray(content[name])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert judge(journal, zipped({**content, name: bytes(raw)}))[0] is not Verdict.VALID


@FOR_A_FIXTURE
@given(data=st.data())
def test_entries_in_any_other_order_or_number_are_not_valid(
    journal: Journal, content: dict[str, bytes], data: Any
) -> None:
    own = lines(content[ENTRIES])
    assert len(own) == 9
    other = data.draw(st.lists(st.sampled_from(own), max_size=12))
    verdict, _ = judge(journal, zipped({**content, ENTRIES: b"".join(other)}))
    assert (verdict is Verdict.VALID) is (other == own)


@FOR_A_FIXTURE
@given(raw=st.binary(max_size=400), data=st.data())
def test_garbage_in_place_of_any_member_or_of_the_whole_is_not_valid(
    journal: Journal, content: dict[str, bytes], raw: bytes, data: Any
) -> None:
    name = data.draw(st.sampled_from(sorted(content)))
    # Without its earlier checkpoints a bundle says less, and nothing else.
    if raw != content[name] and (raw or name != "checkpoints"):
        assert judge(journal, zipped({**content, name: raw}))[0] is not Verdict.VALID
    assert judge(journal, raw)[0] is not Verdict.VALID


@FOR_A_FIXTURE
@given(data=st.data())
def test_without_any_member_that_is_not_empty_it_is_not_valid(
    journal: Journal, content: dict[str, bytes], data: Any
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(content)), min_size=1))
    assert (
        judge(journal, zipped({name: raw for name, raw in content.items() if name not in gone}))[0]
        is not Verdict.VALID
    )


@pytest.fixture
def full(journal: Journal) -> dict[str, bytes]:
    """A bundle in which every step finds something: a rotation, heartbeats, a detail, a roll-up."""
    testimony.beat(journal, 1, reason="started")
    journal.successors = [test_signing_keys.NEW]
    test_signing_keys.announce(journal)
    entry_id = testimony.with_detail(journal, b"une raison")
    testimony.beat(journal, 600)
    content = members(bundle_of(journal))
    head = parse_checkpoint(content["checkpoint"].decode()).checkpoint
    return {**content, "details": testimony.disclosed(entry_id, b"une raison"), **testimony.rolled_up(head)}


@FOR_A_FIXTURE
@given(data=st.data())
def test_both_verifiers_agree_on_whatever_was_changed(
    journal: Journal, full: dict[str, bytes], data: Any
) -> None:
    content = dict(full)
    for name in data.draw(st.lists(st.sampled_from(sorted(full)), min_size=1, max_size=2, unique=True)):
        raw, at = bytearray(full[name]), data.draw(st.integers(0, len(full[name]) - 1))
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=3))
        content[name] = bytes(raw)
    for gone in data.draw(st.sets(st.sampled_from(sorted(full)), max_size=1)):
        content.pop(gone)
    trust = Trust(
        keys=data.draw(st.sampled_from([(journal.key,), (test_signing_keys.NEW.key,), ()])),
        max_age=testimony.MINUTE,
        now=journal.time,
        **data.draw(st.sampled_from([{}, testimony.ASKED])),
    )
    path = journal.directory / "tampered.zip"
    path.write_bytes(zipped(content))
    report = verify_bundle(path, trust, verify)
    assert second.exit_code(path, trust) == report.exit_code, report
