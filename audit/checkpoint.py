"""Checkpoints: C2SP tlog-checkpoint in C2SP signed-note, Ed25519 by the log and cosignatures by witnesses."""

from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Protocol

from audit.errors import NoteRefused
from audit.tree import HASH_BYTES

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID_BYTES = 4
TIMESTAMP_BYTES = 8
MAX_NOTE_BYTES = 65_535
MAX_SIZE = 2**53
_PRIME = 2**255 - 19
# The eight points of small order have five y among them (x with either sign): for such a key a signature holds for
# many messages, or for all. Listed in Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs" (SSR 2020).
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)

Verify = Callable[[bytes, bytes, bytes], None]
"""(Ed25519 public key, message, signature) → None, or it raises whatever the crypto library raises."""


class Signer(Protocol):
    """An Ed25519 private key of which only this is asked."""

    @property
    def public(self) -> bytes:
        """The 32-byte public key (RFC 8032)."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature (RFC 8032)."""
        ...


class SignatureType(IntEnum):
    """The signature type byte of signed-note: the log's own signature, or a witness's cosignature/v1."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that a verifier trusts: the name that it signs under, its type, and 32 bytes of Ed25519.

    Raises:
        NoteRefused: the name is none, or the key is one that others than its holder can sign with.

    """

    name: str
    public: bytes
    type: SignatureType = SignatureType.ED25519

    def __post_init__(self) -> None:
        require_name(self.name)
        if len(self.public) != PUBLIC_KEY_BYTES:
            raise NoteRefused("a verification key is 32 bytes")
        # RFC 8032 section 5.1.3; OpenSSL takes a y beyond the prime, so that one key would have two forms.
        y = int.from_bytes(self.public, "little") & (2**255 - 1)
        if y >= _PRIME or y in _SMALL_ORDER:
            raise NoteRefused("not a key that only its holder can sign with")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key)."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        """The vkey form: name+hex key id+base64(type ‖ public key)."""
        return f"{self.name}+{self.key_id.hex()}+{_to_base64(bytes([self.type]) + self.public)}"

    @staticmethod
    def parse(vkey: str) -> "VerificationKey":
        """Read the vkey form.

        Raises:
            NoteRefused: malformed, of an unknown type, or with a key id that is not its own.

        """
        # Base64 may hold a plus of its own, a name may not.
        parts = vkey.split("+", 2)
        if len(parts) != 3:  # noqa: PLR2004 - name, key id, key
            raise NoteRefused("a verification key has three parts")
        material = _from_base64(parts[2])
        try:
            key = VerificationKey(parts[0], material[1:], SignatureType(material[0]))
        except (ValueError, IndexError):
            raise NoteRefused("a verification key of an unknown type") from None
        if str(key) != vkey:
            raise NoteRefused("the key id is not that of the key")
        return key


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A signing key under the name that its verification key has; for a log, the name is its origin."""

    name: str
    signer: Signer
    type: SignatureType = SignatureType.ED25519

    @property
    def key(self) -> VerificationKey:
        return VerificationKey(self.name, self.signer.public, self.type)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text: three lines, each ended by a newline."""
        return f"{self.origin}\n{self.size}\n{_to_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who says to have signed, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A parsed note. Its content means nothing until `verify_checkpoint` has passed."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[NoteSigner]) -> str:
    """The signed note of `checkpoint`: one line for each signer, more than one while a key is being replaced.

    Raises:
        NoteRefused: no signer, or a checkpoint that could not be read back.

    """
    message = checkpoint.text.encode()
    lines = [
        f"— {signer.name} {_to_base64(signer.key.key_id + signer.signer.sign(message))}\n"
        for signer in signers
    ]
    note = checkpoint.text + "\n" + "".join(lines)
    # What a reader would refuse must not be signed and then be all there is.
    parse_checkpoint(note)
    return note


def parse_checkpoint(note: str) -> SignedCheckpoint:
    """Read a signed checkpoint strictly: exactly three lines of text, no extension lines.

    Raises:
        NoteRefused: anything else.

    """
    try:
        encoded = note.encode()
    except UnicodeEncodeError:
        raise NoteRefused("a note is UTF-8") from None
    if len(encoded) > MAX_NOTE_BYTES:
        raise NoteRefused("the note is too large")
    if any(byte < 0x20 and byte != 0x0A for byte in encoded):  # noqa: PLR2004 - ASCII control characters
        raise NoteRefused("a control character in a note")
    text, separator, trailer = note.rpartition("\n\n")
    if not separator or not trailer.endswith("\n"):
        raise NoteRefused("a note has a text, an empty line and signatures")
    signatures = tuple(_parse_signature(line) for line in trailer[:-1].split("\n"))
    return SignedCheckpoint(_parse_text(text), signatures)


def parse_text(text: str) -> Checkpoint:
    """The head whose `Checkpoint.text` this is.

    Raises:
        NoteRefused: it is no head's.

    """
    if not text.endswith("\n"):
        raise NoteRefused("a checkpoint's lines end with a newline")
    return _parse_text(text[:-1])


def verify_checkpoint(note: SignedCheckpoint, keys: Iterable[VerificationKey], verify: Verify) -> None:
    """At least one of the log's keys has signed, and none of them has a signature that fails.

    Raises:
        NoteRefused: otherwise; also where a trusted key belongs to a log of another origin.

    """
    known = {(key.name, key.key_id): key for key in keys if key.type is SignatureType.ED25519}
    message = note.checkpoint.text.encode()
    verified = False
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if key.name != note.checkpoint.origin:
            raise NoteRefused("signed by the key of another log")
        _verify_one(verify, key, message, line.signature)
        verified = True
    if not verified:
        raise NoteRefused("no trusted key has signed")


def verify_cosignature(note: SignedCheckpoint, witness: VerificationKey, verify: Verify) -> int:
    """C2SP tlog-cosignature v1: `witness` saw this tree head as consistent with all it saw before.

    Returns the POSIX time, in seconds, at which the witness signed.

    Raises:
        NoteRefused: it has not signed, or its signature fails.

    """
    if witness.type is not SignatureType.COSIGNATURE:
        raise NoteRefused("not the key of a witness")
    for line in note.signatures:
        if (line.name, line.key_id) == (witness.name, witness.key_id):
            timestamp = int.from_bytes(line.signature[:TIMESTAMP_BYTES])
            message = f"cosignature/v1\ntime {timestamp}\n{note.checkpoint.text}".encode()
            _verify_one(verify, witness, message, line.signature[TIMESTAMP_BYTES:])
            return timestamp
    raise NoteRefused("the witness has not signed")


def cosign(checkpoint: Checkpoint, witness: NoteSigner, timestamp: int) -> str:
    """The signature line of a witness (C2SP tlog-cosignature v1), its newline included.

    `timestamp` is POSIX seconds: the moment at which no larger head of this log was known to the witness.
    """
    message = f"cosignature/v1\ntime {timestamp}\n{checkpoint.text}".encode()
    signature = timestamp.to_bytes(TIMESTAMP_BYTES) + witness.signer.sign(message)
    return f"— {witness.name} {_to_base64(witness.key.key_id + signature)}\n"


def _verify_one(verify: Verify, key: VerificationKey, message: bytes, signature: bytes) -> None:
    if len(signature) != SIGNATURE_BYTES:
        raise NoteRefused("a signature of the wrong length")
    try:
        verify(key.public, message, signature)
    except Exception as error:
        raise NoteRefused("a signature of a trusted key fails") from error


def _parse_text(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 3:  # noqa: PLR2004 - origin, size, root
        raise NoteRefused("a checkpoint has three lines")
    origin, size_text, root_text = lines
    require_name(origin)
    if not (size_text.isascii() and size_text.isdigit()) or (size_text[0] == "0" and size_text != "0"):
        raise NoteRefused("the size is not a plain decimal number")
    root = _from_base64(root_text)
    # Length first: converting a number of 60,000 digits is work for nothing.
    if len(size_text) > len(str(MAX_SIZE)) or int(size_text) >= MAX_SIZE or len(root) != HASH_BYTES:
        raise NoteRefused("a size or a root out of bounds")
    return Checkpoint(origin, int(size_text), root)


def _parse_signature(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":  # noqa: PLR2004 - dash, name, signature
        raise NoteRefused("a signature line has a dash, a name and a signature")
    require_name(parts[1])
    material = _from_base64(parts[2])
    if len(material) <= KEY_ID_BYTES:
        raise NoteRefused("a signature line without a signature")
    return NoteSignature(parts[1], material[:KEY_ID_BYTES], material[KEY_ID_BYTES:])


def require_name(name: str) -> None:
    """Raise NoteRefused unless it may be the name of a key or the origin of a log (C2SP signed-note)."""
    if not name or "+" in name or any(character.isspace() for character in name):
        raise NoteRefused("a name is not empty and has no space and no plus")


def _to_base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _from_base64(text: str) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except (BinasciiError, ValueError):
        raise NoteRefused("not base64") from None
    # Base64 ignores the last bits of a short group: two texts must not stand for one signature.
    if _to_base64(raw) != text:
        raise NoteRefused("not canonical base64")
    return raw
