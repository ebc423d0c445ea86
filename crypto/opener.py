"""The one module that opens content. An import contract keeps it to the gateway that decides and records."""

from dataclasses import dataclass, field

from crypto.algorithms import DEFAULT_ALGORITHMS
from crypto.box import open_box
from crypto.dek import CaseKey
from crypto.drop import DropPrivate, drop_info, drop_number
from crypto.errors import PlaceRefused, SealBroken
from crypto.handoff import SALT_SIZE, PartAddress, part_message
from crypto.header import HEADER_SIZE, Kind, read_header
from crypto.hpke import hpke_open
from crypto.padding import unpad
from crypto.place import Place
from crypto.signing import verify
from crypto.widths import SIGNATURE_SIZE


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """What a sender put into a part: the payload, and the salt of its group's manifest HMAC."""

    payload: bytes = field(repr=False)
    salt: bytes = field(repr=False)


def open_frame(key: CaseKey, place: Place, frame: bytes) -> bytes:
    """Return the record that was sealed with this key at this place.

    Raises SealBroken for a frame of another place, case, group, organisation, version or generation, or with
    any altered byte; AlgorithmRefused for an algorithm other than the key's own.
    """
    if frame[:HEADER_SIZE] != key.frame_header or key.org != place.org:
        read_header(frame, Kind.UNDER_KEY, {key.algorithm})
        raise SealBroken("does not open here")
    return unpad(open_box(key.aead, HEADER_SIZE, place.encoded, frame))


def open_drop(drop_private: DropPrivate, place: Place, envelope: bytes) -> bytes:
    """Return the record that was sealed to this drop key at this place. Raises SealBroken otherwise."""
    drop = drop_private.public
    if drop_number(envelope) != drop.number or drop.org != place.org:
        raise SealBroken("does not open here")
    return unpad(hpke_open(drop_private.private, drop_info(drop, place), envelope[HEADER_SIZE:]))


def open_part(
    address: PartAddress, drop_private: DropPrivate, sender_public: bytes, part: bytes
) -> OpenedPart:
    """Return the payload and salt of a handoff part.

    ``sender_public`` comes from the sender's directory chain. Raises SealBroken when the part was not
    sealed to this key for exactly this address, SignatureRefused when another key signed it.
    """
    drop = drop_private.public
    _, number = read_header(part, Kind.HANDOFF_PART, DEFAULT_ALGORITHMS)
    if number != drop.number:
        raise SealBroken("does not open here")
    try:
        info = address.info(drop)
    except PlaceRefused:
        raise SealBroken("does not open here") from None
    plaintext = hpke_open(drop_private.private, info, part[HEADER_SIZE:])
    payload = unpad(plaintext[: -(SALT_SIZE + SIGNATURE_SIZE)])
    verify(sender_public, part_message(info, payload), plaintext[-SIGNATURE_SIZE:])
    return OpenedPart(payload, plaintext[-(SALT_SIZE + SIGNATURE_SIZE) : -SIGNATURE_SIZE])
