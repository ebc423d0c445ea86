"""The building blocks: every contest runs, and README shows what the command found last."""

import msgspec

from bench import blocks
from bench.blocks import BARE, CASEWORK, FERNET, Block, Blocks
from bench.report import insert
from bench.results import Machine
from tests.conventions.project import ROOT

RESULTS = ROOT / "bench" / "blocks.json"
MACHINE = Machine("a processor", 2, True, "Linux", "3.11", "")


def test_every_contest_does_what_it_says() -> None:
    """Each act raises where what it seals would not open."""
    for _, _, acts, _ in blocks._contests():
        assert CASEWORK in acts
        for act in acts.values():
            act()


def test_a_ratio_is_casework_to_the_other_and_a_row_shows_it() -> None:
    block = Block("seal", "AES-GCM", {CASEWORK: 4e-6, BARE: 2e-6, FERNET: 5e-5}, {BARE: 2.0, FERNET: 0.08})
    assert blocks._row(block) == ["seal", "4 µs", "2 µs (2.00)", "AES-GCM", "50 µs (0.08)"]
    alone = Block("sign in", "Argon2id", {CASEWORK: 0.2, BARE: 0.1}, {BARE: 2.0})
    assert blocks._row(alone) == ["sign in", "200 ms", "100 ms (2.00)", "Argon2id", "—"]


def test_readme_shows_the_last_run_and_nothing_else() -> None:
    last = msgspec.json.decode(RESULTS.read_bytes(), type=Blocks)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert insert(readme, blocks.section(last), blocks.MARKERS) == readme
    assert {"seal a record", "open a record", "unwrap a DEK", "sign in: password to session"} <= {
        block.name for block in last.blocks
    }
