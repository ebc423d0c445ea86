"""Sealed values moved beside the service: to another row, group, case or version nothing of them opens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Row, delete, select, update
from structlog.testing import capture_logs

from casework.cases.tables import case_group
from casework.column_types import Sealed
from casework.follow_ups.tables import follow_up_frame
from casework.shreds import shred
from tests.casework.administrator import Administrator
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import content, new_case, note, open_case


@contextmanager
def alarm() -> Iterator[None]:
    """The log holds an alarm, and nothing that was sealed."""
    with capture_logs() as logs:
        yield
    kinds = {line.get("error") for line in logs if line["log_level"] in {"error", "critical"}}
    assert kinds <= {"SealBroken", "CommitmentMismatch", "ShredMissing"}
    assert kinds
    assert CANARY not in str(logs)


def _row(connection: Connection, case: str, group: str) -> Row[Any]:
    query = select(case_group).where(case_group.c.case_id == UUID(case), case_group.c.compartment == group)
    return connection.execute(query).one()


async def _values(centre: Centre, case: str, group: str, *names: str) -> dict[str, Any]:
    row = await centre.dba(lambda connection: _row(connection, case, group))
    return {name: getattr(row, name) for name in names}


async def _put(centre: Centre, case: str, group: str, values: dict[str, Any]) -> None:
    statement = (
        update(case_group)
        .where(case_group.c.case_id == UUID(case), case_group.c.compartment == group)
        .values(values)
    )
    await centre.dba(lambda connection: connection.execute(statement))


async def _refuse_to_open(client: Client, path: str) -> None:
    with alarm():
        await client.refused("GET", path, 500, "sealed_data_damaged")


async def _damaged_follow_ups(client: Client, case: str) -> list[str]:
    """Those of a case that do not open: nothing of them is shown, and an alarm is raised."""
    with alarm():
        items = (await client.get(f"/cases/{case}/follow-ups"))["items"]
    damaged = [item for item in items if item.get("problem") == "sealed_data_damaged"]
    assert all((item["content"], "type" in item) == ({}, False) for item in damaged)
    return [item["id"] for item in damaged]


@pytest.mark.parametrize(
    ("names", "from_group"),
    [
        (("frame",), "social"),
        (("dek",), "social"),
        (("dek", "frame"), "social"),
        (("frame",), "legal"),
        (("dek",), "legal"),
        (("dek", "frame"), "legal"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else value,
)
@pytest.mark.parametrize("other_case", [True, False], ids=["other_case", "same_case"])
async def test_a_frame_or_key_row_moved_to_another_case_or_group_does_not_open(
    centre: Centre, names: tuple[str, ...], from_group: str, other_case: bool
) -> None:
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social, "social", "legal"), await open_case(social, "social", "legal")
    source = other if other_case else case
    if source == case and from_group == "social":
        from_group = "safety"
        await social.patch(f"/cases/{case}/groups/safety", content("safety"), 0)
    own = await _values(centre, case, "social", *names)
    await _put(centre, case, "social", await _values(centre, source, from_group, *names))
    await _refuse_to_open(social, f"/cases/{case}")
    assert (await social.get(f"/cases/{other}"))["groups"]["social"] == content("social")
    await _put(centre, case, "social", own)
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    # What was not shown was not journaled as shown: the alarm is in the log.
    assert len(await centre.journal("avec", action="case.open")) == 2


async def test_a_frame_of_an_older_version_does_not_open_as_the_newer_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    old = await _values(centre, case, "social", "frame", "version")
    await social.patch(f"/cases/{case}/groups/social", {"summary": "new"}, 1)
    new = await _values(centre, case, "social", "frame", "version")
    await _put(centre, case, "social", {"frame": old["frame"]})
    await _refuse_to_open(social, f"/cases/{case}")
    await _put(centre, case, "social", {"frame": new["frame"], "version": 7})
    await _refuse_to_open(social, f"/cases/{case}")
    await _put(centre, case, "social", new)
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == {"summary": "new"}


async def test_a_civil_status_put_where_the_identity_stands_does_not_open(centre: Centre) -> None:
    """Else whoever reads identities without a purpose would read civil status."""
    social = await centre.sign_in("avec.social")
    identity = {"name_in_use": "Inès", "legal_name": f"{CANARY} Dupont"}
    case = (await social.post("/cases", {**new_case(), "identity": identity}))["id"]
    own = await _values(centre, case, "identity", "frame", "legal_name")
    await _put(centre, case, "identity", {"frame": own["legal_name"]})
    await _refuse_to_open(social, f"/cases/{case}")
    with alarm():
        (listed,) = (await social.get("/cases"))["items"]
    assert (listed["identity"], listed["problem"]) == (None, "sealed_data_damaged")
    await _put(centre, case, "identity", own)
    assert (await social.get("/cases"))["items"][0]["identity"] == {"name_in_use": "Inès"}


async def test_a_flipped_byte_does_not_open(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    for name in ("frame", "dek"):
        own = await _values(centre, case, "social", name)
        raw = bytearray(own[name].blob)
        raw[-1] ^= 1
        await _put(centre, case, "social", {name: Sealed(bytes(raw))})
        await _refuse_to_open(social, f"/cases/{case}")
        await _put(centre, case, "social", own)
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_a_row_of_another_organisation_does_not_open(centre: Centre) -> None:
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("cidff.jurist")
    hers, his = await open_case(social, "social"), await open_case(jurist, "social")
    own = await _values(centre, his, "social", "dek", "frame")
    await _put(centre, his, "social", await _values(centre, hers, "social", "dek", "frame"))
    await _refuse_to_open(jurist, f"/cases/{his}")
    await _put(centre, his, "social", own)
    assert (await jurist.get(f"/cases/{his}"))["groups"]["social"] == content("social")


async def test_a_follow_ups_record_moved_to_another_follow_up_does_not_open(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    one, other = [await note(social, case, "accompagnement_social", "social") for _ in range(2)]

    def frame_of(follow_up: str) -> Any:
        return select(follow_up_frame.c.frame).where(follow_up_frame.c.follow_up_id == UUID(follow_up))

    def put(frame: Sealed) -> Any:
        return update(follow_up_frame).where(follow_up_frame.c.follow_up_id == UUID(one)).values(frame=frame)

    own = await centre.dba(lambda connection: connection.execute(frame_of(one)).scalar_one())
    moved = await centre.dba(lambda connection: connection.execute(frame_of(other)).scalar_one())
    await centre.dba(lambda connection: connection.execute(put(moved)))
    assert await _damaged_follow_ups(social, case) == [one]
    await centre.dba(lambda connection: connection.execute(put(own)))
    assert all(item["content"] for item in (await social.get(f"/cases/{case}/follow-ups"))["items"])


async def test_a_case_without_a_half_is_as_absent_as_ever_to_who_may_not_know_of_it(centre: Centre) -> None:
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    case = await open_case(social, "social")
    gone = delete(shred).where(shred.c.owner_id == UUID(case), shred.c.purpose == "social")
    await Administrator(centre.urls.shreds).run(lambda connection: connection.execute(gone))
    await _refuse_to_open(social, f"/cases/{case}")
    hidden = await jurist.request("GET", f"/cases/{case}")
    absent = await jurist.request("GET", f"/cases/{uuid4()}")
    assert (hidden.status_code, hidden.content) == (404, absent.content)


async def test_a_correction_whose_record_was_deleted_does_not_bring_the_old_text_back(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    noted = await note(social, case, "accompagnement_social", "social")
    correction = {"reason": "adresse compromise", "content": {"social": "Ne plus y aller."}}
    path = f"/follow-ups/{noted}/corrections"
    await social.request("POST", path, 201, json=correction, headers={"if-match": '"1"'})
    this = (follow_up_frame.c.follow_up_id == UUID(noted), follow_up_frame.c.version == 2)
    await centre.dba(lambda connection: connection.execute(delete(follow_up_frame).where(*this)))
    assert await _damaged_follow_ups(social, case) == [noted]


async def test_without_its_other_half_a_key_opens_nothing(centre: Centre) -> None:
    """What is erased is erased: the row alone, as in a backup, opens nothing."""
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social, "social"), await open_case(social, "social")
    part = select(shred.c.part).where(shred.c.owner_id == UUID(other), shred.c.purpose == "social")
    store = Administrator(centre.urls.shreds)
    foreign = await store.run(lambda connection: connection.execute(part).scalar_one())
    swap = (
        update(shred).where(shred.c.owner_id == UUID(case), shred.c.purpose == "social").values(part=foreign)
    )
    await store.run(lambda connection: connection.execute(swap))
    await _refuse_to_open(social, f"/cases/{case}")
    assert (await social.get(f"/cases/{other}"))["groups"]["social"] == content("social")
