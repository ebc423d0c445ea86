"""Compartment keys: one key-encryption key (KEK), numbered, per organisation and group."""

from dataclasses import dataclass, field, replace
from hmac import compare_digest

from crypto.algorithms import NO_MINIMUM, Aead, Algorithm, CaseMinimum, aead_for, hkdf_expand
from crypto.errors import GrantRefused
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import ID_SIZE, exactly, label_bytes, u32

_KID_LABEL = b"csm/v1/kid"
_WRAP_LABEL = b"csm/v1/wrap"


@dataclass(frozen=True, slots=True)
class Kek:
    """A compartment's key. ``kid`` = HKDF-Expand(KEK, "csm/v1/kid", 32): the id commits to the key.

    ``minimum`` is what the directory asks of the case keys under it: what is older does not open.

    Make one with new_kek or kek_from_secret: the constructor believes the kid that it is given, which only a
    sealed session may do (it saves a derivation for every key of every request).
    """

    org: bytes
    group: str
    number: int
    secret: Secret
    kid: bytes
    minimum: CaseMinimum = NO_MINIMUM
    _wrapping: dict[Algorithm, Aead] = field(init=False, repr=False, compare=False, default_factory=dict)

    def wrapping(self, algorithm: Algorithm) -> Aead:
        """Return the cipher that wraps under this KEK: one derived key per algorithm, made once.

        The key is HKDF-Expand(KEK, "csm/v1/wrap" | alg, 32), so that no key serves two algorithms.
        """
        aead = self._wrapping.get(algorithm)
        if aead is None:
            key = hkdf_expand(self.secret.reveal(), _WRAP_LABEL + bytes([algorithm]))
            aead = self._wrapping[algorithm] = aead_for(algorithm, key)
        return aead


def kek_from_secret(org: bytes, group: str, number: int, secret: Secret) -> Kek:
    """Return the KEK whose 32 bytes are known, with the kid that they give."""
    exactly(org, ID_SIZE)
    label_bytes(group)
    u32(number)
    kid = hkdf_expand(exactly(secret.reveal(), KEY_SIZE), _KID_LABEL)
    return Kek(org, group, number, secret, kid)


def certified_kek(
    org: bytes, group: str, number: int, secret: Secret, kid: bytes, minimum: CaseMinimum = NO_MINIMUM
) -> Kek:
    """Return the KEK of an opened envelope. Raises GrantRefused unless it gives the certified key id."""
    if len(secret) != KEY_SIZE:
        raise GrantRefused("not the certified key")
    kek = kek_from_secret(org, group, number, secret)
    if not compare_digest(kek.kid, kid):
        raise GrantRefused("not the certified key")
    return replace(kek, minimum=minimum)


def new_kek(org: bytes, group: str, number: int) -> Kek:
    """Return a fresh random KEK."""
    return kek_from_secret(org, group, number, Secret.random())
