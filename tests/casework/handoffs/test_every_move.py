"""Every move from every state: the allowed ones are made, any other is a conflict that changes nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from casework.cases.tables import case_file
from casework.handoffs.tables import handoff
from casework.upkeep import sweep
from policies.vocabulary import Stage
from tests.casework.centre import Centre, Client
from tests.casework.story import consent, draft, open_case

REFUSAL = {"reason_code": "no_capacity", "next_step": "try_later"}
SENDER_MOVES = ("consent", "sending", "cancellation")
RECEIVER_MOVES = (
    "acknowledgement",
    "question",
    "acceptance",
    "refusal",
    "scheduled",
    "attended",
    "no_show",
    "completed",
)
MAY: dict[str, set[str]] = {
    "draft": {"consent", "cancellation"},
    "consented": {"sending", "cancellation"},
    "sent": {"cancellation", "acknowledgement", "question", "acceptance", "refusal"},
    "received": {"cancellation", "question", "acceptance", "refusal"},
    "needs_info": {"cancellation", "acceptance", "refusal"},
    "accepted": {"scheduled", "attended", "completed"},
    "scheduled": {"attended", "no_show"},
    "attended": {"completed"},
    "no_show": {"scheduled"},
    "completed": set(),
    "declined": set(),
    "cancelled": set(),
    "withdrawn": set(),
    "expired": set(),
}
# How to come to a state from a draft.
WAY: dict[str, tuple[str, ...]] = {
    "draft": (),
    "consented": ("consent",),
    "sent": ("consent", "sending"),
    "received": ("consent", "sending", "acknowledgement"),
    "needs_info": ("consent", "sending", "question"),
    "expired": ("consent", "sending", "expiry"),
    "accepted": ("consent", "sending", "acceptance"),
    "scheduled": ("consent", "sending", "acceptance", "scheduled"),
    "attended": ("consent", "sending", "acceptance", "attended"),
    "no_show": ("consent", "sending", "acceptance", "scheduled", "no_show"),
    "completed": ("consent", "sending", "acceptance", "completed"),
    "declined": ("consent", "sending", "refusal"),
    "cancelled": ("consent", "sending", "cancellation"),
    "withdrawn": ("consent", "sending", "withdrawal"),
}


async def _cases(centre: Centre, slug: str) -> int:
    query = select(func.count()).select_from(case_file).where(case_file.c.org_id == centre.org(slug))
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def _state(client: Client, handoff_id: str) -> dict[str, Any]:
    items = (await client.get("/handoffs?box=sent"))["items"]
    return next(item for item in items if item["id"] == handoff_id)


async def _let_the_consent_lapse(centre: Centre) -> None:
    past = update(handoff).values(consent_expires_at=centre.clock.now())
    await centre.dba(lambda connection: connection.execute(past))
    await sweep(centre.deployment)


Mover = Callable[[str], Awaitable[Any]]


def _mover(social: Client, supervisor: Client, drafted: dict[str, Any]) -> Mover:
    given: list[str] = []

    async def move(name: str) -> Any:
        if name == "expiry":
            await _let_the_consent_lapse(social.centre)
            return await social.request("GET", "/handoffs?box=sent")
        client = social if name in {*SENDER_MOVES, "withdrawal"} else supervisor
        bodies: dict[str, Any] = {
            "consent": consent(drafted),
            "acceptance": {},
            "refusal": REFUSAL,
            "question": {"question": "which_need"},
            "withdrawal": {"means": "oral"},
        }
        if name in {"scheduled", "attended", "no_show", "completed"}:
            path, body = f"/handoffs/{drafted['id']}/outcome", {"state": name}
        elif name == "withdrawal":
            path, body = f"/consents/{given[0]}/withdrawal", bodies[name]
        else:
            path, body = f"/handoffs/{drafted['id']}/{name}", bodies.get(name)
        answer = await client.request("POST", path, json=body)
        if name == "consent" and answer.status_code == 201:
            given.append(answer.json()["consent_id"])
        return answer

    return move


def test_every_state_that_a_handoff_can_reach_is_in_the_table() -> None:
    assert set(MAY) == set(WAY) == set(Stage)


@pytest.mark.parametrize("state", MAY)
async def test_every_wrong_move_is_a_conflict_that_changes_nothing(centre: Centre, state: str) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("cidff.supervisor")
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    move = _mover(social, supervisor, drafted)
    for step in WAY[state]:
        assert (await move(step)).is_success, step
    hidden = state in {"draft", "consented"}
    for name in (*SENDER_MOVES, *RECEIVER_MOVES):
        if name in MAY[state]:
            continue
        answer = await move(name)
        expected = 404 if hidden and name in RECEIVER_MOVES else 409
        assert answer.status_code == expected, (state, name, answer.text)
        assert (await _state(social, drafted["id"]))["state"] == state
    assert await _cases(centre, "cidff") == int("acceptance" in WAY[state])
    # One of those that are allowed still is.
    for name in sorted(MAY[state])[:1]:
        assert (await move(name)).is_success, name
    rows = await centre.dba(lambda connection: connection.execute(select(handoff.c.state)).scalars().all())
    assert len(rows) == 1
