"""The algorithms that a header may name, and which of them each context accepts."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto.errors import AlgorithmRefused

Aead = AESGCM | AESGCMSIV
_SHA256 = SHA256()


class Algorithm(IntEnum):
    """The `alg` byte. Behind an HPKE header, 01 means the one suite of crypto.hpke."""

    AES_256_GCM = 1
    AES_256_GCM_SIV = 2
    X_WING = 3


CASE_ALGORITHMS = frozenset({Algorithm.AES_256_GCM, Algorithm.AES_256_GCM_SIV})
"""What the keys of a case may use; 03 is reserved and refused."""

OLDEST_CASE_ALGORITHM = min(CASE_ALGORITHMS)


@dataclass(frozen=True, slots=True)
class CaseMinimum:
    """What an organisation's directory asks of case keys: new ones are `made` under that algorithm, and none older
    than `accepted` is opened. Algorithms are numbered by age.
    """

    made: Algorithm = OLDEST_CASE_ALGORITHM
    accepted: Algorithm = OLDEST_CASE_ALGORITHM

    def require(self, algorithm: Algorithm) -> None:
        """Raise AlgorithmRefused for an algorithm older than what is accepted."""
        if algorithm < self.accepted:
            raise AlgorithmRefused("older than the organisation's minimum")


NO_MINIMUM = CaseMinimum()
"""What a directory asks that says nothing of it."""

DEFAULT_ALGORITHMS = frozenset({Algorithm.AES_256_GCM})
"""What every other context accepts."""


def allowed_algorithm(number: int, allowed: AbstractSet[Algorithm]) -> Algorithm:
    """Return the algorithm that a header names. Raises AlgorithmRefused unless this context allows it."""
    for algorithm in allowed:
        if algorithm == number:
            return algorithm
    raise AlgorithmRefused("algorithm not allowed here")


def aead_for(algorithm: Algorithm, key: bytes) -> Aead:
    """Return the cipher object for a 32-byte key (NIST SP 800-38D; RFC 8452)."""
    if algorithm is Algorithm.AES_256_GCM:
        return AESGCM(key)
    if algorithm is Algorithm.AES_256_GCM_SIV:
        return AESGCMSIV(key)
    raise AlgorithmRefused("algorithm not allowed here")


def hkdf_expand(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869, section 2.3) of a key that is already uniformly random."""
    return HKDFExpand(_SHA256, length, info).derive(key)
