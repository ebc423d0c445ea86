"""The month that docs/audit/misuse.md tells of, smaller: the figures keep their order."""

from pathlib import Path

from tests.misuse.month import Kind, Size, Story
from tests.misuse.place import centre_of
from tests.misuse.table import audit, written

SMALL = Size(workers=8, desk=2, supervisors=2, cases=150, days=9, planted=6)


async def test_flags_find_a_surname_and_the_queue_who_had_no_reason_and_few_innocents(tmp_path: Path) -> None:
    async with centre_of(tmp_path, SMALL) as centre:
        result = await audit(centre, await Story(centre, SMALL, 7).play(), SMALL)
    kinds = result.kinds
    for kind in (Kind.SURNAME_DESK, Kind.SURNAME_TEAM):
        assert kinds[kind].flagged == kinds[kind].planted > 0
    assert kinds[Kind.BROWSING_SUPERVISOR].queued > kinds[Kind.BROWSING_SUPERVISOR].planted / 2
    # What the queue is blind to, it shows nothing of: the page says so.
    assert kinds[Kind.BROWSING_TEAM].queued == kinds[Kind.AFTER_WITHDRAWAL].queued == 0
    assert 0 < result.queued < result.readings / 10
    assert result.flagged < result.readings / 10
    assert "| mass export" in written(result, SMALL, 7)
