"""What says under the pepper that a case was to be erased: whoever writes to the database alone says it of none.

    prepared = HMAC(pepper, PAE("csm/erasure-prepared/v1", org, request, case, preparer, basis, SHA-256(motive)))
    approved = HMAC(pepper, PAE("csm/erasure-approved/v1", org, request, case, owners in ascending order…))
    mark     = HMAC(pepper, PAE("csm/erased/v1", org, owner))

An owner is whose halves go: the case, and the handoff by which it came.
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from crypto.errors import ProofRefused
from crypto.pepper import Pepper, Peppers
from crypto.widths import ID_SIZE, exactly, label_bytes

_PREPARED = b"csm/erasure-prepared/v1"
_APPROVED = b"csm/erasure-approved/v1"
_ERASED = b"csm/erased/v1"


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was asked for: by which member, of which case, on which basis; ``motive`` as it is sealed."""

    org: bytes
    request: bytes
    case: bytes
    preparer: bytes
    basis: str
    motive: bytes

    def proof(self, pepper: Pepper) -> bytes:
        ids = (exactly(one, ID_SIZE) for one in (self.org, self.request, self.case, self.preparer))
        return pepper.hmac(_PREPARED, *ids, label_bytes(self.basis), sha256(self.motive).digest())


@dataclass(frozen=True, slots=True)
class Approval:
    """What was decided, and whose halves go."""

    org: bytes
    request: bytes
    case: bytes
    owners: Collection[bytes]

    def proof(self, pepper: Pepper) -> bytes:
        ids = (self.org, self.request, self.case, *sorted(self.owners))
        return pepper.hmac(_APPROVED, *(exactly(one, ID_SIZE) for one in ids))


def require_proof(peppers: Peppers, of: Preparation | Approval, proof: bytes | None) -> None:
    """Hold what the database says of an erasure against the proof that was made when it was said.

    Raises ProofRefused where it says something else, or the proof was made under a pepper that is not kept.
    """
    # All of them: one of a pepper that a rotation has just put in force is as good.
    if proof is None or not any(
        compare_digest(of.proof(pepper), proof) for pepper in (peppers.current, *peppers.others)
    ):
        raise ProofRefused("not what was said of this erasure")


def erased_mark(pepper: Pepper, org: bytes, owner: bytes) -> bytes:
    """Return the 32 bytes by which an erased owner is listed: without the pepper the list names nobody."""
    return pepper.hmac(_ERASED, exactly(org, ID_SIZE), exactly(owner, ID_SIZE))


def is_erased(peppers: Peppers, org: bytes, owner: bytes, marks: Collection[bytes]) -> bool:
    """Tell whether an owner is among those marks."""
    return any(erased_mark(pepper, org, owner) in marks for pepper in (peppers.current, *peppers.others))
