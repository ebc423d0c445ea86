"""Backups: three sealed files and a signed list of them. What opens them is in no file of this machine.

Names: `casework-20261122T201500Z.database.sealed`, `.shreds.sealed`, `.state.sealed`, and `.manifest`: one line of
JSON and one line with its signature, in hexadecimal, by the key of the deployment's own journal (which anybody who
kept what `casework init` printed can check). The sealed files are streams of `crypto.stream`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Annotated, BinaryIO, Literal
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from audit.checkpoint import NoteSigner, VerificationKey
from audit.entry import Hex32, Origin
from audit.incarnation import unmarked
from crypto.errors import CryptoError
from crypto.pae import pae
from crypto.secret import Secret
from crypto.signing import verify
from crypto.stream import Readable, StreamHead, open_stream, read_head, seal_stream

KEY_FILE = "backup-recovery.pub"
PREFIX = "casework-"
MANIFEST_SUFFIX = ".manifest"
SHREDS_SUFFIX = ".shreds.sealed"
STAMP = "%Y%m%dT%H%M%SZ"
_SIGNATURE_LABEL = b"csm/backup-manifest/v1"
_BLOCK = 1024 * 1024
_MODE = 0o600

FileName = Annotated[str, Meta(pattern=r"\Acasework-[0-9]{8}T[0-9]{6}Z\.[a-z]{1,10}\.sealed\Z")]


class BackupRefused(Exception):
    """A backup is not whole, not of this deployment, or not what was signed; the message is one French sentence."""


class Part(StrEnum):
    """What is backed up, each in a file of its own. The pepper and the sessions are in none."""

    DATABASE = "database"
    SHREDS = "shreds"
    STATE = "state"

    @property
    def number(self) -> int:
        return list(Part).index(self) + 1

    @property
    def label(self) -> str:
        """What it is called in French."""
        return {"database": "base", "shreds": "magasin d’effacement", "state": "répertoire d’état"}[self]


class SealedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its name beside the manifest, the engine whose copy it holds (none of the state), its SHA-256."""

    name: FileName
    engine: Literal["sqlite", "postgresql"] | None
    sha256: Hex32


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`deployment` is the origin of its journal, `made_at` in seconds, `revision` that of the schema."""

    set: UUID
    deployment: Origin
    made_at: int
    revision: str
    files: dict[Part, SealedFile]
    v: Literal[1] = 1

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.made_at, UTC)


class Set:
    """A backup that is being written into a folder."""

    def __init__(self, folder: Path, recovery_public: bytes, now: datetime) -> None:
        self._folder = folder
        self._public = recovery_public
        self._now = now
        self._id = uuid4()
        self._files: dict[Part, SealedFile] = {}

    @property
    def stem(self) -> str:
        return PREFIX + self._now.strftime(STAMP)

    def add(self, part: Part, engine: Literal["sqlite", "postgresql"] | None, content: Readable) -> None:
        """Seal what can be read into a new file, which is on disk when this returns.

        Raises:
            FileExistsError: a backup of this very second is there already.

        """
        name = f"{self.stem}.{part}.sealed"
        head = StreamHead(self._id.bytes, part.number, int(self._now.timestamp()), self._public)
        with _new_file(self._folder / name) as file:
            hashing = _Hashing(file)
            seal_stream(head, content, hashing)
        self._files[part] = SealedFile(name, engine, hashing.digest.hexdigest())

    def finish(self, signer: NoteSigner, revision: str) -> Path:
        """Write the signed manifest; without it the files are no backup."""
        made_at = int(self._now.timestamp())
        manifest = Manifest(self._id, signer.name, made_at, revision, self._files)
        body = msgspec.json.encode(manifest, order="sorted")
        signature = signer.signer.sign(pae(_SIGNATURE_LABEL, body))
        path = self._folder / (self.stem + MANIFEST_SUFFIX)
        with _new_file(path) as file:
            file.write(body + b"\n" + signature.hex().encode() + b"\n")
        _sync(self._folder)
        return path

    def discard(self) -> None:
        """Remove what was written of a backup that failed."""
        for part in Part:
            (self._folder / f"{self.stem}.{part}.sealed").unlink(missing_ok=True)


class Backup:
    """A backup that is there: a manifest whose signature has been checked, and the files beside it."""

    def __init__(self, path: Path, key: VerificationKey) -> None:
        """Read and check the manifest.

        Raises:
            BackupRefused: not a manifest, of another deployment, or not signed by this key.

        """
        self.folder = path.parent
        try:
            body, signature, rest = path.read_bytes().split(b"\n")
            self.manifest = msgspec.json.decode(body, type=Manifest)
            raw = bytes.fromhex(signature.decode("ascii"))
        except (OSError, ValueError):
            raise BackupRefused("MANIFESTE : ce n’est pas celui d’une sauvegarde.") from None
        if rest or set(self.manifest.files) != set(Part):
            raise BackupRefused("MANIFESTE : ce n’est pas celui d’une sauvegarde.")
        if unmarked(key.name) != unmarked(self.manifest.deployment):
            raise BackupRefused("--key : c’est la clé d’un autre journal que celui de ce déploiement.")
        try:
            verify(key.public, pae(_SIGNATURE_LABEL, body), raw)
        except CryptoError:
            raise BackupRefused("MANIFESTE : il n’est pas signé par cette clé.") from None

    def require_whole(self, part: Part) -> None:
        """Compare a file with the manifest.

        Raises:
            BackupRefused: it is missing, altered, or of another set.

        """
        with self._source(part) as source:
            while source.read(_BLOCK):
                pass

    @contextmanager
    def open(self, part: Part, private: Secret) -> Iterator[Iterator[bytes]]:
        """The content of a file, in chunks, read to its end; the last comes only if the file is the right one.

        Whoever may write there can exchange a file that `require_whole` has passed, and seal another: the public
        half suffices. So what was made of the chunks must be thrown away if this raises.

        Raises:
            BackupRefused: the file is missing, altered, or of another set.
            SealBroken: the file was sealed to another key.

        """
        with self._source(part) as source:
            chunks = open_stream(private, source)
            yield chunks
            for _ in chunks:
                # A reader that has enough before the end has seen what is not verified yet.
                pass

    @contextmanager
    def _source(self, part: Part) -> Iterator["_Described"]:
        described = self.manifest.files[part]
        with ExitStack() as stack:
            try:
                file = stack.enter_context((self.folder / described.name).open("rb"))
                head = read_head(file)
                file.seek(0)
            except OSError:
                raise _unreadable(described) from None
            except CryptoError:
                raise BackupRefused(f"{described.name} : ce n’est pas un fichier de sauvegarde.") from None
            expected = (self.manifest.set.bytes, part.number, self.manifest.made_at)
            if (head.set_id, head.part, head.made_at) != expected:
                raise _exchanged(described)
            yield _Described(file, described)

    def read(self, part: Part, private: Secret) -> BytesIO:
        """The whole content of a small file."""
        with self.open(part, private) as chunks:
            return BytesIO(b"".join(chunks))


def old_shreds(folder: Path, before: datetime) -> list[Path]:
    """The sealed copies of shred stores in a folder that were made before a moment, by their names."""
    oldest = PREFIX + before.strftime(STAMP)
    return sorted(path for path in folder.glob(f"{PREFIX}*{SHREDS_SUFFIX}") if path.name < oldest)


def read_key(state_dir: Path) -> bytes | None:
    """The public half of the backup recovery key; None before it was made.

    It lies in the state directory, not in the database: who may write there must not choose who opens backups.
    """
    try:
        return bytes.fromhex((state_dir / KEY_FILE).read_text("ascii").strip())
    except FileNotFoundError:
        return None


def store_key(state_dir: Path, public: bytes) -> None:
    """Keep the public half. Raises FileExistsError where there is one: older backups need the older shares."""
    with _new_file(state_dir / KEY_FILE) as file:
        file.write(public.hex().encode() + b"\n")
    _sync(state_dir)


class _Hashing:
    """Writes through, and hashes what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = sha256()

    def write(self, data: bytes, /) -> None:
        self.digest.update(data)
        self._file.write(data)


class _Described:
    """Reads through, hashes what was read, and refuses at the end what is not the file that the manifest means."""

    def __init__(self, file: BinaryIO, described: SealedFile) -> None:
        self._file = file
        self._described = described
        self._digest = sha256()

    def read(self, size: int, /) -> bytes:
        try:
            data = self._file.read(size)
        except OSError:
            raise _unreadable(self._described) from None
        self._digest.update(data)
        if not data and self._digest.hexdigest() != self._described.sha256:
            raise _exchanged(self._described)
        return data


def _unreadable(described: SealedFile) -> BackupRefused:
    return BackupRefused(f"{described.name} : ce fichier manque ou est illisible.")


def _exchanged(described: SealedFile) -> BackupRefused:
    return BackupRefused(f"{described.name} : ce n’est pas le fichier qui a été sauvegardé.")


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
