"""Public vectors of what this package builds on, and an independent HPKE implementation as a peer."""

import json
import os
from collections.abc import Iterator
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

from crypto.algorithms import Algorithm, aead_for, hkdf_expand
from crypto.box import NONCE_SIZE, TAG_SIZE, open_box
from crypto.directory_entries import (
    ROOT,
    DirectoryEntry,
    EntrySigner,
    JournalBody,
    MemberBody,
    RootBody,
    RootChangedBody,
    sign_entry,
)
from crypto.errors import DirectoryRefused, EncodingRefused, SealBroken, SignatureRefused
from crypto.hpke import hpke_open, hpke_seal, new_key_pair, public_half
from crypto.secret import Secret
from crypto.signing import SigningKey, verify
from tests.unsound_keys import BEYOND_THE_PRIME, OF_NO_SMALL_ORDER, SMALL_ORDER, forged

X25519, HKDF_SHA256, AES_256_GCM = 0x0020, 0x0001, 0x0002
PEER = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


def read(name: str) -> str:
    with cryptography_vectors.open_vector_file(name, "r") as file:
        text = file.read()
    assert isinstance(text, str)
    return text


def records(name: str, first: str) -> Iterator[dict[str, str]]:
    """The `name = value` blocks of a vector file; a block begins at the field named first."""
    block: dict[str, str] = {}
    for line in read(name).splitlines():
        key, found, value = (part.strip() for part in line.partition("="))
        if not found or key.startswith("#"):
            continue
        if key == first and block:
            yield block
            block = {}
        block[key] = value
    yield block


def suite_vectors() -> list[dict[str, Any]]:
    wanted = {"mode": 0, "kem_id": X25519, "kdf_id": HKDF_SHA256, "aead_id": AES_256_GCM}
    every = json.loads(read("HPKE/test-vectors.json"))
    return [vector for vector in every if all(vector[name] == value for name, value in wanted.items())]


def test_rfc_9180_base_mode_of_our_suite() -> None:
    (vector,) = suite_vectors()
    private = Secret(bytes.fromhex(vector["skRm"]))
    assert public_half(private) == bytes.fromhex(vector["pkRm"])
    # The published ciphertexts carry associated data, we carry none: the published key and nonce seal ours.
    key, nonce = bytes.fromhex(vector["key"]), bytes.fromhex(vector["base_nonce"])
    sealed = bytes.fromhex(vector["enc"]) + AESGCM(key).encrypt(nonce, b"note", b"")
    assert hpke_open(private, bytes.fromhex(vector["info"]), sealed) == b"note"
    with pytest.raises(SealBroken):
        hpke_open(private, b"other info", sealed)


def test_the_peer_itself_opens_the_published_ciphertexts_of_rfc_9180() -> None:
    """What ours is held against is held against the standard first, with every published message."""
    (vector,) = suite_vectors()
    private = PEER.kem.deserialize_private_key(bytes.fromhex(vector["skRm"]))
    enc, info = bytes.fromhex(vector["enc"]), bytes.fromhex(vector["info"])
    context = PEER.create_recipient_context(enc, private, info)
    messages: list[Any] = list(vector["encryptions"])
    assert len(messages) > 5
    for message in messages[:5]:
        published, aad = bytes.fromhex(message["ct"]), bytes.fromhex(message["aad"])
        assert context.open(published, aad) == bytes.fromhex(message["pt"])


def test_rfc_5869_sha_256() -> None:
    vectors = list(records("KDF/rfc-5869-HKDF-SHA256.txt", "COUNT"))
    assert len(vectors) >= 3
    for vector in vectors:
        salt, info, prk = (bytes.fromhex(vector.get(name, "")) for name in ("salt", "info", "PRK"))
        ikm, okm = bytes.fromhex(vector["IKM"]), bytes.fromhex(vector["OKM"])
        assert HKDF.extract(SHA256(), salt, ikm) == prk
        assert hkdf_expand(prk, info, len(okm)) == okm


def test_rfc_7748_any_point() -> None:
    """The exchange that HPKE's key encapsulation rests on."""
    vectors = list(records("asymmetric/X25519/rfc7748.txt", "COUNT"))
    assert len(vectors) > 1
    for vector in vectors:
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["INPUT_SCALAR"]))
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(vector["INPUT_U"]))
        assert private.exchange(public) == bytes.fromhex(vector["OUTPUT_U"])


def test_rfc_7748_base_point() -> None:
    vectors = list(records("asymmetric/X25519/rfc7748.txt", "COUNT"))
    base = "09".ljust(64, "0")
    from_base = [vector for vector in vectors if vector["INPUT_U"] == base]
    assert from_base
    for vector in from_base:
        public = public_half(Secret(bytes.fromhex(vector["INPUT_SCALAR"])))
        assert public == bytes.fromhex(vector["OUTPUT_U"])


def test_rfc_8452_aes_256_gcm_siv() -> None:
    vectors = [
        vector for vector in records("ciphers/AES/GCM-SIV/openssl.txt", "COUNT") if len(vector["Key"]) == 64
    ]
    assert len(vectors) > 20
    for vector in vectors:
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(vector.get(name, ""))
            for name in ("Key", "IV", "AAD", "Plaintext", "Ciphertext", "Tag")
        )
        aead = aead_for(Algorithm.AES_256_GCM_SIV, key)
        assert aead.encrypt(nonce, plaintext, aad) == ciphertext + tag
        assert open_box(aead, 0, aad, nonce + ciphertext + tag) == plaintext
        with pytest.raises(SealBroken):
            open_box(aead, 0, aad + b"x", nonce + ciphertext + tag)


def gcm_vectors(name: str) -> list[dict[str, str]]:
    """Those of NIST's vectors (SP 800-38D) with our sizes: a nonce of 96 bits, a whole tag."""
    return [
        vector
        for vector in records(f"ciphers/AES/GCM/{name}.rsp", "Count")
        if len(vector.get("IV", "")) == 2 * NONCE_SIZE and len(vector["Tag"]) == 2 * TAG_SIZE
    ]


def test_sp_800_38d_aes_256_gcm_seals() -> None:
    vectors = gcm_vectors("gcmEncryptExtIV256")
    assert len(vectors) > 300
    for vector in vectors:
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(vector[name]) for name in ("Key", "IV", "AAD", "PT", "CT", "Tag")
        )
        assert aead_for(Algorithm.AES_256_GCM, key).encrypt(nonce, plaintext, aad) == ciphertext + tag


def test_sp_800_38d_aes_256_gcm_opens_and_refuses() -> None:
    refused = 0
    for vector in gcm_vectors("gcmDecrypt256"):
        key, nonce, aad, ciphertext, tag = (
            bytes.fromhex(vector[name]) for name in ("Key", "IV", "AAD", "CT", "Tag")
        )
        box = nonce + ciphertext + tag
        if "PT" in vector:
            assert open_box(aead_for(Algorithm.AES_256_GCM, key), 0, aad, box) == bytes.fromhex(vector["PT"])
            continue
        # The file says FAIL.
        refused += 1
        with pytest.raises(SealBroken):
            open_box(aead_for(Algorithm.AES_256_GCM, key), 0, aad, box)
    assert refused > 100


def test_rfc_8032_ed25519() -> None:
    lines = read("asymmetric/Ed25519/sign.input").splitlines()
    assert len(lines) == 1_024
    for line in lines:
        secret, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        key = SigningKey.from_seed(Secret(secret[:32]))
        assert key.public == public
        assert key.sign(message) == signed[:64]
        verify(public, message, signed[:64])


@pytest.mark.parametrize("public", [*SMALL_ORDER, *BEYOND_THE_PRIME], ids=bytes.hex)
def test_a_key_with_which_anybody_signs_is_refused(public: bytes) -> None:
    message, signature = forged(public)
    with pytest.raises(SignatureRefused):
        verify(public, message, signature)


@pytest.mark.parametrize("public", [*SMALL_ORDER, *BEYOND_THE_PRIME, *OF_NO_SMALL_ORDER, bytes(31)])
def test_such_a_key_is_certified_for_nobody(public: bytes) -> None:
    root, member = EntrySigner(ROOT, SigningKey.new()), EntrySigner(b"m" * 16, SigningKey.new())
    sound = member.key.public
    for body, bad in (
        (RootBody(sound, b"x" * 32), RootBody(public, b"x" * 32)),
        (
            MemberBody(b"m" * 16, "worker", (), b"x" * 32, sound),
            MemberBody(b"m" * 16, "worker", (), b"x" * 32, public),
        ),
        (JournalBody(sound), JournalBody(public)),
        (RootChangedBody(sound), RootChangedBody(public)),
    ):
        with pytest.raises(EncodingRefused):
            sign_entry(b"o" * 16, 1, bytes(32), bad, root)
        stored = sign_entry(b"o" * 16, 1, bytes(32), body, root).to_bytes()
        assert DirectoryEntry.from_bytes(stored).body == body
        if len(public) == len(sound):
            with pytest.raises(DirectoryRefused, match="malformed"):
                DirectoryEntry.from_bytes(stored.replace(sound, public))


def test_a_signature_of_another_key_or_message_is_refused() -> None:
    key = SigningKey.new()
    signature = key.sign(b"message")
    for public, message, signed in (
        (SigningKey.new().public, b"message", signature),
        (key.public, b"massage", signature),
        (key.public, b"message", signature[:-1]),
        (key.public[:-1], b"message", signature),
    ):
        with pytest.raises(SignatureRefused):
            verify(public, message, signed)


def test_an_independent_peer_opens_what_we_seal() -> None:
    pair, info, note = new_key_pair(), os.urandom(40), os.urandom(100)
    sealed = hpke_seal(pair.public, info, note)
    private = PEER.kem.deserialize_private_key(pair.private.reveal())
    assert PEER.create_recipient_context(sealed[:32], private, info).open(sealed[32:]) == note


def test_we_open_what_an_independent_peer_seals() -> None:
    pair, info, note = new_key_pair(), os.urandom(40), os.urandom(100)
    enc, context = PEER.create_sender_context(PEER.kem.deserialize_public_key(pair.public), info)
    assert hpke_open(pair.private, info, enc + context.seal(note)) == note
