"""Which groups of a case a member may write and read, and what of it is left out before it is opened."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, select

from casework.access import Access
from casework.act import Act
from casework.cases.tables import case_group
from casework.column_types import Sealed
from crypto.drop import is_drop_envelope
from tests.casework.centre import CANARY, Centre
from tests.casework.story import content, denials, new_case, open_case, told

ALL = ("identity", "contact", "intake", "safety", "social", "legal", "health", "family")


async def _row(centre: Centre, case: str, group: str) -> Row[Any]:
    query = select(case_group).where(case_group.c.case_id == UUID(case), case_group.c.compartment == group)
    return await centre.dba(lambda connection: connection.execute(query).one())


async def _count(centre: Centre) -> int:
    query = select(case_group.c.id)
    return len(await centre.dba(lambda connection: connection.execute(query).all()))


@pytest.mark.parametrize("login", ["avec.social", "avec.reception", "avec.auditor"])
async def test_me_names_exactly_the_groups_that_a_case_may_be_opened_with(centre: Centre, login: str) -> None:
    member = await centre.sign_in(login)
    named = (await member.get("/me"))["may_open_with"]
    statuses = {
        group: (await member.request("POST", "/cases", json=new_case(group))).status_code for group in ALL
    }
    assert named == [group for group in ALL if statuses[group] == 201]
    assert set(statuses.values()) <= {201, 403}


async def test_a_case_opens_with_the_groups_its_writer_may_record(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    allowed = [group for group in ALL if group != "health"]
    case = await open_case(social, *allowed)
    opened = await social.get(f"/cases/{case}")
    assert {group: opened["groups"][group] for group in allowed if group != "intake"} == {
        group: content(group) for group in allowed if group != "intake"
    }
    assert opened["groups"]["intake"] == {**content("intake"), "public": "seeking"}
    assert opened["withheld"] == ["health"]
    # A key for each group from the first day, so that no row's existence tells anything.
    assert {(await _row(centre, case, group)).compartment for group in ALL} == set(ALL)


@pytest.mark.parametrize(
    ("login", "group"),
    [
        ("avec.social", "health"),
        ("avec.reception", "social"),
        ("avec.reception", "legal"),
        ("cidff.jurist", "health"),
        ("med.reception", "safety"),
        ("planning.health", "family"),
    ],
)
async def test_a_group_she_may_not_record_is_refused_and_nothing_is_written(
    centre: Centre, login: str, group: str
) -> None:
    member = await centre.sign_in(login)
    before = await _count(centre)
    await member.refused("POST", "/cases", 403, "forbidden", json=new_case(group))
    assert await _count(centre) == before
    await open_case(member)
    assert await _count(centre) == before + len(ALL)
    denied, *others = await denials(centre, login.partition(".")[0], f"case.record.{group}")
    assert (denied["entry"]["reason"], denied["entry"]["actor"]) == ("policy", str(centre.member(login)))
    assert (denied["entry"]["subjects"], others) == ([], [])


@pytest.mark.parametrize("login", ["avec.auditor", "avec.custodian", "avec.dpo"])
async def test_who_opens_no_case_creates_none(centre: Centre, login: str) -> None:
    member = await centre.sign_in(login)
    await member.refused("POST", "/cases", 403, "forbidden", json=new_case())
    denied, *_ = await denials(centre, "avec", "case.create")
    assert denied["entry"]["actor"] == str(centre.member(login))


async def test_reception_notes_a_danger_without_reading_and_the_social_worker_reads_it(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    reception = await centre.sign_in("avec.reception")
    await reception.patch(f"/cases/{case}/groups/safety", content("safety"), 0)
    seen = await reception.get(f"/cases/{case}")
    assert set(seen["groups"]) == {"identity", "contact", "intake"}
    assert told("safety") not in str(seen)
    assert is_drop_envelope((await _row(centre, case, "safety")).frame.blob)

    assert (await social.get(f"/cases/{case}"))["groups"]["safety"] == content("safety")
    assert not is_drop_envelope((await _row(centre, case, "safety")).frame.blob)
    assert (await social.get(f"/cases/{case}"))["groups"]["safety"] == content("safety")
    records = await centre.journal("avec", action="case.record")
    assert [(item["entry"]["role"], item["detail"]) for item in records] == [
        ("reception", {"groups": ["safety"]})
    ]


async def test_a_case_that_reception_opened_is_read_by_whoever_holds_its_groups(centre: Centre) -> None:
    """The keys of groups she does not hold wait at the drop key for their first holder."""
    reception = await centre.sign_in("avec.reception")
    case = await open_case(reception, "safety", "contact")
    supervisor = await centre.sign_in("avec.supervisor")
    members = {"members": [str(centre.member("avec.social"))]}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=members)
    social = await centre.sign_in("avec.social")
    opened = await social.get(f"/cases/{case}")
    assert opened["groups"]["safety"] == content("safety")
    assert opened["groups"]["social"] == {}
    await social.patch(f"/cases/{case}/groups/social", content("social"), 0)
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_an_envelope_is_not_replaced_once_somebody_has_written_anew(centre: Centre) -> None:
    """A reader takes over the very envelope that she opened, never what was saved meanwhile."""
    social = await centre.sign_in("avec.social")
    reception = await centre.sign_in("avec.reception")
    case = await open_case(social)
    await reception.patch(f"/cases/{case}/groups/safety", {"summary": "before"}, 0)
    old = await _row(centre, case, "safety")

    await social.patch(f"/cases/{case}/groups/safety", {"summary": "after"}, 1)
    new = await _row(centre, case, "safety")
    assert is_drop_envelope(old.frame.blob)
    assert not is_drop_envelope(new.frame.blob)

    def store_late(act: Act) -> None:
        Access(act)._store(old.id, "frame", old.frame)(Sealed(b"late"))

    await centre.act(social, store_late)
    assert (await _row(centre, case, "safety")).frame.blob == new.frame.blob


async def test_a_stale_version_is_refused_with_both_and_that_showing_is_journaled(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    path = f"/cases/{case}/groups/social"
    assert await social.patch(path, {"summary": f"{CANARY} two"}, 1) == {"version": 2}
    conflict = await social.patch(path, {"summary": f"{CANARY} three"}, 1, expect=412)
    assert conflict["code"] == "version_changed"
    assert conflict["current"] == {"version": 2, "content": {"summary": f"{CANARY} two"}}
    assert conflict["yours"] == {"summary": f"{CANARY} three"}
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == {"summary": f"{CANARY} two"}
    opened = await centre.journal("avec", action="case.open")
    # What the refusal showed was shown: one entry for it, one for the reading after it.
    assert len(opened) == 2
    assert await social.patch(path, {"summary": "three"}, 2) == {"version": 3}


async def test_a_stale_version_shows_nothing_to_who_may_not_read_the_group(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "safety")
    reception = await centre.sign_in("avec.reception")
    conflict = await reception.patch(f"/cases/{case}/groups/safety", {"summary": "x"}, 0, expect=412)
    assert set(conflict) == {"type", "title", "status", "code"}
    assert (await social.get(f"/cases/{case}"))["groups"]["safety"] == content("safety")


@pytest.mark.parametrize("if_match", [None, "", '"x"', "*", '"-1"', '"1", "2"'])
async def test_a_change_without_a_version_is_a_clear_problem(centre: Centre, if_match: str | None) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    headers = {"if-match": if_match} if if_match is not None else {}
    answer = await social.request(
        "PATCH", f"/cases/{case}/groups/social", json={"summary": CANARY}, headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_input")
    assert [error["field"] for error in answer.json()["errors"]] == ["If-Match"]
    assert CANARY not in answer.text
    assert (await social.get(f"/cases/{case}"))["versions"]["social"] == 1


async def test_a_group_she_may_list_and_not_record_is_forbidden(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    reception = await centre.sign_in("avec.reception")
    await reception.refused(
        "PATCH",
        f"/cases/{case}/groups/social",
        403,
        "forbidden",
        json={"summary": CANARY},
        headers={"if-match": '"1"'},
    )
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    denied, *_ = await denials(centre, "avec", "case.record.social")
    assert denied["detail"] == {"tried": {"case": case}}


CIVIL = {"name_in_use": "Inès", "legal_name": f"{CANARY} Dupont"}


async def test_civil_status_needs_a_permission_and_a_purpose(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    created = await social.post("/cases", {"public": "seeking", "identity": CIVIL})
    path = f"/cases/{created['id']}"
    assert (await social.get(path))["groups"]["identity"] == {"name_in_use": "Inès"}
    for purpose, seen in (("support", False), ("care", False), ("admin", True), ("legal_advice", True)):
        opened = await social.get(path, headers={"casework-purpose": purpose})
        assert ("legal_name" in opened["groups"]["identity"]) is seen
    reception = await centre.sign_in("avec.reception")
    for purpose in ("support", "admin", "legal_advice", "rights_request"):
        answer = await reception.request("GET", path, 200, headers={"casework-purpose": purpose})
        assert CANARY not in answer.text
    await social.refused("GET", path, 422, "bad_input", headers={"casework-purpose": "curiosity"})
    listed = await social.get("/cases", headers={"casework-purpose": "admin"})
    assert CANARY not in str(listed)
    shown = [item["detail"]["legal_name"] for item in await centre.journal("avec", action="case.open")]
    assert shown == [False] * 4 + [True, True, False, False, False]


async def test_whoever_changes_an_identity_leaves_the_civil_status_she_cannot_see(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    created = await social.post("/cases", {"public": "seeking", "identity": CIVIL})
    path = f"/cases/{created['id']}"
    reception = await centre.sign_in("avec.reception")
    await reception.patch(f"{path}/groups/identity", {"name_in_use": "Nour"}, 1)
    admin = {"casework-purpose": "admin"}
    assert (await social.get(path, headers=admin))["groups"]["identity"] == {
        "name_in_use": "Nour",
        "legal_name": f"{CANARY} Dupont",
    }
    await social.patch(f"{path}/groups/identity", {"name_in_use": "Nour", "legal_name": "Durand"}, 2)
    assert (await social.get(path, headers=admin))["groups"]["identity"]["legal_name"] == "Durand"


async def test_fields_that_a_group_does_not_have_are_refused_without_an_echo(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    body = {"public": "seeking", "identity": {"name_in_use": "x", f"{CANARY}field": CANARY}}
    await social.refused("POST", "/cases", 422, "bad_input", json=body)
    body = {"public": CANARY, "identity": {"name_in_use": "x"}}
    await social.refused("POST", "/cases", 422, "bad_input", json=body)
    assert (await social.get("/cases"))["count"] == 0
