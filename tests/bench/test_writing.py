"""Writing to the journal: README shows what the command found last."""

import msgspec

from bench import writing
from bench.report import insert
from bench.writing import WRITERS, Writing
from tests.conventions.project import ROOT


def test_readme_shows_the_last_run_and_nothing_else() -> None:
    last = msgspec.json.decode((ROOT / "bench" / "writing.json").read_bytes(), type=Writing)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert insert(readme, writing.section(last), writing.MARKERS) == readme
    assert last.of_bare.keys() == {str(writers) for writers in WRITERS}
