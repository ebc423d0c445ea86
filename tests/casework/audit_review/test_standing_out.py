"""The lists of what stands out: each finds the case that was planted, and leaves the innocent one alone."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from casework.audit_review.findings import DENIALS, DENIALS_WITHIN, EMERGENCY_DUE, SAMPLE
from casework.audit_review.out_of_hours import is_usually_open
from casework.audit_review.schemas import Kind
from casework.audit_review.volumes import AT_LEAST
from casework.facts import PARIS
from tests.casework.audit_review.test_alarms import did
from tests.casework.audit_review.test_ledger import FOR_HER
from tests.casework.audit_review.test_reviews import reviewed
from tests.casework.audit_review.test_unexplained import EMERGENCY
from tests.casework.centre import Centre
from tests.casework.story import accept, hand_over, open_case

SATURDAY = 5


async def listed(centre: Centre, kind: str, slug: str = "avec", **query: Any) -> list[dict[str, Any]]:
    """One of the lists, newest first, as the auditor reads it."""
    await centre.integrate()
    auditor = await centre.sign_in(f"{slug}.auditor")
    page = await auditor.get("/journal/findings", params={"kind": kind, "limit": 200, **query})
    return list(page["items"])


async def _coverage(centre: Centre) -> dict[str, tuple[int, int, int]]:
    """(found, reviewed, overdue) of each list."""
    await centre.integrate()
    items = (await (await centre.sign_in("avec.auditor")).get("/journal/coverage"))["items"]
    return {item["kind"]: (item["found"], item["reviewed"], item["overdue"]) for item in items}


def _next_month(centre: Centre) -> timedelta:
    now = centre.clock.now()
    return (now.replace(day=1) + timedelta(days=32)).replace(day=2, hour=12) - now


def at_noon(centre: Centre) -> None:
    """What is done within a test is of one day; and a day of work."""
    centre.clock.offset += _next_month(centre)
    while centre.clock.now().weekday() >= SATURDAY:
        centre.clock.offset += timedelta(days=1)


async def test_a_sample_is_drawn_of_readings_of_a_month_that_is_over_and_stays_the_same(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    for _ in range(SAMPLE + 2):
        await social.get(f"/cases/{case}")
    assert await listed(centre, "samples") == []
    centre.clock.offset += _next_month(centre)
    sample = await listed(centre, "samples")
    assert len(sample) == SAMPLE
    # What is read is drawn, and nothing else; what comes later changes nothing.
    assert {item["entry"]["action"] for item in sample} == {"case.open"}
    await (await centre.sign_in("avec.social")).get(f"/cases/{case}")
    middle = sample[SAMPLE // 2]["entry"]
    newer = await listed(centre, "samples", **{"from": middle["time"]})
    again = [item["entry"]["id"] for item in await listed(centre, "samples")]
    assert again == [item["entry"]["id"] for item in sample]
    assert [item["entry"]["id"] for item in newer] == again[: SAMPLE // 2 + 1]
    assert await listed(centre, "samples", "cidff") == []


async def test_coverage_counts_what_was_found_reviewed_and_left_overdue(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"), "social")
    for login in ("avec.psychologist", "avec.jurist"):
        client = await centre.sign_in(login, step_up=True)
        await client.post(f"/cases/{case}/break-glass", EMERGENCY)
    await (await centre.sign_in("avec.supervisor")).get(f"/cases/{case}")
    first, _ = await listed(centre, "emergencies")
    await (await centre.sign_in("avec.auditor")).post("/journal/reviews", reviewed(first["entry"]["id"]))
    counted = await _coverage(centre)
    assert (counted["unexplained"], counted["emergencies"]) == ((1, 0, 0), (2, 1, 0))
    centre.clock.offset += EMERGENCY_DUE
    assert (await _coverage(centre))["emergencies"] == (2, 1, 1)
    read = (await centre.journal("avec", action="journal.read"))[1]
    assert read["detail"]["list"] == "coverage"
    auditor = await centre.sign_in("avec.auditor")
    await auditor.refused("GET", "/journal/coverage?from=2026-11-20T10:00:00", 422, "bad_input")


async def test_who_does_not_audit_counts_no_coverage(centre: Centre) -> None:
    for login in ("avec.social", "avec.supervisor", "avec.custodian"):
        await (await centre.sign_in(login)).refused("GET", "/journal/coverage", 403, "forbidden")
    assert len(await centre.journal("avec", action="journal.read", outcome="denied")) == 3


async def test_a_run_of_denials_is_found_and_a_few_over_a_day_are_not(centre: Centre) -> None:
    guessing, unlucky = await centre.sign_in("avec.jurist"), await centre.sign_in("avec.psychologist")
    for _ in range(DENIALS):
        await guessing.refused("GET", f"/cases/{uuid4()}", 404, "not_found")
    for _ in range(DENIALS - 1):
        await unlucky.refused("GET", f"/cases/{uuid4()}", 404, "not_found")
    centre.clock.offset += 2 * DENIALS_WITHIN
    await (await centre.sign_in("avec.psychologist")).refused("GET", f"/cases/{uuid4()}", 404, "not_found")
    (found,) = await listed(centre, "denials")
    assert found["entry"]["entry"]["actor"] == str(centre.member("avec.jurist"))
    assert (found["times"], found["entry"]["outcome"]) == (DENIALS, "denied")
    assert await listed(centre, "denials", "cidff") == []


async def test_what_is_read_of_a_received_case_after_its_consent_was_withdrawn_is_found(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case, kept = [await open_case(social, "social") for _ in range(2)]
    sent, given = await hand_over(social, case, "identity", "social")
    stays, _ = await hand_over(social, kept, "identity", "social")
    supervisor = await centre.sign_in("cidff.supervisor")
    received, other = [await accept(supervisor, handoff, "cidff.jurist") for handoff in (sent, stays)]
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.get(f"/cases/{received}")
    centre.clock.offset += timedelta(minutes=1)
    await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert await listed(centre, "withdrawals", "cidff") == []
    centre.clock.offset += timedelta(minutes=1)
    for _ in range(3):
        await jurist.get(f"/cases/{received}")
    await jurist.get(f"/cases/{other}")
    # The sender's own case is hers as before.
    await social.get(f"/cases/{case}")
    (found,) = await listed(centre, "withdrawals", "cidff")
    assert (found["case_id"], found["times"]) == (received, 3)
    assert found["entry"]["entry"]["actor"] == str(centre.member("cidff.jurist"))
    assert await listed(centre, "withdrawals") == []


async def test_a_day_on_which_she_read_of_far_more_persons_than_her_peers_is_found_once(
    centre: Centre,
) -> None:
    at_noon(centre)
    for _ in range(3):
        for login in ("avec.psychologist", "avec.jurist"):
            await did(centre, login, 5, action="case.open")
        centre.clock.offset += timedelta(days=1)
    # Alone at her desk, she reads so much every day.
    for _ in range(2):
        await did(centre, "avec.reception", 2 * AT_LEAST, action="case.open")
        centre.clock.offset += timedelta(days=1)
    await did(centre, "avec.social", AT_LEAST - 1, action="case.open")
    assert await listed(centre, "volumes") == []
    # The last of her days is measured against those before the period too.
    begins = (centre.clock.now() - timedelta(hours=36)).isoformat()
    assert await listed(centre, "volumes", **{"from": begins}) == []
    await did(centre, "avec.social", 1, action="case.open")
    (found,) = await listed(centre, "volumes")
    assert found["entry"]["entry"]["actor"] == str(centre.member("avec.social"))
    assert (found["times"], found["entry"]["action"]) == (AT_LEAST, "case.open")
    assert (await _coverage(centre))["volumes"] == (1, 0, 0)
    # A day's finding is of the period in which it begins.
    now = centre.clock.now().isoformat()
    assert await listed(centre, "volumes", **{"from": now}) == []
    assert await listed(centre, "volumes", "cidff") == []


async def test_who_searches_again_and_again_and_opens_nothing_is_found(centre: Centre) -> None:
    at_noon(centre)
    await did(centre, "avec.social", AT_LEAST, action="case.search")
    (found,) = await listed(centre, "searches")
    assert found["entry"]["entry"]["actor"] == str(centre.member("avec.social"))
    assert (found["times"], found["entry"]["action"]) == (AT_LEAST, "case.search")
    await did(centre, "avec.social", 1, action="case.open")
    assert await listed(centre, "searches") == await listed(centre, "volumes") == []


async def test_what_is_read_at_night_and_on_sunday_is_found_once_a_day_as_clocks_in_paris_go(
    centre: Centre,
) -> None:
    at_noon(centre)
    monday = centre.clock.now() + timedelta(days=7 - centre.clock.now().weekday())
    member, persons = "avec.social", 1

    async def reads(day: int, hour: int, minute: int) -> None:
        moment = monday.astimezone(PARIS).replace(hour=hour, minute=minute, second=0)
        centre.clock.offset += moment + timedelta(days=day) - centre.clock.now()
        await did(centre, member, persons, action="case.open")

    for day, hour, minute in ((0, 7, 0), (0, 19, 59), (5, 12, 0)):
        await reads(day, hour, minute)
    assert await listed(centre, "hours") == []
    for day, hour, minute in ((7, 6, 59), (7, 9, 0), (7, 20, 0), (8, 0, 30), (13, 12, 0)):
        await reads(day, hour, minute)
    found = await listed(centre, "hours")
    assert [item["times"] for item in found] == [1, 1, 2]
    assert {item["entry"]["entry"]["actor"] for item in found} == {str(centre.member(member))}
    assert await listed(centre, "hours", "cidff") == []


async def test_an_organisation_that_set_its_hours_is_judged_by_them(centre: Centre) -> None:
    at_noon(centre)
    monday = centre.clock.now() + timedelta(days=7 - centre.clock.now().weekday())
    hours = {"monday": [{"from": "19:30", "to": "22:15"}], "sunday": [{"from": "00:00", "to": "24:00"}]}
    closed = (monday.astimezone(PARIS) + timedelta(days=13)).date().isoformat()
    wanted = {"version": 0, "opening_hours": hours, "closed_on": [closed], "managed_networks": []}
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    await custodian.request("PUT", "/organisation/settings", 200, json={**wanted, "reason": "contract"})

    async def reads(day: int, hour: int) -> list[int]:
        """What is found once somebody has read at this hour of this day."""
        moment = monday.astimezone(PARIS).replace(hour=hour, minute=45, second=0)
        centre.clock.offset += moment + timedelta(days=day) - centre.clock.now()
        await did(centre, "avec.social", 1, action="case.open")
        return [item["times"] for item in await listed(centre, "hours")]

    # The hour in which it closes counts as open: what is read in it is counted as a whole.
    for day, hour in ((0, 19), (0, 22), (6, 3)):
        assert await reads(day, hour) == []
    assert await reads(7, 18) == [1]
    assert await reads(7, 23) == [2]
    assert await reads(8, 10) == [1, 2]
    assert await reads(13, 12) == [1, 1, 2]


@pytest.mark.parametrize(
    ("moment", "opened"),
    [
        ("2026-06-26T04:59:00Z", False),
        ("2026-06-26T05:00:00Z", True),
        ("2026-06-26T18:00:00Z", False),
        ("2026-11-27T05:30:00Z", False),
        ("2026-11-27T18:59:00Z", True),
        ("2026-11-28T22:30:00Z", False),
        ("2026-11-29T10:00:00Z", False),
    ],
)
def test_a_centre_is_open_by_the_clock_of_paris_in_summer_and_winter(moment: str, opened: bool) -> None:
    assert is_usually_open(datetime.fromisoformat(moment).astimezone(PARIS)) is opened


async def test_what_leaves_as_a_file_is_shown_and_what_is_read_is_not(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "social")
    await social.get(f"/cases/{case}")
    assert await listed(centre, "exports") == []
    await social.get(f"/cases/{case}/ledger", headers=FOR_HER)
    await social.refused("GET", "/journal/export", 403, "forbidden")
    auditor = await centre.sign_in("avec.auditor", step_up=True)
    for path in ("/journal/bundle", "/journal/export"):
        await auditor.request("GET", path, 200)
    found = await listed(centre, "exports")
    actions = ["journal.export", "journal.export", "case.ledger"]
    assert [item["entry"]["action"] for item in found] == actions
    assert found[-1]["case_id"] == case
    assert await listed(centre, "exports", "cidff") == []


@pytest.mark.parametrize(
    "bounds",
    [
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-12:00"},
        {"to": "0001-01-01T00:00:00+14:00"},
    ],
)
async def test_a_period_at_the_end_of_the_calendar_is_an_empty_one_or_everything(
    centre: Centre, bounds: dict[str, str]
) -> None:
    for kind in ("samples", "volumes", "hours"):
        await listed(centre, kind, **bounds)
    auditor = await centre.sign_in("avec.auditor")
    assert len((await auditor.get("/journal/coverage", params=bounds))["items"]) == len(Kind)
