"""Eight words that two people compare by voice before one of them hands the other a key."""

import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest

from argon2.low_level import Type, hash_secret_raw
from mnemonic import Mnemonic

from crypto.algorithms import hkdf_expand
from crypto.pae import pae
from crypto.widths import HASH_SIZE, ID_SIZE, exactly

COUNT = 8
_BITS = 11
_LABEL = b"csm/words/v1"
_SALT_LABEL = b"csm/words-salt/v1"
_EXPAND = b"csm/v1/words"
# Fixed by the format: both sides must come to the same words, whatever passwords are stretched with.
_MEMORY_KIB, _PASSES = 65_536, 3
_SIZE = COUNT * _BITS // 8
# BIP-39's French list: 2,048 words of at least five letters, no two of which begin with the same four.
WORDS: tuple[str, ...] = tuple(unicodedata.normalize("NFC", word) for word in Mnemonic("french").wordlist)


def verification_words(
    org: bytes, owner: bytes, fingerprints: Sequence[bytes], context: bytes = b""
) -> tuple[str, ...]:
    """Return eight French words (88 bits) over a person's public keys.

    ``fingerprints`` are those of all her memberships' keys (`member_key_fingerprint`), in any order; ``context``
    binds what else is compared with them, and is empty where nothing is. Argon2id (RFC 9106; 64 MiB, 3 passes,
    1 lane) over PAE("csm/words/v1", org, owner, context, fingerprints…), salt the first 16 bytes of
    SHA-256(PAE("csm/words-salt/v1", org, owner)); HKDF-Expand("csm/v1/words") of it, 11 bits a word. Stretched:
    whoever wants keys whose words begin as hers do pays for each try.

    Blocks as `crypto.password.stretch` does: call it in a worker thread.
    """
    parts = sorted(exactly(one, HASH_SIZE) for one in fingerprints)
    stretched = hash_secret_raw(
        secret=pae(_LABEL, exactly(org, ID_SIZE), exactly(owner, ID_SIZE), context, *parts),
        salt=sha256(pae(_SALT_LABEL, org, owner)).digest()[:16],
        time_cost=_PASSES,
        memory_cost=_MEMORY_KIB,
        parallelism=1,
        hash_len=HASH_SIZE,
        type=Type.ID,
    )
    number = int.from_bytes(hkdf_expand(stretched, _EXPAND)[:_SIZE])
    return tuple(WORDS[number >> _BITS * at & (1 << _BITS) - 1] for at in reversed(range(COUNT)))


def words_match(expected: Sequence[str], heard: str) -> bool:
    """Tell in constant time whether the words that somebody typed are these, in this order.

    Accents, case and what stands between the words do not count: she writes what she hears.
    """
    return compare_digest(_plain(" ".join(expected)).encode(), _plain(heard).encode())


def _plain(text: str) -> str:
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    kept = "".join(char if char.isalpha() else " " for char in bare.casefold())
    return " ".join(kept.split())
