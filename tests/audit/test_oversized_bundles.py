"""Bundles that are small as a file and large as soon as they are read: a stranger may have made them.

Both verifiers are asked each time, where a limit is theirs.
"""

import os
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from audit import continuity, opened_bundle, skimming
from audit.entry import LaneNumber
from audit.evidence import TILE_WIDTH
from audit.opened_bundle import OpenedBundle
from audit.trust import Trust
from audit.verdict import CheckName, Verdict
from audit.verifier import verify_bundle
from tests.audit import dying, second
from tests.audit.journal import START, new_id, verify
from tests.audit.test_signed_lies import SIGNER, bundle, found, heads_of, journal_of, judged, signed, written

TRUST = Trust(keys=(SIGNER.key,))
# The largest there can be, and none of the journal's.
JUNK = b"a" * 65_535
LARGEST = TILE_WIDTH * (2 + len(JUNK))


def packed(folder: Path, content: dict[str, bytes]) -> Path:
    path = folder / "journal.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        for name, raw in content.items():
            file.writestr(name, raw)
    return path


def test_the_largest_entries_are_handed_over_a_tile_at_a_time_and_ordinary_ones_together(
    tmp_path: Path,
) -> None:
    raws = journal_of(TILE_WIDTH * 5)
    raws[TILE_WIDTH : TILE_WIDTH * 3] = [JUNK] * TILE_WIDTH * 2
    path = packed(tmp_path, bundle(raws, "no checkpoint is read here"))
    with OpenedBundle(path) as opened:
        handed = list(skimming._chunks(opened, len(raws)))
    of = TILE_WIDTH
    assert [chunk for chunk, _ in handed] == [
        range(0, of, of),
        range(of, 2 * of, of),
        range(2 * of, 3 * of, of),
        range(3 * of, 5 * of, of),
    ]
    assert [weight > LARGEST for _, weight in handed] == [False, True, True, False]
    assert path.stat().st_size * 20 < len(JUNK) * TILE_WIDTH * 2


class Inline:
    """Reads at once what it is given, and knows the most that was under way."""

    def __init__(self, _processes: int, _context: object) -> None:
        self.under_way = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def shutdown(self, *, cancel_futures: bool) -> None:
        assert cancel_futures

    def submit(self, skim: Callable[..., Any], path: Path, size: int, chunk: range, whole: bool) -> Any:
        self.under_way += 1
        most_under_way.append(self.under_way)
        return _Judged(self, skim(path, size, chunk, whole))


class _Judged(Future[Any]):
    def __init__(self, pool: Inline, found: object) -> None:
        super().__init__()
        self._pool = pool
        self.set_result(found)

    def result(self, timeout: float | None = None) -> Any:
        self._pool.under_way -= 1
        return super().result(timeout)


most_under_way: list[int] = []


def test_a_bundle_of_the_largest_entries_has_few_of_them_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raws = [JUNK] * TILE_WIDTH * 4
    path = packed(tmp_path, bundle(raws, signed(heads_of(raws)[-1])))
    monkeypatch.setattr(skimming, "MANY", 1)
    monkeypatch.setattr(skimming, "ProcessPoolExecutor", Inline)
    most_under_way.clear()
    report = verify_bundle(path, TRUST, verify)
    assert found(report) == (Verdict.INCONSISTENT, {CheckName.ENTRIES}, 0)
    assert max(most_under_way) == 2
    assert second.exit_code(path, TRUST) == report.exit_code


def test_a_process_that_is_killed_makes_the_verdict_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raws = journal_of(300)
    path = packed(tmp_path, bundle(raws, signed(heads_of(raws)[-1])))
    monkeypatch.setattr(skimming, "MANY", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    monkeypatch.setattr(skimming, "_skim_chunk", dying.skim_chunk)
    report = verify_bundle(path, TRUST, verify)
    (form,) = (check for check in report.checks if check.name is CheckName.FORM)
    assert (report.verdict, "un processus de vérification s’est arrêté" in form.words) == (
        Verdict.INCOMPLETE,
        True,
    )


@pytest.mark.parametrize("announced", [0, 16])
def test_what_inflates_beyond_its_size_is_not_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: int
) -> None:
    """The directory says that it is small; what is there is a million times that."""
    raws = journal_of(3)
    content = bundle(raws, signed(heads_of(raws)[-1]))
    path = packed(tmp_path, {**content, "checkpoint": bytes(1 << 24)})
    raw = path.read_bytes()
    size = (1 << 24).to_bytes(4, "little")
    assert raw.count(size) == 2
    path.write_bytes(raw.replace(size, announced.to_bytes(4, "little")))
    inflated: list[int] = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, bits: int) -> None:
            self._real = real(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            found = self._real.decompress(data, most)
            inflated.append(len(found))
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    assert verify_bundle(path, TRUST, verify).verdict is Verdict.INCOMPLETE
    assert second.exit_code(path, TRUST) == Verdict.INCOMPLETE
    assert (max(inflated), len(inflated)) == (4_096, 2)


def test_an_archive_of_too_many_members_is_not_listed(tmp_path: Path) -> None:
    raws = journal_of(3)
    path = packed(tmp_path, bundle(raws, signed(heads_of(raws)[-1])))
    raw = path.read_bytes()
    end = raw.rindex(b"PK\x05\x06")
    begins = int.from_bytes(raw[end + 16 : end + 20], "little")
    # One member's comment after another: what zipfile reads of it is told by its length alone.
    listed = b"".join(bytes([*raw[begins : begins + 46]]) for _ in range(400_000))
    path.write_bytes(
        raw[:begins]
        + listed
        + raw[end : end + 12]
        + len(listed).to_bytes(4, "little")
        + raw[end + 16 : end + 22]
    )
    report = verify_bundle(path, TRUST, verify)
    assert (report.verdict, report.checks[0].words) == (
        Verdict.INCONSISTENT,
        "l’archive a trop de membres",
    )
    assert second.exit_code(path, TRUST) == report.exit_code


def test_details_beyond_any_that_are_disclosed_are_refused(tmp_path: Path) -> None:
    raws = journal_of(3)
    content = bundle(raws, signed(heads_of(raws)[-1]))
    for count, verdict in ((255, Verdict.INCOMPLETE), (256, Verdict.INCONSISTENT)):
        details = b"".join(new_id().encode() + b"\xff\xff" + bytes(32) + JUNK for _ in range(count))
        assert (len(details) > LARGEST) is (count == 256)
        path = packed(tmp_path, {**content, "details": details})
        assert verify_bundle(path, TRUST, verify).verdict is verdict
        assert second.exit_code(path, TRUST) == verdict


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are the same for both; here they are smaller."""
    for module, name, of_second, here in (
        (opened_bundle, "MOST_ENTRIES", "MOST_ENTRIES", 10),
        (continuity, "MOST_LANES", "MOST_WRITERS", 3),
        (continuity, "MOST_VOID", "MOST_VOID", 4),
    ):
        assert getattr(module, name) == second.GLOBALS[of_second]
        monkeypatch.setattr(module, name, here)
        monkeypatch.setitem(second.GLOBALS, of_second, here)


@pytest.mark.usefixtures("few")
def test_a_longer_journal_than_is_read_is_incomplete(tmp_path: Path) -> None:
    for size, verdict in ((10, Verdict.VALID), (11, Verdict.INCOMPLETE)):
        raws = journal_of(size)
        assert judged(tmp_path, bundle(raws, signed(heads_of(raws)[-1]))).verdict is verdict


@pytest.mark.usefixtures("few")
def test_more_writers_than_are_followed_make_the_verdict_incomplete(tmp_path: Path) -> None:
    for writers, expected in ((3, (Verdict.VALID, set())), (4, (Verdict.INCOMPLETE, {CheckName.LANES}))):
        raws = [written(at, lane=LaneNumber(n=1, writer=f"{at:08d}")) for at in range(writers)]
        # One that is followed goes on; one that is not may say what it likes.
        raws.append(written(4, lane=LaneNumber(n=2, writer="00000000")))
        raws.append(written(5, lane=LaneNumber(n=1 if writers > 3 else 2, writer=f"{writers - 1:08d}")))
        report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[-1])))
        assert found(report)[:2] == expected


@pytest.mark.usefixtures("few")
def test_more_void_numbers_than_are_followed_make_the_verdict_incomplete(tmp_path: Path) -> None:
    for void, expected in (
        ((1, 2, 3, 4), (Verdict.VALID, set())),
        ((1, 2, 3, 4, 5), (Verdict.INCOMPLETE, {CheckName.LANES})),
    ):
        raws = [written(0, lane=LaneNumber(n=void[-1] + 1, void=void, writer="0" * 8))]
        raws.append(written(1, time=START, lane=LaneNumber(n=void[-1] + 2, writer="0" * 8)))
        report = judged(tmp_path, bundle(raws, signed(heads_of(raws)[-1])))
        assert found(report)[:2] == expected
