import re

import pytest

from policies.labels import ACTIONS
from policies.matrix import MATRICES, matrix, matrix_path
from policies.vocabulary import Action
from tests.policies.situations import ORGS, engine_of


@pytest.mark.parametrize("org", ORGS)
def test_the_committed_matrix_is_what_the_policies_say(org: str) -> None:
    """Where this fails, ``casework policy matrix`` gives the new one: read the difference first."""
    assert matrix_path(org).read_text("utf-8") == matrix(engine_of(org))


def test_every_file_of_rules_has_its_matrix_and_its_sentences() -> None:
    folder = MATRICES.parent
    for kind in ("orgs", "matrix", "tests"):
        assert {path.stem for path in (folder / kind).iterdir()} == set(ORGS)


@pytest.mark.parametrize("org", ORGS)
def test_every_act_has_its_row_and_every_row_its_columns(org: str) -> None:
    text = matrix_path(org).read_text("utf-8")
    for action in Action:
        rows = re.findall(rf"^\| {re.escape(ACTIONS[action])} \|.*$", text, re.MULTILINE)
        assert len(rows) == (2 if action is Action.HANDOFF_READ else 1)
        assert all(row.count("|") == 12 for row in rows)
