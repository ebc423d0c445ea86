"""Bodies of entries about what the people of an organisation agree to: its charter, and its rules."""

from dataclasses import dataclass
from typing import ClassVar

from crypto.directory_kinds import EntryKind
from crypto.widths import HASH_SIZE, exactly, u32, u32_of, u64, u64_of


@dataclass(frozen=True, slots=True)
class CharterBody:
    """The charter in force from now on; ``text_hash`` is SHA-256 of its text in UTF-8."""

    KIND: ClassVar[EntryKind] = EntryKind.CHARTER
    version: int
    text_hash: bytes

    def parts(self) -> tuple[bytes, ...]:
        return u32(self.version), exactly(self.text_hash, HASH_SIZE)

    @classmethod
    def from_parts(cls, version: bytes, text_hash: bytes) -> "CharterBody":
        return cls(u32_of(version), text_hash)


@dataclass(frozen=True, slots=True)
class CharterAcceptedBody:
    """Who signs this entry accepts the charter in force, named by its version and its text."""

    KIND: ClassVar[EntryKind] = EntryKind.CHARTER_ACCEPTED
    version: int
    text_hash: bytes

    def parts(self) -> tuple[bytes, ...]:
        return u32(self.version), exactly(self.text_hash, HASH_SIZE)

    @classmethod
    def from_parts(cls, version: bytes, text_hash: bytes) -> "CharterAcceptedBody":
        return cls(u32_of(version), text_hash)


@dataclass(frozen=True, slots=True)
class PolicyApprovalBody:
    """Who signs this entry approves a set of rules: its number, SHA-256 of the organisation's file, since when.

    ``effective`` is in Unix seconds. The set is in force from then on, once enough have approved all three.
    """

    KIND: ClassVar[EntryKind] = EntryKind.POLICY_APPROVAL
    number: int
    text_hash: bytes
    effective: int

    def parts(self) -> tuple[bytes, ...]:
        return u32(self.number), exactly(self.text_hash, HASH_SIZE), u64(self.effective)

    @classmethod
    def from_parts(cls, number: bytes, text_hash: bytes, effective: bytes) -> "PolicyApprovalBody":
        return cls(u32_of(number), text_hash, u64_of(effective))
