"""What the journal may hold about a person: pseudonyms and commitments, which erasure can unlink."""

import os
from dataclasses import dataclass, field
from hmac import digest

from crypto.pae import pae
from crypto.pepper import Pepper
from crypto.widths import HASH_SIZE, ID_SIZE, exactly, xor

_ROW_LABEL = b"csm/row-pseudonym/v1"
_SOURCE_LABEL = b"csm/source/v1"


@dataclass(frozen=True, slots=True)
class PseudonymParts:
    """The two 32-byte halves of a person's pseudonym: one for the database, one for the shred store."""

    mapping_part: bytes = field(repr=False)
    shred_part: bytes = field(repr=False)


def new_pseudonym() -> PseudonymParts:
    """Return fresh halves. Deleting either unlinks the person's history in the journal."""
    return PseudonymParts(os.urandom(HASH_SIZE), os.urandom(HASH_SIZE))


def pseudonym(mapping_part: bytes, shred_part: bytes) -> bytes:
    """Return the 32-byte pseudonym: mapping_part XOR shred_part."""
    return xor(mapping_part, shred_part)


def row_pseudonym(person: bytes, row: bytes) -> bytes:
    """Return the pseudonym of one of a person's rows.

    HMAC-SHA-256(the person's pseudonym, PAE("csm/row-pseudonym/v1", row)).
    """
    return digest(exactly(person, HASH_SIZE), pae(_ROW_LABEL, exactly(row, ID_SIZE)), "sha256")


def detail_commitment(salt: bytes, plaintext: bytes) -> bytes:
    """Return HMAC-SHA-256(salt, plaintext): the entry's commitment to a detail that is sealed apart."""
    return digest(exactly(salt, HASH_SIZE), plaintext, "sha256")


def source_hash(pepper: Pepper, address: str) -> bytes:
    """Return the keyed hash of a source address: equal addresses match, none can be read back."""
    return pepper.hmac(_SOURCE_LABEL, address.encode())
