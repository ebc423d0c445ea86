"""Two auditors who were shown two journals find it out by what each has kept."""

from pathlib import Path

import pytest

from audit.bundle import write_bundle
from audit.checkpoint import parse_checkpoint
from audit.log import latest_checkpoint
from audit.state import FILE_NAME
from tests.audit.journal import LOG, Journal
from tests.audit.tampering import rewrite, tamper
from tests.casework.commands.place import run


@pytest.fixture
def journal(database_place: object, tmp_path: Path) -> Journal:
    state = tmp_path / "state"
    state.mkdir()
    return Journal(database_place, state).open()


def kept(journal: Journal, path: Path) -> Path:
    """What an auditor takes away of the newest checkpoint."""
    path.write_text(journal.run(lambda connection: latest_checkpoint(connection, LOG)), "utf-8")
    return path


def compared(journal: Journal, one: Path, other: Path) -> tuple[int, str]:
    ran = run("audit", "compare", one, other, "--key", str(journal.key), environment={})
    return ran.code, ran.out + ran.err


def show_another(journal: Journal) -> None:
    """The superuser, with the signing key and the state file: whoever asks from now on sees another journal."""
    tamper(journal, rewrite(1, journal.signer))
    (journal.directory / FILE_NAME).unlink()
    note = journal.run(lambda connection: latest_checkpoint(connection, LOG))
    journal.state.publish([parse_checkpoint(note).checkpoint])


def test_a_split_view_of_one_size_is_found_by_comparing_two_auditors_checkpoints(
    journal: Journal, tmp_path: Path
) -> None:
    journal.grow(2, 3)
    first, same = kept(journal, tmp_path / "first"), kept(journal, tmp_path / "same")
    assert compared(journal, first, same) == (0, "Le même journal de 5 écritures.\n")
    show_another(journal)
    code, words = compared(journal, first, kept(journal, tmp_path / "other"))
    assert (code, "Deux journaux différents" in words) == (30, True)


def test_a_split_view_of_two_sizes_is_found_with_a_bundle_of_the_larger(
    journal: Journal, tmp_path: Path
) -> None:
    journal.grow(2, 3)
    first = kept(journal, tmp_path / "first")
    bundles = []
    for name in ("honest", "other"):
        journal.grow(2)
        larger = kept(journal, tmp_path / name)
        assert compared(journal, first, larger)[0] == 20
        bundle = tmp_path / f"{name}.zip"
        journal.run(lambda connection, bundle=bundle: write_bundle(connection, LOG, bundle))
        bundles.append(
            run("audit", "verify", bundle, "--key", str(journal.key), "--trusted", first, environment={})
        )
        if name == "honest":
            show_another(journal)
    assert [ran.code for ran in bundles] == [0, 30]
    assert "point de contrôle de taille 5" in bundles[1].out


def test_a_checkpoint_that_the_key_did_not_sign_accuses_nobody(journal: Journal, tmp_path: Path) -> None:
    (note,) = journal.grow(2)
    first, forged = kept(journal, tmp_path / "first"), tmp_path / "forged"
    forged.write_text(note.replace("\n2\n", "\n3\n"), "utf-8")
    assert compared(journal, first, forged)[0] == 1
    forged.write_bytes(b"\xff")
    assert compared(journal, first, forged)[0] == 1
