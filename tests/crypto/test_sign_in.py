import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.directory import Floor
from crypto.errors import (
    AlgorithmRefused,
    CryptoError,
    EncodingRefused,
    PasswordRefused,
    PepperRefused,
    SealBroken,
    StepUpExpired,
)
from crypto.hpke import new_key_pair
from crypto.kek import new_kek
from crypto.password import (
    DEFAULT_PARAMS,
    FLOOR_PARAMS,
    KdfParams,
    PasswordKeys,
    matches,
    open_daily,
    open_signing,
    password_keys,
    stretch,
    wrap_daily,
    wrap_signing,
)
from crypto.pepper import FileKeyProvider, Pepper, create_pepper_file, open_under_pepper, seal_under_pepper
from crypto.secret import Secret
from crypto.session import (
    SessionKeys,
    new_token,
    open_pending,
    open_session,
    open_step_up,
    seal_pending,
    seal_session,
    seal_step_up,
    session_id,
    session_key,
)
from crypto.signing import SigningKey

ORG, USER, MEMBER = b"O" * 16, b"U" * 16, b"M" * 16
PEPPER = Pepper.from_secret(Secret.random())
OTHER_PEPPER = Pepper.from_secret(Secret.random())
STRETCHED = Secret.random()
KEYS = password_keys(PEPPER, USER, STRETCHED)
DAILY = new_key_pair().private
SIGNING = SigningKey.new()
FLOOR = Floor(12, b"h" * 32)
WRAPPED_DAILY = wrap_daily(KEYS, MEMBER, DEFAULT_PARAMS, DAILY, FLOOR)
WRAPPED_SIGNING = wrap_signing(KEYS, MEMBER, DEFAULT_PARAMS, SIGNING)

TOKEN = new_token()
SESSION, SESSION_KEY = session_id(TOKEN), session_key(PEPPER, TOKEN)
CARRIED = SessionKeys(ORG, MEMBER, DAILY, (new_kek(ORG, "health", 1), new_kek(ORG, "contact", 3)))
SEALED_SESSION = seal_session(SESSION_KEY, SESSION, CARRIED)
STEPPED_UP = seal_step_up(SESSION_KEY, SESSION, SIGNING.seed, expires_at=1_000)
SEALED_SEED = seal_under_pepper(PEPPER, b"totp", USER, b"seed")

FLIPS = (st.integers(min_value=0), st.integers(min_value=1, max_value=255))


def flipped(data: bytes, where: int, flip: int) -> bytes:
    changed = bytearray(data)
    changed[where % len(changed)] ^= flip
    return bytes(changed)


# Pepper


def test_a_pepper_file_is_made_once_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    pepper = create_pepper_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert FileKeyProvider(path).pepper() == pepper
    with pytest.raises(PepperRefused):
        create_pepper_file(path)


def test_a_missing_pepper_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PepperRefused):
        FileKeyProvider(tmp_path / "pepper").pepper()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_pepper_file_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "pepper"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(PepperRefused):
        FileKeyProvider(path).pepper()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_pepper_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pepper"
    create_pepper_file(path)
    path.chmod(mode)
    with pytest.raises(PepperRefused):
        FileKeyProvider(path).pepper()


def test_a_link_a_folder_or_a_fifo_is_no_pepper_file(tmp_path: Path) -> None:
    create_pepper_file(tmp_path / "pepper")
    (tmp_path / "link").symlink_to(tmp_path / "pepper")
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("link", "folder", "fifo"):
        with pytest.raises(PepperRefused):
            FileKeyProvider(tmp_path / name).pepper()


def test_a_pepper_id_commits_to_the_pepper_and_parts_do_not_run_together() -> None:
    assert PEPPER.id != OTHER_PEPPER.id
    assert PEPPER.hmac(b"l", b"ab", b"c") != PEPPER.hmac(b"l", b"a", b"bc")
    with pytest.raises(EncodingRefused):
        Pepper.from_secret(Secret(b"short"))


def test_a_secret_under_the_pepper_opens_for_its_label_and_owner_alone() -> None:
    assert open_under_pepper(PEPPER, b"totp", USER, SEALED_SEED) == b"seed"
    for label, owner in ((b"other", USER), (b"totp", MEMBER)):
        with pytest.raises(SealBroken):
            open_under_pepper(PEPPER, label, owner, SEALED_SEED)
    with pytest.raises(PepperRefused):
        open_under_pepper(OTHER_PEPPER, b"totp", USER, SEALED_SEED)


@given(*FLIPS)
def test_a_secret_under_the_pepper_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    with pytest.raises(CryptoError):
        open_under_pepper(PEPPER, b"totp", USER, flipped(SEALED_SEED, where, flip))


# Password


def test_a_password_is_stretched_the_same_from_every_keyboard() -> None:
    salt = bytes(16)
    composed = stretch("mot de passe é", salt, FLOOR_PARAMS)
    assert composed == stretch("mot\u00a0de\u1680passe e\u0301", salt, FLOOR_PARAMS)
    assert composed != stretch("mot de passe e", salt, FLOOR_PARAMS)
    assert composed != stretch("mot de passe é", b"s" * 16, FLOOR_PARAMS)
    assert len(composed) == 32


@pytest.mark.parametrize("password", ["", "x" * 1025, "a\nb", "\x00", "\ud800"])
def test_a_password_out_of_bounds_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefused):
        stretch(password, bytes(16), FLOOR_PARAMS)


def test_a_salt_of_another_width_is_refused() -> None:
    with pytest.raises(EncodingRefused):
        stretch("password", b"salt", FLOOR_PARAMS)


@pytest.mark.parametrize(
    ("memory", "time", "lanes"),
    [(19_455, 2, 1), (19_456, 1, 1), (19_456, 2, 0), (1_048_577, 2, 1), (19_456, 17, 1), (19_456, 2, 5)],
)
def test_parameters_below_the_floor_or_above_the_ceiling_are_refused(
    memory: int, time: int, lanes: int
) -> None:
    with pytest.raises(PasswordRefused):
        KdfParams(memory, time, lanes)


def test_the_default_parameters_are_64_mib_and_three_passes() -> None:
    assert (DEFAULT_PARAMS.memory_kib, DEFAULT_PARAMS.time_cost, DEFAULT_PARAMS.parallelism) == (65536, 3, 1)


def test_a_password_is_recognised_with_its_pepper_and_subject_alone() -> None:
    assert matches(password_keys(PEPPER, USER, STRETCHED), KEYS.auth_hash)
    assert not matches(password_keys(OTHER_PEPPER, USER, STRETCHED), KEYS.auth_hash)
    assert not matches(password_keys(PEPPER, MEMBER, STRETCHED), KEYS.auth_hash)
    assert not matches(password_keys(PEPPER, USER, Secret.random()), KEYS.auth_hash)


def test_what_proves_the_password_opens_nothing() -> None:
    assert KEYS.auth != KEYS.wrap
    assert KEYS.auth_hash not in {KEYS.auth.reveal(), KEYS.wrap.reveal()}


def test_the_password_opens_the_daily_key_with_its_floor_and_the_signing_key() -> None:
    assert open_daily(KEYS, MEMBER, DEFAULT_PARAMS, WRAPPED_DAILY) == (DAILY, FLOOR)
    assert open_signing(KEYS, MEMBER, DEFAULT_PARAMS, WRAPPED_SIGNING).public == SIGNING.public


@pytest.mark.parametrize(
    ("keys", "member", "params"),
    [
        (password_keys(PEPPER, USER, Secret.random()), MEMBER, DEFAULT_PARAMS),
        (password_keys(OTHER_PEPPER, USER, STRETCHED), MEMBER, DEFAULT_PARAMS),
        (replace(KEYS, pepper_id=OTHER_PEPPER.id), MEMBER, DEFAULT_PARAMS),
        (replace(KEYS, subject=MEMBER), MEMBER, DEFAULT_PARAMS),
        (KEYS, USER, DEFAULT_PARAMS),
        (KEYS, MEMBER, FLOOR_PARAMS),
    ],
    ids=["password", "pepper", "pepper-id", "subject", "member", "params"],
)
def test_wrapped_keys_do_not_open_elsewhere(keys: PasswordKeys, member: bytes, params: KdfParams) -> None:
    with pytest.raises(SealBroken):
        open_daily(keys, member, params, WRAPPED_DAILY)
    with pytest.raises(SealBroken):
        open_signing(keys, member, params, WRAPPED_SIGNING)


def test_a_wrapped_daily_key_is_no_signing_key() -> None:
    with pytest.raises(SealBroken):
        open_signing(KEYS, MEMBER, DEFAULT_PARAMS, WRAPPED_DAILY)


@given(*FLIPS)
def test_a_wrapped_key_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    with pytest.raises(SealBroken):
        open_daily(KEYS, MEMBER, DEFAULT_PARAMS, flipped(WRAPPED_DAILY, where, flip))


# Sessions


def test_a_session_carries_its_keys() -> None:
    opened = open_session(SESSION_KEY, SESSION, SEALED_SESSION)
    assert opened == CARRIED
    assert [kek.group for kek in opened.keks] == ["health", "contact"]


@given(st.lists(st.text("abcdefghij", min_size=1, max_size=20), max_size=12))
@settings(max_examples=20)
def test_a_session_carries_any_number_of_groups(groups: list[str]) -> None:
    keys = SessionKeys(ORG, MEMBER, DAILY, tuple(new_kek(ORG, group, 1) for group in groups))
    assert open_session(SESSION_KEY, SESSION, seal_session(SESSION_KEY, SESSION, keys)) == keys


def test_a_session_does_not_open_with_another_token_pepper_or_row() -> None:
    other = new_token()
    for key, session in (
        (session_key(PEPPER, other), session_id(other)),
        (session_key(PEPPER, other), SESSION),
        (session_key(OTHER_PEPPER, TOKEN), SESSION),
        (SESSION_KEY, session_id(other)),
    ):
        with pytest.raises(SealBroken):
            open_session(key, session, SEALED_SESSION)


@given(*FLIPS)
def test_a_session_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    with pytest.raises((SealBroken, AlgorithmRefused)):
        open_session(SESSION_KEY, SESSION, flipped(SEALED_SESSION, where, flip))


def test_a_session_row_does_not_tell_its_token() -> None:
    assert TOKEN.reveal() not in SESSION + SEALED_SESSION + STEPPED_UP
    with pytest.raises(EncodingRefused):
        session_id(Secret(b"short"))


def test_a_session_holds_keys_of_its_own_organisation_alone() -> None:
    with pytest.raises(EncodingRefused):
        seal_session(SESSION_KEY, SESSION, replace(CARRIED, keks=(new_kek(b"P" * 16, "health", 1),)))


def test_a_step_up_signs_until_it_expires() -> None:
    assert open_step_up(SESSION_KEY, SESSION, STEPPED_UP, now=999).public == SIGNING.public
    for now in (1_000, 2_000):
        with pytest.raises(StepUpExpired):
            open_step_up(SESSION_KEY, SESSION, STEPPED_UP, now)


def test_a_step_up_does_not_open_in_another_session_nor_as_a_session() -> None:
    with pytest.raises(SealBroken):
        open_step_up(SESSION_KEY, session_id(new_token()), STEPPED_UP, now=0)
    with pytest.raises(SealBroken):
        open_session(SESSION_KEY, SESSION, STEPPED_UP)


@given(*FLIPS)
def test_a_step_up_with_any_flipped_byte_is_refused(where: int, flip: int) -> None:
    with pytest.raises((SealBroken, AlgorithmRefused)):
        open_step_up(SESSION_KEY, SESSION, flipped(STEPPED_UP, where, flip), now=0)


def test_a_pending_session_opens_for_its_account_and_session_alone() -> None:
    account, other = bytes([1]) * 16, bytes([2]) * 16
    stretched = Secret.random()
    sealed = seal_pending(SESSION_KEY, SESSION, account, stretched)
    assert open_pending(SESSION_KEY, SESSION, account, sealed) == stretched
    for session, whose in ((SESSION, other), (session_id(new_token()), account)):
        with pytest.raises(SealBroken):
            open_pending(SESSION_KEY, session, whose, sealed)
