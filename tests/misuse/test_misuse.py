"""The month that docs/audit/misuse.md tells of, smaller: the figures keep their order."""

from pathlib import Path

from casework.audit_review.schemas import Kind as Lists
from tests.misuse.month import Kind, Size, Story
from tests.misuse.place import centre_of
from tests.misuse.table import FLAG, audit, written

SMALL = Size(workers=8, desk=2, supervisors=2, cases=150, days=9, planted=6)


async def test_flags_find_a_surname_and_the_queue_who_had_no_reason_and_few_innocents(tmp_path: Path) -> None:
    async with centre_of(tmp_path, SMALL) as centre:
        result = await audit(centre, await Story(centre, SMALL, 7).play(), SMALL)
    kinds = result.kinds
    for kind, head in (
        (Kind.SURNAME_DESK, FLAG),
        (Kind.SURNAME_TEAM, FLAG),
        (Kind.AFTER_HANDOFF, Lists.WITHDRAWALS),
        (Kind.CLOSED_CASE, Lists.CLOSED),
        (Kind.AT_NIGHT, Lists.HOURS),
        (Kind.ENUMERATION, Lists.DENIALS),
        (Kind.MASS_EXPORT, Lists.VOLUMES),
    ):
        assert kinds[kind].on[head] == kinds[kind].planted > 0
    browsing = kinds[Kind.BROWSING_SUPERVISOR]
    assert browsing.on[Lists.UNEXPLAINED] > browsing.planted / 2
    # What the queue is blind to, it shows nothing of: the page says so.
    for kind in (Kind.BROWSING_TEAM, Kind.AFTER_WITHDRAWAL):
        assert kinds[kind].on[Lists.UNEXPLAINED] == 0
    assert 0 < result.innocent[Lists.UNEXPLAINED] < result.readings / 10
    assert result.innocent[FLAG] < result.readings / 10
    assert result.innocent[Lists.DENIALS] == result.innocent[Lists.VOLUMES] == 0
    assert "| mass export" in written(result, SMALL, 7)
