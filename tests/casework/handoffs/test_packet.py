"""What a part carries: only the very content that was consented to is read, and garbage is refused as broken."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from casework.handoffs.packet import (
    EMPTY,
    FollowUpItem,
    GroupManifest,
    Header,
    decode_part,
    digest_of,
    encode_part,
)
from crypto.errors import SealBroken
from policies.vocabulary import Group

SENDER, RECEIVER = UUID(int=1), UUID(int=2)
SALT = b"s" * 32
# Naive, as the strategy takes it.
_EARLIEST = datetime.fromisoformat("1900-01-01")

texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(texts, values, max_size=4)
items = st.builds(
    FollowUpItem,
    item=st.uuids(),
    occurred_at=st.datetimes(min_value=_EARLIEST, timezones=st.just(UTC)),
    record=records,
)
manifests = st.builds(GroupManifest, fields=records, follow_ups=st.lists(items, max_size=3).map(tuple))
headers = st.builds(Header, kind=texts, service=texts, purpose=texts, urgency=texts)
chosen = st.dictionaries(st.sampled_from(Group), manifests, min_size=1, max_size=3)


def sealed(header: Header, groups: Mapping[Group, GroupManifest]) -> tuple[bytes, dict[str, bytes]]:
    return digest_of(header, SENDER, RECEIVER, {group: (SALT, found) for group, found in groups.items()})


def read(raw: bytes, group: Group, digest: bytes) -> Any:
    return decode_part(raw, SALT, group, SENDER, RECEIVER, digest)


@given(headers, chosen)
def test_every_chosen_group_reads_back_and_an_unchosen_one_is_empty(
    header: Header, groups: dict[Group, GroupManifest]
) -> None:
    digest, macs = sealed(header, groups)
    for group in Group:
        manifest = groups.get(group, EMPTY)
        payload = read(encode_part(header, macs, manifest), group, digest)
        assert (payload.header, payload.manifest) == (header, manifest)


@given(headers, chosen, manifests, st.sampled_from(Group))
def test_another_content_than_the_digests_is_refused(
    header: Header, groups: dict[Group, GroupManifest], other: GroupManifest, group: Group
) -> None:
    assume(other.canonical() != groups.get(group, EMPTY).canonical())
    digest, macs = sealed(header, groups)
    with pytest.raises(SealBroken):
        read(encode_part(header, macs, other), group, digest)


@given(headers, headers, chosen)
def test_another_header_than_the_digests_is_refused(
    header: Header, other: Header, groups: dict[Group, GroupManifest]
) -> None:
    assume(header != other)
    digest, macs = sealed(header, groups)
    group = next(iter(groups))
    with pytest.raises(SealBroken):
        read(encode_part(other, macs, groups[group]), group, digest)


@given(manifests, manifests)
def test_two_manifests_never_share_their_bytes(one: GroupManifest, other: GroupManifest) -> None:
    # Python holds True and 1 for equal; JSON, and so the digest, does not.
    assert (one.canonical() == other.canonical()) is (repr(_sorted(one)) == repr(_sorted(other)))


def _sorted(manifest: GroupManifest) -> Any:
    return msgspec.to_builtins(manifest, order="sorted")


@given(st.binary(max_size=300) | values.map(msgspec.json.encode), st.sampled_from(Group))
def test_garbage_is_a_broken_seal_and_nothing_else(raw: bytes, group: Group) -> None:
    with pytest.raises(SealBroken):
        read(raw, group, bytes(32))


@given(headers, chosen, st.dictionaries(texts, texts, max_size=3))
def test_macs_that_are_none_are_a_broken_seal(
    header: Header, groups: dict[Group, GroupManifest], macs: dict[str, str]
) -> None:
    digest, _ = sealed(header, groups)
    raw = msgspec.json.encode({"header": header, "macs": macs, "manifest": next(iter(groups.values()))})
    with pytest.raises(SealBroken):
        read(raw, next(iter(groups)), digest)
