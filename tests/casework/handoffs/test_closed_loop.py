"""A handoff is answered, or it is asked about again, or its time is over: nothing is left hanging."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from casework.alerting.config import AlertSettings, OfOrganisation, Security, Smtp
from casework.handoffs import reminding, service
from casework.handoffs.reminding import Reminders
from casework.handoffs.schemas import Urgency
from casework.handoffs.tables import handoff_part
from casework.handoffs.untaken import due_at
from casework.upkeep import sweep
from tests.casework.alerting.receivers import Mailbox, mail_server
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import accept, agree, draft, entries_of, hand_over, open_case, send

# Nothing of these may stand in a reminder.
SAYS_TOO_MUCH = (
    "avec",
    "cidff",
    "planning",
    "relais",
    "dossier",
    "femme",
    "victime",
    "accueil",
    CANARY.lower(),
)


async def _offered(centre: Centre, **more: Any) -> tuple[Client, str, str]:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    handoff_id, _ = await hand_over(social, case, "identity", "legal", **more)
    return social, case, handoff_id


async def _seen(client: Client, box: str, handoff_id: str, query: str = "") -> dict[str, Any]:
    items = (await client.get(f"/handoffs?box={box}{query}"))["items"]
    found: dict[str, Any] = next(item for item in items if item["id"] == handoff_id)
    return found


async def _parts(centre: Centre) -> int:
    query = select(func.count()).select_from(handoff_part)
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def _told_on_both_sides(centre: Centre, here: str, there: str, action: str, told: str) -> None:
    """One entry on each side, under one id."""
    own = entries_of(await centre.journal(here), action)
    others = entries_of(await centre.journal(there), told)
    assert [entry["entry"]["id"] for entry in own] == [entry["entry"]["id"] for entry in others]
    assert len(own) == 1


# ── Answers before the answer ───────────────────────────────────────────────────────────────────────────────


async def test_an_arrival_is_acknowledged_and_both_sides_know(centre: Centre) -> None:
    social, _, handoff_id = await _offered(centre)
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.post(f"/handoffs/{handoff_id}/acknowledgement", expect=200)
    assert (await _seen(social, "sent", handoff_id))["state"] == "received"
    assert (await _seen(jurist, "received", handoff_id))["state"] == "received"
    await _told_on_both_sides(centre, "cidff", "avec", "handoff.acknowledge", "handoff.acknowledged")
    await jurist.refused("POST", f"/handoffs/{handoff_id}/acknowledgement", 409, "wrong_state")
    await accept(jurist, handoff_id)


async def test_a_question_reaches_the_sender_in_a_code_and_it_stays_offered(centre: Centre) -> None:
    social, _, handoff_id = await _offered(centre)
    jurist = await centre.sign_in("cidff.jurist")
    asked = {"question": "how_to_reach_her"}
    await jurist.post(f"/handoffs/{handoff_id}/question", asked, expect=200)
    seen = await _seen(social, "sent", handoff_id)
    assert (seen["state"], seen["reply"]) == ("needs_info", asked)
    await _told_on_both_sides(centre, "cidff", "avec", "handoff.ask", "handoff.asked")
    assert await _parts(centre) > 0
    await accept(jurist, handoff_id)
    assert (await _seen(social, "sent", handoff_id))["state"] == "accepted"


async def test_what_was_asked_about_may_be_taken_back_and_leaves_no_part(centre: Centre) -> None:
    social, _, handoff_id = await _offered(centre)
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.post(f"/handoffs/{handoff_id}/question", {"question": "more_content"}, expect=200)
    await social.post(f"/handoffs/{handoff_id}/cancellation", expect=200)
    assert await _parts(centre) == 0
    await jurist.refused("POST", f"/handoffs/{handoff_id}/acceptance", 409, "wrong_state", json={})


async def test_an_unknown_question_is_refused_by_its_field(centre: Centre) -> None:
    _, _, handoff_id = await _offered(centre)
    jurist = await centre.sign_in("cidff.jurist")
    typed = {"question": f"{CANARY} ?"}
    refused = await jurist.refused("POST", f"/handoffs/{handoff_id}/question", 422, "bad_input", json=typed)
    assert CANARY not in str(refused)
    assert (await _seen(jurist, "received", handoff_id))["state"] == "sent"


@pytest.mark.parametrize("below", ["acknowledgement", "question"])
async def test_who_may_not_answer_finds_no_handoff(centre: Centre, below: str) -> None:
    social, _, handoff_id = await _offered(centre)
    body = {"question": "call_us"} if below == "question" else None
    for member in (social, await centre.sign_in("planning.supervisor"), await centre.sign_in("cidff.social")):
        await member.refused("POST", f"/handoffs/{handoff_id}/{below}", 404, "not_found", json=body)
    assert (await _seen(social, "sent", handoff_id))["state"] == "sent"


# ── What still lacks an outcome ─────────────────────────────────────────────────────────────────────────────


async def test_what_lacks_an_outcome_is_listed_until_it_has_one_the_oldest_first(centre: Centre) -> None:
    social, case, first = await _offered(centre)
    second, _ = await hand_over(social, case, "identity", urgency="danger")
    await draft(social, case, "identity")
    jurist = await centre.sign_in("cidff.jurist")
    for client, box in ((social, "sent"), (jurist, "received")):
        items = (await client.get(f"/handoffs?box={box}&without_outcome=true"))["items"]
        assert [item["id"] for item in items] == [first, second]
        for item in items:
            due = due_at(Urgency(item["urgency"]), datetime.fromisoformat(item["sent_at"]))
            assert datetime.fromisoformat(item["due_at"]) == due
    await accept(jurist, first)
    still = await _seen(social, "sent", first, "&without_outcome=true")
    assert "due_at" not in still, "it was taken on: what is awaited now is its outcome"
    await jurist.post(f"/handoffs/{first}/outcome", {"state": "completed"}, expect=200)
    left = (await social.get("/handoffs?box=sent&without_outcome=true"))["items"]
    assert [item["id"] for item in left] == [second]


async def test_what_others_sent_keeps_hers_from_no_list(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BOX_LIMIT", 2)
    others = await centre.sign_in("avec.jurist", step_up=True)
    for _ in range(3):
        await hand_over(others, await open_case(others), "identity")
    social, _, hers = await _offered(centre)
    for query in ("&without_outcome=true", ""):
        assert [item["id"] for item in (await social.get(f"/handoffs?box=sent{query}"))["items"]] == [hers]
    assert len((await others.get("/handoffs?box=sent"))["items"]) == 2


# ── Expiry ──────────────────────────────────────────────────────────────────────────────────────────────────


def _in_an_hour(centre: Centre) -> str:
    return (centre.clock.now() + timedelta(hours=1)).isoformat()


async def test_what_nobody_took_on_ends_with_its_consent_for_both_sides(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    await agree(social, drafted, expires_at=_in_an_hour(centre))
    await send(social, drafted)
    centre.clock.offset += timedelta(minutes=59)
    await sweep(centre.deployment)
    assert await _parts(centre) > 0, "its time is not over"
    centre.clock.offset += timedelta(minutes=2)
    # Two processes at once, and both organisations' turns: it ends once.
    await asyncio.gather(sweep(centre.deployment), sweep(centre.deployment))
    assert await _parts(centre) == 0
    jurist = await centre.sign_in("cidff.jurist")
    social = await centre.sign_in("avec.social")
    assert (await _seen(social, "sent", drafted["id"]))["state"] == "expired"
    assert (await _seen(jurist, "received", drafted["id"]))["state"] == "expired"
    await jurist.refused("POST", f"/handoffs/{drafted['id']}/acceptance", 409, "wrong_state", json={})
    entries = [
        entry
        for slug in ("avec", "cidff")
        for action in ("handoff.expire", "handoff.expired")
        for entry in entries_of(await centre.journal(slug), action)
    ]
    assert len(entries) == 2
    assert len({entry["entry"]["id"] for entry in entries}) == 1
    assert all(entry["entry"].get("actor") is None for entry in entries)


async def test_what_was_consented_to_and_never_sent_ends_on_the_senders_side_alone(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    drafted = await draft(social, await open_case(social), "identity")
    await agree(social, drafted, expires_at=_in_an_hour(centre))
    centre.clock.offset += timedelta(minutes=61)
    await sweep(centre.deployment)
    social = await centre.sign_in("avec.social", step_up=True)
    await social.refused("POST", f"/handoffs/{drafted['id']}/sending", 409, "wrong_state")
    assert len(entries_of(await centre.journal("avec"), "handoff.expire")) == 1
    assert entries_of(await centre.journal("cidff"), "handoff.expired") == []


async def test_a_part_nobody_opened_in_time_is_destroyed_and_the_handoff_goes_on(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    drafted = await draft(social, await open_case(social, "legal"), "identity", "legal")
    await agree(social, drafted, expires_at=_in_an_hour(centre))
    await send(social, drafted)
    supervisor = await centre.sign_in("cidff.supervisor")
    case = await accept(supervisor, drafted["id"], "cidff.jurist")
    sealed = await _parts(centre)
    centre.clock.offset += timedelta(minutes=61)
    await sweep(centre.deployment)
    await sweep(centre.deployment)
    assert await _parts(centre) == 0
    lapsed = entries_of(await centre.journal("cidff"), "handoff.lapse")
    assert [entry["entry"]["count"] for entry in lapsed] == [sealed]
    jurist = await centre.sign_in("cidff.jurist")
    opened = await jurist.request("GET", f"/cases/{case}", 200)
    assert CANARY not in opened.text
    assert (await _seen(jurist, "received", drafted["id"]))["state"] == "accepted"
    await jurist.post(f"/handoffs/{drafted['id']}/outcome", {"state": "attended"}, expect=200)


# ── Reminders ───────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _desks(centre: Centre) -> AsyncIterator[tuple[Mailbox, Reminders]]:
    async with mail_server(None) as mailbox:
        told = AlertSettings(
            organisations={
                slug: OfOrganisation(reminders=(f"bureau@{slug}.example",)) for slug in ("avec", "cidff")
            },
            smtp=Smtp("127.0.0.1", mailbox.port, "rappel@example.org", Security.NONE),
        )
        yield mailbox, Reminders(centre.deployment, told)


async def test_whoever_owes_an_answer_is_reminded_until_she_gives_it_and_nothing_is_said(
    centre: Centre,
) -> None:
    _, _, handoff_id = await _offered(centre, urgency="danger")
    async with _desks(centre) as (mailbox, reminders):
        centre.clock.offset += timedelta(hours=23, minutes=58)
        assert await reminders.round() == 0, "her time is not over"
        centre.clock.offset += timedelta(minutes=3)
        assert await reminders.round() == 1
        assert await reminders.round() == 0, "she was reminded a moment ago"
        centre.clock.offset += timedelta(hours=24, minutes=1)
        assert await reminders.round() == 1
        assert mailbox.recipients == [["bureau@cidff.example"]] * 2
        for mail in mailbox.mails:
            said = f"{mail['Subject']} {mail['From']} {mail.get_content()}".lower()
            assert not [word for word in SAYS_TOO_MUCH if word in said], said
        assert mailbox.mails[0]["Message-ID"] != mailbox.mails[1]["Message-ID"]
        reminded = entries_of(await centre.journal("cidff"), "handoff.remind")
        assert [entry["entry"]["count"] for entry in reminded] == [1, 1]
        await accept(await centre.sign_in("cidff.jurist"), handoff_id)
        centre.clock.offset += timedelta(days=3)
        assert await reminders.round() == 0, "it was taken on"


async def test_a_question_is_the_senders_to_answer_and_she_is_reminded(centre: Centre) -> None:
    _, _, handoff_id = await _offered(centre, urgency="danger")
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.post(f"/handoffs/{handoff_id}/question", {"question": "call_us"}, expect=200)
    async with _desks(centre) as (mailbox, reminders):
        centre.clock.offset += timedelta(hours=24, minutes=1)
        assert await reminders.round() == 1
        assert mailbox.recipients == [["bureau@avec.example"]]
    assert "due_at" not in await _seen(await centre.sign_in("cidff.jurist"), "received", handoff_id)


async def test_a_reminder_that_was_not_taken_is_sent_later_and_one_not_noted_is_the_same_message(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _offered(centre, urgency="danger")
    centre.clock.offset += timedelta(hours=24, minutes=1)
    async with _desks(centre) as (mailbox, reminders):
        mailbox.is_away = True
        assert await reminders.round() == 0
        mailbox.is_away = False
        with monkeypatch.context() as killed:
            # As a kill between the mail and the note.
            killed.setattr(reminding, "_note", _killed)
            assert await reminders.round() == 0
        assert await reminders.round() == 1
        first, second = mailbox.mails
        assert first["Message-ID"] == second["Message-ID"]


def _killed(*_: object, **__: object) -> None:
    raise InterruptedError
