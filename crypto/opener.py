"""The one module that opens content. An import contract keeps it to the gateway that decides and records."""

from collections.abc import Collection
from dataclasses import dataclass, field
from hmac import compare_digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.algorithms import DEFAULT_ALGORITHMS, Algorithm, hkdf_expand
from crypto.box import NONCE_SIZE, open_box
from crypto.dek import (
    COMMITMENT_SIZE,
    DEK_ROW_SIZE,
    CaseKey,
    around_the_case,
    derivation_info,
    row_header,
    unwrap_dek,
)
from crypto.directory import Directory
from crypto.draft import draft_box
from crypto.drop import DropPrivate, drop_info, drop_number
from crypto.errors import CommitmentMismatch, GrantRefused, PlaceRefused, SealBroken, SealedToOtherKeys
from crypto.handoff import SALT_SIZE, PartAddress, part_message
from crypto.header import HEADER_SIZE, PREFIX, Kind, read_header, require_prefix
from crypto.hpke import hpke_open, public_half
from crypto.kek import Kek
from crypto.member_note import (
    NOTE_COMMITMENT_SIZE,
    header_size,
    note_context,
    note_info,
    note_keys,
    readers_of,
    renew_member_note,
    sealed_note_key,
)
from crypto.padding import unpad
from crypto.place import Place
from crypto.secret import Secret
from crypto.session import SessionKeys
from crypto.signing import verify
from crypto.widths import HASH_SIZE, ID_SIZE, SIGNATURE_SIZE

_BODY = HEADER_SIZE + NONCE_SIZE


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


class FrameReader:
    """Opens one frame each of very many cases: `unwrap_dek` and `open_frame` in one, for first-generation keys.

    What the cases share is made once: the key's cipher, headers, and all of the associated data but the ids. It
    takes half the time. Whatever is not of the usual form or does not open is left to those two functions, so
    that what opens, and every refusal, is theirs.
    """

    def __init__(self, kek: Kek, table: int, column: int) -> None:
        self._kek, self._table, self._column = kek, table, column
        self._wrapping = kek.wrapping(Algorithm.AES_256_GCM)
        self._gcm_is_accepted = kek.minimum.accepted <= Algorithm.AES_256_GCM
        self._dek_header = row_header(Algorithm.AES_256_GCM, kek.number)
        self._frame_header = row_header(Algorithm.AES_256_GCM, 1)
        before, self._after_case = around_the_case(kek.org, kek.kid, kek.group, 1)
        self._before_case = self._dek_header + before
        anywhere = Place(kek.org, table, column, bytes(ID_SIZE), 0).encoded
        self._before_row = self._frame_header + anywhere[: -(ID_SIZE + 4)]
        anyone = derivation_info(bytes(ID_SIZE), kek.group)
        at = anyone.index(bytes(ID_SIZE))
        self._info_before, self._info_after = anyone[:at], anyone[at + ID_SIZE :]

    def open(
        self,
        case: bytes,
        generation: int,
        dek_row: bytes,
        shred_part: bytes,
        row: bytes,
        version: int,
        frame: bytes,
    ) -> bytes:
        """Return the record. Raises what `unwrap_dek` and `open_frame` raise."""
        is_usual = (
            generation == 1
            and self._gcm_is_accepted
            and dek_row[:HEADER_SIZE] == self._dek_header
            and frame[:HEADER_SIZE] == self._frame_header
            and len(dek_row) == DEK_ROW_SIZE
            and len(case) == len(row) == ID_SIZE
            and len(shred_part) == HASH_SIZE
        )
        if is_usual:
            record = self._open_usual(case, dek_row, shred_part, row, version, frame)
            if record is not None:
                return record
        key = unwrap_dek(self._kek, case, generation, dek_row, shred_part)
        place = Place(self._kek.org, self._table, self._column, row, version)
        return open_frame(key, place, frame)

    def _open_usual(
        self, case: bytes, dek_row: bytes, shred_part: bytes, row: bytes, version: int, frame: bytes
    ) -> bytes | None:
        """The record, or None where it does not open: nothing is raised from where keys are locals."""
        try:
            wrapped, stored = dek_row[_BODY:-COMMITMENT_SIZE], dek_row[-COMMITMENT_SIZE:]
            context = self._before_case + case + self._after_case
            part = self._wrapping.decrypt(dek_row[HEADER_SIZE:_BODY], wrapped, context)
            dek = (int.from_bytes(part) ^ int.from_bytes(shred_part)).to_bytes(HASH_SIZE)
            derived = hkdf_expand(dek, self._info_before + case + self._info_after, 64)
            if compare_digest(derived[32:], stored):
                context = self._before_row + row + version.to_bytes(4)
                aead = AESGCM(derived[:32])
                return unpad(aead.decrypt(frame[HEADER_SIZE:_BODY], frame[_BODY:], context))
        except (InvalidTag, ValueError, OverflowError):
            pass
        return None


def open_drop(drop_private: DropPrivate, place: Place, envelope: bytes) -> bytes:
    """Return the record that was sealed to this drop key at this place. Raises SealBroken otherwise."""
    drop = drop_private.public
    if drop_number(envelope) != drop.number or drop.org != place.org:
        raise SealBroken("does not open here")
    return unpad(hpke_open(drop_private.private, drop_info(drop, place), envelope[HEADER_SIZE:]))


def open_draft(keys: SessionKeys, case: bytes, place: Place, sealed: bytes) -> bytes:
    """Return the draft that this member sealed about this case at this place. Raises SealBroken otherwise."""
    require_prefix(sealed)
    aead, context = draft_box(keys, case, place)
    return unpad(open_box(aead, len(PREFIX), context, sealed))


def open_member_note(
    private: Secret, member: bytes | None, case: bytes, place: Place, envelope: bytes
) -> bytes:
    """Return a note's text with the daily key of a member whom it names, or (None) with the recovery key.

    Raises SealBroken when it does not name her or is altered; SealedToOtherKeys when its key was sealed to keys
    that she has no longer, or for another case or place; CommitmentMismatch when it was made to say something else
    to her than to others.
    """
    return _open_note(private, member, case, place, envelope)[1]


def renew_note_for_recovery(
    directory: Directory, private: Secret, case: bytes, place: Place, envelope: bytes, anew: Collection[bytes]
) -> bytes:
    """Return a note, opened with the recovery key of before, for the one of ``directory``: `renew_member_note`.

    Raises as `open_member_note`, and GrantRefused where nobody would read it.
    """
    if not anew and directory.members.keys().isdisjoint(readers_of(envelope)):
        raise GrantRefused("nobody to read it")
    opened = _open_note(private, None, case, place, envelope)
    return renew_member_note(directory, case, place, envelope, anew, opened)


def _open_note(
    private: Secret, member: bytes | None, case: bytes, place: Place, envelope: bytes
) -> tuple[Secret, bytes]:
    sealed = sealed_note_key(envelope, member)
    try:
        note_key = Secret(hpke_open(private, note_info(case, place, public_half(private)), sealed))
    except SealBroken:
        raise SealedToOtherKeys("does not open with her keys") from None
    aead, commitment = note_keys(note_key, case, place)
    size = header_size(envelope)
    if not compare_digest(commitment, envelope[size - NOTE_COMMITMENT_SIZE : size]):
        raise CommitmentMismatch("the note commits to another key")
    return note_key, unpad(open_box(aead, size, note_context(case, place), envelope))


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
