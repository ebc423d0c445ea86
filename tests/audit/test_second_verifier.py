"""docs/audit/verify.py alone, as an outsider runs it.

That it agrees with the first verifier is shown where that one is tested: whatever is verified there, the second one
verifies too, and must end in the same exit code.
"""

import subprocess
import sys
from base64 import b64encode
from hashlib import sha256

import cryptography_vectors  # type: ignore[import-untyped]
import pytest
from click import Context

from audit.checkpoint import VerificationKey
from audit.errors import NoteRefused
from audit.log import prove_inclusion
from audit.trust import Trust
from audit.verifier import verify_bundle
from casework.commands.journal import TrustedCheckpoint, _counterparts
from casework.commands.journal import verify as verify_command
from tests.audit import second
from tests.audit.journal import LOG, ORIGIN, Journal, only_on, verify
from tests.audit.test_verifier import export
from tests.unsound_keys import BEYOND_THE_PRIME, OF_NO_SMALL_ORDER, SMALL_ORDER, forged


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Without any package, and without this project on the path."""
    return subprocess.run(
        [sys.executable, "-I", "-S", second.PATH, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )


@only_on("sqlite")
def test_it_needs_nothing_but_python(journal: Journal) -> None:
    note = journal.grow(3, 4)[0]
    kept = journal.directory / "kept"
    kept.write_text(note)
    bundle = export(journal)
    done = run(bundle, "--key", journal.key, "--trusted", kept)
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "valid", "")
    done = run(bundle)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (20, "incomplete")
    done = run(bundle, "--key", journal.key, "--max-age", 24)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (12, "stale")
    done = run("/nowhere.zip", "--key", journal.key)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (20, "incomplete")


@only_on("sqlite")
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_what_went_through_a_mail_program_is_read_by_both(journal: Journal, mark: bytes) -> None:
    (note,), entry = journal.grow(3), journal.next_entry()
    journal.write(entry)
    journal.integrate()
    kept = journal.directory / "kept"
    kept.write_bytes(mark + note.replace("\n", "\r\n").encode())
    trusted = TrustedCheckpoint().convert(str(kept), None, None)
    bundle = export(journal)
    report = verify_bundle(bundle, Trust(keys=(journal.key,), trusted=(trusted,)), verify)
    done = run(bundle, "--key", journal.key, "--trusted", kept)
    assert (done.returncode, report.exit_code) == (0, 0)
    receipt = journal.run(lambda connection: prove_inclusion(connection, LOG, entry.id))
    kept.write_bytes(mark + receipt.replace("\n", "\r\n").encode())
    (counterpart,) = _counterparts(Context(verify_command), kept, journal.key)
    report = verify_bundle(bundle, Trust(keys=(journal.key,), counterparts=(counterpart,)), verify)
    done = run(bundle, "--key", journal.key, "--counterpart", kept, "--counterpart-key", journal.key)
    assert (done.returncode, report.exit_code) == (0, 0)
    kept.write_bytes(b"\xff" + kept.read_bytes())
    done = run(bundle, "--key", journal.key, "--trusted", kept)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


@pytest.mark.parametrize("wrong", ["--key=nothing", "--trusted=/nowhere"])
def test_what_it_cannot_read_is_an_error_of_use_and_no_verdict(wrong: str) -> None:
    done = run("/nowhere.zip", wrong)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_it_verifies_as_rfc_8032_does() -> None:
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as file:
        lines = file.read().splitlines()
    for line in lines[:64]:
        _, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        signature = signed[:64]
        assert second.is_signed(public, message, signature)
        assert not second.is_signed(public, message + b"x", signature)
        assert not second.is_signed(public, message, signature[:-1])
        beyond = (int.from_bytes(signature[32:], "little") + second.ORDER).to_bytes(32, "little")
        assert not second.is_signed(public, message, signature[:32] + beyond)
        # (0, 1) with the sign of x set, and a y that is not below the prime.
        for no_point in (bytes([1, *bytes(30), 0x80]), b"\xff" * 32):
            assert not second.is_signed(no_point, message, signature)
            assert not second.is_signed(public, message, no_point + signature[32:])


@pytest.mark.parametrize("public", [*SMALL_ORDER, *BEYOND_THE_PRIME], ids=bytes.hex)
def test_it_takes_no_signature_of_a_key_with_which_anybody_signs(public: bytes) -> None:
    assert not second.is_signed(public, *forged(public))


def test_the_points_of_small_order_are_those_that_eight_times_themselves_are_none() -> None:
    add, neutral = second.GLOBALS["add"], second.GLOBALS["NEUTRAL"]
    points = {second.GLOBALS["point_of"](encoded) for encoded in SMALL_ORDER} - {None}
    assert len(points) == 8
    for point in points:
        for _ in range(3):
            point = add(point, point)  # noqa: PLW2901 - doubled thrice
        x, y, z, _ = point
        assert (x % second.GLOBALS["P"], (y - z) % second.GLOBALS["P"]) == neutral[:1] * 2


@pytest.mark.parametrize("public", [*SMALL_ORDER, *BEYOND_THE_PRIME, *OF_NO_SMALL_ORDER], ids=bytes.hex)
def test_neither_verifier_is_given_such_a_key(public: bytes) -> None:
    for kind in (b"\1", b"\4"):
        key_id = sha256(ORIGIN.encode() + b"\n" + kind + public).hexdigest()[:8]
        vkey = f"{ORIGIN}+{key_id}+{b64encode(kind + public).decode()}"
        with pytest.raises(NoteRefused):
            VerificationKey.parse(vkey)
        with pytest.raises(ValueError, match="not a verification key"):
            second.GLOBALS["key_of"](vkey)
