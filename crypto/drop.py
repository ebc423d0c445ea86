"""Writing without reading: a compartment's drop key, and records sealed to its public half.

A drop envelope (`csm/drop/v1`) stands in the same column as a frame until the first holder who opens it seals
the record again under the case key.
"""

from dataclasses import dataclass
from hashlib import sha256

from crypto.algorithms import CASE_ALGORITHMS, DEFAULT_ALGORITHMS, Algorithm
from crypto.box import open_box, seal_box
from crypto.errors import PlaceRefused, SealBroken
from crypto.header import HEADER_SIZE, Kind, pack_header, read_header
from crypto.hpke import PUBLIC_KEY_SIZE, hpke_seal, new_key_pair, public_half
from crypto.kek import Kek
from crypto.padding import pad
from crypto.pae import pae
from crypto.place import Place
from crypto.secret import Secret
from crypto.widths import ID_SIZE, exactly, label_bytes, u16, u32

_KEY_LABEL = b"csm/drop-key/v1"
_ENVELOPE_LABEL = b"csm/drop/v1"
_WRAP_LABEL = b"csm/drw1"
DROPPED = bytes([Kind.TO_DROP_KEY])
"""How everything begins that is sealed to a drop key."""


@dataclass(frozen=True, slots=True)
class DropPublic:
    """The public half of a compartment's drop key, as the directory certifies it."""

    org: bytes
    group: str
    number: int
    public: bytes

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over PAE("csm/drop-key/v1", org, group, number u32be, public)."""
        exactly(self.public, PUBLIC_KEY_SIZE)
        parts = (exactly(self.org, ID_SIZE), label_bytes(self.group), u32(self.number), self.public)
        return sha256(pae(_KEY_LABEL, *parts)).digest()


@dataclass(frozen=True, slots=True)
class DropPrivate:
    """The private half; ``public`` is derived from it when it is made or unwrapped."""

    public: DropPublic
    private: Secret


def new_drop_key(org: bytes, group: str, number: int) -> DropPrivate:
    """Return a fresh drop key pair of a compartment."""
    pair = new_key_pair()
    return DropPrivate(DropPublic(org, group, number, pair.public), pair.private)


def wrap_drop_private(kek: Kek, drop_private: DropPrivate) -> bytes:
    """Return the private half under the compartment's KEK.

    Layout: 01 | alg | kek_no u32be | nonce 12 | ciphertext 32 | tag 16; associated data: those 6 bytes |
    "csm/drw1" | kid 32 | drop-key fingerprint 32. Raises PlaceRefused across compartments.
    """
    public = drop_private.public
    if (kek.org, kek.group) != (public.org, public.group):
        raise PlaceRefused("drop key of another compartment")
    algorithm = Algorithm.AES_256_GCM
    header = pack_header(Kind.UNDER_KEY, algorithm, kek.number)
    context = _WRAP_LABEL + kek.kid + public.fingerprint
    return seal_box(kek.wrapping(algorithm), header, context, drop_private.private.reveal())


def unwrap_drop_private(kek: Kek, number: int, public: bytes, wrapped: bytes) -> DropPrivate:
    """Return the private half of the certified drop key (number, public).

    Raises SealBroken when it was wrapped under another KEK, for another drop key, or is not the half of it.
    """
    algorithm, kek_number = read_header(wrapped, Kind.UNDER_KEY, DEFAULT_ALGORITHMS)
    if kek_number != kek.number:
        raise SealBroken("wrapped under another key number")
    drop = DropPublic(kek.org, kek.group, number, public)
    context = _WRAP_LABEL + kek.kid + drop.fingerprint
    private = Secret(open_box(kek.wrapping(algorithm), HEADER_SIZE, context, wrapped))
    if public_half(private) != public:
        raise SealBroken("not the half of the certified key")
    return DropPrivate(drop, private)


def drop_info(drop: DropPublic, place: Place) -> bytes:
    """Return the HPKE info of an envelope: what it is bound to."""
    return pae(
        _ENVELOPE_LABEL,
        place.org,
        label_bytes(drop.group),
        u16(place.table),
        u16(place.column),
        place.row,
        u32(place.row_version),
        drop.fingerprint,
    )


def seal_to_drop(drop: DropPublic, place: Place, plaintext: bytes) -> bytes:
    """Return a `csm/drop/v1` envelope of the padded plaintext.

    Layout: 02 | 01 | drop_no u32be | enc 32 | ciphertext | tag 16. Raises PlaceRefused when the place
    belongs to another organisation than the drop key.
    """
    if drop.org != place.org:
        raise PlaceRefused("drop key of another organisation")
    header = pack_header(Kind.TO_DROP_KEY, Algorithm.AES_256_GCM, drop.number)
    return header + hpke_seal(drop.public, drop_info(drop, place), pad(plaintext))


def is_drop_envelope(blob: bytes) -> bool:
    """Tell an envelope from a frame by its first byte."""
    return blob[:1] == DROPPED


def drop_headers(number: int) -> list[bytes]:
    """Return how whatever is sealed to a drop key of this number begins: envelopes, key rows, handoff parts."""
    kinds = (Kind.TO_DROP_KEY, Kind.HANDOFF_PART)
    return [pack_header(kind, algorithm, number) for kind in kinds for algorithm in CASE_ALGORITHMS]


def drop_number(envelope: bytes) -> int:
    """Return the number of the drop key that an envelope claims to be sealed to."""
    return read_header(envelope, Kind.TO_DROP_KEY, DEFAULT_ALGORITHMS)[1]
