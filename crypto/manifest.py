"""The content digest of a handoff: what a consent is bound to.

Each group's canonical manifest is authenticated under a salt of its own, so the digest can be shown and
stored without letting anyone guess a name (an unsalted hash of a name is a guessable name).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest

from crypto.errors import EncodingRefused
from crypto.pae import pae
from crypto.widths import HASH_SIZE, ID_SIZE, exactly, label_bytes, u32

_GROUP_LABEL = b"csm/manifest-group/v1"
_DIGEST_LABEL = b"csm/content-digest/v1"


@dataclass(frozen=True, slots=True)
class ManifestHeader:
    """The parts of a manifest that both sides see. ``version`` is the manifest's format."""

    version: int
    sender_org: bytes
    receiver_org: bytes
    kind: str
    service: str
    purpose: str
    urgency: str


def group_mac(salt: bytes, group: str, canonical: bytes) -> bytes:
    """Return HMAC-SHA-256(salt 32, PAE("csm/manifest-group/v1", group, canonical manifest))."""
    return digest(exactly(salt, HASH_SIZE), pae(_GROUP_LABEL, label_bytes(group), canonical), "sha256")


def content_digest(header: ManifestHeader, macs: Mapping[str, bytes]) -> bytes:
    """Return the 32-byte digest.

    SHA-256 over PAE("csm/content-digest/v1", version u32be, from, to, kind, service, purpose, urgency, then
    group and its HMAC for each group in ASCII order). Raises EncodingRefused where there is no group.
    """
    if not macs:
        raise EncodingRefused("a manifest without a group")
    parts = [
        u32(header.version),
        exactly(header.sender_org, ID_SIZE),
        exactly(header.receiver_org, ID_SIZE),
        *(text.encode() for text in (header.kind, header.service, header.purpose, header.urgency)),
    ]
    for group in sorted(macs):
        parts += [label_bytes(group), exactly(macs[group], HASH_SIZE)]
    return sha256(pae(_DIGEST_LABEL, *parts)).digest()
