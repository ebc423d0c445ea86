"""Member-only notes: their readers open them, others of the case are not even told that there are any."""

from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from casework.access import Access
from casework.act import Act
from casework.cases.tables import member_note
from casework.column_types import Sealed
from casework.columns import Column
from crypto.member_note import seal_member_note
from policies.vocabulary import RECORD, Group
from tests.casework.cases.test_keys_are_the_wall import allow_everything
from tests.casework.centre import CANARY, Centre
from tests.casework.restricted import ids, restricted_case, unname, write_note
from tests.casework.story import entries_of, open_case, renew_own_keys


async def test_a_note_is_read_by_those_it_names_and_nobody_is_told_of_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    supervisor, jurist = await centre.sign_in("avec.supervisor"), await centre.sign_in("avec.jurist")
    case = await open_case(social, "social")
    everybody = {"members": ids(centre, "avec.social", "avec.jurist", "avec.psychologist")}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=everybody)
    psychologist = await centre.sign_in("avec.psychologist")
    before = await psychologist.get(f"/cases/{case}")
    created = await write_note(social, case, "social", "avec.jurist")
    # Not even that there was a change, by the case's version.
    assert await psychologist.get(f"/cases/{case}") == before
    readers = sorted(ids(centre, "avec.social", "avec.jurist"))
    for client in (social, jurist):
        (shown,) = (await client.get(f"/cases/{case}/notes"))["items"]
        assert (shown["id"], shown["text"]) == (created["id"], f"{CANARY}-note social")
        assert (shown["author"], sorted(shown["readers"])) == (ids(centre, "avec.social")[0], readers)
    # Assigned as well, with the very same keys: and with policies that allow everything.
    await allow_everything(centre)
    for login in ("avec.psychologist", "avec.supervisor", "avec.reception", "avec.auditor"):
        other = await centre.sign_in(login)
        assert await other.get(f"/cases/{case}/notes") == {"items": []}
        assert f"{CANARY}-note" not in (await other.request("GET", f"/cases/{case}")).text
    items = await centre.journal("avec", case=case)
    (written,) = entries_of(items, "note.create")
    assert written["detail"] == {"group": "social", "readers": readers}
    read = entries_of(items, "note.read")
    assert [item["entry"]["actor"] for item in read] == ids(centre, "avec.jurist", "avec.social")
    assert all(len(item["entry"]["subjects"][0]["rows"]) == 1 for item in read)
    assert len(entries_of(items, "note.list")) == 6


async def test_a_note_names_a_reader_who_can_open_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    own, reception, foreign, jurist = ids(
        centre, "avec.social", "avec.reception", "cidff.jurist", "avec.jurist"
    )
    wrong = [
        ([own], "readers", "fewer_than_two"),
        ([str(uuid4())], "readers", "unknown_member"),
        ([foreign], "readers", "unknown_member"),
        ([reception], "readers", "holds_no_key"),
    ]
    path = f"/cases/{case}/notes"
    for readers, field, code in wrong:
        body = {"group": "social", "text": CANARY, "readers": readers}
        problem = await social.refused("POST", path, 422, "bad_input", json=body)
        assert problem["errors"] == [{"field": field, "code": code}]
    body = {"group": "social", "text": " ", "readers": [jurist]}
    problem = await social.refused("POST", path, 422, "bad_input", json=body)
    assert problem["errors"] == [{"field": "text", "code": "missing"}]
    # A group that she may not write in.
    body = {"group": "health", "text": CANARY, "readers": [jurist]}
    await social.refused("POST", path, 403, "forbidden", json=body)
    query = select(member_note)
    assert await centre.dba(lambda connection: connection.execute(query).all()) == []


async def test_a_note_for_oneself_in_another_role_is_refused(centre: Centre) -> None:
    worker = await centre.sign_in("avec.double", role="worker")
    case = await open_case(worker, "social")
    other_self = str(centre.accounts["avec.double"].memberships[1].id)
    body = {"group": "social", "text": CANARY, "readers": [other_self]}
    problem = await worker.refused("POST", f"/cases/{case}/notes", 422, "bad_input", json=body)
    assert problem["errors"] == [{"field": "readers", "code": "fewer_than_two"}]
    assert await worker.get(f"/cases/{case}/notes") == {"items": []}


async def test_a_note_of_a_restricted_case_goes_with_its_keys(centre: Centre) -> None:
    """Its readers are among the named; who leaves the case loses the note, and the others keep it."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    body = {"group": "social", "text": CANARY, "readers": ids(centre, "avec.jurist")}
    problem = await social.refused("POST", f"/cases/{case}/notes", 422, "bad_input", json=body)
    assert problem["errors"] == [{"field": "readers", "code": "not_named"}]
    jurist = ids(centre, "avec.jurist")[0]
    stepped_up = await centre.sign_in("avec.social", step_up=True)
    await stepped_up.request("PUT", f"/cases/{case}/restriction/members/{jurist}", 200)
    await write_note(social, case, "social", "avec.jurist")
    reader = await centre.sign_in("avec.jurist")
    assert len((await reader.get(f"/cases/{case}/notes"))["items"]) == 1
    await unname(stepped_up, case, "avec.jurist")
    await reader.refused("GET", f"/cases/{case}/notes", 404, "not_found")
    assert len((await social.get(f"/cases/{case}/notes"))["items"]) == 1


async def test_a_note_that_is_sent_twice_is_written_once(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    body = {"group": "social", "text": CANARY, "readers": ids(centre, "avec.jurist")}
    headers = {"idempotency-key": "n1"}
    first, again = [await social.post(f"/cases/{case}/notes", body, headers=headers) for _ in range(2)]
    assert first == again
    assert len((await social.get(f"/cases/{case}/notes"))["items"]) == 1


async def _note_for_two(centre: Centre, case: str) -> str:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    both = {"members": ids(centre, "avec.social", "avec.jurist")}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=both)
    return str((await write_note(social, case, "social", "avec.jurist"))["id"])


async def test_a_note_for_earlier_keys_is_listed_as_waiting_and_the_newer_ones_open(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"), "social")
    older = await _note_for_two(centre, case)
    social = await renew_own_keys(centre, "avec.social")
    newer = (await write_note(social, case, "social", "avec.jurist"))["id"]
    with capture_logs() as logs:
        shown, waiting = (await social.get(f"/cases/{case}/notes"))["items"]
    assert (shown["id"], shown["text"], "waiting" in shown) == (newer, f"{CANARY}-note social", False)
    assert (waiting["id"], waiting["waiting"], "text" in waiting) == (older, True, False)
    assert sorted(waiting["readers"]) == sorted(ids(centre, "avec.social", "avec.jurist"))
    # Nothing was altered; and what she could not read was not journaled as read.
    assert [line for line in logs if line["event"] == "sealed_data_damaged"] == []
    (read,) = entries_of(await centre.journal("avec", case=case), "note.read")
    assert len(read["entry"]["subjects"][0]["rows"]) == 1
    jurist = await centre.sign_in("avec.jurist")
    assert all("text" in item for item in (await jurist.get(f"/cases/{case}/notes"))["items"])


@pytest.mark.parametrize("is_resealed", [False, True], ids=["frame", "envelope"])
async def test_a_damaged_note_does_not_hide_the_others(centre: Centre, is_resealed: bool) -> None:
    """Of a frame that does not open its author alone is told: nobody can say whom else it names."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    bad = await _note_for_two(centre, case)
    good = (await write_note(social, case, "social", "avec.jurist"))["id"]

    def sealed(act: Act) -> Sealed:
        place = Column.MEMBER_NOTE.place(act.org_id, UUID(bad), 1)
        directory = act.deployment.directories.fresh(act.unit, act.org_id)
        readers = [centre.member("avec.social").bytes, centre.member("avec.jurist").bytes]
        envelope = seal_member_note(directory, UUID(case).bytes, place, readers, b'"x"')
        change = Access(act).change_case(UUID(case), [RECORD[Group.SOCIAL]])
        change.record("note.create", [])
        altered = msgspec.to_builtins(envelope[:-1] + bytes([envelope[-1] ^ 1]))
        frame = change.seal(Group.SOCIAL, place, {"envelope": altered}).blob
        return Sealed(frame if is_resealed else frame[:-1] + bytes([frame[-1] ^ 1]))

    frame = await centre.act(social, sealed)
    this = update(member_note).where(member_note.c.id == UUID(bad)).values(frame=frame)
    await centre.dba(lambda connection: connection.execute(this))
    with capture_logs() as logs:
        by_author = (await social.get(f"/cases/{case}/notes"))["items"]
        by_reader = (await (await centre.sign_in("avec.jurist")).get(f"/cases/{case}/notes"))["items"]
    assert [(item["id"], item.get("problem")) for item in by_author] == [
        (good, None),
        (bad, "sealed_data_damaged"),
    ]
    assert [item["id"] for item in by_reader] == ([good, bad] if is_resealed else [good])
    assert all("text" not in item for item in (*by_author, *by_reader) if item["id"] == bad)
    alarms = [line["note"] for line in logs if line["event"] == "sealed_data_damaged"]
    assert alarms == [bad, bad]
    broken = entries_of(await centre.journal("avec"), "seal.broken", "failed")
    assert len(broken) == 2
