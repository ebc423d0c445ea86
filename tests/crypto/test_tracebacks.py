"""What is refused raises from where no key is a local: a traceback that shows every local shows none."""

import base64
import os
import traceback
from collections.abc import Callable

import pytest

from crypto.dek import new_dek, unwrap_dek
from crypto.drop import new_drop_key, unwrap_drop_private, wrap_drop_private
from crypto.errors import CommitmentMismatch, CryptoError
from crypto.frame import seal_frame
from crypto.hpke import hpke_open, hpke_seal, new_key_pair
from crypto.kek import kek_from_secret, new_kek
from crypto.opener import FrameReader, open_frame
from crypto.password import FLOOR_PARAMS, open_daily, open_signing, password_keys
from crypto.pepper import Pepper, open_under_pepper, seal_under_pepper
from crypto.place import Place
from crypto.secret import Secret
from crypto.session import SessionKeys, open_session, open_step_up, seal_session, seal_step_up
from crypto.widths import xor

ORG, CASE, ROW, MEMBER = b"O" * 16, b"K" * 16, b"R" * 16, b"M" * 16
CANARY = b"canary-of-32-bytes-in-all-keys!\xff"
OTHER = Secret(b"other-" + CANARY[6:])
KEK = kek_from_secret(ORG, "health", 1, Secret(CANARY))
PLACE = Place(ORG, 1, 2, ROW, 3)
PEPPER = Pepper.from_secret(Secret(CANARY))
SESSION = b"S" * 32
PASSWORD_KEYS = password_keys(PEPPER, MEMBER, Secret(CANARY))


def wrong_half() -> object:
    dek = new_dek(KEK, CASE)
    return unwrap_dek(KEK, CASE, 1, dek.row, xor(dek.shred_part, CANARY))


def damaged_frame() -> object:
    dek = new_dek(KEK, CASE)
    frame = seal_frame(dek.key, PLACE, b"note")
    reader = FrameReader(KEK, 1, 2)
    return reader.open(CASE, 1, dek.row, dek.shred_part, ROW, 3, frame[:-1] + bytes([frame[-1] ^ 1]))


def another_drop_key() -> object:
    wrapped = wrap_drop_private(KEK, new_drop_key(ORG, "health", 1))
    return unwrap_drop_private(KEK, 1, new_key_pair().public, wrapped)


REFUSED: dict[str, Callable[[], object]] = {
    "wrong half": wrong_half,
    "damaged frame": damaged_frame,
    "frame of another case": lambda: open_frame(
        new_dek(KEK, CASE).key, PLACE, seal_frame(new_dek(KEK, CASE).key, PLACE, b"note")
    ),
    "another drop key": another_drop_key,
    "session with a foreign key": lambda: seal_session(
        Secret(CANARY), SESSION, SessionKeys(ORG, MEMBER, Secret(CANARY), (KEK, new_kek(CASE, "health", 1)))
    ),
    "session of another token": lambda: open_session(
        OTHER,
        SESSION,
        seal_session(Secret(CANARY), SESSION, SessionKeys(ORG, MEMBER, Secret(CANARY), (KEK,))),
    ),
    "step-up that ended": lambda: open_step_up(
        Secret(CANARY), SESSION, seal_step_up(Secret(CANARY), SESSION, Secret(CANARY), 1), 2
    ),
    "hpke": lambda: hpke_open(Secret(CANARY), b"info", hpke_seal(new_key_pair().public, b"info", CANARY)),
    "daily key": lambda: open_daily(PASSWORD_KEYS, MEMBER, FLOOR_PARAMS, os.urandom(120)),
    "signing key": lambda: open_signing(PASSWORD_KEYS, MEMBER, FLOOR_PARAMS, os.urandom(120)),
    "small secret": lambda: open_under_pepper(
        PEPPER, b"a", MEMBER, seal_under_pepper(PEPPER, b"b", MEMBER, b"seed")
    ),
}


def shown(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def spellings(secret: bytes) -> list[str]:
    return [secret.hex(), repr(secret)[2:-1], base64.b64encode(secret).decode().rstrip("=")]


@pytest.mark.parametrize("attempt", REFUSED)
def test_a_refusals_traceback_shows_no_key_among_its_locals(attempt: str) -> None:
    with pytest.raises(CryptoError) as refused:
        REFUSED[attempt]()
    text = shown(refused.value)
    assert all(spelling not in text for spelling in (*spellings(CANARY), *spellings(OTHER.reveal())))


def test_the_traceback_of_a_wrong_half_does_not_show_the_other_half_nor_what_they_give() -> None:
    """One half stands in the row, the other is the caller's; together they are the key."""
    dek = new_dek(KEK, CASE)
    with pytest.raises(CommitmentMismatch) as refused:
        unwrap_dek(KEK, CASE, 1, dek.row, bytes(32))
    # The wrapped half is what the row gives with a half of zeros.
    names = {
        name
        for frame, _ in traceback.walk_tb(refused.value.__traceback__)
        if frame.f_code.co_filename.endswith("dek.py")
        for name in frame.f_locals
    }
    assert names <= {"kek", "case", "generation", "row", "shred_part", "key"}


def test_the_traceback_of_a_damaged_frame_holds_no_derived_key() -> None:
    with pytest.raises(CryptoError) as refused:
        damaged_frame()
    raw = [
        value
        for frame, _ in traceback.walk_tb(refused.value.__traceback__)
        if frame.f_code.co_name == "open" and frame.f_code.co_filename.endswith("opener.py")
        for name, value in frame.f_locals.items()
        if isinstance(value, bytes) and name not in {"case", "dek_row", "shred_part", "row", "frame"}
    ]
    assert raw == []
