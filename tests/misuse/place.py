"""A centre on SQLite whose one organisation has the members of a month, and its auditor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, make_url

from casework.identity.members import Position, prepare_account
from casework.journal import Journal
from casework.organisations.founding import Ground, found, prepare_deployment
from casework.schema import migrate, upgrade
from crypto.password import FLOOR_PARAMS
from crypto.pepper import create_pepper_file
from policies.sources import org_source
from policies.vocabulary import Profession, Role
from tests.casework.centre import NAME, PASSWORD, SLUGS, Centre, Foundation, Urls, known_engine, open_centre
from tests.misuse.month import SLUG, Size

_SOCIAL = frozenset({Profession.SOCIAL})


@asynccontextmanager
async def centre_of(folder: Path, size: Size) -> AsyncIterator[Centre]:
    """A running centre in an empty folder."""
    others = [(f"{SLUG}.{role}", role) for role in (Role.AUDITOR, Role.CUSTODIAN, Role.DPO)]
    accounts = {
        login: prepare_account(
            login, PASSWORD, [Position(role, _SOCIAL if role is Role.WORKER else frozenset())], FLOOR_PARAMS
        )
        for login, role in (*size.logins, *others)
    }
    for name in ("foundation", "centre"):
        (folder / name).mkdir()
    state = folder / "foundation" / "state"
    state.mkdir()
    pepper = create_pepper_file(folder / "foundation" / "pepper")
    founded = {}

    def build(connection: Connection) -> None:
        upgrade(connection)
        now = datetime.now(UTC)
        prepare_deployment(connection, state, NAME, is_demo=False, now=now)
        ground = Ground(connection, state, pepper, Journal(NAME), now)
        engine = known_engine(SLUG, SLUGS, org_source(SLUG).text)
        founded[SLUG] = found(ground, SLUG, SLUG.upper(), engine, list(accounts.values()))

    database = make_url(f"sqlite:///{folder / 'casework.db'}")
    await migrate(database, build)
    urls = Urls(database, database, database, make_url(f"sqlite:///{folder / 'shreds.db'}"))
    async with open_centre(folder / "centre", Foundation(folder / "foundation", founded), urls) as centre:
        centre.accounts = accounts
        yield centre
