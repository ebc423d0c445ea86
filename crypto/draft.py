"""Drafts: what a member has not saved yet, sealed under a key that nobody but her own sessions can derive.

Symmetric on purpose: whoever sealed to her public key could also plant a draft in her name.
"""

from crypto.algorithms import Aead, Algorithm, aead_for, hkdf_expand
from crypto.box import seal_box
from crypto.errors import PlaceRefused
from crypto.header import PREFIX
from crypto.padding import pad
from crypto.place import Place
from crypto.session import SessionKeys
from crypto.widths import ID_SIZE, exactly

_KEY_LABEL = b"csm/v1/draft"
_CONTEXT = b"csm/dft1"


def seal_draft(keys: SessionKeys, case: bytes, place: Place, plaintext: bytes) -> bytes:
    """Return a member's draft about a case, at its place.

    Layout: 01 | 01 | nonce 12 | ciphertext | tag 16, over the padded plaintext; associated data: those 2
    bytes | "csm/dft1" | member 16 | case 16 | the 48 bytes of the place. Key: HKDF-Expand(daily private,
    "csm/v1/draft", 32). Raises PlaceRefused for a place in another organisation.
    """
    if keys.org != place.org:
        raise PlaceRefused("draft of another organisation")
    aead, context = draft_box(keys, case, place)
    return seal_box(aead, PREFIX, context, pad(plaintext))


def draft_box(keys: SessionKeys, case: bytes, place: Place) -> tuple[Aead, bytes]:
    """Return the cipher of a member's drafts, and what one of them is bound to."""
    key = hkdf_expand(keys.daily_private.reveal(), _KEY_LABEL)
    context = _CONTEXT + exactly(keys.member, ID_SIZE) + exactly(case, ID_SIZE) + place.encoded
    return aead_for(Algorithm.AES_256_GCM, key), context
