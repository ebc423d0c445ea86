"""One layout for everything sealed under a symmetric key: header | nonce 12 | ciphertext | tag 16.

The associated data is the header followed by a context that the caller rebuilds from what it knows.
"""

import os

from cryptography.exceptions import InvalidTag

from crypto.algorithms import Aead
from crypto.errors import SealBroken

NONCE_SIZE = 12
TAG_SIZE = 16
BOX_OVERHEAD = NONCE_SIZE + TAG_SIZE


def seal_box(aead: Aead, header: bytes, context: bytes, plaintext: bytes) -> bytes:
    """Return the box, under a fresh random nonce (at most 2^32 boxes a key: NIST SP 800-38D, section 8.3)."""
    nonce = os.urandom(NONCE_SIZE)
    return header + nonce + aead.encrypt(nonce, plaintext, header + context)


def open_box(aead: Aead, header_size: int, context: bytes, box: bytes) -> bytes:
    """Return the plaintext. Raises SealBroken unless the box was made with this key, header and context."""
    body = header_size + NONCE_SIZE
    try:
        return aead.decrypt(box[header_size:body], box[body:], box[:header_size] + context)
    except (InvalidTag, ValueError):  # ValueError: a nonce that was cut short
        raise SealBroken("does not open here") from None
