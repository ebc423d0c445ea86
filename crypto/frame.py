"""Field frames: one record of one group in one row, sealed under the case key."""

from crypto.box import seal_box
from crypto.dek import CaseKey
from crypto.errors import PlaceRefused
from crypto.padding import pad
from crypto.place import Place


def seal_frame(key: CaseKey, place: Place, plaintext: bytes) -> bytes:
    """Return the frame of a record at its place.

    Layout: 01 | alg | dek_gen u32be | nonce 12 | ciphertext | tag 16, over the padded plaintext; associated
    data: those 6 bytes | the 48 bytes of the place. Raises PlaceRefused for a place in another organisation.
    """
    if key.org != place.org:
        raise PlaceRefused("key of another organisation")
    return seal_box(key.aead, key.frame_header, place.encoded, pad(plaintext))
