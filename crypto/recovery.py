"""Recovery: one seed, held only as SLIP-39 shares, gives the organisation's root and its recovery key.

Every KEK is also sealed to the recovery key. The operator of the server holds no share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics

from crypto.directory import Directory
from crypto.errors import GrantRefused, SharesRefused
from crypto.header import PREFIX, require_prefix
from crypto.hpke import KeyPair, hpke_open, hpke_seal, public_half
from crypto.kek import Kek, certified_kek
from crypto.pae import pae
from crypto.secret import KEY_SIZE, Secret
from crypto.signing import SigningKey
from crypto.widths import exactly, label_bytes, u32

_ROOT_LABEL = b"csm/v1/root"
_RECOVERY_LABEL = b"csm/v1/recovery"
_CHECK_LABEL = b"csm/recovery-check/v1"
_KEK_LABEL = b"csm/recovery-kek/v1"
_SET_LABEL = b"csm/recovery-set/v1"
_CHECK_SIZE = 4
_MARK_SIZE = 4
_LEAST_THRESHOLD = 2
_MOST_SHARES = 16


@dataclass(frozen=True, slots=True)
class Split:
    """How many shares are made, and how many of them give the seed back.

    Raises SharesRefused unless 2 ≤ needed ≤ total ≤ 16 (with a threshold of 1 SLIP-39 has no digest).
    """

    needed: int = 2
    total: int = 3

    def __post_init__(self) -> None:
        if not _LEAST_THRESHOLD <= self.needed <= self.total <= _MOST_SHARES:
            raise SharesRefused("impossible threshold")


TWO_OF_THREE = Split()


def root_key(seed: Secret) -> SigningKey:
    """Return the organisation's root: Ed25519 seed = HKDF-SHA-256(seed, no salt, "csm/v1/root")."""
    return SigningKey.from_seed(_derive(seed, _ROOT_LABEL))


def recovery_key(seed: Secret) -> KeyPair:
    """Return the X25519 recovery pair: private = HKDF-SHA-256(seed, no salt, "csm/v1/recovery")."""
    private = _derive(seed, _RECOVERY_LABEL)
    return KeyPair(public_half(private), private)


def set_mark(recovery_public: bytes) -> bytes:
    """Return the four bytes that name a set of shares on its pages: they tell a set in force from a replaced one.

    The first bytes of SHA-256(PAE("csm/recovery-set/v1", recovery public)); a name and no proof.
    """
    return sha256(pae(_SET_LABEL, exactly(recovery_public, KEY_SIZE))).digest()[:_MARK_SIZE]


def split_seed(seed: Secret, split: Split = TWO_OF_THREE) -> list[str]:
    """Return the SLIP-39 mnemonics of 36 words, as many of which as are needed give the 32-byte seed back.

    What is shared is seed | first 4 bytes of SHA-256(PAE("csm/recovery-check/v1", seed)): a mnemonic made
    under a passphrase would otherwise join to garbage (SLIP-39 detects no wrong passphrase). No passphrase
    is used.
    """
    master = exactly(seed.reveal(), KEY_SIZE) + _check_value(seed.reveal())
    # Without a passphrase the iterations protect nothing.
    sets: list[list[str]] = generate_mnemonics(1, [(split.needed, split.total)], master, iteration_exponent=0)
    return sets[0]


def join_shares(mnemonics: Sequence[str]) -> Secret:
    """Return the seed that exactly a threshold of shares gives. Order does not matter.

    Raises SharesRefused for a share too few or too many, twice the same, mistyped, or of another set.
    """
    try:
        master = combine_mnemonics(mnemonics)
    except (MnemonicError, ValueError):
        # The library's text quotes words of the shares.
        raise SharesRefused("the shares do not join") from None
    seed, check = master[:KEY_SIZE], master[KEY_SIZE:]
    if not compare_digest(check, _check_value(seed)):
        raise SharesRefused("the shares do not join")
    return Secret(seed)


def require_seed_in_force(directory: Directory, seed: Secret) -> None:
    """Raise SharesRefused unless root and recovery key of the directory are those of this seed."""
    is_root = compare_digest(root_key(seed).public, directory.root_public)
    if not (is_root and compare_digest(recovery_key(seed).public, directory.recovery_public)):
        raise SharesRefused("not the shares in force")


def seal_kek_to_recovery(directory: Directory, kek: Kek) -> bytes:
    """Return the KEK sealed to the organisation's recovery key.

    Layout: 01 | 01 | enc 32 | ciphertext 32 | tag 16; HPKE info = PAE("csm/recovery-kek/v1", org, group,
    kek_no u32be, kid, recovery public). Raises GrantRefused for a KEK that the directory does not certify.
    """
    if kek.org != directory.org or directory.kids.get((kek.group, kek.number)) != kek.kid:
        raise GrantRefused("key not certified")
    info = _kek_info(directory, kek.group, kek.number, kek.kid)
    return PREFIX + hpke_seal(directory.recovery_public, info, kek.secret.reveal())


def open_recovery_kek(directory: Directory, group: str, kek_no: int, sealed: bytes, private: Secret) -> Kek:
    """Return a KEK from its recovery copy, with the private half that the shares gave.

    Raises GrantRefused when the directory certifies no such KEK or another one (a planted key), SealBroken
    when the copy is altered or was sealed to another recovery key.
    """
    kid = directory.kids.get((group, kek_no))
    if kid is None:
        raise GrantRefused("key not certified")
    require_prefix(sealed)
    secret = Secret(hpke_open(private, _kek_info(directory, group, kek_no, kid), sealed[len(PREFIX) :]))
    return certified_kek(directory.org, group, kek_no, secret, kid, directory.case_minimum)


def _derive(seed: Secret, info: bytes) -> Secret:
    return Secret(HKDF(SHA256(), KEY_SIZE, None, info).derive(exactly(seed.reveal(), KEY_SIZE)))


def _check_value(seed: bytes) -> bytes:
    return sha256(pae(_CHECK_LABEL, seed)).digest()[:_CHECK_SIZE]


def _kek_info(directory: Directory, group: str, kek_no: int, kid: bytes) -> bytes:
    return pae(_KEK_LABEL, directory.org, label_bytes(group), u32(kek_no), kid, directory.recovery_public)
