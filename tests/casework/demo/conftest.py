"""One small demo for a session, and copies of it to change."""

import asyncio
import shutil
from pathlib import Path

import pytest

from casework.clock import Clock
from casework.demo.building import build
from casework.demo.directory import DemoDirectory, existing_directory, fresh_directory
from casework.demo.people import Authenticator
from crypto.password import FLOOR_PARAMS

CASES = 24


async def never(seconds: float) -> None:
    raise AssertionError("making a demo waits for no code")


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoDirectory:
    """A demo of two dozen cases, not to be changed."""
    path = tmp_path_factory.mktemp("demo") / "small"
    authenticator = Authenticator(Clock(), never, lambda seconds: None)
    with fresh_directory(path) as made:
        asyncio.run(
            build(made, authenticator, lambda stage, done, total: None, cases=CASES, params=FLOOR_PARAMS)
        )
    return existing_directory(path)


@pytest.fixture
def own_demo(small_demo: DemoDirectory, tmp_path: Path) -> DemoDirectory:
    """A copy for one test."""
    shutil.copytree(small_demo.path, tmp_path / "demo")
    return existing_directory(tmp_path / "demo")
