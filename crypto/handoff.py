"""Handoff parts: what one group of a packet carries, sealed to the receiving compartment's drop key.

Acceptance moves parts still sealed; a group's first authorised holder opens hers (crypto.opener.open_part).
"""

import os
from dataclasses import dataclass
from hashlib import sha256

from crypto.algorithms import DEFAULT_ALGORITHMS, Algorithm
from crypto.drop import DropPublic
from crypto.errors import PlaceRefused
from crypto.header import Kind, pack_header, read_header
from crypto.hpke import hpke_seal
from crypto.padding import pad
from crypto.pae import pae
from crypto.signing import SigningKey
from crypto.widths import HASH_SIZE, ID_SIZE, exactly, label_bytes, u64

_LABEL = b"csm/handoff/v1"
_SIGNATURE_LABEL = b"csm/handoff-part/v1"
SALT_SIZE = 32


@dataclass(frozen=True, slots=True)
class PartAddress:
    """What a part is bound to: the exact content that was consented to, for one receiver and one group.

    Ids are 16 bytes, content_digest 32; expiry is whole seconds since 1970 (UTC). Judging the expiry, and
    that a handoff is accepted once, is the caller's: this package has no clock and no memory.
    """

    handoff: bytes
    sender_org: bytes
    receiver_org: bytes
    group: str
    consent: bytes
    content_digest: bytes
    expiry: int

    def info(self, drop: DropPublic) -> bytes:
        """Return the HPKE info: PAE("csm/handoff/v1", handoff, from, to, group, to_key_fp, consent,
        content_digest, expiry u64be). Raises PlaceRefused when the drop key is not the receiving
        compartment's.
        """
        if (drop.org, drop.group) != (self.receiver_org, self.group):
            raise PlaceRefused("drop key of another compartment")
        return pae(
            _LABEL,
            exactly(self.handoff, ID_SIZE),
            exactly(self.sender_org, ID_SIZE),
            exactly(self.receiver_org, ID_SIZE),
            label_bytes(self.group),
            drop.fingerprint,
            exactly(self.consent, ID_SIZE),
            exactly(self.content_digest, HASH_SIZE),
            u64(self.expiry),
        )


def new_salt() -> bytes:
    """Return a group's 32-byte salt for one packet: it keys the manifest's HMAC and travels in the part."""
    return os.urandom(SALT_SIZE)


def part_message(info: bytes, payload: bytes) -> bytes:
    """Return what the sender signs: PAE("csm/handoff-part/v1", SHA-256(info), SHA-256(payload))."""
    return pae(_SIGNATURE_LABEL, sha256(info).digest(), sha256(payload).digest())


def seal_part(
    address: PartAddress, drop: DropPublic, payload: bytes, salt: bytes, sender: SigningKey
) -> bytes:
    """Return the sealed part.

    Layout: 03 | 01 | drop_no u32be | enc 32 | ciphertext | tag 16; plaintext: padded payload | salt 32 |
    Ed25519 signature 64. HPKE names no sender: the signature does.
    """
    info = address.info(drop)
    plaintext = pad(payload) + exactly(salt, SALT_SIZE) + sender.sign(part_message(info, payload))
    header = pack_header(Kind.HANDOFF_PART, Algorithm.AES_256_GCM, drop.number)
    return header + hpke_seal(drop.public, info, plaintext)


def part_drop_number(part: bytes) -> int:
    """Return the number of the drop key that a part claims to be sealed to."""
    return read_header(part, Kind.HANDOFF_PART, DEFAULT_ALGORITHMS)[1]
