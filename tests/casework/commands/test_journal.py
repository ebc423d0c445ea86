"""`casework audit`: what is taken away verifies anywhere, and what was changed is found."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from sqlalchemy import Connection, text

from audit.checkpoint import NoteSigner, parse_checkpoint
from audit.log import Filters, prove_inclusion
from audit.log import entries as newest
from audit.receipt import Receipt
from crypto.signing import SigningKey
from tests.casework.commands.place import NAME, Place, run, start
from tests.casework.commands.test_organisations import id_of, read
from tests.conftest import RunningCluster


def export(place: Place, org: str = "avec") -> Path:
    path = place.folder / f"{org}.zip"
    ran = place.run("audit", "export", org, "--to", path)
    assert ran.code == 0, ran
    return path


def alter(place: Place, request: pytest.FixtureRequest, statement: str) -> None:
    """Change the journal's rows as a database administrator would: past the triggers."""
    if place.urls:
        cluster: RunningCluster = request.getfixturevalue("cluster")
        database = str(place.urls["CASEWORK_DATABASE_URL"].database)
        cluster.sql(f"SET session_replication_role = replica; {statement}", database)
        return

    def change(connection: Connection) -> None:
        names = (
            connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        )
        for name in names:
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(statement))

    read(place, change)


def test_a_bundle_verifies_with_no_setting_at_all(founded: Place) -> None:
    process = start("audit", "verify", export(founded), "--key", founded.key("avec"), environment={})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert f"{NAME}/avec" in out


def test_an_export_is_itself_journaled(founded: Place) -> None:
    export(founded)
    founded.integrate()
    after = founded.folder / "after.zip"
    founded.run("audit", "export", "avec", "--to", after)
    with ZipFile(after) as bundle:
        entries = b"".join(bundle.read(name) for name in bundle.namelist() if "entries" in name)
    assert entries.count(b'"journal.export"') == 1


def test_the_deployments_own_journal_verifies_under_its_name(founded: Place) -> None:
    bundle = export(founded, NAME)
    ran = run("audit", "verify", bundle, "--json", environment={})
    assert json.loads(ran.out)["origin"] == NAME


@pytest.mark.parametrize(("trust", "code"), [("none", 20), ("other", 30), ("trusted", 0), ("older", 20)])
def test_nothing_is_valid_but_under_what_the_auditor_brings(founded: Place, trust: str, code: int) -> None:
    """A bundle does not vouch for itself, nor another log's key for it, nor a checkpoint for what came after."""
    saved = founded.folder / "saved"
    saved.write_text(founded.run("audit", "checkpoint", "avec").out)
    if trust == "older":
        export(founded)
        (founded.folder / "avec.zip").unlink()
        founded.integrate()
    bundle = export(founded)
    given = {"none": [], "other": ["--key", founded.key("cidff")]}.get(trust, ["--trusted", str(saved)])
    assert run("audit", "verify", bundle, *given, environment={}).code == code


def test_a_journal_that_stands_still_is_stale_only_where_an_age_is_asked(founded: Place) -> None:
    bundle, key = export(founded), founded.key("avec")
    fresh = run("audit", "verify", bundle, "--key", key, "--max-age", "1", environment={})
    assert fresh.code == 0
    assert "assez récent" in fresh.out


def test_a_changed_row_is_found_and_named_in_the_bundle_and_in_the_database(
    founded: Place, request: pytest.FixtureRequest
) -> None:
    org = id_of(founded, "avec").hex
    column = f"log = '\\x{org}'" if founded.urls else f"log = x'{org}'"
    founded.run("audit", "export", "avec", "--to", founded.folder / "one.zip")
    founded.integrate()
    swap = "overlay(bytes placing 'z'::bytea from 20)" if founded.urls else "replace(bytes, 'org', 'orx')"
    value = swap if founded.urls else f"CAST({swap} AS BLOB)"
    alter(founded, request, f"UPDATE audit_entry SET bytes = {value} WHERE {column} AND idx = 1")
    key = founded.key("avec")
    of_bundle = run("audit", "verify", export(founded), "--key", key, "--json", environment={})
    of_database = founded.run("audit", "verify", "--database", "avec", "--key", key, "--json")
    for ran in (of_bundle, of_database):
        report = json.loads(ran.out)
        assert (ran.code, report["exit_code"], report["verdict"]) == (30, 30, "inconsistent")
        assert report["first_wrong"]["index"] == 1


def test_the_stored_journal_verifies_under_its_key_alone(founded: Place) -> None:
    assert founded.run("audit", "verify", "--database", "avec", "--key", founded.key("avec")).code == 0
    other = str(NoteSigner(f"{NAME}/avec", SigningKey.new()).key)
    assert founded.run("audit", "verify", "--database", "avec", "--key", other).code == 30


def test_a_download_that_broke_off_is_incomplete(founded: Place) -> None:
    bundle = export(founded)
    broken = founded.folder / "broken.zip"
    shutil.copy(bundle, broken)
    broken.write_bytes(broken.read_bytes()[:-30])
    assert run("audit", "verify", broken, "--key", founded.key("avec"), environment={}).code == 20


def test_the_checkpoint_is_the_signed_note_and_nothing_else(founded: Place) -> None:
    ran = founded.run("audit", "checkpoint", "avec")
    assert parse_checkpoint(ran.out).checkpoint.origin == f"{NAME}/avec"


def test_an_unknown_organisation_has_no_journal(founded: Place) -> None:
    for command in (("checkpoint", "med"), ("export", "med", "--to", str(founded.folder / "x"))):
        ran = founded.run("audit", *command)
        assert (ran.code, ran.err.startswith("ORG")) == (1, True)
    assert not (founded.folder / "x").exists()


def test_a_receipt_verifies_with_no_setting_at_all(founded: Place) -> None:
    """What an act of weight returns: it proves its own entry under the log's key, and nothing else."""
    org = id_of(founded, "avec").bytes
    stored = read(founded, lambda connection: newest(connection, org, Filters(), limit=1).entries[0])
    proof = read(founded, lambda connection: prove_inclusion(connection, org, stored.entry.id))
    file, other = founded.folder / "receipt", founded.folder / "other"
    file.write_text(proof)
    ran = run("audit", "receipt", file, "--key", founded.key("avec"), environment={})
    assert (ran.code, stored.entry.id in ran.out) == (0, True)
    assert run("audit", "receipt", file, "--key", founded.key("cidff"), environment={}).code == 30
    receipt = Receipt.parse(proof)
    for changed, code in (
        (str(replace(receipt, entry=None)), 20),
        (str(replace(receipt, entry=stored.raw + b" ")), 30),
        ("no receipt", 30),
    ):
        other.write_text(changed)
        assert run("audit", "receipt", other, "--key", founded.key("avec"), environment={}).code == code


def test_a_partners_receipt_and_a_witness_are_asked_for_on_the_command_line(founded: Place) -> None:
    """The receipt is of this very log, which therefore holds the entry; nothing was rolled up yet."""
    org = id_of(founded, "avec").bytes
    stored = read(founded, lambda connection: newest(connection, org, Filters(), limit=1).entries[0])
    file = founded.folder / "receipt"
    file.write_text(read(founded, lambda connection: prove_inclusion(connection, org, stored.entry.id)))
    bundle, key = export(founded), founded.key("avec")
    asked = ("audit", "verify", bundle, "--key", key, "--counterpart", file, "--json", "--counterpart-key")
    for given, code, passed in ((key, 0, True), (founded.key("cidff"), 20, False)):
        ran = run(*asked, given, environment={})
        checks = {check["name"]: check["passed"] for check in json.loads(ran.out)["checks"]}
        assert (ran.code, checks["counterparts"]) == (code, passed)
    assert run(*asked[:-2], environment={}).code == 2
    assert run("audit", "verify", bundle, "--key", key, "--witness", key, environment={}).code == 11
