"""Receiving: responsibility without a key, once, by the named receiver; refusals and outcomes reach the sender."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select

from casework.cases.tables import case_file
from casework.column_types import Sealed
from casework.columns import Column
from casework.handoffs.tables import handoff_part, handoff_side
from crypto.drop import seal_to_drop
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import (
    accept,
    agree,
    content,
    denials,
    done,
    draft,
    entries_of,
    hand_over,
    note,
    open_case,
    send,
    told,
)

REFUSAL = {"reason_code": "no_capacity", "next_step": "try_later"}


async def _cases(centre: Centre, slug: str) -> int:
    query = select(func.count()).select_from(case_file).where(case_file.c.org_id == centre.org(slug))
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def _parts(centre: Centre) -> int:
    query = select(func.count()).select_from(handoff_part)
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def _sent(centre: Centre, *groups: str, **more: Any) -> tuple[Client, str, str, str]:
    """AVEC's social worker sends: (client, her case, the handoff, the consent)."""
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, *(group for group in groups if group != "identity"))
    handoff_id, given = await hand_over(social, case, *groups, **more)
    return social, case, handoff_id, given


async def _state(client: Client, box: str, handoff_id: str) -> dict[str, Any]:
    items = (await client.get(f"/handoffs?box={box}"))["items"]
    return next(item for item in items if item["id"] == handoff_id)


async def test_another_organisation_than_the_receiver_finds_nothing(centre: Centre) -> None:
    _, _, handoff_id, given = await _sent(centre, "identity", "legal")
    stranger = await centre.sign_in("planning.supervisor")
    for below, body in (("acceptance", {}), ("refusal", REFUSAL), ("outcome", {"state": "attended"})):
        path = f"/handoffs/{handoff_id}/{below}"
        await stranger.refused("POST", path, 404, "not_found", json=body)
        absent = await stranger.request("POST", f"/handoffs/{uuid4()}/{below}", json=body)
        assert absent.content == (await stranger.request("POST", path, json=body)).content
    for below in ("sending", "cancellation"):
        await stranger.refused("POST", f"/handoffs/{handoff_id}/{below}", 404, "not_found")
    withdrawal = f"/consents/{given}/withdrawal"
    await stranger.refused("POST", withdrawal, 404, "not_found", json={"means": "oral"})
    assert (await stranger.get("/handoffs?box=received"))["items"] == []
    assert await _cases(centre, "planning") == 0
    assert (await denials(centre, "planning", "handoff.accept"))[0]["entry"]["reason"] == "not_found"
    assert not [item for item in await centre.journal("cidff") if item["outcome"] == "denied"]
    await accept(await centre.sign_in("cidff.jurist"), handoff_id)


async def test_rows_copied_to_another_organisation_are_not_accepted_there(centre: Centre) -> None:
    """With an envelope sealed to its own key, as whoever can write rows could make one."""
    _, _, handoff_id, _ = await _sent(centre, "identity")
    planning, cidff = centre.org("planning"), centre.org("cidff")

    def copy(connection: Any) -> None:
        drop = centre.directory(connection, "planning").compartments["intake"].drop
        place = Column.HANDOFF_ENVELOPE.place(planning, UUID(handoff_id), 1)
        header = {"service": "", "purpose": "support", "groups": ["identity"]}
        forged = Sealed(seal_to_drop(drop, place, json.dumps(header).encode()))
        for table in (handoff_side, handoff_part):
            rows = connection.execute(select(table).where(table.c.org_id == cidff)).all()
            assert rows
            changed = {"org_id": planning} | ({"envelope": forged} if table is handoff_side else {})
            connection.execute(insert(table), [{**row._mapping, **changed} for row in rows])

    await centre.dba(copy)
    stranger = await centre.sign_in("planning.supervisor")
    await stranger.refused("POST", f"/handoffs/{handoff_id}/acceptance", 409, "wrong_state", json={})
    await stranger.refused("POST", f"/handoffs/{handoff_id}/refusal", 409, "wrong_state", json=REFUSAL)
    assert await _cases(centre, "planning") == 0
    await accept(await centre.sign_in("cidff.jurist"), handoff_id)


async def test_the_sender_accepts_nothing_of_her_own(centre: Centre) -> None:
    social, _, handoff_id, _ = await _sent(centre, "identity")
    for below, body in (("acceptance", {}), ("refusal", REFUSAL), ("outcome", {"state": "attended"})):
        await social.refused("POST", f"/handoffs/{handoff_id}/{below}", 404, "not_found", json=body)
    assert await _cases(centre, "avec") == 1


@pytest.mark.parametrize(
    ("login", "status"),
    [("cidff.social", 404), ("cidff.reception", 404), ("cidff.auditor", 404)],
)
async def test_who_may_not_take_on_a_handoff_finds_none(centre: Centre, login: str, status: int) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity")
    member = await centre.sign_in(login)
    await member.refused("POST", f"/handoffs/{handoff_id}/acceptance", status, "not_found", json={})
    assert (await member.get("/handoffs?box=received"))["items"] == []
    assert await _cases(centre, "cidff") == 0
    denied, *_ = await denials(centre, "cidff", "handoff.accept")
    assert denied["entry"]["actor"] == str(centre.member(login))
    await accept(await centre.sign_in("cidff.jurist"), handoff_id)


async def test_an_envelope_shows_no_content_before_acceptance(centre: Centre) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity", "legal")
    jurist = await centre.sign_in("cidff.jurist")
    envelope = await _state(jurist, "received", handoff_id)
    assert set(envelope) == {
        "id",
        "state",
        "from",
        "to",
        "kind",
        "urgency",
        "sent_at",
        "due_at",
        "service",
        "groups",
    }
    assert (envelope["from"], envelope["to"], envelope["groups"]) == ("avec", "cidff", ["identity", "legal"])
    answer = await jurist.request("GET", f"/handoffs/{handoff_id}/preview")
    assert answer.status_code == 409
    assert CANARY not in answer.text


async def test_an_expired_or_withdrawn_consent_cannot_be_accepted(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    await agree(social, drafted, expires_at=(centre.clock.now() + timedelta(minutes=3)).isoformat())
    expiring = await send(social, drafted)
    withdrawn, given = await hand_over(social, case, "identity")
    answer = await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert done(answer) == {"effects": ["unopened_parts_destroyed", "receiver_told"]}
    centre.clock.offset += timedelta(minutes=4)
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.refused("POST", f"/handoffs/{expiring}/acceptance", 409, "consent_not_live", json={})
    await jurist.refused("POST", f"/handoffs/{withdrawn}/acceptance", 409, "wrong_state", json={})
    assert await _cases(centre, "cidff") == 0
    query = select(func.count()).select_from(handoff_part).where(handoff_part.c.handoff_id == UUID(withdrawn))
    assert await centre.dba(lambda connection: connection.execute(query).scalar_one()) == 0
    denied = await denials(centre, "cidff", "handoff.accept")
    assert [item["entry"]["reason"] for item in denied] == ["wrong_state", "consent_not_live"]
    ours = entries_of(await centre.journal("avec"), "handoff.withdraw")
    theirs = entries_of(await centre.journal("cidff"), "handoff.withdrawn")
    assert [item["id"] for item in ours] == [item["id"] for item in theirs]
    social = await centre.sign_in("avec.social", step_up=True)
    again, _ = await hand_over(social, case, "identity")
    await accept(jurist, again)


async def test_a_handoff_is_accepted_once(centre: Centre) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity")
    jurist, supervisor = await centre.sign_in("cidff.jurist"), await centre.sign_in("cidff.supervisor")
    case = await accept(jurist, handoff_id)
    for again in (jurist, supervisor):
        await again.refused("POST", f"/handoffs/{handoff_id}/acceptance", 409, "wrong_state", json={})
    assert await _cases(centre, "cidff") == 1
    assert (await jurist.get(f"/cases/{case}"))["groups"]["identity"] == content("identity")
    denied = await denials(centre, "cidff", "handoff.accept")
    assert {item["entry"]["reason"] for item in denied} == {"wrong_state"}
    assert {item["entry"]["actor"] for item in denied} == {
        str(centre.member(login)) for login in ("cidff.jurist", "cidff.supervisor")
    }


async def test_of_several_acceptances_at_once_exactly_one_wins(centre: Centre) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity")
    clients = [
        await centre.sign_in(login)
        for login in ("cidff.jurist", "cidff.supervisor", "cidff.jurist", "cidff.supervisor")
    ]
    path = f"/handoffs/{handoff_id}/acceptance"
    answers = await asyncio.gather(*(client.request("POST", path, json={}) for client in clients))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"wrong_state"}
    assert await _cases(centre, "cidff") == 1
    items = await centre.journal("cidff")
    assert len(entries_of(items, "handoff.accept", "allowed")) == 1
    assert len(entries_of(items, "handoff.accept", "denied")) == 3
    assert len(entries_of(await centre.journal("avec"), "handoff.accepted")) == 1


async def test_a_cancellation_and_an_acceptance_at_once_do_not_both_win(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    jurist = await centre.sign_in("cidff.jurist")
    case = await open_case(social)
    for _ in range(4):
        handoff_id, _ = await hand_over(social, case, "identity")
        before = await _cases(centre, "cidff")
        cancelled, accepted = await asyncio.gather(
            social.request("POST", f"/handoffs/{handoff_id}/cancellation"),
            jurist.request("POST", f"/handoffs/{handoff_id}/acceptance", json={}),
        )
        assert sorted((cancelled.status_code, accepted.status_code)) == [200, 409]
        won = accepted.status_code == 200
        assert await _cases(centre, "cidff") == before + won
        state = "accepted" if won else "cancelled"
        assert (await _state(social, "sent", handoff_id))["state"] == state
        assert (await _state(jurist, "received", handoff_id))["state"] == state


async def test_a_withdrawal_and_the_acceptance_of_a_transfer_at_once_both_end(centre: Centre) -> None:
    """Both want the handoff and the sender's case: taken in one order, neither waits for the other for ever."""
    social = await centre.sign_in("avec.social", step_up=True)
    jurist = await centre.sign_in("cidff.jurist")
    for _ in range(4):
        case = await open_case(social)
        handoff_id, given = await hand_over(social, case, "identity", kind="transfer")
        withdrawn, accepted = await asyncio.gather(
            social.request("POST", f"/consents/{given}/withdrawal", json={"means": "oral"}),
            jurist.request("POST", f"/handoffs/{handoff_id}/acceptance", json={}),
        )
        assert withdrawn.status_code == 200
        assert accepted.status_code in {200, 409}
        assert (await _state(social, "sent", handoff_id))["state"] == "withdrawn"


async def test_two_holders_who_open_at_once_both_read_and_one_takes_in(centre: Centre) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity", "legal")
    supervisor = await centre.sign_in("cidff.supervisor")
    case = await accept(supervisor, handoff_id, "cidff.jurist", "cidff.supervisor")
    clients = [await centre.sign_in("cidff.jurist"), await centre.sign_in("cidff.supervisor")]
    seen = await asyncio.gather(*(client.get(f"/cases/{case}") for client in clients for _ in range(2)))
    assert [opened["groups"]["legal"] for opened in seen] == [content("legal")] * 4
    items = await centre.journal("cidff", action="handoff.open")
    assert {item["outcome"] for item in items} == {"allowed"}
    # Every part is opened once, whether it was chosen or is empty.
    groups = [group for item in items for group in item["detail"]["groups"]]
    assert len(groups) == len(set(groups)) == 7


async def test_a_cancelled_handoff_leaves_nothing_with_the_receiver(centre: Centre) -> None:
    social, _, handoff_id, _ = await _sent(centre, "identity")
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.refused("POST", f"/handoffs/{handoff_id}/cancellation", 403, "forbidden")
    await social.post(f"/handoffs/{handoff_id}/cancellation", expect=200)
    assert await _parts(centre) == 0
    await jurist.refused("POST", f"/handoffs/{handoff_id}/acceptance", 409, "wrong_state", json={})
    assert await _cases(centre, "cidff") == 0


async def test_a_refusal_reaches_the_sender_as_a_code_and_destroys_the_parts(centre: Centre) -> None:
    social, _, handoff_id, _ = await _sent(centre, "identity")
    jurist = await centre.sign_in("cidff.jurist")
    wrong = REFUSAL | {"reason_code": f"{CANARY} she is known here"}
    await jurist.refused("POST", f"/handoffs/{handoff_id}/refusal", 422, "bad_input", json=wrong)
    assert await _parts(centre) > 0
    await jurist.post(f"/handoffs/{handoff_id}/refusal", REFUSAL, expect=200)
    envelope = await _state(social, "sent", handoff_id)
    assert (envelope["state"], envelope["reply"]) == ("declined", REFUSAL)
    assert await _parts(centre) == 0
    reception = await centre.sign_in("avec.reception")
    assert (await reception.get("/handoffs?box=sent"))["items"] == []
    declined, told_of = (
        entries_of(await centre.journal("cidff"), "handoff.decline"),
        entries_of(await centre.journal("avec"), "handoff.declined"),
    )
    assert [item["id"] for item in declined] == [item["id"] for item in told_of]
    assert (told_of[0]["entry"]["actor"], told_of[0]["detail"]) == (None, None)
    rows = await centre.dba(lambda connection: connection.execute(select(handoff_side.c.reply)).all())
    assert not any(b"no_capacity" in row.reply.blob for row in rows)


async def test_nobody_unknown_is_assigned_by_an_acceptance(centre: Centre) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity")
    jurist = await centre.sign_in("cidff.jurist")
    wrong: list[tuple[list[str], str]] = [
        ([], "nobody_assigned"),
        ([str(uuid4())], "unknown_member"),
        ([str(centre.member("avec.social"))], "unknown_member"),
    ]
    for members, code in wrong:
        problem = await jurist.refused(
            "POST", f"/handoffs/{handoff_id}/acceptance", 422, "bad_input", json={"members": members}
        )
        assert problem["errors"] == [{"field": "members", "code": code}]
    assert await _cases(centre, "cidff") == 0
    await accept(jurist, handoff_id)


async def test_acceptance_needs_no_key_and_gives_none(centre: Centre) -> None:
    """A supervisor who holds no health key takes responsibility; the psychologist whom she names opens."""
    health = await centre.sign_in("planning.health", step_up=True)
    case = await open_case(health, "health")
    chosen = await note(health, case, "ivg_pre", "health")
    handoff_id, _ = await hand_over(health, case, "identity", "health", to="avec", follow_ups=[chosen])
    supervisor = await centre.sign_in("avec.supervisor")
    received = await accept(supervisor, handoff_id, "avec.psychologist")
    for path in (f"/cases/{received}", f"/cases/{received}/follow-ups", "/cases"):
        answer = await supervisor.request("GET", path, 200)
        assert told("health") not in answer.text
        assert "ivg" not in answer.text
    assert await _parts(centre) == 8
    psychologist = await centre.sign_in("avec.psychologist")
    opened = await psychologist.get(f"/cases/{received}")
    assert opened["groups"]["health"] == content("health")
    timeline = (await psychologist.get(f"/cases/{received}/follow-ups"))["items"]
    assert [(item["type"], item["content"]) for item in timeline] == [("ivg_pre", {"health": told("health")})]
    # Legal is for nobody assigned here: its part waits, the others are taken in.
    assert await _parts(centre) == 1
    answer = await supervisor.request("GET", f"/cases/{received}", 200)
    assert told("health") not in answer.text
    opens = await centre.journal("avec", action="handoff.open")
    assert {item["entry"]["actor"] for item in opens} == {str(centre.member("avec.psychologist"))}


async def test_nobody_writes_over_what_was_not_opened_yet(centre: Centre) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity", "legal")
    supervisor, jurist = await centre.sign_in("cidff.supervisor"), await centre.sign_in("cidff.jurist")
    received = await accept(supervisor, handoff_id, "cidff.jurist")
    reception = await centre.sign_in("cidff.reception")
    path = f"/cases/{received}/groups/identity"
    more: dict[str, Any] = {"json": {"name_in_use": "x"}, "headers": {"if-match": '"0"'}}
    await reception.refused("PATCH", path, 409, "arrival_unopened", **more)
    assert (await denials(centre, "cidff", "case.record.identity"))[0]["entry"][
        "reason"
    ] == "arrival_unopened"
    opened = await jurist.get(f"/cases/{received}")
    assert opened["groups"]["identity"] == content("identity")
    await reception.patch(path, {"name_in_use": "x"}, opened["versions"]["identity"])


async def test_nobody_corrects_in_a_group_that_was_not_opened_yet(centre: Centre) -> None:
    """The part may bring that very follow-up's first text: it would be hidden unread under the correction."""
    _, _, handoff_id, _ = await _sent(centre, "identity", "legal")
    supervisor, jurist = await centre.sign_in("cidff.supervisor"), await centre.sign_in("cidff.jurist")
    received = await accept(supervisor, handoff_id, "cidff.jurist")
    reception = await centre.sign_in("cidff.reception")
    noted = await note(reception, received, "accueil", "intake")
    path, headers = f"/follow-ups/{noted}/corrections", {"if-match": '"1"'}
    correction = {"reason": "Une faute.", "content": {"intake": "x"}}
    await reception.refused("POST", path, 409, "arrival_unopened", json=correction, headers=dict(headers))
    assert (await denials(centre, "cidff", "case.amend.intake"))[0]["entry"]["reason"] == "arrival_unopened"
    await jurist.get(f"/cases/{received}")
    corrected = await reception.post(path, correction, headers=headers)
    assert corrected["version"] == 2


async def test_a_transfer_closes_the_senders_case_and_an_orientation_does_not(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    jurist = await centre.sign_in("cidff.jurist")
    for kind, status in (("orientation", "open"), ("transfer", "closed")):
        case = await open_case(social)
        handoff_id, _ = await hand_over(social, case, "identity", kind=kind)
        assert (await social.get(f"/cases/{case}"))["status"] == "open"
        await accept(jurist, handoff_id)
        assert (await social.get(f"/cases/{case}"))["status"] == status


async def test_the_sender_learns_nothing_of_the_receivers_case(centre: Centre) -> None:
    social, case, handoff_id, _ = await _sent(centre, "identity", "legal")
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, handoff_id)
    await jurist.get(f"/cases/{received}")
    seen = str(await social.get("/handoffs?box=sent")) + str(await social.get(f"/cases/{case}"))
    seen += str(await centre.journal("avec"))
    assert received not in seen
    assert str(centre.member("cidff.jurist")) not in seen
    sides = select(handoff_side).where(handoff_side.c.org_id == centre.org("avec"))
    row = await centre.dba(lambda connection: connection.execute(sides).one())
    assert row.case_sealed is None
    rows = await centre.dba(lambda connection: connection.execute(select(handoff_side)).all())
    assert not any(value == UUID(received) for found in rows for value in found)
    await social.refused("GET", f"/cases/{received}", 404, "not_found")
    accepted, told_of = (
        entries_of(await centre.journal("cidff"), "handoff.accept"),
        entries_of(await centre.journal("avec"), "handoff.accepted"),
    )
    assert [item["id"] for item in accepted] == [item["id"] for item in told_of]
    assert (told_of[0]["entry"]["actor"], told_of[0]["entry"]["subjects"]) == (None, [])
    assert received not in str(accepted[0]["entry"])


async def test_a_replayed_acceptance_is_the_same_case(centre: Centre) -> None:
    _, _, handoff_id, _ = await _sent(centre, "identity")
    jurist = await centre.sign_in("cidff.jurist")
    path, headers = f"/handoffs/{handoff_id}/acceptance", {"idempotency-key": "a1"}
    first = await jurist.post(path, {}, expect=200, headers=headers)
    again = await jurist.post(path, {}, expect=200, headers=headers)
    assert again["case_id"] == first["case_id"]
    assert await _cases(centre, "cidff") == 1
