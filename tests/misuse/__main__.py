"""`python -m tests.misuse`: play the month and write docs/audit/misuse.md (some minutes)."""

import asyncio
import logging
import tempfile
from pathlib import Path

import structlog

from tests.misuse.month import FULL, Story
from tests.misuse.place import centre_of
from tests.misuse.table import audit, written

SEED = 2026
PAGE = Path(__file__).parents[2] / "docs" / "audit" / "misuse.md"


async def _play() -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with centre_of(Path(folder), FULL) as centre:
            month = await Story(centre, FULL, SEED).play()
            return written(await audit(centre, month, FULL), FULL, SEED)


structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
PAGE.write_text(asyncio.run(_play()), "utf-8")
