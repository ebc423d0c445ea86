"""Member-only notes: a record of a case, sealed once more to the members whom it names and to recovery.

The envelope stands inside a frame under the case's own key, which binds it to its place and says that a holder of
the group wrote it; and so erasing the case, or restricting it, reaches its notes. Nobody reads from the database
whom a note names.

Envelope: 01 | 01 | count u8 | count × (member 16 | HPKE(note key 32) 80) | HPKE(note key 32) 80 to recovery |
commitment 32 | nonce 12 | ciphertext | tag 16, over the padded text, members in ascending order.

    info       = PAE("csm/member-note/v1", org, case, place, recipient's public key)
    enc_key 32 | commitment 32 = HKDF-Expand(note key, PAE("csm/member-note-keys/v1", org, case, place), 64)
    associated data: everything before the nonce | "csm/mno1" | case | place

``place`` is the 48 bytes of the frame's. The commitment keeps one envelope from saying different things to
different readers: AES-GCM does not commit to its key.
"""

from collections.abc import Collection, Iterable, Mapping

from crypto.algorithms import Aead, Algorithm, aead_for, hkdf_expand
from crypto.box import seal_box
from crypto.directory import Directory
from crypto.errors import GrantRefused, PlaceRefused, SealBroken
from crypto.header import PREFIX, require_prefix
from crypto.hpke import HPKE_OVERHEAD, hpke_seal
from crypto.padding import pad
from crypto.pae import pae
from crypto.place import Place
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import ID_SIZE, exactly

MOST_READERS = 255
NOTE_COMMITMENT_SIZE = 32
SEALED_KEY_SIZE = HPKE_OVERHEAD + KEY_SIZE
_LABEL = b"csm/member-note/v1"
_KEYS_LABEL = b"csm/member-note-keys/v1"
_CONTEXT = b"csm/mno1"
_COUNTED = len(PREFIX) + 1
_SLOT_SIZE = ID_SIZE + SEALED_KEY_SIZE


def seal_member_note(
    directory: Directory, case: bytes, place: Place, readers: Iterable[bytes], plaintext: bytes
) -> bytes:
    """Return the envelope of a note at its place. Raises GrantRefused for a reader who is not certified."""
    if directory.org != place.org:
        raise PlaceRefused("note of another organisation")
    members = sorted(set(readers))
    if not 1 <= len(members) <= MOST_READERS or not all(member in directory.members for member in members):
        raise GrantRefused("member not certified")
    note_key = Secret.random()
    slots = {
        member: _seal_key(directory.members[member].daily_public, case, place, note_key) for member in members
    }
    return _seal(directory, case, place, slots, note_key, plaintext)


def renew_member_note(
    directory: Directory,
    case: bytes,
    place: Place,
    envelope: bytes,
    anew: Collection[bytes],
    opened: tuple[Secret, bytes],
) -> bytes:
    """Return a note's envelope sealed to the directory's recovery key; ``opened`` are its key and its text.

    A reader keeps what was sealed to the keys that she had then: nothing says that those certified for her since
    are hers. It is sealed to her certified keys if she is among ``anew``; whoever is certified no longer drops out,
    and where nobody is left it is sealed to all of ``anew``, which must then name somebody.
    """
    slots = {member: sealed for member, sealed in _slots(envelope) if member in directory.members}
    note_key, plaintext = opened
    members = [member for member in slots if member in anew] if slots else list(anew)
    for member in members:
        slots[member] = _seal_key(directory.members[member].daily_public, case, place, note_key)
    return _seal(directory, case, place, slots, note_key, plaintext)


def _seal(
    directory: Directory,
    case: bytes,
    place: Place,
    slots: Mapping[bytes, bytes],
    note_key: Secret,
    plaintext: bytes,
) -> bytes:
    header = PREFIX + bytes([len(slots)])
    for member, sealed in sorted(slots.items()):
        header += member + sealed
    header += _seal_key(directory.recovery_public, case, place, note_key)
    aead, commitment = note_keys(note_key, case, place)
    return seal_box(aead, header + commitment, note_context(case, place), pad(plaintext))


def readers_of(envelope: bytes) -> tuple[bytes, ...]:
    """Return whom a note names. Raises SealBroken or AlgorithmRefused for what is no envelope."""
    return tuple(member for member, _ in _slots(envelope))


def header_size(envelope: bytes) -> int:
    """Return how many bytes stand before the nonce."""
    return _COUNTED + len(_slots(envelope)) * _SLOT_SIZE + SEALED_KEY_SIZE + NOTE_COMMITMENT_SIZE


def sealed_note_key(envelope: bytes, member: bytes | None) -> bytes:
    """Return the note key as it was sealed to a member, or (None) to recovery.

    Raises SealBroken where the note does not name her.
    """
    slots = _slots(envelope)
    if member is None:
        start = _COUNTED + len(slots) * _SLOT_SIZE
        return envelope[start : start + SEALED_KEY_SIZE]
    sealed = dict(slots).get(member)
    if sealed is None:
        raise SealBroken("does not open here")
    return sealed


def note_info(case: bytes, place: Place, public: bytes) -> bytes:
    """Return the HPKE info of a note key sealed to a public key."""
    return pae(_LABEL, place.org, exactly(case, ID_SIZE), place.encoded, public)


def note_keys(note_key: Secret, case: bytes, place: Place) -> tuple[Aead, bytes]:
    """Return the cipher of a note and the commitment to its key."""
    info = pae(_KEYS_LABEL, place.org, exactly(case, ID_SIZE), place.encoded)
    derived = hkdf_expand(exactly(note_key.reveal(), KEY_SIZE), info, 64)
    return aead_for(Algorithm.AES_256_GCM, derived[:KEY_SIZE]), derived[KEY_SIZE:]


def note_context(case: bytes, place: Place) -> bytes:
    return _CONTEXT + case + place.encoded


def _slots(envelope: bytes) -> list[tuple[bytes, bytes]]:
    require_prefix(envelope)
    count = envelope[len(PREFIX)] if len(envelope) > len(PREFIX) else 0
    end = _COUNTED + count * _SLOT_SIZE
    if not count or len(envelope) < end + SEALED_KEY_SIZE + NOTE_COMMITMENT_SIZE:
        raise SealBroken("too short")
    starts = range(_COUNTED, end, _SLOT_SIZE)
    return [(envelope[at : at + ID_SIZE], envelope[at + ID_SIZE : at + _SLOT_SIZE]) for at in starts]


def _seal_key(public: bytes, case: bytes, place: Place, note_key: Secret) -> bytes:
    return hpke_seal(public, note_info(case, place, public), note_key.reveal())
