"""A recovery share between its holder's screen and the process that joins shares: read alone, and sealed.

Who joins the shares makes an X25519 pair for that one occasion and never stores it. A share stays sealed to it
until enough of them are there.
"""

from dataclasses import dataclass
from hashlib import sha256

from shamir_mnemonic import MnemonicError
from shamir_mnemonic.share import Share
from shamir_mnemonic.wordlist import WORDLIST

from crypto.errors import SealBroken, SharesRefused
from crypto.hpke import KeyPair, hpke_open, hpke_seal
from crypto.pae import pae
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import ID_SIZE, exactly

SHARE_WORDS = 36
_LABEL = b"csm/handed-share/v1"
_CODE_LABEL = b"csm/handed-share-key/v1"
_CODE_SIZE = 8
# SLIP-39: no two words of the list begin with the same four letters.
_UNIQUE_LETTERS = 4
_BY_LETTERS: dict[str, str] = {word[:_UNIQUE_LETTERS]: word for word in WORDLIST}


@dataclass(frozen=True, slots=True)
class ShareFacts:
    """What a share says of itself in the clear: its set, its number in it, and how many are needed."""

    set_number: int
    number: int
    needed: int


def desk_code(public: bytes) -> bytes:
    """Return eight bytes for two screens to compare: SHA-256(PAE("csm/handed-share-key/v1", public)), cut."""
    return sha256(pae(_CODE_LABEL, exactly(public, KEY_SIZE))).digest()[:_CODE_SIZE]


def share_word(typed: str) -> str:
    """Return the word of the list that was typed, in either case; its first four letters are enough.

    Raises SharesRefused for what is not in the list; the message repeats nothing.
    """
    letters = typed.strip().lower()
    word = _BY_LETTERS.get(letters[:_UNIQUE_LETTERS])
    if word is None or not word.startswith(letters):
        raise SharesRefused("not a word of the list")
    return word


def read_share(mnemonic: Secret) -> ShareFacts:
    """Return what a share says of itself. Raises SharesRefused for a word that is wrong or missing (checksum)."""
    try:
        words = mnemonic.reveal().decode("ascii").split()
        share = Share.from_mnemonic(" ".join(words))
    except (MnemonicError, ValueError):
        # The library's text quotes words of the share.
        raise SharesRefused("not a share") from None
    if len(words) != SHARE_WORDS:
        raise SharesRefused("not a share")
    return ShareFacts(share.identifier, share.index + 1, share.member_threshold)


def seal_share(public: bytes, org: bytes, mnemonic: Secret) -> bytes:
    """Return the share sealed to who joins: HPKE, info = PAE("csm/handed-share/v1", org, public)."""
    return hpke_seal(public, _info(public, org), mnemonic.reveal())


def open_share(pair: KeyPair, org: bytes, sealed: bytes) -> Secret:
    """Return a share that was handed in. Raises SharesRefused for what was not sealed to this pair and org."""
    try:
        return Secret(hpke_open(pair.private, _info(pair.public, org), sealed))
    except SealBroken:
        raise SharesRefused("not sealed to this key") from None


def _info(public: bytes, org: bytes) -> bytes:
    return pae(_LABEL, exactly(org, ID_SIZE), public)
