"""Fifty kills of integrators and writers: no entry lost, none doubled, each checkpoint begins the next."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from sqlalchemy import Connection, select

from audit import tables
from audit.checkpoint import VerificationKey
from audit.nodes import stored_nodes
from audit.tree import consistency_proof, verify_consistency
from audit.trust import Trust
from audit.verdict import Verdict
from audit.verifier import verify_database
from casework.clock import Clock
from casework.deployment import assemble, dismantle
from casework.integration import Integration
from casework.settings import Settings, from_environment
from crypto.password import FLOOR_PARAMS
from crypto.signing import verify
from tests.audit.journal import only_on
from tests.crashes.ground import Ground

KILLS = 50


@only_on("postgresql")
def test_two_integrators_and_eight_writers_killed_fifty_times_lose_and_double_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("CASEWORK_TEST_KILL_SEED") or secrets.randbelow(2**32))
    sys.stdout.write(f"CASEWORK_TEST_KILL_SEED={seed}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.crashes.writing", str(KILLS), str(seed)],
        env={**os.environ, **ground.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    assert "Traceback" not in ended.stderr
    assert "journal_refused" not in ended.stdout + ended.stderr
    settings = from_environment({**ground.environment})
    asyncio.run(_integrate_the_rest(settings))

    acknowledged = defaultdict(set)
    for line in (ground.folder / "state" / "acknowledged").read_text().splitlines():
        origin, entry = line.split()
        acknowledged[origin].add(entry)
    published = defaultdict(set)
    for line in (ground.folder / "state" / "published").read_text().splitlines():
        origin, size, root = line.split()
        published[origin].add((int(size), bytes.fromhex(root)))
    assert len(acknowledged) == 2
    for slug, founded in ground.foundation.founded.items():
        key = VerificationKey.parse(founded.journal_key)
        look = _Look(founded.org_id.bytes, key, acknowledged[key.name], sorted(published[key.name]))
        asyncio.run(ground.administrator.run(look.require_whole))
        assert slug in {"planning", "med"} or len(acknowledged[key.name]) > KILLS


class _Look:
    """What must be true of one log in the end."""

    def __init__(
        self, log: bytes, key: VerificationKey, acknowledged: set[str], published: list[tuple[int, bytes]]
    ) -> None:
        self._log, self._key = log, key
        self._acknowledged, self._published = acknowledged, published

    def require_whole(self, connection: Connection) -> None:
        entry = tables.entry
        ids = connection.execute(select(entry.c.entry_id).where(entry.c.log == self._log)).scalars()
        counted = Counter(ids)
        assert set(counted.values()) == {1}
        assert self._acknowledged <= counted.keys()
        for old, new in pairwise(self._published):
            proof = consistency_proof(old[0], new[0], stored_nodes(connection, self._log))
            verify_consistency(*(old[0], new[0], old[1], new[1]), proof)
        report = verify_database(connection, self._log, Trust(keys=(self._key,)), verify)
        assert report.verdict is Verdict.VALID, report


async def _integrate_the_rest(settings: Settings) -> None:
    deployment = await assemble(settings, Clock(), FLOOR_PARAMS)
    integration = Integration(deployment)
    await integration.close_abandoned_lanes()
    while await integration.round():
        pass
    await dismantle(deployment)
