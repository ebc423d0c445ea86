"""`casework policy`: a faulty rule is named, and the matrix is the one in review."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import policies
from policies.matrix import matrix_path
from policies.sources import org_source
from tests.casework.commands.place import COMMAND, Place, Ran, run

SHIPPED = Path(policies.__file__).parent


def run_with(folder: Path, *arguments: str) -> Ran:
    """Run the command line where the folder `policies` of `folder` comes first."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED, tmp_path / "policies", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_policies_that_are_shipped_pass() -> None:
    ran = run("policy", "check", environment={})
    assert (ran.code, ran.err) == (0, "")


def test_a_faulty_policy_is_named_with_its_file(copy: Path) -> None:
    path = copy / "policies" / "orgs" / "cidff.cedar"
    path.write_text(path.read_text("utf-8") + '\n@id("cidff.bad")\npermit (principal, action, resource);\n')
    ran = run_with(copy, "policy", "check")
    assert ran.code == 1
    assert any(line.startswith("cidff: cidff.bad:") for line in ran.err.splitlines())


def test_a_fault_of_the_base_is_said_once(copy: Path) -> None:
    path = copy / "policies" / "base.cedar"
    path.write_text(
        path.read_text("utf-8") + '\n@id("base.bad")\nforbid (principal, action, resource) when { true };\n'
    )
    ran = run_with(copy, "policy", "check")
    assert (ran.code, ran.err.count("base.bad")) == (1, 1)


def test_a_sentence_that_the_policies_do_not_keep_is_named(copy: Path) -> None:
    path = copy / "policies" / "tests" / "med.toml"
    turned = path.read_text("utf-8").replace('verdict = "allow"', 'verdict = "deny"', 1)
    path.write_text(turned)
    ran = run_with(copy, "policy", "check")
    assert (ran.code, ran.err.startswith("tests/med.toml")) == (1, True)


def test_an_organisation_without_sentences_does_not_pass(copy: Path) -> None:
    (copy / "policies" / "tests" / "med.toml").unlink()
    ran = run_with(copy, "policy", "check")
    assert (ran.code, ran.err.startswith("tests/med.toml")) == (1, True)


def test_the_matrix_is_printed_and_written_where_it_is_reviewed(copy: Path) -> None:
    committed = matrix_path("cidff").read_text("utf-8")
    written = copy / "policies" / "matrix" / "cidff.md"
    written.write_text("stale")
    ran = run_with(copy, "policy", "matrix", "cidff", "--write")
    assert (ran.code, ran.out, written.read_text("utf-8")) == (0, committed, committed)


def test_an_organisation_without_policies_has_no_matrix() -> None:
    ran = run("policy", "matrix", "nowhere", environment={})
    assert (ran.code, "nowhere" in ran.err) == (1, True)


def test_a_change_is_told_in_words_between_two_files(copy: Path) -> None:
    old, new = copy / "policies" / "orgs" / "avec.cedar", copy / "changed.cedar"
    text = old.read_text("utf-8")
    start = text.index('@id("avec.contact.device")')
    new.write_text(text[:start] + text[text.index(";", start) + 1 :], "utf-8")
    ran = run("policy", "diff", str(old), str(new), environment={})
    assert (ran.code, ran.err) == (0, "")
    assert "le DPO GAGNE approuver une copie hors poste géré" in ran.out.splitlines()
    assert run("policy", "diff", str(old), str(old), environment={}).out == "Rien ne change.\n"


def test_a_file_that_could_not_be_loaded_has_no_diff(copy: Path) -> None:
    old, new, empty = copy / "policies" / "orgs" / "med.cedar", copy / "new.cedar", copy / "empty.cedar"
    new.write_text(old.read_text("utf-8").replace("case.create", "case.craete", 1), "utf-8")
    empty.write_text("", "utf-8")
    ran = run("policy", "diff", str(old), str(new), environment={})
    assert (ran.code, ran.err.startswith("med: med.create:")) == (1, True)
    assert run("policy", "diff", str(old), str(empty), environment={}).code == 1
    other = copy / "policies" / "orgs" / "avec.cedar"
    assert run("policy", "diff", str(old), str(other), environment={}).code == 2


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_journal_is_replayed_under_a_new_file_which_must_be_one_that_could_be_loaded(
    founded: Place, tmp_path: Path
) -> None:
    new, faulty = tmp_path / "new.cedar", tmp_path / "faulty.cedar"
    text = org_source("avec").text
    new.write_text(text, "utf-8")
    faulty.write_text(text.replace("case.create", "case.craete", 1), "utf-8")
    founded.integrate()
    ran = founded.run("policy", "replay", "avec", new, "--days", "1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == ["Aucune décision rejouée ne changerait.", "Décisions rejouées : 0."]
    refused = founded.run("policy", "replay", "avec", faulty)
    assert (refused.code, refused.err.startswith("avec: avec.create:")) == (1, True)
    assert founded.run("policy", "replay", "cidff", new).code == 1
    faulty.write_bytes(b"\xff\xfe")
    unread = founded.run("policy", "replay", "avec", faulty)
    assert (unread.code, "UTF-8" in unread.err) == (1, True), unread
    assert founded.run("policy", "replay", "nowhere", new).code != 0
