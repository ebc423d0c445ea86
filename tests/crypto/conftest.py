"""An organisation with a directory, to be turned against itself."""

from dataclasses import dataclass, field

import pytest

from crypto.directory import Directory, root_entry, root_fingerprint, verify_directory
from crypto.directory_entries import (
    ROOT,
    Body,
    CompartmentBody,
    DirectoryEntry,
    EntrySigner,
    MemberBody,
)
from crypto.drop import DropPrivate, new_drop_key
from crypto.grant import make_grant
from crypto.hpke import KeyPair, new_key_pair
from crypto.kek import Kek, new_kek
from crypto.recovery import recovery_key, root_key
from crypto.secret import Secret
from crypto.signing import SigningKey


@dataclass
class Person:
    id: bytes
    role: str
    daily: KeyPair = field(default_factory=new_key_pair)
    signing: SigningKey = field(default_factory=SigningKey.new)
    professions: tuple[str, ...] = ()

    @property
    def signer(self) -> EntrySigner:
        return EntrySigner(self.id, self.signing)

    @property
    def body(self) -> MemberBody:
        return MemberBody(self.id, self.role, self.professions, self.daily.public, self.signing.public)


@dataclass
class Organisation:
    """Root, custodian, a holder of `health`, a holder of nothing; ``entries`` lead to ``directory``."""

    id: bytes = b"O" * 16
    seed: Secret = field(default_factory=Secret.random)
    entries: list[DirectoryEntry] = field(default_factory=list)
    sealed: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = EntrySigner(ROOT, root_key(self.seed))
        self.recovery = recovery_key(self.seed)
        self.fingerprint = root_fingerprint(self.id, self.root.key.public)
        self.entries.append(root_entry(self.id, self.root.key, self.recovery.public))
        self.directory = self.verified()
        self.custodian = Person(b"C" * 16, "custodian")
        self.holder = Person(b"H" * 16, "worker", professions=("psychologist", "social"))
        self.reception = Person(b"R" * 16, "reception")
        self.kek: Kek = new_kek(self.id, "health", 1)
        self.drop: DropPrivate = new_drop_key(self.id, "health", 1)
        for person in (self.custodian, self.holder, self.reception):
            self.append(person.body, self.root)
        self.append(self.compartment(), self.root)
        self.grant(self.holder, self.root)

    def verified(self) -> Directory:
        return verify_directory(self.id, self.entries, self.fingerprint, None)

    def compartment(self) -> CompartmentBody:
        drop = self.drop.public
        return CompartmentBody("health", self.kek.number, self.kek.kid, drop.number, drop.public)

    def add(self, entry: DirectoryEntry) -> DirectoryEntry:
        self.directory: Directory = self.directory.extend([entry])
        self.entries.append(entry)
        return entry

    def append(self, body: Body, signer: EntrySigner) -> DirectoryEntry:
        return self.add(self.directory.next_entry(body, signer))

    def grant(self, person: Person, granter: EntrySigner) -> DirectoryEntry:
        entry, sealed = make_grant(self.directory, self.kek, person.id, granter)
        self.sealed[entry.epoch] = sealed
        return self.add(entry)


@pytest.fixture
def organisation() -> Organisation:
    return Organisation()


@pytest.fixture
def person() -> type[Person]:
    return Person
