"""Drafts: kept by version, hers alone, gone with the case; every save, opening and deletion is journaled."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, select, text, update

from casework.cases.tables import assignment, case_file
from casework.drafts import service
from casework.drafts.tables import draft
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import denials, entries_of, open_case

NOTE = {"type": "accompagnement_social", "social": f"{CANARY} à reprendre"}


async def save(
    client: Client, draft_id: str, case: str, content: Any, version: int | None = None
) -> httpx.Response:
    condition = {"if-none-match": "*"} if version is None else {"if-match": f'"{version}"'}
    body = {"case_id": case, "content": content}
    return await client.request("PUT", f"/drafts/{draft_id}", json=body, headers=condition)


async def kept(client: Client, case: str) -> str:
    draft_id = str(uuid4())
    answer = await save(client, draft_id, case, NOTE)
    assert answer.status_code == 200, answer.text
    return draft_id


async def test_a_draft_is_kept_version_by_version_and_deleted(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case, draft_id = await open_case(social), str(uuid4())
    first = (await save(social, draft_id, case, {})).json()
    assert (first["id"], first["version"]) == (draft_id, 1)
    second = (await save(social, draft_id, case, NOTE, 1)).json()
    assert second["version"] == 2
    seen = await social.get(f"/drafts/{draft_id}")
    assert seen == {
        "id": draft_id,
        "case_id": case,
        "version": 2,
        "saved_at": second["saved_at"],
        "content": NOTE,
    }
    other = await kept(social, case)
    listed = (await social.get("/drafts", params={"case_id": case}))["items"]
    assert [item["id"] for item in listed] == [other, draft_id]
    assert set(listed[0]) == {"id", "version", "saved_at"}

    await social.request("DELETE", f"/drafts/{draft_id}", 204)
    await social.refused("GET", f"/drafts/{draft_id}", 404, "not_found")
    await social.refused("DELETE", f"/drafts/{draft_id}", 404, "not_found")
    items = [item["entry"] for item in await centre.journal("avec")]
    done = [entry for entry in reversed(items) if entry["action"].startswith("draft.")]
    assert [(entry["action"], entry["outcome"]) for entry in done] == [
        ("draft.save", "allowed"),
        ("draft.save", "allowed"),
        ("draft.open", "allowed"),
        ("draft.save", "allowed"),
        ("draft.list", "allowed"),
        ("draft.delete", "allowed"),
        ("draft.open", "denied"),
        ("draft.open", "denied"),
    ]
    (created,) = [entry for entry in items if entry["action"] == "case.create"]
    persons = {subject["p"] for entry in done[:6] for subject in entry["subjects"]}
    assert persons == {created["subjects"][0]["p"]}
    assert [entry["subjects"][0]["rows"][0]["v"] for entry in done[:3]] == [1, 2, 2]


async def test_of_two_tabs_the_later_sees_both_versions_and_overwrites_nothing(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    draft_id = await kept(social, case)
    mine = {"social": f"{CANARY} autre onglet"}
    for version in (None, 2, 9):
        answer = await save(social, draft_id, case, mine, version)
        assert answer.status_code == 412
        body = answer.json()
        assert body["code"] == "version_changed"
        assert body["current"] == {"version": 1, "content": NOTE}
        assert body["yours"] == mine
    assert (await social.get(f"/drafts/{draft_id}"))["content"] == NOTE
    opened = entries_of(await centre.journal("avec", action="draft.open"), "draft.open", "allowed")
    assert len(opened) == 4


async def test_of_two_beginnings_at_once_one_is_kept_and_the_other_sees_both(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case, draft_id = await open_case(social), str(uuid4())
    typed = [{"social": f"{CANARY} {number}"} for number in range(4)]
    answers = await asyncio.gather(*(save(social, draft_id, case, content) for content in typed))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    won = next(at for at, answer in enumerate(answers) if answer.status_code == 200)
    assert (await social.get(f"/drafts/{draft_id}"))["content"] == typed[won]
    for content, answer in zip(typed, answers, strict=True):
        if answer.status_code == 412:
            shown = answer.json()["current"], answer.json()["yours"]
            assert shown == ({"version": 1, "content": typed[won]}, content)


async def test_anothers_draft_answers_and_is_journaled_as_an_absent_one(centre: Centre) -> None:
    """A colleague of the same team, a supervisor and another organisation: each has a case and drafts of hers."""
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("cidff.jurist")
    supervisor = await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    hers = await kept(social, case)
    foreign = await kept(jurist, await open_case(jurist))
    own_case = await open_case(supervisor)
    assert (await supervisor.get(f"/cases/{case}"))["id"] == case
    absent = str(uuid4())
    answers = []
    for draft_id in (absent, hers, foreign):
        for method in ("GET", "DELETE"):
            await supervisor.refused(method, f"/drafts/{draft_id}", 404, "not_found")
        answers.append(await supervisor.request("GET", f"/drafts/{draft_id}"))
        answers.append(await save(supervisor, draft_id, own_case, NOTE, 1))
    assert len({answer.content for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {404}
    # Nor is one begun over another member's.
    assert (await save(supervisor, hers, own_case, NOTE)).status_code == 404
    assert (await supervisor.get("/drafts", params={"case_id": case}))["items"] == []
    assert (await social.get(f"/drafts/{hers}"))["version"] == 1
    assert (await jurist.get(f"/drafts/{foreign}"))["version"] == 1

    denied = await denials(centre, "avec", "draft.open")
    assert [item["detail"]["tried"]["draft"] for item in reversed(denied)] == [
        *([absent] * 4),
        *([hers] * 4),
        *([foreign] * 4),
        hers,
    ]
    assert {item["entry"]["reason"] for item in denied} == {"not_found"}
    assert not await denials(centre, "cidff", "draft.open")


async def test_a_draft_about_a_case_that_is_not_hers_to_know_of_is_refused_as_an_absent_case(
    centre: Centre,
) -> None:
    psychologist, social = await centre.sign_in("avec.psychologist"), await centre.sign_in("avec.social")
    forbidden, foreign = await open_case(social), await open_case(await centre.sign_in("cidff.jurist"))
    await open_case(psychologist)
    answers = []
    for case in (str(uuid4()), forbidden, foreign):
        answers.append(await save(psychologist, str(uuid4()), case, NOTE))
        answers.append(await psychologist.request("GET", f"/drafts?case_id={case}"))
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert len(await denials(centre, "avec", "case.open")) == 6


async def test_whoever_records_in_no_group_keeps_no_draft(centre: Centre) -> None:
    """Planning's coordination lists every case and writes in none; a closed case is written in by nobody."""
    health, supervisor = await centre.sign_in("planning.health"), await centre.sign_in("planning.supervisor")
    case = await open_case(health)
    body = {"json": {"case_id": case, "content": NOTE}, "headers": {"if-none-match": "*"}}
    await supervisor.refused("PUT", f"/drafts/{uuid4()}", 403, "forbidden", **body)
    draft_id = await kept(health, case)
    closing = update(case_file).where(case_file.c.id == UUID(case)).values(status="closed")
    await centre.dba(lambda connection: connection.execute(closing))
    refused = await health.refused("PUT", f"/drafts/{uuid4()}", 403, "forbidden", **body)
    assert refused["advice"] == ["reopen"]
    assert (await health.get(f"/drafts/{draft_id}"))["content"] == NOTE
    denied = await centre.journal("planning", outcome="denied")
    assert {item["entry"]["action"] for item in denied} == {"case.record.identity"}


async def test_a_draft_of_a_case_that_she_may_no_longer_list_is_not_shown(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    draft_id = await kept(social, case)
    left = delete(assignment).where(assignment.c.case_id == UUID(case))
    await centre.dba(lambda connection: connection.execute(left))
    for method in ("GET", "DELETE"):
        await social.refused(method, f"/drafts/{draft_id}", 404, "not_found")
    assert (await save(social, draft_id, case, NOTE, 1)).status_code == 404
    await social.refused("GET", f"/drafts?case_id={case}", 404, "not_found")
    again = {"members": [str(centre.member("avec.social"))]}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=again)
    assert (await social.get(f"/drafts/{draft_id}"))["content"] == NOTE


@pytest.mark.parametrize("moved", ["case_id", "member_id", "version", "id"])
async def test_a_draft_that_was_moved_in_the_database_does_not_open(centre: Centre, moved: str) -> None:
    """To another case, member, version or id of hers: what it was sealed for is not the database's to change."""
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case, other = await open_case(social), await open_case(social)
    draft_id, elsewhere = await kept(social, case), str(uuid4())
    value = {
        "case_id": UUID(other),
        "member_id": centre.member("avec.supervisor"),
        "version": 2,
        "id": UUID(elsewhere),
    }[moved]
    moving = update(draft).where(draft.c.id == UUID(draft_id)).values({moved: value})
    await centre.dba(lambda connection: connection.execute(moving))
    login, reader = ("avec.supervisor", supervisor) if moved == "member_id" else ("avec.social", social)
    path = f"/drafts/{elsewhere if moved == 'id' else draft_id}"
    await reader.refused("GET", path, 500, "sealed_data_damaged")
    (broken,) = await centre.journal("avec", action="seal.broken")
    assert broken["entry"]["actor"] == str(centre.member(login))


async def test_drafts_go_with_their_case_and_are_sealed_in_the_database(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    draft_id = await kept(social, case)
    (stored,) = await centre.dba(lambda c: c.execute(select(draft.c.sealed)).scalars().all())
    assert CANARY.encode() not in stored.blob
    gone = delete(case_file).where(case_file.c.id == UUID(case))
    await centre.dba(lambda connection: connection.execute(gone))
    await social.refused("GET", f"/drafts/{draft_id}", 404, "not_found")
    assert await centre.dba(lambda c: c.execute(text("SELECT count(*) FROM draft")).scalar_one()) == 0


async def test_a_draft_is_refused_where_its_form_is_wrong(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social), await open_case(social)
    path, begin = f"/drafts/{uuid4()}", {"if-none-match": "*"}

    async def refused(content: Any, headers: dict[str, str], field: str, code: str) -> None:
        body = {"case_id": case, "content": content}
        answer = await social.refused("PUT", path, 422, "bad_input", json=body, headers=headers)
        assert answer["errors"] == [{"field": field, "code": code}]

    await refused(NOTE, {}, "If-Match", "missing")
    await refused(NOTE, {**begin, "if-match": '"1"'}, "If-Match", "not_with_if_none_match")
    await refused(NOTE, {"if-match": '"x"'}, "If-Match", "not_a_version")
    await refused(NOTE, {"if-none-match": '"1"'}, "If-None-Match", "not_in_vocabulary")
    await refused([NOTE], begin, "content", "wrong_type")
    most = {"text": "x" * (64 * 1024 - len('{"text":""}'))}
    await refused({"text": most["text"] + "x"}, begin, "content", "too_large")
    draft_id = str(uuid4())
    assert (await save(social, draft_id, case, most)).status_code == 200
    moved = await save(social, draft_id, other, NOTE, 1)
    assert (moved.status_code, moved.json()["errors"]) == (
        422,
        [{"field": "case_id", "code": "another_case"}],
    )


async def test_one_draft_too_many_about_a_case_is_refused(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_DRAFTS", 2)
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social), await open_case(social)
    mine = [await kept(social, case) for _ in range(2)]
    refused = await save(social, str(uuid4()), case, NOTE)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "case_id", "code": "too_many_drafts"}]
    # What is there is saved on, and another case has its own; one that is deleted makes room.
    assert (await save(social, mine[0], case, NOTE, 1)).status_code == 200
    await kept(social, other)
    await social.request("DELETE", f"/drafts/{mine[1]}", 204)
    await kept(social, case)
    assert len((await social.get("/drafts", params={"case_id": case}))["items"]) == 2
