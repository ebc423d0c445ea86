"""Everything that we seal by HPKE, opened by an independent implementation, and the other way round.

The peer (pyhpke) is given what docs/architecture/keys.md says and nothing of our code: header, HPKE info and
plaintext are built here anew. So what opens is also what is documented.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

from crypto.algorithms import Algorithm
from crypto.dek import adopt_dek, new_dek_to_drop, unwrap_dek
from crypto.directory_entries import GrantBody
from crypto.drop import DropPrivate, new_drop_key, seal_to_drop
from crypto.errors import SealBroken
from crypto.frame import seal_frame
from crypto.grant import make_grant, open_grant
from crypto.handoff import PartAddress, seal_part
from crypto.hpke import KeyPair, new_key_pair
from crypto.kek import new_kek
from crypto.opener import open_drop, open_frame, open_part
from crypto.padding import pad, unpad
from crypto.place import Place
from crypto.recovery import open_recovery_kek, seal_kek_to_recovery
from crypto.secret import Secret
from crypto.signing import SigningKey, verify
from crypto.stream import StreamHead, open_stream, seal_stream

PEER = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
ORG, CASE, ROW, OTHER_ORG = b"O" * 16, b"K" * 16, b"R" * 16, b"B" * 16
NOTE = b"What was said."


def parts(*values: bytes) -> bytes:
    """PAE as PASETO 2.2 writes it, made here."""
    return struct.pack("<Q", len(values)) + b"".join(struct.pack("<Q", len(v)) + v for v in values)


def number(value: int) -> bytes:
    return value.to_bytes(4)


def peer_seals(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    enc, context = PEER.create_sender_context(PEER.kem.deserialize_public_key(public), info)
    return bytes(enc) + bytes(context.seal(plaintext))


def peer_opens(private: Secret, info: bytes, sealed: bytes) -> bytes:
    key = PEER.kem.deserialize_private_key(private.reveal())
    return bytes(PEER.create_recipient_context(sealed[:32], key, info).open(sealed[32:]))


@dataclass(frozen=True)
class Format:
    """One of our formats: the key, the documented header and info, and how we seal and open it."""

    private: Secret
    public: bytes
    header: bytes
    info: bytes
    # What stands before the sealing in plaintext form, of a text; and the way back.
    plaintext: bytes
    ours: bytes
    open: Callable[[bytes], bytes]
    trailer: bytes = b""


def fingerprint(drop: DropPrivate) -> bytes:
    public = drop.public
    return sha256(
        parts(b"csm/drop-key/v1", public.org, public.group.encode(), number(public.number), public.public)
    ).digest()


def envelope(_: Any) -> Format:
    drop, place = new_drop_key(ORG, "health", 7), Place(ORG, 3, 4, ROW, 5)
    info = parts(b"csm/drop/v1", ORG, b"health", b"\0\3", b"\0\4", ROW, number(5), fingerprint(drop))
    return Format(
        drop.private,
        drop.public.public,
        b"\2\1" + number(7),
        info,
        pad(NOTE),
        seal_to_drop(drop.public, place, NOTE),
        lambda sealed: pad(open_drop(drop, place, sealed)),
    )


def part(_: Any) -> Format:
    drop, sender, salt = new_drop_key(OTHER_ORG, "legal", 2), SigningKey.new(), os.urandom(32)
    address = PartAddress(b"h" * 16, ORG, OTHER_ORG, "legal", b"c" * 16, b"d" * 32, 1_900_000_000)
    info = parts(
        b"csm/handoff/v1",
        b"h" * 16,
        ORG,
        OTHER_ORG,
        b"legal",
        fingerprint(drop),
        b"c" * 16,
        b"d" * 32,
        (1_900_000_000).to_bytes(8),
    )
    message = parts(b"csm/handoff-part/v1", sha256(info).digest(), sha256(NOTE).digest())
    signature = sender.sign(message)

    def opened(sealed: bytes) -> bytes:
        found = open_part(address, drop, sender.public, sealed)
        return pad(found.payload) + found.salt + signature

    verify(sender.public, message, signature)
    return Format(
        drop.private,
        drop.public.public,
        b"\3\1" + number(2),
        info,
        # Ed25519 is deterministic (RFC 8032): the same signature stands in ours.
        pad(NOTE) + salt + signature,
        seal_part(address, drop.public, NOTE, salt, sender),
        opened,
    )


def key_row(_: Any) -> Format:
    """A case key left at the drop key: the half inside, the commitment behind it and in the info."""
    drop, kek = new_drop_key(ORG, "health", 1), new_kek(ORG, "health", 1)
    made = new_dek_to_drop(drop.public, CASE, 1, Algorithm.AES_256_GCM)
    header, commitment = b"\2\1" + number(1), made.row[-32:]
    info = parts(b"csm/dek-drop/v1", header, ORG, b"health", CASE, number(1), fingerprint(drop), commitment)
    half = peer_opens(drop.private, info, made.row[6:-32])
    place = Place(ORG, 1, 1, ROW, 1)

    def opened(row: bytes) -> bytes:
        # It is the half exactly if what it gives opens what the key sealed.
        key = unwrap_dek(kek, CASE, 1, adopt_dek(drop, kek, CASE, 1, row), made.shred_part)
        assert open_frame(key, place, seal_frame(made.key, place, NOTE)) == NOTE
        return half

    return Format(drop.private, drop.public.public, header, info, half, made.row, opened, trailer=commitment)


def recovery_copy(organisation: Any) -> Format:
    kek, directory = organisation.kek, organisation.directory
    info = parts(b"csm/recovery-kek/v1", ORG, b"health", number(1), kek.kid, organisation.recovery.public)
    private = organisation.recovery.private
    return Format(
        private,
        organisation.recovery.public,
        b"\1\1",
        info,
        kek.secret.reveal(),
        seal_kek_to_recovery(directory, kek),
        lambda sealed: open_recovery_kek(directory, "health", 1, sealed, private).secret.reveal(),
    )


FORMATS = {"envelope": envelope, "part": part, "key row": key_row, "recovery copy": recovery_copy}


@pytest.mark.parametrize("name", FORMATS)
def test_a_peer_opens_what_we_seal(name: str, organisation: Any) -> None:
    form = FORMATS[name](organisation)
    assert form.ours.startswith(form.header)
    body = form.ours[len(form.header) : len(form.ours) - len(form.trailer)]
    assert peer_opens(form.private, form.info, body) == form.plaintext


@pytest.mark.parametrize("name", FORMATS)
def test_we_open_what_a_peer_seals(name: str, organisation: Any) -> None:
    form = FORMATS[name](organisation)
    sealed = form.header + peer_seals(form.public, form.info, form.plaintext) + form.trailer
    assert form.open(sealed) == form.plaintext
    other = form.header + peer_seals(form.public, form.info + b"x", form.plaintext) + form.trailer
    with pytest.raises(SealBroken):
        form.open(other)


def grant_info(organisation: Any, person: Any, epoch: int) -> bytes:
    keys = organisation.directory.members[person.id]
    return parts(
        b"csm/grant/v1",
        ORG,
        b"health",
        number(1),
        organisation.kek.kid,
        person.id,
        keys.fingerprint,
        organisation.holder.id,
        number(epoch),
    )


def test_a_peer_opens_a_grant_that_we_made(organisation: Any) -> None:
    person = organisation.reception
    entry, sealed = make_grant(
        organisation.directory, organisation.kek, person.id, organisation.holder.signer
    )
    info = grant_info(organisation, person, entry.epoch)
    assert sealed[:2] == b"\1\1"
    assert peer_opens(person.daily.private, info, sealed[2:]) == organisation.kek.secret.reveal()


def test_we_open_a_grant_that_a_peer_sealed_and_a_holder_signed(organisation: Any) -> None:
    person, kek, epoch = organisation.reception, organisation.kek, organisation.directory.epoch + 1
    info = grant_info(organisation, person, epoch)
    sealed = b"\1\1" + peer_seals(person.daily.public, info, kek.secret.reveal())
    member_key_fp = organisation.directory.members[person.id].fingerprint
    body = GrantBody("health", 1, kek.kid, person.id, member_key_fp, sha256(sealed).digest())
    organisation.append(body, organisation.holder.signer)
    opened = open_grant(organisation.directory, epoch, sealed, person.id, person.daily.private)
    assert opened.secret == kek.secret


def stream_of(pair: KeyPair) -> tuple[StreamHead, bytes]:
    head = StreamHead(b"s" * 16, 1, 1_900_000_000, pair.public)
    raw = b"\1\1" + b"s" * 16 + b"\1" + (1_900_000_000).to_bytes(8) + pair.public
    assert head.to_bytes() == raw
    return head, raw


def test_a_peer_opens_the_file_key_of_a_backup_and_we_open_the_one_it_seals() -> None:
    pair = new_key_pair()
    head, raw = stream_of(pair)
    ours = BytesIO()
    seal_stream(head, BytesIO(NOTE), ours)
    info, sealed = parts(b"csm/stream/v1", raw), ours.getvalue()
    end = len(raw) + 80
    file_key = peer_opens(pair.private, info, sealed[len(raw) : end])
    assert len(file_key) == 32
    exchanged = raw + peer_seals(pair.public, info, file_key) + sealed[end:]
    assert b"".join(open_stream(pair.private, BytesIO(exchanged))) == NOTE
    other = raw + peer_seals(pair.public, info, bytes(32)) + sealed[end:]
    with pytest.raises(SealBroken):
        list(open_stream(pair.private, BytesIO(other)))


def test_padding_is_as_documented() -> None:
    assert pad(NOTE) == number(len(NOTE)) + NOTE + bytes(32 - 4 - len(NOTE))
    assert unpad(pad(NOTE)) == NOTE
