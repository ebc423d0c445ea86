"""What was handed over may go back, or on to a third: as a new handoff, with a new consent, and nothing else."""

from uuid import uuid4

from tests.casework.centre import Centre, Client
from tests.casework.story import accept, content, draft, hand_over, open_case


async def _received(centre: Centre) -> tuple[Client, str, Client, str]:
    """AVEC hands a case over to CIDFF: (social worker, handoff, jurist with a step-up, her new case)."""
    social = await centre.sign_in("avec.social", step_up=True)
    handoff_id, _ = await hand_over(social, await open_case(social, "legal"), "identity", "legal")
    jurist = await centre.sign_in("cidff.jurist", step_up=True)
    received = await accept(jurist, handoff_id)
    await jurist.get(f"/cases/{received}")
    return social, handoff_id, jurist, received


async def test_a_return_needs_a_consent_of_its_own_and_says_what_it_brings_back(centre: Centre) -> None:
    social, first, jurist, received = await _received(centre)
    back = await draft(jurist, received, "identity", "legal", to="avec", returns=first)
    await jurist.refused("POST", f"/handoffs/{back['id']}/sending", 409, "consent_needed")
    back_id, _ = await hand_over(jurist, received, "identity", "legal", to="avec", returns=first)
    supervisor = await centre.sign_in("avec.supervisor")
    (seen,) = (await supervisor.get("/handoffs?box=received"))["items"]
    assert (seen["id"], seen["returns"]) == (back_id, first)
    # A case of its own: nothing is written into the one that was sent.
    again = await accept(supervisor, back_id, "avec.social")
    assert (await social.get(f"/cases/{again}"))["groups"]["legal"] == content("legal")
    (sent,) = (await social.get("/handoffs?box=sent"))["items"]
    assert sent["id"] == first


async def test_a_forward_to_a_third_says_nothing_of_where_it_came_from(centre: Centre) -> None:
    _, _, jurist, received = await _received(centre)
    on, _ = await hand_over(jurist, received, "identity", to="planning")
    (seen,) = (await (await centre.sign_in("planning.supervisor")).get("/handoffs?box=received"))["items"]
    assert (seen["id"], seen["from"]) == (on, "cidff")
    assert "returns" not in seen


async def test_what_did_not_come_from_this_partner_as_this_case_is_not_returned(centre: Centre) -> None:
    social, first, jurist, received = await _received(centre)
    other = await open_case(social)
    for client, case, to, handoff_id in (
        (jurist, received, "planning", first),
        (jurist, await open_case(jurist), "avec", first),
        (jurist, received, "avec", str(uuid4())),
        (social, other, "cidff", first),
    ):
        body = {
            "to": to,
            "kind": "orientation",
            "purpose": "support",
            "urgency": "normal",
            "groups": ["identity"],
            "returns": handoff_id,
        }
        refused = await client.refused("POST", f"/cases/{case}/handoffs", 422, "bad_input", json=body)
        assert refused["errors"] == [{"field": "returns", "code": "not_the_handoff_of_this_case"}]
