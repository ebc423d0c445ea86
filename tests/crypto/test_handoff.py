from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.drop import DropPrivate, new_drop_key
from crypto.errors import CryptoError, EncodingRefused, PlaceRefused, SealBroken, SignatureRefused
from crypto.handoff import PartAddress, new_salt, part_drop_number, seal_part
from crypto.manifest import ManifestHeader, content_digest, group_mac
from crypto.opener import open_part
from crypto.signing import SigningKey

SENDER_ORG, RECEIVER_ORG = b"A" * 16, b"B" * 16
DROP = new_drop_key(RECEIVER_ORG, "health", 2)
SENDER = SigningKey.new()
ADDRESS = PartAddress(b"h" * 16, SENDER_ORG, RECEIVER_ORG, "health", b"c" * 16, b"d" * 32, 1_900_000_000)
SALT = new_salt()
PAYLOAD = b'{"text":"certificat"}'
PART = seal_part(ADDRESS, DROP.public, PAYLOAD, SALT, SENDER)
HEADER = ManifestHeader(1, SENDER_ORG, RECEIVER_ORG, "transfer", "jurist", "suivi", "normal")


@given(st.binary(max_size=200))
def test_a_part_opens_at_its_address(payload: bytes) -> None:
    part = seal_part(ADDRESS, DROP.public, payload, SALT, SENDER)
    opened = open_part(ADDRESS, DROP, SENDER.public, part)
    assert (opened.payload, opened.salt) == (payload, SALT)


@pytest.mark.parametrize(
    "other",
    [
        replace(ADDRESS, handoff=b"i" * 16),
        replace(ADDRESS, sender_org=b"C" * 16),
        replace(ADDRESS, receiver_org=b"C" * 16),
        replace(ADDRESS, group="legal"),
        replace(ADDRESS, consent=b"e" * 16),
        replace(ADDRESS, content_digest=b"f" * 32),
        replace(ADDRESS, expiry=1_900_000_001),
    ],
    ids=["handoff", "sender", "receiver", "group", "consent", "digest", "expiry"],
)
def test_a_part_with_another_address_does_not_open(other: PartAddress) -> None:
    with pytest.raises(SealBroken):
        open_part(other, DROP, SENDER.public, PART)


@pytest.mark.parametrize(
    ("receiver", "group"), [(RECEIVER_ORG, "legal"), (b"C" * 16, "health")], ids=["group", "organisation"]
)
def test_a_part_moved_to_another_compartment_does_not_open(receiver: bytes, group: str) -> None:
    drop = DropPrivate(replace(DROP.public, org=receiver, group=group), DROP.private)
    with pytest.raises(SealBroken):
        open_part(replace(ADDRESS, receiver_org=receiver, group=group), drop, SENDER.public, PART)


def test_a_part_does_not_open_with_another_drop_key() -> None:
    for drop in (new_drop_key(RECEIVER_ORG, "health", 2), new_drop_key(RECEIVER_ORG, "health", 3)):
        with pytest.raises(SealBroken):
            open_part(ADDRESS, drop, SENDER.public, PART)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_part_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    part = bytearray(PART)
    part[where % len(part)] ^= flip
    with pytest.raises(CryptoError):
        open_part(ADDRESS, DROP, SENDER.public, bytes(part))


def test_a_part_that_another_key_signed_is_refused() -> None:
    forged = seal_part(ADDRESS, DROP.public, PAYLOAD, SALT, SigningKey.new())
    with pytest.raises(SignatureRefused):
        open_part(ADDRESS, DROP, SENDER.public, forged)


def test_a_part_is_sealed_to_the_receiving_compartment_only() -> None:
    for drop in (new_drop_key(SENDER_ORG, "health", 1), new_drop_key(RECEIVER_ORG, "legal", 1)):
        with pytest.raises(PlaceRefused):
            seal_part(ADDRESS, drop.public, PAYLOAD, SALT, SENDER)


def test_a_part_tells_the_number_of_its_drop_key() -> None:
    assert part_drop_number(PART) == 2


def test_a_salt_of_another_width_is_refused() -> None:
    with pytest.raises(EncodingRefused):
        seal_part(ADDRESS, DROP.public, PAYLOAD, b"short", SENDER)


def test_the_digest_changes_with_every_part_of_what_was_consented_to() -> None:
    macs = {"health": group_mac(SALT, "health", b"{}"), "intake": group_mac(SALT, "intake", b"{}")}
    changed = [
        content_digest(replace(HEADER, version=2), macs),
        content_digest(replace(HEADER, sender_org=b"C" * 16), macs),
        content_digest(replace(HEADER, receiver_org=b"C" * 16), macs),
        content_digest(replace(HEADER, kind="orientation"), macs),
        content_digest(replace(HEADER, service="housing"), macs),
        content_digest(replace(HEADER, purpose="autre"), macs),
        content_digest(replace(HEADER, urgency="danger"), macs),
        content_digest(HEADER, {"health": macs["health"]}),
        content_digest(HEADER, {"health": macs["intake"], "intake": macs["health"]}),
        content_digest(HEADER, macs | {"intake": group_mac(SALT, "intake", b"{ }")}),
        content_digest(HEADER, macs | {"intake": group_mac(new_salt(), "intake", b"{}")}),
    ]
    assert len({content_digest(HEADER, macs), *changed}) == 1 + len(changed)


def test_the_digest_does_not_depend_on_the_order_of_groups() -> None:
    macs = {"intake": b"1" * 32, "health": b"2" * 32}
    assert content_digest(HEADER, macs) == content_digest(HEADER, dict(sorted(macs.items())))


def test_one_manifest_has_another_hmac_in_each_group() -> None:
    assert group_mac(SALT, "health", b"{}") != group_mac(SALT, "intake", b"{}")


def test_a_digest_over_no_group_is_refused() -> None:
    with pytest.raises(EncodingRefused):
        content_digest(HEADER, {})
