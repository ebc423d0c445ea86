from pathlib import Path
from typing import Any

import pytest

from tests.audit.journal import Journal


@pytest.fixture
def journal(database_place: Any, tmp_path: Path) -> Journal:
    """An open, empty log on the engine under test."""
    state = tmp_path / "state"
    state.mkdir()
    return Journal(database_place, state).open()
