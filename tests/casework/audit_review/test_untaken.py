"""Handoffs that nobody took on or refused in time are shown to both auditors."""

from datetime import UTC, datetime, timedelta

import pytest

from casework.audit_review.findings import Asked
from casework.audit_review.schemas import Kind
from casework.handoffs.schemas import Urgency
from casework.handoffs.untaken import DANGER_WITHIN, due_at
from tests.casework.audit_review.test_standing_out import listed
from tests.casework.centre import Centre
from tests.casework.story import accept, hand_over, open_case

MONDAY = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "urgency", "due"),
    [
        (0, Urgency.NORMAL, 2),
        (2, Urgency.SOON, 4),
        (3, Urgency.NORMAL, 7),
        (4, Urgency.NORMAL, 8),
        (5, Urgency.NORMAL, 8),
        (4, Urgency.DANGER, 5),
    ],
)
def test_two_working_days_are_given_and_one_day_in_danger(sent: int, urgency: Urgency, due: int) -> None:
    assert due_at(urgency, MONDAY + timedelta(days=sent)) == MONDAY + timedelta(days=due)


async def test_a_handoff_that_nobody_took_is_shown_on_both_sides_and_the_answered_is_not(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    sent = {}
    for fate in ("taken", "declined", "cancelled", "waits", "normal"):
        case = await open_case(social, "social")
        urgency = "normal" if fate == "normal" else "danger"
        sent[fate], _ = await hand_over(social, case, "identity", "social", urgency=urgency)
    supervisor = await centre.sign_in("cidff.supervisor")
    await accept(supervisor, sent["taken"], "cidff.jurist")
    await supervisor.post(
        f"/handoffs/{sent['declined']}/refusal", {"reason_code": "no_capacity", "next_step": "call_us"}, 200
    )
    await social.post(f"/handoffs/{sent['cancelled']}/cancellation", expect=200)
    assert await listed(centre, "untaken") == []
    centre.clock.offset += DANGER_WITHIN
    (there,) = await listed(centre, "untaken")
    (here,) = await listed(centre, "untaken", "cidff")
    assert (there["entry"]["action"], here["entry"]["action"]) == ("handoff.send", "handoff.arrive")
    for found in (there, here):
        assert found["entry"]["entry"]["basis"]["handoff"] == sent["waits"]
    # The other one's two working days are over within four days, wherever a weekend lies.
    centre.clock.offset += timedelta(days=3)
    assert len(await listed(centre, "untaken")) == 2
    assert await listed(centre, "untaken", "planning") == []
    # Nor does what waits fall off the list because it has waited long.
    centre.clock.offset += timedelta(days=40)
    assert len(await listed(centre, "untaken")) == 2


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        (Kind.VOLUMES, MONDAY - timedelta(days=31)),
        (Kind.SAMPLES, datetime(2026, 10, 1, tzinfo=UTC)),
        (Kind.UNTAKEN, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_period_without_a_beginning_is_counted_back_from_its_end(kind: Kind, begins: datetime) -> None:
    assert Asked(kind, until=MONDAY).begins(MONDAY + timedelta(days=300)) == begins
