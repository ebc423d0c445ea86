"""What somebody must look at at once raises one alarm while it lasts, in the organisation's journal and the log."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from audit.entry import Outcome
from casework.audit_review.alarms import MOST_DENIALS, MOST_ENTRIES, MOST_PERSONS, WINDOW
from casework.audit_review.findings import EMERGENCY_DUE
from casework.database import UnitOfWork
from casework.journal import Deed, Touched, Who
from casework.upkeep import sweep
from tests.casework.audit_review.test_unexplained import EMERGENCY, open_case
from tests.casework.centre import CANARY, Centre


async def alarms_of(centre: Centre) -> list[tuple[str, str]]:
    """(kind, organisation) of what one sweep raises."""
    await centre.integrate()
    with capture_logs() as logs:
        await sweep(centre.deployment)
    await centre.integrate()
    assert CANARY not in str(logs)
    return [(line["event"], line["organisation"]) for line in logs if line["log_level"] == "critical"]


async def did(centre: Centre, login: str, times: int, **deed: Any) -> None:
    """What a member did so often, each time with another person, in the entries that the service would write."""
    slug = login.partition(".")[0]
    org_id = centre.org(slug)

    def record(unit: UnitOfWork) -> None:
        unit.enter_organisation(org_id)
        for _ in range(times):
            person = Touched(uuid4().bytes + uuid4().bytes)
            who = Who(uuid4(), member=centre.member(login))
            made = Deed(**deed, touched=[person]) if deed["action"] == "case.open" else Deed(**deed)
            centre.deployment.journal.record(unit, (org_id, slug), who, made)

    await centre.deployment.database.unit(record)


@pytest.mark.parametrize(
    ("kind", "login", "times", "deed"),
    [
        ("bulk_reading", "avec.social", MOST_PERSONS, {"action": "case.open"}),
        ("denial_run", "avec.social", MOST_DENIALS, {"action": "case.read", "outcome": Outcome.DENIED}),
        ("mass_auditing", "avec.auditor", 20, {"action": "journal.read", "count": MOST_ENTRIES // 20}),
    ],
)
async def test_too_much_of_one_member_within_an_hour_raises_one_alarm(
    centre: Centre, kind: str, login: str, times: int, deed: dict[str, Any]
) -> None:
    await did(centre, login, times, **deed)
    # Of a colleague as much again: it is one member's that counts.
    await did(centre, "avec.psychologist", 1, **deed)
    assert await alarms_of(centre) == []
    await did(centre, login, 1, **deed)
    assert await alarms_of(centre) == [(kind, "avec")]
    assert await alarms_of(centre) == []
    (raised,) = await centre.journal("avec", action="alert.raised")
    assert (raised["entry"]["reason"], raised["entry"]["actor"]) == (kind, None)
    assert raised["detail"] == {"about": str(centre.member(login))}
    assert await centre.journal("cidff", action="alert.raised") == []
    centre.clock.offset += WINDOW
    assert await alarms_of(centre) == []
    await did(centre, login, times + 1, **deed)
    assert await alarms_of(centre) == [(kind, "avec")]


async def test_an_emergency_that_nobody_reviews_in_time_raises_an_alarm_and_a_review_ends_it(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await psychologist.post(f"/cases/{case}/break-glass", EMERGENCY)
    centre.clock.offset += EMERGENCY_DUE - timedelta(minutes=1)
    assert await alarms_of(centre) == []
    centre.clock.offset += timedelta(minutes=2)
    assert await alarms_of(centre) == [("emergency_unreviewed", "avec")]
    assert await alarms_of(centre) == []
    auditor = await centre.sign_in("avec.auditor")
    (item,) = (await auditor.get("/journal/findings", params={"kind": "emergencies"}))["items"]
    review = {"entry": item["entry"]["id"], "outcome": "justified", "note": "Appel de la brigade."}
    await auditor.post("/journal/reviews", review)
    centre.deployment.review_alarms.clear()
    assert await alarms_of(centre) == []
