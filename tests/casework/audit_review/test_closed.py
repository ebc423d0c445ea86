"""What is read of a case after its closing is found, unless a reopening follows."""

from datetime import timedelta

from casework.audit_review.closed import CLOSING
from tests.casework.audit_review.test_standing_out import at_noon, listed
from tests.casework.centre import Centre
from tests.casework.story import accept, hand_over, open_case

REASON = {"reason": "Fin de l’accompagnement"}


async def test_what_is_read_of_a_closed_case_is_found_and_the_closing_itself_is_not(centre: Centre) -> None:
    at_noon(centre)
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social), await open_case(social)
    await social.get(f"/cases/{case}")
    await social.post(f"/cases/{case}/closure", REASON, 200)
    await social.get(f"/cases/{case}")
    assert await listed(centre, "closed") == []
    centre.clock.offset += CLOSING
    social = await centre.sign_in("avec.social")
    for _ in range(2):
        await social.get(f"/cases/{case}")
    await social.get(f"/cases/{other}")
    (found,) = await listed(centre, "closed")
    assert (found["case_id"], found["times"]) == (case, 2)
    assert found["entry"]["entry"]["actor"] == str(centre.member("avec.social"))
    assert await listed(centre, "closed", "cidff") == []


async def test_a_reopening_explains_the_day_before_it_and_what_comes_after(centre: Centre) -> None:
    at_noon(centre)
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    await social.post(f"/cases/{case}/closure", REASON, 200)
    centre.clock.offset += timedelta(days=1)
    await (await centre.sign_in("avec.social")).get(f"/cases/{case}")
    centre.clock.offset += timedelta(days=2)
    await (await centre.sign_in("avec.social")).get(f"/cases/{case}")
    before = await listed(centre, "closed")
    assert [item["times"] for item in before] == [1, 1]
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    await supervisor.post(f"/cases/{case}/reopening", REASON, 200)
    centre.clock.offset += timedelta(days=1)
    await (await centre.sign_in("avec.social")).get(f"/cases/{case}")
    # Two days before it was reopened, nobody had a reopening in mind.
    assert await listed(centre, "closed") == before[1:]


async def test_what_its_sender_reads_of_a_transferred_case_is_found(centre: Centre) -> None:
    at_noon(centre)
    social = await centre.sign_in("avec.social", step_up=True)
    kept, given = await open_case(social, "social"), await open_case(social, "social")
    handoffs = [
        (await hand_over(social, case, "identity", "social", kind=kind))[0]
        for case, kind in ((kept, "orientation"), (given, "transfer"))
    ]
    supervisor = await centre.sign_in("cidff.supervisor")
    for handoff in handoffs:
        await accept(supervisor, handoff, "cidff.jurist")
    centre.clock.offset += 2 * CLOSING
    social = await centre.sign_in("avec.social")
    for case in (kept, given):
        await social.get(f"/cases/{case}")
    (found,) = await listed(centre, "closed")
    assert found["case_id"] == given
