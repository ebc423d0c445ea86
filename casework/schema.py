"""Bring a database to a revision of the schema, on either engine."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection

import casework.audit_review.tables
import casework.cases.tables
import casework.consents.tables
import casework.drafts.tables
import casework.follow_ups.tables
import casework.handoffs.tables
import casework.identity.tables
import casework.organisations.tables
import casework.rights.tables  # noqa: F401 - these nine register every table
import migrations
from casework import postgres, sqlite


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    command.downgrade(_config(connection), revision)


async def migrate(url: URL, work: Callable[[Connection], None] = upgrade) -> None:
    """Run `work` (by default: upgrade to the newest revision) as the owner of the schema, in one transaction."""
    if url.get_backend_name() == "sqlite":
        with sqlite.make_engine(Path(url.database or "")).begin() as connection:
            work(connection)
        return
    engine = postgres.make_engine(url, pool_size=1)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()
