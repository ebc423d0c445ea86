"""What a handoff carries: a manifest per group, the digest over all of them, and the payload of a part.

Each part holds its own group's manifest and, of the others, only their HMACs: enough to recompute the digest
that the person consented to, too little to guess anything.
"""

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

import msgspec

from crypto.errors import EncodingRefused, SealBroken
from crypto.manifest import ManifestHeader, content_digest, group_mac
from policies.vocabulary import Group

MANIFEST_VERSION = 1


class FollowUpItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One follow-up's record in one group. `item` is the packet's own id, which names nothing of the sender."""

    item: UUID
    occurred_at: datetime
    record: dict[str, Any]


class GroupManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly what is sent of one group."""

    fields: dict[str, Any]
    follow_ups: tuple[FollowUpItem, ...]

    def canonical(self) -> bytes:
        """The bytes that the digest covers: JSON with sorted keys."""
        return msgspec.json.encode(self, order="sorted")


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What both sides see of the content before it is opened."""

    kind: str
    service: str
    purpose: str
    urgency: str

    def manifest_header(self, sender: UUID, receiver: UUID) -> ManifestHeader:
        return ManifestHeader(
            version=MANIFEST_VERSION,
            sender_org=sender.bytes,
            receiver_org=receiver.bytes,
            kind=self.kind,
            service=self.service,
            purpose=self.purpose,
            urgency=self.urgency,
        )


class PartPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plaintext of a part."""

    header: Header
    macs: dict[str, str]
    manifest: GroupManifest

    @property
    def fields(self) -> dict[str, Any]:
        return self.manifest.fields

    @property
    def follow_ups(self) -> tuple[FollowUpItem, ...]:
        return self.manifest.follow_ups


EMPTY = GroupManifest(fields={}, follow_ups=())


def digest_of(
    header: Header, sender: UUID, receiver: UUID, salted: Mapping[Group, tuple[bytes, GroupManifest]]
) -> tuple[bytes, dict[str, bytes]]:
    """The content digest of (salt, manifest) by group, and the HMAC of each group."""
    macs = {
        str(group): group_mac(salt, group, manifest.canonical()) for group, (salt, manifest) in salted.items()
    }
    return content_digest(header.manifest_header(sender, receiver), macs), macs


def encode_part(header: Header, macs: Mapping[str, bytes], manifest: GroupManifest) -> bytes:
    payload = PartPayload(header, {group: mac.hex() for group, mac in macs.items()}, manifest)
    return msgspec.json.encode(payload)


def decode_part(
    raw: bytes, salt: bytes, group: Group, sender: UUID, receiver: UUID, digest: bytes
) -> PartPayload:
    """Read an opened part and hold it against the digest, which does not name a group that was not chosen.

    Raises:
        SealBroken: not a payload, or not the content that the digest names.

    """
    try:
        payload = msgspec.json.decode(raw, type=PartPayload)
        macs = {name: bytes.fromhex(mac) for name, mac in payload.macs.items()}
        whole = content_digest(payload.header.manifest_header(sender, receiver), macs)
    except (ValueError, EncodingRefused):
        raise SealBroken("not a part's payload") from None
    if group in macs:
        is_own = compare_digest(group_mac(salt, group, payload.manifest.canonical()), macs[group])
    else:
        is_own = payload.manifest == EMPTY
    if not is_own or not compare_digest(whole, digest):
        raise SealBroken("not the content that was consented to")
    return payload
