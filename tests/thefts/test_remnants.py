"""What was deleted and lies on the medium for a while: a limit that the threat model names, and not a promise."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import delete, select

from casework.handoffs.tables import handoff_part
from casework.identity.tables import session
from casework.shreds import shred
from casework.sqlite import sessions_file
from crypto.pepper import Pepper
from crypto.secret import Secret
from crypto.session import open_session, session_id, session_key
from tests.casework.administrator import Administrator
from tests.casework.centre import Centre
from tests.casework.story import accept, hand_over, open_case
from tests.thefts import loot


@pytest.fixture
def engine_name() -> str:
    """PostgreSQL keeps deleted rows until a vacuum; here the file can be looked into."""
    return "sqlite"


def file(path: Path) -> bytes:
    return path.read_bytes()


def wal(path: Path) -> bytes:
    """The write-ahead log of a SQLite file: old pages stand in it until it is written over, or closed."""
    return path.with_name(path.name + "-wal").read_bytes()


async def test_an_ended_session_and_an_opened_part_stand_in_sqlites_log_until_it_is_written_over(
    centre: Centre,
) -> None:
    database = Path(centre.urls.service.database or "")
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    sent, _ = await hand_over(social, case, "identity", "legal")
    token = Secret(loot.token(social.token))
    this = select(session.c["keys"]).where(session.c.id == session_id(token))
    sealed = await centre.dba(lambda connection: connection.execute(this).scalar_one().blob)
    part = await centre.dba(lambda connection: connection.scalars(select(handoff_part.c.part)).first().blob)
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, sent)
    await jurist.get(f"/cases/{received}")
    await social.request("DELETE", "/sessions/current", 204)
    assert await centre.dba(lambda connection: connection.execute(this).first()) is None
    # Gone from the files themselves, and not yet from their logs.
    for path, remnant in ((sessions_file(database), sealed), (database, part)):
        assert remnant[:64] not in file(path)
        assert remnant[:64] in wal(path)
    # It still needs cookie and pepper, as it did before.
    key = session_key(Pepper.from_secret(Secret(loot.pepper(centre))), token)
    assert open_session(key, session_id(token), sealed).org == centre.org("avec").bytes


async def test_a_destroyed_half_stands_in_the_shred_files_log_until_it_is_written_over(
    centre: Centre,
) -> None:
    """What erases will have to empty that log too."""
    store = Path(centre.urls.shreds.database or "")
    case = UUID(await open_case(await centre.sign_in("avec.social")))
    halves = [bytes(row.part) for row in (await loot.shred_store(centre))["shred"] if row.owner_id == case]
    assert halves
    administrator = Administrator(centre.urls.shreds)
    await administrator.run(lambda connection: connection.execute(delete(shred)))
    assert (await loot.shred_store(centre))["shred"] == []
    assert not any(half in file(store) for half in halves)
    assert all(half in wal(store) for half in halves)
