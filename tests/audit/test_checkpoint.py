"""C2SP signed-note, tlog-checkpoint and tlog-cosignature."""

from base64 import b64encode
from dataclasses import replace

import pytest

from audit.checkpoint import (
    Checkpoint,
    NoteSigner,
    SignatureType,
    VerificationKey,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from audit.errors import NoteRefused
from tests.audit.journal import ORIGIN, Key, verify

HEAD = Checkpoint(ORIGIN, 42, bytes(range(32)))
SIGNER = NoteSigner(ORIGIN, Key(1))
NOTE = sign_checkpoint(HEAD, [SIGNER])
WITNESS = VerificationKey("witness.test/w1", Key(9).public, SignatureType.COSIGNATURE)


def cosign(note: str, time: int = 1_700_000_000, witness: VerificationKey = WITNESS, seed: int = 9) -> str:
    text = parse_checkpoint(note).checkpoint.text
    signature = Key(seed).sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    line = b64encode(witness.key_id + time.to_bytes(8) + signature).decode()
    return f"{note}— {witness.name} {line}\n"


def test_a_note_has_three_lines_a_blank_and_a_signature() -> None:
    lines = NOTE.split("\n")
    assert lines[:4] == [ORIGIN, "42", b64encode(bytes(range(32))).decode(), ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]


def test_the_key_id_of_the_published_example() -> None:
    """The verifier key of the Go checksum database, known from Go's documentation."""
    known = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    key = VerificationKey.parse(known)
    assert (key.name, key.key_id.hex(), str(key)) == ("sum.golang.org", "033de0ae", known)


def test_a_signed_checkpoint_reads_back_and_verifies() -> None:
    note = parse_checkpoint(NOTE)
    assert note.checkpoint == HEAD
    verify_checkpoint(note, [SIGNER.key], verify)
    assert VerificationKey.parse(str(SIGNER.key)) == SIGNER.key


def test_an_unknown_signature_is_ignored_and_alone_is_not_enough() -> None:
    both = sign_checkpoint(HEAD, [NoteSigner("other.test/key", Key(3)), SIGNER])
    verify_checkpoint(parse_checkpoint(both), [SIGNER.key], verify)
    with pytest.raises(NoteRefused, match="no trusted key"):
        verify_checkpoint(parse_checkpoint(NOTE), [VerificationKey(ORIGIN, Key(2).public)], verify)
    with pytest.raises(NoteRefused, match="no trusted key"):
        verify_checkpoint(parse_checkpoint(NOTE), [], verify)


def test_a_failing_signature_of_a_trusted_key_is_refused_beside_a_good_one() -> None:
    old = NoteSigner(ORIGIN, Key(2))
    both = parse_checkpoint(sign_checkpoint(HEAD, [SIGNER, old]))
    broken = replace(both.signatures[1], signature=bytes(64))
    forged = replace(both, signatures=(both.signatures[0], broken))
    with pytest.raises(NoteRefused, match="fails"):
        verify_checkpoint(forged, [SIGNER.key, old.key], verify)
    short = replace(both, signatures=(replace(broken, signature=bytes(63)),))
    with pytest.raises(NoteRefused, match="length"):
        verify_checkpoint(short, [old.key], verify)


def test_the_key_of_one_log_does_not_vouch_for_another() -> None:
    foreign = sign_checkpoint(replace(HEAD, origin="casework.test/journal/cidff"), [SIGNER])
    with pytest.raises(NoteRefused, match="another log"):
        verify_checkpoint(parse_checkpoint(foreign), [SIGNER.key], verify)


@pytest.mark.parametrize("change", [{"size": 43}, {"root": bytes(32)}, {"origin": ORIGIN + "x"}])
def test_a_signature_does_not_move_to_another_head(change: dict[str, object]) -> None:
    note = parse_checkpoint(NOTE)
    moved = replace(note, checkpoint=replace(note.checkpoint, **change))  # type: ignore[arg-type]
    with pytest.raises(NoteRefused):
        verify_checkpoint(moved, [SIGNER.key], verify)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n42\n", "\n042\n"),
        ("\n42\n", "\n4 2\n"),
        ("\n42\n", "\n٤٢\n"),
        ("\n42\n", "\n\n"),
        ("\n42\n", f"\n{2**53}\n"),
        ("\n42\n", f"\n{'9' * 5000}\n"),
        ("AAEC", "AAE"),
        ("Hh8=", "Hh9="),
        ("AAECAwQF", ""),
        (ORIGIN + "\n42", "\n42"),
        (ORIGIN + "\n42", "with space\n42"),
        ("\n\n", "\nextension\n\n"),
        ("\n\n", "\n"),
        ("— ", "- "),
        ("— ", "—  "),
        ("— ", "—\t"),
        ("— ", "— \r"),
        (f"— {ORIGIN}", "— a+b"),
        (f"— {ORIGIN} ", f"— {ORIGIN} !"),
    ],
)
def test_a_malformed_note_is_refused(old: str, new: str) -> None:
    assert old in NOTE
    with pytest.raises(NoteRefused):
        parse_checkpoint(NOTE.replace(old, new, 1))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        NOTE.removesuffix("\n"),
        NOTE + "x",
        NOTE + "\n",
        NOTE + "a" * 70_000,
        "\ud800" + NOTE,
        f"{HEAD.text}\n— {ORIGIN} {b64encode(bytes(4)).decode()}\n",
    ],
    ids=range(8),
)
def test_what_is_not_a_note_is_refused(note: str) -> None:
    with pytest.raises(NoteRefused):
        parse_checkpoint(note)


def test_base64_that_hides_bits_is_refused() -> None:
    signature = NOTE.rstrip("\n")
    assert signature.endswith("=")
    last = signature[-2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    hidden = signature[:-2] + alphabet[alphabet.index(last) + 1] + "=\n"
    with pytest.raises(NoteRefused, match="canonical"):
        parse_checkpoint(hidden)


@pytest.mark.parametrize(
    "head", [replace(HEAD, origin="a b"), replace(HEAD, size=-1), replace(HEAD, root=b"")]
)
def test_what_could_not_be_read_back_is_not_signed(head: Checkpoint) -> None:
    with pytest.raises(NoteRefused):
        sign_checkpoint(head, [SIGNER])


def test_a_checkpoint_without_a_signer_is_not_made() -> None:
    with pytest.raises(NoteRefused):
        sign_checkpoint(HEAD, [])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        str(SIGNER.key).replace("+", "+0", 1),
        f"{ORIGIN}+00000000+{b64encode(bytes([1]) + Key(1).public).decode()}",
        f"{ORIGIN}+{SIGNER.key.key_id.hex()}+{b64encode(bytes([2]) + Key(1).public).decode()}",
        f"{ORIGIN}+{SIGNER.key.key_id.hex()}+{b64encode(bytes([1]) + bytes(31)).decode()}",
        f"{ORIGIN}+{SIGNER.key.key_id.hex()}+",
        f"{ORIGIN}+{SIGNER.key.key_id.hex()}+é",
        f"+{SIGNER.key.key_id.hex()}+{b64encode(bytes([1]) + Key(1).public).decode()}",
    ],
)
def test_a_malformed_verification_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteRefused):
        VerificationKey.parse(vkey)


def test_a_cosignature_names_its_time() -> None:
    note = parse_checkpoint(cosign(NOTE))
    assert verify_cosignature(note, WITNESS, verify) == 1_700_000_000
    verify_checkpoint(note, [SIGNER.key], verify)


def test_a_witness_that_has_not_signed_or_whose_signature_fails_is_refused() -> None:
    with pytest.raises(NoteRefused, match="has not signed"):
        verify_cosignature(parse_checkpoint(NOTE), WITNESS, verify)
    with pytest.raises(NoteRefused, match="fails"):
        verify_cosignature(parse_checkpoint(cosign(NOTE, seed=8)), WITNESS, verify)


def test_a_cosignature_does_not_vouch_as_the_log() -> None:
    as_witness = VerificationKey(ORIGIN, Key(9).public, SignatureType.COSIGNATURE)
    note = parse_checkpoint(cosign(NOTE, witness=as_witness))
    with pytest.raises(NoteRefused, match="no trusted key"):
        verify_checkpoint(note, [as_witness], verify)


def test_the_logs_own_key_is_no_witness() -> None:
    with pytest.raises(NoteRefused, match="not the key of a witness"):
        verify_cosignature(parse_checkpoint(NOTE), SIGNER.key, verify)
