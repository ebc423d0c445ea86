"""The newest key directory is remembered beside the database: once it is committed, and for every process."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update
from structlog.testing import capture_logs

from casework.act import Act
from casework.anchors import FILE_NAME, Anchors
from casework.deployment import Deployment
from casework.identity.tables import account, membership, session
from casework.minimum import raise_minimum
from casework.organisations.entries import append_in_act
from casework.organisations.removal import remove
from casework.organisations.rotation import Order, rotate
from casework.organisations.tables import key_directory
from casework.outages import CommitFailed
from casework.upkeep import sweep
from crypto.algorithms import Algorithm, CaseMinimum
from crypto.directory import Floor
from crypto.directory_entries import EntrySigner, MinimumBody, sign_entry
from crypto.errors import DirectoryFault, DirectoryRefused
from tests.casework.administrator import Administrator
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.organisations.test_rotation import CUSTODIAN, SOCIAL, another_process
from tests.casework.restricted import restrict, restricted_case, unname
from tests.casework.story import handoff, open_case

DAMAGED = "sealed_data_damaged"
HIGHER = CaseMinimum(Algorithm.AES_256_GCM_SIV, Algorithm.AES_256_GCM)
LEAVING = "avec.psychologist"


def floor_of(centre: Centre) -> Floor:
    """What stands in the state directory of AVEC's key directory."""
    return Anchors(centre.deployment.settings.state_dir).floor(centre.org("avec"))


def append_minimum(centre: Centre, act: Act) -> int:
    """Append an entry that the custodian signed to the directory as the act finds it; returns its epoch."""
    (custodian,) = centre.accounts["avec.custodian"].memberships
    directory = act.deployment.directories.fresh(act.unit, act.org_id)
    body = MinimumBody(HIGHER.made, HIGHER.accepted)
    entry = directory.next_entry(body, EntrySigner(custodian.id.bytes, custodian.signing))
    return append_in_act(act, directory, entry).epoch


async def roll_back(centre: Centre, epoch: int) -> list[dict[str, Any]]:
    """Delete what follows this entry of AVEC's directory; returns the rows."""
    later = (key_directory.c.org_id == centre.org("avec"), key_directory.c.epoch > epoch)

    def take(connection: Connection) -> list[dict[str, Any]]:
        rows = [dict(row._mapping) for row in connection.execute(select(key_directory).where(*later))]
        connection.execute(delete(key_directory).where(*later))
        return rows

    return await centre.dba(take)


async def test_a_removal_that_was_taken_back_lets_nobody_in_at_the_service_that_runs(centre: Centre) -> None:
    """Another process removed her; before the service has heard of it every table is as it was."""
    leaving, colleague = await centre.sign_in(LEAVING, step_up=True), await centre.sign_in("avec.social")
    await open_case(leaving, "social")
    hers, epoch = centre.accounts[LEAVING].id, floor_of(centre).epoch
    query = select(session).where(session.c.account_id == hers)
    rows = await centre.dba(lambda connection: [dict(row._mapping) for row in connection.execute(query)])
    async with another_process(centre) as other:
        await remove(other, "avec", LEAVING, CUSTODIAN)
    taken = await roll_back(centre, epoch)

    def put_back(connection: Connection) -> None:
        connection.execute(insert(session), rows)
        connection.execute(update(account).where(account.c.id == hers).values(active=True))
        connection.execute(update(membership).where(membership.c.account_id == hers).values(active=True))

    await centre.dba(put_back)
    with capture_logs() as logs:
        await leaving.refused("GET", "/cases", 500, DAMAGED)
        await colleague.refused("GET", "/me", 500, DAMAGED)
    assert [line["event"] for line in logs if line["log_level"] == "critical"] == [DAMAGED] * 2
    begun = await centre.http.post("/api/v1/sessions", json={"login": LEAVING, "password": PASSWORD})
    waiting = Client(centre, begun.json()["token"])
    factor = {"code": centre.code(LEAVING)}
    await waiting.refused("POST", "/sessions/current/second-factor", 500, DAMAGED, json=factor)

    await centre.dba(lambda connection: connection.execute(insert(key_directory), taken))
    await leaving.refused("GET", "/cases", 401, "not_signed_in")
    await colleague.get("/me")
    await waiting.request("POST", "/sessions/current/second-factor", json=factor)
    await waiting.refused("GET", "/cases", 401, "not_signed_in")


async def _remove(_centre: Centre, other: Deployment) -> None:
    await remove(other, "avec", LEAVING, CUSTODIAN)


async def _raise(centre: Centre, other: Deployment) -> None:
    await raise_minimum(other, centre.org("avec"), CUSTODIAN, HIGHER)


async def _rotate(_centre: Centre, other: Deployment) -> None:
    await rotate(other, "avec", [SOCIAL], Order(CUSTODIAN, ["social"]))


@pytest.mark.parametrize("change", [_remove, _raise, _rotate])
async def test_what_another_process_appended_cannot_be_taken_back(
    centre: Centre, change: Callable[[Centre, Deployment], Awaitable[None]]
) -> None:
    """A removal, a minimum, the end of an old key: only the last entry is gone, and the service had read none."""
    social = await centre.sign_in("avec.social")
    async with another_process(centre) as other:
        await change(centre, other)
    await roll_back(centre, floor_of(centre).epoch - 1)
    await social.refused("GET", "/me", 500, DAMAGED)


async def test_a_directory_that_was_put_back_keeps_the_sweep_from_no_other_organisation(
    centre: Centre,
) -> None:
    await centre.sign_in("avec.social")
    await centre.sign_in("cidff.jurist")
    async with another_process(centre) as other:
        await _remove(centre, other)
    await roll_back(centre, floor_of(centre).epoch - 1)
    centre.clock.offset += timedelta(hours=11)
    with capture_logs() as logs:
        await sweep(centre.deployment)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["sweep_failed"]
    left = await centre.dba(lambda connection: connection.execute(select(session.c.id)).all())
    assert left == []


async def test_nothing_is_sealed_to_a_partner_whose_directory_was_put_back(centre: Centre) -> None:
    """Hers and the copy that the sender keeps of it: an older drop key, say, would be named again."""
    jurist = await centre.sign_in("cidff.jurist")
    case = await open_case(jurist, "legal")
    path, draft = f"/cases/{case}/handoffs", handoff("identity", "legal", to="avec")
    await jurist.post(path, draft)
    async with another_process(centre) as other:
        await raise_minimum(other, centre.org("avec"), CUSTODIAN, HIGHER)
    await roll_back(centre, floor_of(centre).epoch - 1)
    await jurist.refused("POST", path, 500, DAMAGED, json=draft)


async def test_an_un_naming_that_was_taken_back_opens_nothing_at_another_process(centre: Centre) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double", "avec.jurist")
    jurist = await centre.sign_in("avec.jurist")
    async with another_process(centre) as other:
        there = replace(centre, deployment=other)
        known = await there.learn("avec")
        await unname(social, case, "avec.jurist")
        await roll_back(centre, known.epoch)
        with pytest.raises(DirectoryRefused) as refused:
            await there.act(jurist, lambda act: act.keyring.holds("social"))
    assert refused.value.fault is DirectoryFault.ROLLED_BACK


async def test_another_entry_that_is_signed_as_well_does_not_take_the_place_of_one_that_was_seen(
    centre: Centre,
) -> None:
    """Who signs it was entitled, as a custodian was before her own removal: the chain is whole, and another."""
    social, before = await centre.sign_in("avec.social"), await centre.learn("avec")
    (custodian,) = centre.accounts["avec.custodian"].memberships
    async with another_process(centre) as other:
        await remove(other, "avec", LEAVING, CUSTODIAN)
    await roll_back(centre, before.epoch)
    fork = sign_entry(
        before.org,
        before.epoch + 1,
        before.head,
        MinimumBody(HIGHER.made, HIGHER.accepted),
        EntrySigner(custodian.id.bytes, custodian.signing),
    )
    row = {"org_id": centre.org("avec"), "epoch": fork.epoch, "entry": fork.to_bytes()}
    await centre.dba(lambda connection: connection.execute(insert(key_directory).values(row)))
    await social.refused("GET", "/me", 500, DAMAGED)


async def test_the_entry_that_a_process_knows_is_missed_when_it_reads_anew(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    epoch = await centre.act(social, lambda act: append_minimum(centre, act))
    await roll_back(centre, epoch - 1)
    with pytest.raises(DirectoryRefused) as refused:
        await centre.learn("avec")
    assert refused.value.fault is DirectoryFault.ROLLED_BACK


async def test_what_each_process_appends_every_other_knows_at_its_next_request(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    leaving = await centre.sign_in(LEAVING)
    async with another_process(centre) as other:
        await replace(centre, deployment=other).act(leaving, lambda act: act.keyring.holds("social"))
        epoch = await centre.act(social, lambda act: append_minimum(centre, act))
        assert floor_of(centre).epoch == epoch
        there = replace(centre, deployment=other)
        minimum = await there.act(
            social, lambda act: other.directories.known(act.unit, act.org_id).case_minimum
        )
        assert minimum == HIGHER
        await remove(other, "avec", LEAVING, CUSTODIAN)
        known = await centre.act(
            social, lambda act: centre.deployment.directories.known(act.unit, act.org_id)
        )
    assert (known.epoch, centre.member(LEAVING).bytes in known.members) == (epoch + 1, False)
    assert floor_of(centre) == known.floor


async def test_an_entry_that_was_not_committed_is_remembered_nowhere(centre: Centre) -> None:
    """The unit itself sees it; a floor raised for it would lock the organisation out."""
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    before, administrator = floor_of(centre), Administrator(centre.urls.owner)

    def append(act: Act) -> None:
        epoch = append_minimum(centre, act)
        # As whoever makes a key does.
        assert act.keyring.current_kek("social") is not None
        assert act.deployment.directories.fresh(act.unit, act.org_id).epoch == epoch == before.epoch + 1
        assert floor_of(centre) == before

    def append_and_fail(act: Act) -> None:
        append(act)
        raise LookupError

    with pytest.raises(LookupError):
        await centre.act(social, append_and_fail)
    await administrator.set_trap("key_directory")
    with pytest.raises(CommitFailed):
        await centre.act(social, append)
    await administrator.lift_trap("key_directory")

    assert floor_of(centre) == before == (await centre.learn("avec")).floor
    case = await open_case(await centre.sign_in(LEAVING), "social")
    await restrict(supervisor, case, "avec.social", LEAVING)
    assert floor_of(centre).epoch == before.epoch + 1


async def test_a_floor_that_could_not_be_raised_raises_an_alarm_and_is_raised_by_the_next_unit(
    centre: Centre,
) -> None:
    """What was committed stays, and is answered so: the disk beside it refuses to be written to."""
    social = await centre.sign_in("avec.social")
    before = floor_of(centre)
    in_the_way = (centre.deployment.settings.state_dir / FILE_NAME).with_suffix(".new")
    in_the_way.mkdir()
    with capture_logs() as logs:
        epoch = await centre.act(social, lambda act: append_minimum(centre, act))
    assert {line["event"] for line in logs if line["log_level"] == "critical"} == {"floor_not_raised"}
    assert floor_of(centre) == before
    in_the_way.rmdir()
    assert (await centre.learn("avec")).epoch == epoch == floor_of(centre).epoch
