"""The policies allow it and the key is not there: nothing is shown, nothing is lost, and nothing is guessed."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, select, update

from casework.act import Act
from casework.cases.tables import case_group
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import MissingKey
from casework.packets import open_envelope
from casework.shreds import shred
from crypto.dek import new_dek_to_drop
from crypto.drop import is_drop_envelope, seal_to_drop
from tests.casework.administrator import Administrator
from tests.casework.cases.test_keys_are_the_wall import allow_everything
from tests.casework.centre import CANARY, Centre
from tests.casework.story import content, open_case

CIVIL = {"name_in_use": "Inès", "legal_name": f"{CANARY} Dupont"}


def _this(case: str, group: str) -> Any:
    return (case_group.c.case_id == UUID(case)) & (case_group.c.compartment == group)


def _left_at_the_drop_key(centre: Centre, connection: Connection, case: str) -> bytes:
    drop = centre.directory(connection, "avec").compartments["identity"].drop
    return new_dek_to_drop(drop, UUID(case).bytes).row


def _of_a_key_never_granted(_centre: Centre, connection: Connection, case: str) -> bytes:
    row = connection.execute(select(case_group.c.dek).where(_this(case, "identity"))).scalar_one()
    # Kind and algorithm, then the number of the key that wraps it.
    return row.blob[:2] + (9).to_bytes(4) + row.blob[6:]


@pytest.mark.parametrize("replacement", [_left_at_the_drop_key, _of_a_key_never_granted])
async def test_a_list_shows_no_identity_whose_key_is_not_there_yet(centre: Centre, replacement: Any) -> None:
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social), await open_case(social)

    def replace(connection: Connection) -> None:
        dek = Sealed(replacement(centre, connection, case))
        connection.execute(update(case_group).where(_this(case, "identity")).values(dek=dek))

    await centre.dba(replace)
    listed = {item["id"]: item["identity"] for item in (await social.get("/cases"))["items"]}
    assert listed == {case: None, other: content("identity")}


async def test_a_civil_status_that_the_writer_cannot_carry_over_is_not_lost(centre: Centre) -> None:
    """A change must bind it to its new place, which needs the key: without it nothing is changed at all."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    await social.patch(f"/cases/{case}/groups/identity", CIVIL, 1)
    await allow_everything(centre)
    custodian = await centre.sign_in("avec.custodian")
    headers = {"if-match": '"2"'}
    path = f"/cases/{case}/groups/identity"
    await custodian.refused(
        "PATCH", path, 409, "key_not_granted", json={"name_in_use": "Nour"}, headers=headers
    )
    assert (await social.get(f"/cases/{case}"))["groups"]["identity"] == CIVIL


async def test_an_envelope_is_not_opened_without_its_compartment(centre: Centre) -> None:
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    case = await open_case(social)
    await reception.patch(f"/cases/{case}/groups/safety", content("safety"), 0)
    query = select(case_group).where(_this(case, "safety"))
    row = await centre.dba(lambda connection: connection.execute(query).one())
    place = Column.CASE_GROUP_FRAME.place(centre.org("avec"), row.id, 1)

    def open_it(act: Act) -> bytes:
        return open_envelope(act, "safety", place, row.frame)

    with pytest.raises(MissingKey):
        await centre.act(reception, open_it)
    assert CANARY.encode() in await centre.act(social, open_it)


@pytest.mark.parametrize("path", ["/cases", "/cases/{case}", "/cases/{case}/follow-ups"])
async def test_a_case_whose_halves_are_erased_cannot_be_shown(centre: Centre, path: str) -> None:
    """The rows are all there, as in an old backup: without the shred store they open nothing."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    erase = delete(shred).where(shred.c.owner_id == UUID(case))
    await Administrator(centre.urls.shreds).run(lambda connection: connection.execute(erase))
    answer = await social.request("GET", path.format(case=case), 500)
    assert answer.json()["code"] == "sealed_data_damaged"
    assert CANARY not in answer.text


async def test_a_list_takes_in_an_identity_that_was_left_in_an_envelope(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)

    def leave(connection: Connection) -> None:
        row = connection.execute(select(case_group).where(_this(case, "identity"))).one()
        drop = centre.directory(connection, "avec").compartments["identity"].drop
        place = Column.CASE_GROUP_FRAME.place(centre.org("avec"), row.id, row.version)
        envelope = Sealed(seal_to_drop(drop, place, b'{"name_in_use": "Iris"}'))
        connection.execute(update(case_group).where(_this(case, "identity")).values(frame=envelope))

    await centre.dba(leave)
    for _ in range(2):
        (listed,) = (await social.get("/cases"))["items"]
        assert listed["identity"] == {"name_in_use": "Iris"}
    kept = await centre.dba(
        lambda connection: connection.execute(
            select(case_group.c.frame).where(_this(case, "identity"))
        ).scalar_one()
    )
    assert not is_drop_envelope(kept.blob)
