"""Relation tokens: whether a member and a person share a surname, a phone or an address, for the auditor alone.

A value (a surname as it sounds, a phone, an address) becomes a token under the organisation's relation key, which
holders of the `index` compartment have. A member's record keeps tokens; a case's record keeps marks: tokens made
anew under the person's pseudonym. Both are sealed to the `journal` compartment. Whoever opens them and holds no
relation key sees which marks come from a member's tokens, and can tell nothing of any other: not what it stands
for, nor whether two persons have the same.
"""

import os
from collections.abc import Collection, Iterable
from enum import IntEnum
from hmac import digest

from crypto.algorithms import DEFAULT_ALGORITHMS, Algorithm
from crypto.box import open_box, seal_box
from crypto.errors import PlaceRefused, SealBroken
from crypto.header import HEADER_SIZE, Kind, pack_header, read_header
from crypto.kek import Kek
from crypto.pae import pae
from crypto.secret import Secret
from crypto.widths import HASH_SIZE, ID_SIZE, exactly

INDEX = "index"
"""The compartment whose holders have the relation key."""
SLOTS = 32
"""Tokens of a member, marks of one group of a case: what is not used is random, so that no size tells a number."""
_WRAP_LABEL = b"csm/rel1"
_TOKEN_LABEL = b"csm/relation-token/v1"
_MARK_LABEL = b"csm/relation-mark/v1"
_MATCH_LABEL = b"csm/match-key/v1"
_MARK_SIZE = 16
_TOKEN_SLOT = 1 + HASH_SIZE


class Trait(IntEnum):
    """What is compared; `PERSON` is a surname, a first name and a date of birth together."""

    SURNAME = 1
    PERSON = 2
    PHONE = 3
    ADDRESS = 4


def wrap_relation_key(kek: Kek, key: Secret) -> bytes:
    """Return an organisation's relation key under the KEK of its `index` compartment.

    Layout: 01 | 01 | kek_no u32be | nonce 12 | ciphertext 32 | tag 16; associated data: those 6 bytes |
    "csm/rel1" | org 16 | kid 32. Raises PlaceRefused under another compartment's.
    """
    if kek.group != INDEX:
        raise PlaceRefused("key of another compartment")
    algorithm = Algorithm.AES_256_GCM
    header = pack_header(Kind.UNDER_KEY, algorithm, kek.number)
    return seal_box(kek.wrapping(algorithm), header, _WRAP_LABEL + kek.org + kek.kid, key.reveal())


def unwrap_relation_key(kek: Kek, wrapped: bytes) -> Secret:
    """Return the relation key. Raises SealBroken where it was wrapped under another KEK, or altered."""
    algorithm, number = read_header(wrapped, Kind.UNDER_KEY, DEFAULT_ALGORITHMS)
    if number != kek.number or kek.group != INDEX:
        raise SealBroken("wrapped under another key")
    return Secret(open_box(kek.wrapping(algorithm), HEADER_SIZE, _WRAP_LABEL + kek.org + kek.kid, wrapped))


def wrapping_number(wrapped: bytes) -> int:
    """Return the number of the KEK that a relation key claims to be under."""
    return read_header(wrapped, Kind.UNDER_KEY, DEFAULT_ALGORITHMS)[1]


def relation_token(key: Secret, org: bytes, trait: Trait, value: str) -> bytes:
    """Return HMAC-SHA-256(relation key, PAE("csm/relation-token/v1", org, trait u8, value in UTF-8))."""
    message = pae(_TOKEN_LABEL, exactly(org, ID_SIZE), bytes([trait]), value.encode())
    return digest(key.reveal(), message, "sha256")


def relation_mark(token: bytes, person: bytes) -> bytes:
    """Return the first 16 bytes of HMAC-SHA-256(token, PAE("csm/relation-mark/v1", the person's pseudonym)).

    A person's pseudonym goes with her case: an older copy of her marks then leads to nobody.
    """
    message = pae(_MARK_LABEL, exactly(person, HASH_SIZE))
    return digest(exactly(token, HASH_SIZE), message, "sha256")[:_MARK_SIZE]


def match_key(key: Secret, half: bytes) -> Secret:
    """Return HMAC-SHA-256(relation key, PAE("csm/match-key/v1", half)): the key that conflicts are matched with.

    Tokens and marks that are made with it tell nothing to whoever lacks the half, which is in no database.
    """
    return Secret(digest(key.reveal(), pae(_MATCH_LABEL, exactly(half, HASH_SIZE)), "sha256"))


def encode_tokens(tokens: Iterable[tuple[Trait, bytes]]) -> bytes:
    """Return a member's record: 32 times trait u8 | token 32; so many are kept, and 00 | random fills it."""
    kept = [bytes([trait]) + token for trait, token in tokens][:SLOTS]
    return b"".join(kept) + b"".join(b"\0" + os.urandom(HASH_SIZE) for _ in range(SLOTS - len(kept)))


def decode_tokens(record: bytes) -> tuple[tuple[Trait, bytes], ...]:
    """Return the tokens of a member's record. Raises SealBroken where it is none."""
    traits = record[::_TOKEN_SLOT]
    if len(record) != SLOTS * _TOKEN_SLOT or not set(traits) <= {0, *Trait}:
        raise SealBroken("not a member's record")
    return tuple(
        (Trait(trait), record[at * _TOKEN_SLOT + 1 : (at + 1) * _TOKEN_SLOT])
        for at, trait in enumerate(traits)
        if trait
    )


def encode_marks(tokens: Collection[bytes], person: bytes) -> bytes:
    """Return a case's record: 32 marks of 16 bytes; at most so many are kept, and random bytes fill it."""
    kept = [relation_mark(token, person) for token in tokens][:SLOTS]
    return b"".join(kept) + os.urandom((SLOTS - len(kept)) * _MARK_SIZE)


def decode_marks(record: bytes) -> frozenset[bytes]:
    """Return the marks of a case's record, with what fills it. Raises SealBroken where it is none."""
    if len(record) != SLOTS * _MARK_SIZE:
        raise SealBroken("not a case's record")
    return frozenset(record[at : at + _MARK_SIZE] for at in range(0, len(record), _MARK_SIZE))
