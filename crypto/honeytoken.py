"""Honeytokens: fictional cases that nobody has a reason to open. Only the pepper tells them from others.

The mark is the person's pseudonym itself: of an ordinary case it is random, of a honeytoken it is

    HMAC-SHA-256(pepper, PAE("csm/honeytoken/v1", org, case)).

Nothing is stored for it: the pseudonym's two halves are uniformly random each, and the whole is in the journal
alone, where without the pepper it looks like any other.
"""

import os
from hmac import compare_digest

from crypto.journal import PseudonymParts
from crypto.pepper import Pepper, Peppers
from crypto.widths import HASH_SIZE, ID_SIZE, exactly, xor

_LABEL = b"csm/honeytoken/v1"


def honeytoken_pseudonym(pepper: Pepper, org: bytes, case: bytes) -> PseudonymParts:
    """Return the halves of the pseudonym that marks a case as a honeytoken."""
    mapping_part = os.urandom(HASH_SIZE)
    return PseudonymParts(mapping_part, xor(_mark(pepper, org, case), mapping_part))


def is_honeytoken(peppers: Peppers, org: bytes, case: bytes, pseudonym: bytes) -> bool:
    """Tell a honeytoken; one that was planted under a pepper that is no longer kept is a case like any other."""
    exactly(pseudonym, HASH_SIZE)
    # Every pepper is tried, so that it takes the same time for each case.
    found = [
        compare_digest(_mark(pepper, org, case), pseudonym) for pepper in (peppers.current, *peppers.others)
    ]
    return any(found)


def _mark(pepper: Pepper, org: bytes, case: bytes) -> bytes:
    return pepper.hmac(_LABEL, exactly(org, ID_SIZE), exactly(case, ID_SIZE))
