"""Follow-ups: written under their groups, read as far as the keys go, never half and never twice."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from casework.cases.tables import case_file
from casework.follow_ups.tables import follow_up, follow_up_frame
from casework.identity.tables import idempotency
from crypto.drop import is_drop_envelope
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import denials, new_case, note, open_case, told
from tests.casework.story import follow_up as told_follow_up


async def _rows(centre: Centre, case: str) -> list[tuple[UUID, list[str]]]:
    """Each stored follow-up of a case with the groups that hold a frame."""
    heads = select(follow_up.c.id).where(follow_up.c.case_id == UUID(case)).order_by(follow_up.c.id)
    frames = select(follow_up_frame.c.follow_up_id, follow_up_frame.c.compartment)

    def read(connection: Any) -> list[tuple[UUID, list[str]]]:
        found = connection.execute(frames).all()
        return [
            (head, sorted(group for owner, group in found if owner == head))
            for head in connection.execute(heads).scalars().all()
        ]

    return await centre.dba(read)


async def _version(centre: Centre, case: str) -> int:
    query = select(case_file.c.version).where(case_file.c.id == UUID(case))
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def _timeline(client: Client, case: str) -> list[dict[str, Any]]:
    return list((await client.get(f"/cases/{case}/follow-ups"))["items"])


async def test_a_text_in_a_group_she_may_not_record_leaves_nothing_half_written(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    version = await _version(centre, case)
    body = told_follow_up("accompagnement_social", "social", "health")
    await social.refused("POST", f"/cases/{case}/follow-ups", 403, "forbidden", json=body)
    assert await _rows(centre, case) == []
    assert await _version(centre, case) == version
    recorded = await note(social, case, "accompagnement_social", "social")
    assert await _rows(centre, case) == [(UUID(recorded), ["social"])]
    denied, *_ = await denials(centre, "avec", "case.record.health")
    assert denied["detail"] == {"tried": {"case": case}}


async def test_a_type_is_sealed_under_its_group_and_needs_the_right_to_record_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    body = told_follow_up("suivi_psychologique", "social")
    await social.refused("POST", f"/cases/{case}/follow-ups", 403, "forbidden", json=body)
    assert await _rows(centre, case) == []
    await note(social, case, "evvi", "social")
    assert [groups for _, groups in await _rows(centre, case)] == [["safety", "social"]]
    assert (await denials(centre, "avec", "case.record.health"))[0]["entry"]["reason"] == "policy"


async def test_reception_sees_that_something_was_noted_and_not_of_what_kind(centre: Centre) -> None:
    health = await centre.sign_in("planning.health")
    case = await open_case(health, "health")
    body = told_follow_up("ivg_pre", "intake", action=f"{CANARY} action", next_step=f"{CANARY} step")
    recorded = await health.post(f"/cases/{case}/follow-ups", body)
    reception = await centre.sign_in("planning.reception")
    answer = await reception.request("GET", f"/cases/{case}/follow-ups", 200)
    item = answer.json()["items"][0]
    assert (item["id"], item["content"]) == (recorded["id"], {"intake": told("intake")})
    assert not {"type", "channel", "duration_minutes", "action", "next_step"} & set(item)
    assert "ivg" not in answer.text
    assert set(item["withheld"]) == {"contact", "safety", "social", "legal", "health", "family"}
    seen = (await _timeline(health, case))[0]
    assert (seen["type"], seen["action"]) == ("ivg_pre", f"{CANARY} action")


async def test_what_is_withheld_is_the_same_list_whether_it_holds_something_or_not(centre: Centre) -> None:
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    case = await open_case(social)
    await note(social, case, "accueil", "intake")
    await note(social, case, "evvi", "intake", "social", "legal")
    empty, full = [
        {name: item[name] for name in item if name in {"withheld", "content"}}
        for item in await _timeline(reception, case)
    ]
    assert empty == full


async def test_reception_notes_a_danger_in_a_follow_up_that_the_social_worker_reads(centre: Centre) -> None:
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    case = await open_case(social)
    await note(reception, case, "accueil", "intake", "safety")

    async def safety_frame() -> bytes:
        query = select(follow_up_frame.c.frame).where(follow_up_frame.c.compartment == "safety")
        return await centre.dba(lambda connection: bytes(connection.execute(query).scalar_one().blob))

    assert is_drop_envelope(await safety_frame())
    assert (await _timeline(reception, case))[0]["content"] == {"intake": told("intake")}
    for _ in range(2):
        assert (await _timeline(social, case))[0]["content"] == {
            "intake": told("intake"),
            "safety": told("safety"),
        }
    assert not is_drop_envelope(await safety_frame())
    assert (await _timeline(reception, case))[0]["content"] == {"intake": told("intake")}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
        ({"occurred_at": "2026-11-20T10:00:00"}, "occurred_at"),
        ({"type": f"{CANARY}"}, "type"),
        ({"content": {}}, "content"),
        ({"content": {"social": "  "}}, "content"),
        ({"content": {CANARY: "x"}}, None),
        ({"channel": CANARY}, "channel"),
        ({"duration_minutes": -1}, "duration_minutes"),
        ({"content": {"social": "x" * 50_001}}, None),
    ],
)
async def test_a_follow_up_that_is_not_one_is_refused_without_an_echo(
    centre: Centre, change: dict[str, Any], field: str | None
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    body = told_follow_up("accompagnement_social", "social") | change
    problem = await social.refused("POST", f"/cases/{case}/follow-ups", 422, "bad_input", json=body)
    assert len(problem["errors"]) == 1
    if field is not None:
        assert problem["errors"][0]["field"] == field
    assert await _rows(centre, case) == []


async def test_now_is_not_the_future(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    later = (centre.clock.now() + timedelta(minutes=5)).isoformat()
    body = told_follow_up("accompagnement_social", "social") | {"occurred_at": later}
    await social.refused("POST", f"/cases/{case}/follow-ups", 422, "bad_input", json=body)
    centre.clock.offset += timedelta(minutes=6)
    await social.post(f"/cases/{case}/follow-ups", body)


TEXTS = [
    "é",
    "l’été d’Inès, « déjà »…",
    "👩🏽‍⚖️ مرحبا \u202e abc \u202c 中文 \t \\ \" ' \u2028",
    "e\u0301 is not é",
    "a" * 50_000,
    "€" * 50_000,
    "👩🏽‍⚖️" * 10_000,
]


async def test_a_text_comes_back_as_it_was_typed(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for text in TEXTS:
        case = await open_case(social)
        content = {"social": text, "legal": text}
        body = told_follow_up("accompagnement_social", "social") | {"content": content}
        await social.post(f"/cases/{case}/follow-ups", body)
        assert (await _timeline(social, case))[0]["content"] == content


async def test_pages_of_a_timeline_have_no_gap_and_no_double(centre: Centre) -> None:
    """Several at the very same moment included."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = [await note(social, case, "accompagnement_social", "social") for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = await social.get(f"/cases/{case}/follow-ups", params=query)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == sorted(recorded)
    beyond = ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "1801-01-01T00:00:00Z")
    for malformed in ("x", "2026-01-01~x", "~", *(f"{moment}~{uuid4()}" for moment in beyond)):
        path = f"/cases/{case}/follow-ups?cursor={malformed}"
        await social.refused("GET", path, 422, "bad_input")


def _keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


async def test_the_same_save_twice_is_one_follow_up_and_two_entries(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    path, body = f"/cases/{case}/follow-ups", told_follow_up("accompagnement_social", "social")
    first = await social.post(path, body, headers=_keyed("a1"))
    again = await social.post(path, body, headers=_keyed("a1"))
    assert again == first
    assert await _rows(centre, case) == [(UUID(first["id"]), ["social"])]
    other = await social.post(path, body, headers=_keyed("a2"))
    assert other["id"] != first["id"]
    items = await centre.journal("avec", case=case)
    assert [item["action"] for item in reversed(items)] == [
        "case.create",
        "follow_up.create",
        "follow_up.list",
        "follow_up.create",
    ]


async def test_a_key_used_with_another_body_or_another_case_is_refused(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social), await open_case(social)
    body = told_follow_up("accompagnement_social", "social")
    await social.post(f"/cases/{case}/follow-ups", body, headers=_keyed("a1"))
    changed = body | {"duration_minutes": 46}
    for path, sent in ((case, changed), (other, body)):
        problem = await social.refused(
            "POST", f"/cases/{path}/follow-ups", 422, "bad_input", json=sent, headers=_keyed("a1")
        )
        assert problem["errors"] == [{"field": "Idempotency-Key", "code": "used_with_another_body"}]
    assert len(await _rows(centre, case)) == 1
    assert await _rows(centre, other) == []


async def test_another_members_key_is_another_key(centre: Centre) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    body = new_case()
    first = await social.post("/cases", body, headers=_keyed("a1"))
    second = await psychologist.post("/cases", body, headers=_keyed("a1"))
    assert first["id"] != second["id"]
    assert await social.post("/cases", body, headers=_keyed("a1")) == first
    await psychologist.refused("GET", f"/cases/{first['id']}", 404, "not_found")


async def test_a_replay_is_decided_anew(centre: Centre) -> None:
    """Who may no longer know of the case is not told what her save had answered."""
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    path, body = f"/cases/{case}/follow-ups", told_follow_up("accompagnement_social", "social")
    await social.post(path, body, headers=_keyed("a1"))
    members = {"members": [str(centre.member("avec.psychologist"))]}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=members)
    await social.refused("POST", path, 404, "not_found", json=body, headers=_keyed("a1"))
    assert len(await _rows(centre, case)) == 1


async def test_a_refused_save_does_not_use_up_its_key(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    path, body = f"/cases/{case}/follow-ups", told_follow_up("accompagnement_social", "social", "health")
    await social.refused("POST", path, 403, "forbidden", json=body, headers=_keyed("a1"))
    body = told_follow_up("accompagnement_social", "social")
    await social.post(path, body, headers=_keyed("a1"))
    assert len(await _rows(centre, case)) == 1


async def test_a_key_is_forgotten_after_a_day(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    first = await social.post("/cases", new_case(), headers=_keyed("a1"))
    centre.clock.offset += timedelta(hours=24, minutes=1)
    social = await centre.sign_in("avec.social")
    later = await social.post("/cases", new_case(), headers=_keyed("a1"))
    assert later["id"] != first["id"]


async def test_neither_a_key_nor_its_body_is_kept(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await social.post("/cases", new_case("social"), headers=_keyed(f"{CANARY}-key"))
    rows = await centre.dba(lambda connection: connection.execute(select(idempotency)).all())
    assert len(rows) == 1
    assert CANARY not in str(rows)
    for key in ("", "é", "a b", "x" * 101):
        headers = {"idempotency-key": key.encode()}
        answer = await social.request("POST", "/cases", json=new_case(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_input")


async def test_two_saves_at_once_with_one_key_are_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    path, body = f"/cases/{case}/follow-ups", told_follow_up("accompagnement_social", "social")
    answers = await asyncio.gather(*(social.post(path, body, headers=_keyed("a1")) for _ in range(4)))
    assert len({answer["id"] for answer in answers}) == 1
    assert len(await _rows(centre, case)) == 1


async def test_an_absent_case_takes_no_follow_up(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    path, body = f"/cases/{uuid4()}/follow-ups", told_follow_up("accompagnement_social", "social")
    await social.refused("POST", path, 404, "not_found", json=body, headers=_keyed("a1"))
    assert (await denials(centre, "avec", "case.open"))[0]["entry"]["reason"] == "not_found"
