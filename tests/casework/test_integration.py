"""The service's own task of the journal: what it does first after a kill."""

import os
from uuid import uuid4

from audit.checkpoint import parse_checkpoint, verify_checkpoint
from audit.lane_file import LaneFile
from audit.log import latest_checkpoint
from casework.database import UnitOfWork
from casework.deployment import lanes_folder
from casework.journal import Deed, Journal, Who
from casework.signers import begin_succession
from crypto.signing import verify
from tests.casework.administrator import Administrator
from tests.casework.centre import NAME, Centre
from tests.casework.story import entries_of


async def test_the_lanes_of_a_killed_process_are_closed_in_each_log(
    centre: Centre,
) -> None:
    folder = lanes_folder(centre.deployment.settings)
    file = LaneFile(folder)
    killed = Journal(NAME, file)
    org = (centre.org("avec"), "avec")

    def enter(unit: UnitOfWork) -> None:
        unit.enter_organisation(org[0])
        killed.record(unit, org, Who(uuid4()), Deed("case.open"))
        killed.record(unit, None, Who(uuid4()), Deed("session.create"))

    # Never committed, and its process dies before it could say so.
    lost: list[UnitOfWork] = []

    def lose(unit: UnitOfWork) -> None:
        enter(unit)
        unit._rollbacks.clear()
        lost.append(unit)
        raise LookupError

    for work in (enter, lose, enter):
        try:
            await centre.deployment.database.unit(work)
        except LookupError:
            assert work is lose
    os.close(file._descriptor)
    await centre.app.state.integration.close_abandoned_lanes()
    # Its own file alone is left.
    assert len(list(folder.iterdir())) == 1

    (closing,) = entries_of(await centre.journal("avec"), "lane.close")
    assert closing["entry"]["lane"]["void"] == [2]
    assert closing["entry"]["lane"]["n"] == 4
    closed = "SELECT count(*) FROM audit_entry WHERE action = 'lane.close'"
    assert await Administrator(centre.urls.owner).value(closed) == 2


async def test_a_clean_stop_leaves_no_lanes_behind(centre: Centre) -> None:
    await centre.sign_in("avec.social")
    folder = lanes_folder(centre.deployment.settings)
    assert len(list(folder.iterdir())) == 1
    centre.deployment.journal.end()
    assert list(folder.iterdir()) == []
    # The fixture ends it once more.
    centre.deployment.journal._file = None


async def test_a_service_that_runs_takes_up_a_key_that_was_begun_beside_it(centre: Centre) -> None:
    state_dir, org = centre.deployment.settings.state_dir, centre.org("avec")
    integration = centre.app.state.integration
    known = integration._signers.current()
    successor = begin_succession(state_dir, org.bytes, f"{NAME}/avec")

    def announce(unit: UnitOfWork) -> None:
        unit.enter_organisation(org)
        deed = Deed("log.key_rotated", policy_set=successor.key.public.hex())
        centre.deployment.journal.record(unit, (org, "avec"), Who(uuid4()), deed)

    await centre.deployment.database.unit(announce)
    await integration.round()
    note = await centre.deployment.database.snapshot(
        lambda connection: latest_checkpoint(connection, org.bytes), org
    )
    verify_checkpoint(parse_checkpoint(note), [successor.key], verify)
    verify_checkpoint(parse_checkpoint(note), [known[org.bytes][0].key], verify)
    assert integration.healthy
