"""Killed with -9 at every step of a rotation: after it was resumed all opens, and nothing is under the old key."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import URL, Connection, make_url, select

from bench.rotation import Filler
from casework.anchors import Anchors
from casework.cases.tables import case_group
from casework.columns import Column
from casework.keyring import open_grants
from casework.organisations.holders import verified_directory
from casework.organisations.tables import drop_key, kek_recovery, key_grant
from casework.rewrapping import BATCH
from casework.shreds import ShredStore
from crypto.dek import dek_row_key_number
from crypto.opener import FrameReader
from crypto.session import SessionKeys
from tests.casework.centre import SLUGS, all_accounts
from tests.crashes.ground import Ground
from tests.crashes.rotating import COMPARTMENT

CASES_ON_SQLITE = 10_000
# The steps are the same; fewer batches of them.
CASES_ON_POSTGRESQL = 1_500
# Around the begin and the end of a rotation one step each; and each step is killed before and after its commit.
OTHER_STEPS, KILLS_A_STEP = 2, 2


def test_a_rotation_killed_at_every_step_and_resumed_leaves_nothing_under_the_old_key(
    ground: Ground, engine_name: str
) -> None:
    cases = CASES_ON_SQLITE if engine_name == "sqlite" else CASES_ON_POSTGRESQL
    names = [f"Personne {number}" for number in range(cases)]
    org_id = ground.foundation.founded["avec"].org_id
    filler = Filler(ground.folder / "state", org_id, all_accounts()["avec.social"])
    halves = asyncio.run(_fill(ground, filler, names))

    organisations = [str(ground.foundation.founded[slug].org_id) for slug in SLUGS]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.crashes.rotating", *organisations],
        env={**os.environ, **ground.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    assert int(ended.stdout) == KILLS_A_STEP * (OTHER_STEPS + cases // BATCH)

    opened = asyncio.run(ground.administrator.run(lambda connection: _open_all(connection, filler, halves)))
    assert sorted(opened) == sorted(names)


def _shred_url(ground: Ground) -> URL:
    return ground.urls.get("CASEWORK_SHRED_URL") or make_url(
        f"sqlite:///{ground.folder / 'data' / 'shreds.db'}"
    )


async def _fill(ground: Ground, filler: Filler, names: Sequence[str]) -> dict[bytes, bytes]:
    """Insert the cases; returns the halves of their identities."""
    store = ShredStore(_shred_url(ground))

    def insert(connection: Connection) -> dict[bytes, bytes]:
        filler.insert(connection, store, names)
        return store.all_of(filler.org_id, COMPARTMENT)

    halves = await ground.administrator.run(insert)
    await store.dispose()
    return halves


def _open_all(connection: Connection, filler: Filler, halves: Mapping[bytes, bytes]) -> list[str]:
    """Every name, opened with what the holder's grants give now; no grant, copy or row is of the old key."""
    org_id, (member,) = filler.org_id, filler.account.memberships
    directory = verified_directory(connection, Anchors(filler.state_dir), org_id)
    assert directory.retiring(COMPARTMENT) == ()
    for table in (key_grant, kek_recovery, drop_key):
        query = select(table.c.kek_no).where(table.c.org_id == org_id, table.c.compartment == COMPARTMENT)
        assert set(connection.execute(query).scalars()) == {2}
    keys = SessionKeys(org_id.bytes, member.id.bytes, member.daily_private, ())
    (kek,) = (kek for kek in open_grants(connection, directory, keys) if kek.group == COMPARTMENT)
    reader = FrameReader(kek, *Column.CASE_GROUP_FRAME.value)
    rows = connection.execute(
        select(case_group).where(case_group.c.org_id == org_id, case_group.c.compartment == COMPARTMENT)
    ).all()
    assert {dek_row_key_number(row.dek.blob) for row in rows} == {2}
    records = (
        reader.open(
            row.case_id.bytes,
            row.dek_generation,
            row.dek.blob,
            halves[row.case_id.bytes],
            row.id.bytes,
            row.version,
            row.frame.blob,
        )
        for row in rows
    )
    return [msgspec.json.decode(record)["name_in_use"] for record in records]
