"""Corrections: a new version that says why, the old one still there, and nothing overwritten unseen."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from casework.cases.tables import case_file
from casework.follow_ups.tables import follow_up, follow_up_frame
from crypto.drop import is_drop_envelope
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.conflicting import enter_conflict
from tests.casework.story import agree, denials, draft, entries_of, note, open_case, told
from tests.casework.story import follow_up as told_follow_up

WHY = f"{CANARY} recopié de travers"


def correction(**content: str) -> dict[str, Any]:
    return {"reason": WHY, "content": content}


async def correct(client: Client, follow_up: str, version: int, body: Any, expect: int = 201) -> Any:
    headers = {"if-match": f'"{version}"'}
    return await client.post(f"/follow-ups/{follow_up}/corrections", body, expect, headers=headers)


async def _shown(client: Client, case: str) -> dict[str, Any]:
    (item,) = (await client.get(f"/cases/{case}/follow-ups"))["items"]
    return dict(item)


async def _frames(centre: Centre, recorded: str) -> dict[tuple[int, str], bytes]:
    query = select(follow_up_frame).where(follow_up_frame.c.follow_up_id == UUID(recorded))
    rows = await centre.dba(lambda connection: connection.execute(query).all())
    return {(row.version, row.compartment): row.frame.blob for row in rows}


async def _stored(centre: Centre) -> int:
    query = select(follow_up.c.id)
    return len(await centre.dba(lambda connection: connection.execute(query).all()))


async def test_a_correction_is_a_new_version_and_the_old_one_stays(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social", "legal")
    before = await _frames(centre, recorded)
    assert await correct(social, recorded, 1, correction(social="déposé")) == {"id": recorded, "version": 2}

    item = await _shown(supervisor, case)
    assert item["content"] == {"social": "déposé", "legal": told("legal")}
    assert (item["version"], item["type"], item["reason"]) == (2, "accompagnement_social", WHY)
    assert item["author"] == item["corrected_by"] == str(centre.member("avec.social"))
    # The frames of the first version are untouched, and no frame was copied.
    after = await _frames(centre, recorded)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {(2, "social")}

    versions = await supervisor.get(f"/follow-ups/{recorded}/versions")
    assert [(one["version"], one["content"]["social"]) for one in versions["items"]] == [
        (1, told("social")),
        (2, "déposé"),
    ]
    assert [one["content"]["legal"] for one in versions["items"]] == [told("legal")] * 2
    assert ["reason" in one for one in versions["items"]] == [False, True]
    assert versions["items"][1]["recorded_at"] == item["corrected_at"]


async def test_whoever_corrects_is_named_and_the_author_stays(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accueil", "intake")
    reception = await centre.sign_in("avec.reception")
    await correct(reception, recorded, 1, correction(intake="deux"))
    await correct(social, recorded, 2, correction(social="trois"))
    item = await _shown(reception, case)
    hers = str(centre.member("avec.social"))
    assert (item["author"], item["corrected_by"], item["content"]) == (hers, hers, {"intake": "deux"})
    versions = (await social.get(f"/follow-ups/{recorded}/versions"))["items"]
    assert [one["author"] for one in versions] == [hers, str(centre.member("avec.reception")), hers]
    assert versions[2]["content"] == {"intake": "deux", "social": "trois"}


async def test_who_may_not_read_the_corrected_group_learns_neither_text_nor_reason(centre: Centre) -> None:
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    case = await open_case(social)
    recorded = await note(social, case, "accueil", "intake", "social")
    await correct(social, recorded, 1, correction(social=f"{CANARY} deux"))
    item = await _shown(reception, case)
    assert (item["version"], item["content"]) == (2, {"intake": told("intake")})
    assert "reason" not in item
    answer = await reception.request("GET", f"/follow-ups/{recorded}/versions", 200)
    assert [one["content"] for one in answer.json()["items"]] == [{"intake": told("intake")}] * 2
    assert "deux" not in answer.text
    assert WHY not in answer.text
    assert "social" in answer.json()["withheld"]


async def test_a_text_in_the_wrong_group_is_taken_back_and_stays_in_its_version(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social", "legal")
    await correct(social, recorded, 1, correction(legal="  ", family="au bon endroit"))
    item = await _shown(social, case)
    assert item["content"] == {"social": told("social"), "family": "au bon endroit"}
    versions = (await social.get(f"/follow-ups/{recorded}/versions"))["items"]
    assert versions[0]["content"]["legal"] == told("legal")
    # Its type stays with the group that it is sealed under.
    await correct(social, recorded, 2, correction(social=""))
    item = await _shown(social, case)
    assert (item["type"], set(item["content"])) == ("accompagnement_social", {"family"})


async def test_a_group_she_may_not_correct_leaves_nothing_half_written(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accueil", "intake", "social")
    before = await _frames(centre, recorded)
    reception = await centre.sign_in("avec.reception")
    for client, group in ((social, "health"), (reception, "social")):
        body = correction(**{"intake": "deux", group: CANARY})
        path, headers = f"/follow-ups/{recorded}/corrections", {"if-match": '"1"'}
        await client.refused("POST", path, 403, "forbidden", json=body, headers=headers)
        denied, *others = await denials(centre, "avec", f"case.amend.{group}")
        assert (denied["detail"], others) == ({"tried": {"case": case}}, [])
    assert await _frames(centre, recorded) == before
    assert await _stored(centre) == 1
    await correct(reception, recorded, 1, correction(intake="deux"))


@pytest.mark.parametrize("reason", [None, "", "  \n"])
async def test_a_correction_without_a_reason_is_refused_with_the_advice(
    centre: Centre, reason: str | None
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    body = {"content": {"social": CANARY}} | ({} if reason is None else {"reason": reason})
    problem = await social.refused(
        "POST",
        f"/follow-ups/{recorded}/corrections",
        403,
        "forbidden",
        json=body,
        headers={"if-match": '"1"'},
    )
    assert problem["advice"] == ["reason"]
    denied, *_ = await denials(centre, "avec", "case.amend.social")
    assert denied["entry"]["basis"]["policies"] == ["base.reason"]
    assert (await _shown(social, case))["version"] == 1


async def test_a_closed_case_is_reopened_before_it_is_corrected(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    closing = update(case_file).where(case_file.c.id == UUID(case)).values(status="closed")
    await centre.dba(lambda connection: connection.execute(closing))
    problem = await social.refused(
        "POST",
        f"/follow-ups/{recorded}/corrections",
        403,
        "forbidden",
        json=correction(social=CANARY),
        headers={"if-match": '"1"'},
    )
    assert problem["advice"] == ["reopen"]
    assert (await _shown(social, case))["version"] == 1


async def test_absent_foreign_and_hidden_follow_ups_answer_and_are_journaled_alike(centre: Centre) -> None:
    """The asker has follow-ups of her own, and corrects them."""
    psychologist, social = await centre.sign_in("avec.psychologist"), await centre.sign_in("avec.social")
    own = await note(psychologist, await open_case(psychologist), "accompagnement_social", "social")
    hidden = await note(social, await open_case(social), "accompagnement_social", "social")
    jurist = await centre.sign_in("cidff.jurist")
    foreign = await note(jurist, await open_case(jurist), "acces_au_droit", "legal")
    conflicting_case = await open_case(psychologist)
    conflicting = await note(psychologist, conflicting_case, "accompagnement_social", "social")
    await enter_conflict(centre, conflicting_case, "avec.psychologist")
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "corrections", {"json": correction(social="x"), "headers": {"if-match": '"1"'}}),
        ("GET", "versions", {}),
    ]
    ids = [str(uuid4()), foreign, hidden, conflicting]
    bodies = set()
    for method, below, more in tries:
        for one in ids:
            path = f"/follow-ups/{one}/{below}"
            await psychologist.refused(method, path, 404, "not_found", **more)
            bodies.add((await psychologist.request(method, path, **more)).content)
    assert len(bodies) == 1
    denied = await denials(centre, "avec", "case.open")
    assert [item["detail"] for item in reversed(denied)] == [
        {"tried": {"follow_up": one}} for _ in tries for one in ids for _ in range(2)
    ]
    assert {(item["entry"]["reason"], item["entry"]["count"]) for item in denied} == {("not_found", None)}
    assert all(item["entry"]["subjects"] == [] for item in denied)
    assert not await denials(centre, "cidff", "case.open")
    await correct(psychologist, own, 1, correction(social="x"))


async def test_a_stale_version_shows_both_and_that_showing_is_journaled(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    await correct(social, recorded, 1, correction(social=f"{CANARY} deux"))
    mine = correction(social=f"{CANARY} trois")
    conflict = await correct(social, recorded, 1, mine, expect=412)
    assert conflict["code"] == "version_changed"
    assert (conflict["current"]["version"], conflict["current"]["content"]) == (
        2,
        {"social": f"{CANARY} deux"},
    )
    assert conflict["yours"] == mine
    assert (await _frames(centre, recorded)).keys() == {(1, "social"), (2, "social")}
    # What the refusal showed was shown, and stands in the journal.
    items = await centre.journal("avec", case=case)
    assert [item["action"] for item in reversed(items)] == [
        "case.create",
        "follow_up.create",
        "follow_up.correct",
        "follow_up.list",
    ]
    await correct(social, recorded, 2, mine)


async def test_a_stale_version_shows_nothing_to_who_may_not_read_the_group(centre: Centre) -> None:
    """Away from a managed device she may correct a contact and not read one."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social", "contact")
    await correct(social, recorded, 1, correction(contact=f"{CANARY} deux"))
    transport = httpx.ASGITransport(centre.app, client=("192.0.2.7", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
        away = Client(replace(centre, http=http), social.token)
        conflict = await correct(away, recorded, 1, correction(contact="trois"), expect=412)
        assert set(conflict) == {"type", "title", "status", "code"}
        await correct(away, recorded, 2, correction(contact="trois"))
        assert "contact" in (await _shown(away, case))["withheld"]
    assert (await _shown(social, case))["content"]["contact"] == "trois"


@pytest.mark.parametrize("if_match", [None, "", '"x"', "*", '"-1"'])
async def test_a_correction_without_a_version_is_a_clear_problem(
    centre: Centre, if_match: str | None
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    headers = {"if-match": if_match} if if_match is not None else {}
    problem = await social.refused(
        "POST",
        f"/follow-ups/{recorded}/corrections",
        422,
        "bad_input",
        json=correction(social=CANARY),
        headers=headers,
    )
    assert [error["field"] for error in problem["errors"]] == ["If-Match"]


@pytest.mark.parametrize(
    "body",
    [
        {"reason": WHY},
        {"reason": WHY, "content": {}},
        {"reason": WHY, "content": {CANARY: "x"}},
        {"reason": "x" * 2_001, "content": {"social": "x"}},
        {"reason": WHY, "content": {"social": "x" * 50_001}},
        {"reason": WHY, "content": {"social": "x"}, "type": "emploi"},
    ],
)
async def test_a_correction_that_is_not_one_is_refused_without_an_echo(centre: Centre, body: Any) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    headers = {"if-match": '"1"'}
    path = f"/follow-ups/{recorded}/corrections"
    await social.refused("POST", path, 422, "bad_input", json=body, headers=headers)
    assert await _stored(centre) == 1


async def test_of_corrections_at_once_one_is_made_and_the_others_see_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    headers, path = {"if-match": '"1"'}, f"/follow-ups/{recorded}/corrections"
    answers = await asyncio.gather(
        *(
            social.request("POST", path, json=correction(social=f"{number}"), headers=headers)
            for number in range(4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412]
    assert await _stored(centre) == 2


async def test_the_same_correction_twice_is_one_version(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    path, body = f"/follow-ups/{recorded}/corrections", correction(social="deux")
    headers = {"if-match": '"1"', "idempotency-key": "k1"}
    first = await social.post(path, body, headers=headers)
    assert await social.post(path, body, headers=headers) == first == {"id": recorded, "version": 2}
    # The version it starts from is part of what was asked for.
    other = headers | {"if-match": '"2"'}
    await social.refused("POST", path, 422, "bad_input", json=body, headers=other)
    assert await _stored(centre) == 2


async def test_a_stale_correction_does_not_use_up_its_key(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    await correct(social, recorded, 1, correction(social="deux"))
    path, body = f"/follow-ups/{recorded}/corrections", correction(social="trois")
    stale = {"if-match": '"1"', "idempotency-key": "k1"}
    for _ in range(2):
        await social.post(path, body, 412, headers=stale)
    await social.post(path, body, headers=stale | {"if-match": '"2"'})
    assert (await _shown(social, case))["content"] == {"social": "trois"}


async def test_the_reason_is_sealed_to_the_auditor_and_to_readers_alone(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social")
    await correct(social, recorded, 1, correction(social="deux"))
    corrected, *others = entries_of(await centre.journal("avec", case=case), "follow_up.correct")
    assert others == []
    assert corrected["detail"] == {"groups": ["social"], "reason": WHY}
    assert CANARY not in str(corrected["entry"])
    assert [row["v"] for row in corrected["entry"]["subjects"][0]["rows"]] == [2]
    assert "avec.own.write" in corrected["entry"]["basis"]["policies"]


async def test_a_handoff_takes_what_was_corrected_and_never_the_reason(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    recorded = await note(social, case, "accompagnement_social", "social", "legal")
    await correct(social, recorded, 1, correction(social="déposé", legal=" "))
    drafted = await draft(social, case, "social", "legal", follow_ups=[recorded])
    (item,) = drafted["preview"]["social"]["follow_ups"]
    assert (item["record"]["text"], item["record"]["type"]) == ("déposé", "accompagnement_social")
    assert "reason" not in item["record"]
    # A text that was taken back is not handed over, empty or otherwise.
    assert drafted["preview"]["legal"]["follow_ups"] == []
    await agree(social, drafted)
    await correct(social, recorded, 2, correction(social="autre chose"))
    await social.refused("POST", f"/handoffs/{drafted['id']}/sending", 409, "source_changed")


async def test_what_was_left_at_the_drop_key_is_taken_over_and_corrected(centre: Centre) -> None:
    """Reception notes a danger that it cannot read; the social worker corrects it before anyone has read it."""
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    case = await open_case(social)
    recorded = await note(reception, case, "accueil", "intake", "safety")
    assert is_drop_envelope((await _frames(centre, recorded))[1, "safety"])
    await correct(social, recorded, 1, correction(safety="précisé"))
    versions = (await social.get(f"/follow-ups/{recorded}/versions"))["items"]
    assert [one["content"]["safety"] for one in versions] == [told("safety"), "précisé"]


async def test_a_page_shows_each_corrected_follow_up_once(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    recorded = [await note(social, case, "accompagnement_social", "social") for _ in range(3)]
    for one in recorded:
        await correct(social, one, 1, correction(social="deux"))
    body = told_follow_up("accompagnement_social", "social")
    await social.post(f"/cases/{case}/follow-ups", body)
    items = (await social.get(f"/cases/{case}/follow-ups"))["items"]
    assert sorted(item["version"] for item in items) == [1, 2, 2, 2]
    assert {item["content"]["social"] for item in items if item["version"] == 2} == {"deux"}
