import copy
import dataclasses
import json
import pickle
from collections.abc import Callable

import msgspec
import pytest

from crypto.dek import new_dek
from crypto.drop import new_drop_key
from crypto.hpke import new_key_pair
from crypto.journal import new_pseudonym
from crypto.kek import new_kek
from crypto.opener import OpenedPart
from crypto.password import PasswordKeys
from crypto.pepper import Pepper
from crypto.secret import Secret
from crypto.session import SessionKeys, new_token
from crypto.signing import SigningKey

CANARY = b"canary-of-32-bytes-in-all-keys!\xff"
ORG = b"O" * 16


def _pepper() -> object:
    return Pepper.from_secret(Secret(CANARY))


def _session_keys() -> object:
    return SessionKeys(ORG, ORG, Secret(CANARY), (new_kek(ORG, "health", 1),))


HOLDERS: list[Callable[[], object]] = [
    lambda: Secret(CANARY),
    new_token,
    _pepper,
    lambda: new_kek(ORG, "health", 1),
    lambda: new_drop_key(ORG, "health", 1),
    new_key_pair,
    lambda: SigningKey.from_seed(Secret(CANARY)),
    lambda: PasswordKeys(ORG, ORG, Secret(CANARY), Secret(CANARY)),
    _session_keys,
    lambda: new_dek(new_kek(ORG, "health", 1), ORG).key,
]


@pytest.mark.parametrize("make", HOLDERS)
def test_a_secret_is_not_pickled_copied_or_serialised(make: Callable[[], object]) -> None:
    holder = make()
    with pytest.raises(TypeError):
        pickle.dumps(holder)
    with pytest.raises(TypeError):
        copy.deepcopy(holder)
    with pytest.raises(TypeError):
        json.dumps(holder)
    with pytest.raises(TypeError):
        msgspec.json.encode(holder)
    if dataclasses.is_dataclass(holder) and not isinstance(holder, type):
        with pytest.raises(TypeError):
            dataclasses.asdict(holder)


@pytest.mark.parametrize(
    "holder",
    [
        Secret(CANARY),
        Pepper.from_secret(Secret(CANARY)),
        SigningKey.from_seed(Secret(CANARY)),
        PasswordKeys(ORG, ORG, Secret(CANARY), Secret(CANARY)),
        SessionKeys(ORG, ORG, Secret(CANARY), ()),
        OpenedPart(CANARY, CANARY),
    ],
)
def test_a_secret_is_not_shown(holder: object) -> None:
    for shown in (repr(holder), str(holder), f"{holder}", f"{holder!r:>10}"):
        assert "canary" not in shown
        assert CANARY.hex() not in shown


def test_the_halves_of_a_key_are_not_shown() -> None:
    dek, parts = new_dek(new_kek(ORG, "health", 1), ORG), new_pseudonym()
    assert repr(dek.shred_part) not in repr(dek)
    assert repr(parts) == "PseudonymParts()"


def test_secrets_compare_by_value_and_only_with_secrets() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret(bytes(32))
    assert Secret(CANARY) != CANARY


def test_a_secret_is_no_dictionary_key() -> None:
    with pytest.raises(TypeError):
        hash(Secret(CANARY))
