"""Case keys: one data-encryption key (DEK) per case and group, in two halves that live apart.

DEK = wrapped_part XOR shred_part. The wrapped part lies beside the case, under the compartment's KEK; the
shred part lies in the shred store, and the case is unreadable everywhere, backups included, once it is
gone.

The DEK itself is never used: enc_key 32 | commitment 32 = HKDF-Expand(DEK, "csm/v1/case" | case | group, 64).
AES-GCM does not commit to its key, so the stored commitment is compared before the first use.
"""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from hmac import compare_digest

from crypto.algorithms import CASE_ALGORITHMS, Aead, Algorithm, aead_for, hkdf_expand
from crypto.box import BOX_OVERHEAD, open_box, seal_box
from crypto.drop import DROPPED, DropPrivate, DropPublic
from crypto.errors import CommitmentMismatch, PlaceRefused, SealBroken
from crypto.header import HEADER_SIZE, Kind, pack_header, read_header
from crypto.hpke import HPKE_OVERHEAD, hpke_open, hpke_seal
from crypto.kek import Kek
from crypto.pae import pae
from crypto.widths import ID_SIZE, exactly, label_bytes, u32, xor

_DERIVE_LABEL = b"csm/v1/case"
_ROW_LABEL = b"csm/dek1"
_DROP_LABEL = b"csm/dek-drop/v1"
_PART_SIZE = 32
COMMITMENT_SIZE = 32
DEK_ROW_SIZE = HEADER_SIZE + BOX_OVERHEAD + _PART_SIZE + COMMITMENT_SIZE
DROPPED_DEK_ROW_SIZE = HEADER_SIZE + HPKE_OVERHEAD + _PART_SIZE + COMMITMENT_SIZE


@dataclass(frozen=True, slots=True, eq=False)
class CaseKey:
    """An opened case key of one group: holds the cipher object, never the key's bytes.

    One generation of a DEK seals under one algorithm, which is the whole allow-list for its frames.
    """

    org: bytes
    case: bytes
    group: str
    generation: int
    algorithm: Algorithm
    aead: Aead = field(repr=False)
    frame_header: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewDek:
    """A case key just made: the row for the database, and the half for the shred store (commit it first)."""

    key: CaseKey
    row: bytes = field(repr=False)
    shred_part: bytes = field(repr=False)


def new_dek(kek: Kek, case: bytes, generation: int = 1, algorithm: Algorithm | None = None) -> NewDek:
    """Make the key of a case under a KEK that the writer holds; by default under its minimum's algorithm.

    Row: 01 | alg | kek_no u32be | nonce 12 | ciphertext 32 | tag 16 | commitment 32; associated data: the
    first 6 bytes | "csm/dek1" | org 16 | case 16 | dek_gen u32be | kid 32 | group.
    """
    algorithm = kek.minimum.made if algorithm is None else algorithm
    wrapped_part, shred_part = os.urandom(_PART_SIZE), os.urandom(_PART_SIZE)
    key, commitment = _derive(wrapped_part, shred_part, kek.org, case, kek.group, generation, algorithm)
    row = _wrap(kek, case, generation, algorithm, wrapped_part) + commitment
    return NewDek(key, row, shred_part)


def require_dek_row(row: bytes) -> None:
    """Check the outer form of a row, without any key. Raises SealBroken or AlgorithmRefused."""
    sizes = {Kind.UNDER_KEY: DEK_ROW_SIZE, Kind.TO_DROP_KEY: DROPPED_DEK_ROW_SIZE}
    kind = next((kind for kind in sizes if row[:1] == bytes([kind])), None)
    if kind is None or len(row) != sizes[kind]:
        raise SealBroken("not the row of a case key")
    read_header(row, kind, CASE_ALGORITHMS)


def unwrap_dek(kek: Kek, case: bytes, generation: int, row: bytes, shred_part: bytes) -> CaseKey:
    """Return the case key of a row.

    Raises SealBroken when the row belongs to another KEK, case, group, organisation or generation, and
    CommitmentMismatch when it opens to a key that the row does not commit to (a two-key ciphertext, or the
    shred part of another row), and AlgorithmRefused below the organisation's minimum.
    """
    key = _committed_key(kek, case, generation, row, shred_part)
    # Raised here, where no half of the key is a local: a traceback that shows locals must not show the key.
    if key is None:
        raise CommitmentMismatch("the row commits to another key")
    return key


def rewrap_dek(old: Kek, new: Kek, case: bytes, generation: int, row: bytes) -> bytes:
    """Return the row under another KEK of the same compartment; no frame and no shred part changes."""
    if (old.org, old.group) != (new.org, new.group):
        raise PlaceRefused("key of another compartment")
    algorithm, wrapped_part, commitment = _unwrap(old, case, generation, row)
    return _wrap(new, case, generation, algorithm, wrapped_part) + commitment


def new_dek_to_drop(
    drop: DropPublic, case: bytes, generation: int = 1, algorithm: Algorithm = Algorithm.AES_256_GCM
) -> NewDek:
    """Make the key of a case whose KEK the writer does not hold: the row is sealed to the group's drop key.

    Row: 02 | alg | drop_no u32be | enc 32 | ciphertext 32 | tag 16 | commitment 32, alg being the algorithm
    of the case key. HPKE info = PAE("csm/dek-drop/v1", the first 6 bytes, org, group, case, dek_gen u32be,
    drop-key fingerprint, commitment).
    """
    wrapped_part, shred_part = os.urandom(_PART_SIZE), os.urandom(_PART_SIZE)
    key, commitment = _derive(wrapped_part, shred_part, drop.org, case, drop.group, generation, algorithm)
    header = pack_header(Kind.TO_DROP_KEY, algorithm, drop.number)
    info = _dropped_info(header, drop, case, generation, commitment)
    return NewDek(key, header + hpke_seal(drop.public, info, wrapped_part) + commitment, shred_part)


def adopt_dek(drop_private: DropPrivate, kek: Kek, case: bytes, generation: int, row: bytes) -> bytes:
    """Return a dropped row as an ordinary one under the KEK: what the first holder who meets it stores.

    The commitment stays as it was and is checked when the new row is unwrapped with its shred part.
    """
    drop = drop_private.public
    if (kek.org, kek.group) != (drop.org, drop.group):
        raise PlaceRefused("key of another compartment")
    algorithm, number = read_header(row, Kind.TO_DROP_KEY, CASE_ALGORITHMS)
    if number != drop.number or len(row) != DROPPED_DEK_ROW_SIZE:
        raise SealBroken("does not open here")
    kek.minimum.require(algorithm)
    commitment = row[-COMMITMENT_SIZE:]
    info = _dropped_info(row[:HEADER_SIZE], drop, case, generation, commitment)
    wrapped_part = hpke_open(drop_private.private, info, row[HEADER_SIZE:-COMMITMENT_SIZE])
    return _wrap(kek, case, generation, algorithm, wrapped_part) + commitment


def dek_row_is_dropped(row: bytes) -> bool:
    """Tell a row sealed to the drop key from one under the KEK by its first byte."""
    return row[:1] == DROPPED


def dek_row_key_number(row: bytes) -> int:
    """Return the number of the KEK (or, of a dropped row, the drop key) that a row claims to be under."""
    kind = Kind.TO_DROP_KEY if dek_row_is_dropped(row) else Kind.UNDER_KEY
    return read_header(row, kind, CASE_ALGORITHMS)[1]


def _committed_key(kek: Kek, case: bytes, generation: int, row: bytes, shred_part: bytes) -> CaseKey | None:
    """The case key of a row, or None where it is not the one that the row commits to."""
    algorithm, wrapped_part, stored = _unwrap(kek, case, generation, row)
    key, commitment = _derive(wrapped_part, shred_part, kek.org, case, kek.group, generation, algorithm)
    return key if compare_digest(commitment, stored) else None


def _derive(
    wrapped_part: bytes,
    shred_part: bytes,
    org: bytes,
    case: bytes,
    group: str,
    generation: int,
    algorithm: Algorithm,
) -> tuple[CaseKey, bytes]:
    derived = hkdf_expand(xor(wrapped_part, shred_part), derivation_info(case, group), 64)
    header = row_header(algorithm, generation)
    key = CaseKey(org, case, group, generation, algorithm, aead_for(algorithm, derived[:32]), header)
    return key, derived[32:]


def derivation_info(case: bytes, group: str) -> bytes:
    """Return what binds the keys that are derived from a DEK to their case and group."""
    return _DERIVE_LABEL + exactly(case, ID_SIZE) + label_bytes(group)


# A list opens thousands of rows under one KEK: what they share is packed once. None of it is secret.
@lru_cache(maxsize=256)
def row_header(algorithm: Algorithm, number: int) -> bytes:
    """Return the header of a key row under this KEK, or of a frame of this generation."""
    return pack_header(Kind.UNDER_KEY, algorithm, number)


def key_row_headers(kek_no: int) -> list[bytes]:
    """Return how a key row under a KEK of this number may begin."""
    return [row_header(algorithm, kek_no) for algorithm in CASE_ALGORITHMS]


@lru_cache(maxsize=256)
def around_the_case(org: bytes, kid: bytes, group: str, generation: int) -> tuple[bytes, bytes]:
    """Return what stands before and after the case in a key row's associated data, without its header."""
    # The group is last because it alone varies in length.
    return _ROW_LABEL + org, u32(generation) + kid + label_bytes(group)


def _row_context(kek: Kek, case: bytes, generation: int) -> bytes:
    before, after = around_the_case(kek.org, kek.kid, kek.group, generation)
    return before + exactly(case, ID_SIZE) + after


def _wrap(kek: Kek, case: bytes, generation: int, algorithm: Algorithm, wrapped_part: bytes) -> bytes:
    header = row_header(algorithm, kek.number)
    return seal_box(kek.wrapping(algorithm), header, _row_context(kek, case, generation), wrapped_part)


def _unwrap(kek: Kek, case: bytes, generation: int, row: bytes) -> tuple[Algorithm, bytes, bytes]:
    algorithm, number = read_header(row, Kind.UNDER_KEY, CASE_ALGORITHMS)
    if number != kek.number or len(row) != DEK_ROW_SIZE:
        raise SealBroken("does not open here")
    kek.minimum.require(algorithm)
    context = _row_context(kek, case, generation)
    wrapped_part = open_box(kek.wrapping(algorithm), HEADER_SIZE, context, row[:-COMMITMENT_SIZE])
    return algorithm, wrapped_part, row[-COMMITMENT_SIZE:]


def _dropped_info(header: bytes, drop: DropPublic, case: bytes, generation: int, commitment: bytes) -> bytes:
    return pae(
        _DROP_LABEL,
        header,
        drop.org,
        label_bytes(drop.group),
        exactly(case, ID_SIZE),
        u32(generation),
        drop.fingerprint,
        commitment,
    )
