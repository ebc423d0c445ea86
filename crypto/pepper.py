"""The server's pepper, from the file key provider, and small secrets sealed under it."""

import os
import re
import stat
from dataclasses import dataclass
from hmac import digest
from pathlib import Path

from crypto.algorithms import Algorithm, aead_for
from crypto.box import open_box, seal_box
from crypto.errors import PepperRefused
from crypto.header import PREFIX, require_prefix
from crypto.pae import pae
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import ID_SIZE, exactly

_ID_LABEL = b"csm/pepper-id/v1"
_SEAL_LABEL = b"csm/pepper-seal/v1"
PEPPER_ID_SIZE = 16
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Pepper:
    """A secret of the server that is in no database and no backup. ``id`` commits to it and is public."""

    id: bytes
    secret: Secret

    @classmethod
    def from_secret(cls, secret: Secret) -> "Pepper":
        exactly(secret.reveal(), KEY_SIZE)
        return cls(digest(secret.reveal(), pae(_ID_LABEL), "sha256")[:PEPPER_ID_SIZE], secret)

    def hmac(self, label: bytes, *parts: bytes) -> bytes:
        """Return HMAC-SHA-256(pepper, PAE(label, parts…)): 32 bytes that need the pepper to compute."""
        return digest(self.secret.reveal(), pae(label, *parts), "sha256")


@dataclass(frozen=True, slots=True)
class Peppers:
    """The pepper in force, and those that something still stands under whose owner has not signed in since."""

    current: Pepper
    others: tuple[Pepper, ...] = ()

    def of(self, pepper_id: bytes) -> Pepper:
        """The pepper of this id. Raises PepperRefused when it is none of these."""
        for known in (self.current, *self.others):
            if known.id == pepper_id:
                return known
        raise PepperRefused("sealed under another pepper")


@dataclass(frozen=True, slots=True)
class FileKeyProvider:
    """The default key provider: a regular file of exactly 32 bytes that its owner alone may read.

    Beside it lie, while a rotation needs them, ``NAME.next`` (the pepper that is to come) and ``NAME.ID`` for each
    older one, ID being its public id in 32 hexadecimal digits.
    """

    path: Path

    def pepper(self) -> Pepper:
        """Read the pepper. Raises PepperRefused for a missing file, a link, a wrong size or a lax mode."""
        return _read(self.path)

    def peppers(self) -> Peppers:
        """Read the pepper and every other one beside it.

        Raises PepperRefused as ``pepper`` does, and for an older one whose file has another one's name.
        """
        others = []
        for path in self.older():
            others.append(_read(path))
            if path.name != f"{self.path.name}.{others[-1].id.hex()}":
                raise PepperRefused("an older pepper has another one's name")
        if self.next_path.exists():
            others.append(_read(self.next_path))
        return Peppers(self.pepper(), tuple(others))

    def older(self) -> list[Path]:
        """The files of older peppers, by name."""
        form = re.compile(re.escape(self.path.name) + r"\.[0-9a-f]{32}")
        return sorted(found for found in self.path.parent.iterdir() if form.fullmatch(found.name))

    @property
    def next_path(self) -> Path:
        """Where the pepper lies that a rotation which has begun will put in force."""
        return self.path.with_name(f"{self.path.name}.next")

    def begin_rotation(self) -> Pepper:
        """Return the pepper that is to come: a fresh one, or that of a rotation which was interrupted."""
        if not self.next_path.exists():
            # Whole under its name or not there: a file half written is never taken for a pepper.
            draft = self.path.with_name(f"{self.path.name}.draft")
            draft.unlink(missing_ok=True)
            create_pepper_file(draft)
            draft.rename(self.next_path)
            _sync_folder(self.path.parent)
        return _read(self.next_path)

    def end_rotation(self) -> Pepper:
        """Put the pepper that is to come in force, and keep the one before under its id. Returns the one before.

        The file at ``path`` is at no moment missing: a service that starts meanwhile finds one of the two.
        """
        before = self.pepper()
        kept = self.path.with_name(f"{self.path.name}.{before.id.hex()}")
        if not kept.exists():
            os.link(self.path, kept)
        _sync_folder(self.path.parent)
        self.next_path.replace(self.path)
        _sync_folder(self.path.parent)
        return before


def _read(path: Path) -> Pepper:
    try:
        # NONBLOCK: a FIFO put in the file's place must be refused, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise PepperRefused("no readable pepper file") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PepperRefused("the pepper is not a regular file")
        if status.st_mode & _OTHERS:
            raise PepperRefused("others than its owner may use the pepper file")
        content = os.read(descriptor, KEY_SIZE + 1)
    finally:
        os.close(descriptor)
    if len(content) != KEY_SIZE:
        raise PepperRefused("the pepper file is not 32 bytes long")
    return Pepper.from_secret(Secret(content))


def create_pepper_file(path: Path) -> Pepper:
    """Write a fresh pepper to a new file, mode 0600, on disk when this returns.

    Raises PepperRefused when anything stands there already: a pepper is never overwritten.
    """
    secret = Secret.random()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        raise PepperRefused("the pepper file cannot be created") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret.reveal())
        file.flush()
        os.fsync(descriptor)
    _sync_folder(path.parent)
    return Pepper.from_secret(secret)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def seal_under_pepper(pepper: Pepper, label: bytes, owner: bytes, data: bytes) -> bytes:
    """Seal a small secret of an owner (a TOTP seed) under a key that the pepper gives for this label.

    Layout: 01 | 01 | pepper id 16 | nonce 12 | ciphertext | tag 16; associated data: those 18 bytes |
    PAE("csm/pepper-seal/v1", label, owner).
    """
    context = pae(_SEAL_LABEL, label, exactly(owner, ID_SIZE))
    aead = aead_for(Algorithm.AES_256_GCM, pepper.hmac(_SEAL_LABEL, label))
    return seal_box(aead, PREFIX + pepper.id, context, data)


def open_under_pepper(pepper: Pepper, label: bytes, owner: bytes, sealed: bytes) -> bytes:
    """Return the small secret.

    Raises PepperRefused when another pepper sealed it, SealBroken for another label or owner or altered
    bytes.
    """
    header = PREFIX + pepper.id
    require_prefix(sealed)
    if sealed[: len(header)] != header:
        raise PepperRefused("sealed under another pepper")
    context = pae(_SEAL_LABEL, label, exactly(owner, ID_SIZE))
    aead = aead_for(Algorithm.AES_256_GCM, pepper.hmac(_SEAL_LABEL, label))
    return open_box(aead, len(header), context, sealed)


def sealing_pepper(sealed: bytes) -> bytes:
    """Return the id of the pepper that sealed a small secret, as its header says: 16 bytes."""
    require_prefix(sealed)
    return sealed[len(PREFIX) : len(PREFIX) + PEPPER_ID_SIZE]
