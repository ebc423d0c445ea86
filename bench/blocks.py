"""The building blocks alone, in memory: what sealing costs against the bare primitive and against Fernet.

No server, no database, no twin: seconds of CPU of one thread, in rounds in which all take turns.
"""

import gc
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from argon2.low_level import Type, hash_secret_raw
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from bench import rotation
from bench.report import table
from bench.results import Machine
from crypto.dek import new_dek, rewrap_dek, unwrap_dek
from crypto.directory import Floor
from crypto.frame import seal_frame
from crypto.hpke import hpke_open, hpke_seal, new_key_pair
from crypto.kek import certified_kek, new_kek
from crypto.opener import FrameReader, open_frame
from crypto.padding import pad
from crypto.password import (
    DEFAULT_PARAMS,
    matches,
    open_daily,
    password_keys,
    stretch,
    wrap_daily,
)
from crypto.pepper import Pepper
from crypto.place import Place
from crypto.secret import Secret
from crypto.session import SessionKeys, new_token, open_session, seal_session, session_id, session_key
from crypto.signing import SigningKey, verify
from policies.vocabulary import Group

CASEWORK, BARE, FERNET = "casework", "the primitive alone", "Fernet"
CONTESTANTS = (CASEWORK, BARE, FERNET)
_BLOCKS_BEGIN, _BLOCKS_END = "<!-- blocks:begin -->", "<!-- blocks:end -->"
MARKERS = (_BLOCKS_BEGIN, _BLOCKS_END)
ROUNDS = 15
LISTED = 50
ROTATED = 10_000
_GROUPS_LISTED = 4
_RECORD = b'{"family_name":"Un nom","name_in_use":"Un nom d\'usage","birth_date":"1990-01-01"}'.ljust(
    200, b" "
)
_ORG, _ROW = b"O" * 16, b"R" * 16
_PLACE = Place(_ORG, 1, 1, _ROW, 1)
_NANOSECONDS = 1_000_000_000

Act = Callable[[], object]


class Block(Struct, frozen=True):
    """One building block: seconds of CPU by contestant, and casework's as a multiple of each other one's."""

    name: str
    against: str
    seconds: dict[str, float]
    ratios: dict[str, float]


class Blocks(Struct, frozen=True):
    """One run."""

    made_at: datetime
    machine: Machine
    rounds: int
    blocks: list[Block]


def measure(machine: Machine, rounds: int = ROUNDS) -> Blocks:
    blocks = [_measured(name, against, acts, repeats, rounds) for name, against, acts, repeats in _contests()]
    return Blocks(datetime.now(UTC), machine, rounds, [*blocks, _whole_rotation()])


def _whole_rotation() -> Block:
    """Once, by the clock: a rotation waits for the disk at each of its batches."""
    with TemporaryDirectory(prefix="casework-bench-") as folder:
        measured = rotation.measure(Path(folder))
    name = f"rotate a KEK over {measured.cases:,} cases, SQLite and password included (by the clock, once)"
    return Block(name, "", {CASEWORK: measured.seconds}, {})


def section(blocks: Blocks) -> str:
    """What README holds between this section's markers."""
    machine = blocks.machine
    return "\n\n".join(
        (
            f"Made by `make bench BENCH_FLAGS=--blocks` on {blocks.made_at:%Y-%m-%d}: {machine.processor}, "
            f"{machine.system}, Python {machine.python}; one thread, CPU, medians of {blocks.rounds} rounds "
            "in which all take turns. In brackets casework’s as a multiple: beside the primitive stand padding, "
            "place, header, and for a DEK the derivation and the commitment. A record has 200 bytes.",
            table(["block", CASEWORK, BARE, "which is", FERNET], [_row(block) for block in blocks.blocks]),
        )
    )


def _row(block: Block) -> list[str]:
    cells = {
        name: _shown(block.seconds[name]) + (f" ({block.ratios[name]:.2f})" if name in block.ratios else "")
        if name in block.seconds
        else "—"
        for name in CONTESTANTS
    }
    return [block.name, cells[CASEWORK], cells[BARE], block.against, cells[FERNET]]


def _shown(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _measured(name: str, against: str, acts: dict[str, Act], repeats: int, rounds: int) -> Block:
    taken: dict[str, list[float]] = {contestant: [] for contestant in acts}
    for act in acts.values():
        act()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for contestant, act in acts.items():
                began = time.process_time_ns()
                for _ in range(repeats):
                    act()
                taken[contestant].append((time.process_time_ns() - began) / _NANOSECONDS / repeats)
    finally:
        gc.enable()
    ratios = {
        contestant: median(
            ours / theirs for ours, theirs in zip(taken[CASEWORK], taken[contestant], strict=True)
        )
        for contestant in acts
        if contestant != CASEWORK
    }
    return Block(name, against, {one: median(seconds) for one, seconds in taken.items()}, ratios)


def _contests() -> Sequence[tuple[str, str, dict[str, Act], int]]:
    """(block, what the primitive is, who does it, how often a turn)."""
    return (
        ("seal a record", "AES-GCM", _sealing(), 2_000),
        ("open a record", "AES-GCM", _opening(), 2_000),
        ("unwrap a DEK", "AES-GCM of 32 bytes", _unwrapping(), 2_000),
        (f"list {LISTED}: DEK and one record each", f"AES-GCM of {LISTED} records", _listing(1), 40),
        (
            f"list {LISTED} × {_GROUPS_LISTED} groups",
            f"AES-GCM of {LISTED * _GROUPS_LISTED} records",
            _listing(_GROUPS_LISTED),
            10,
        ),
        ("open a session's keys (10 KEKs)", "AES-GCM of as many bytes", _session(), 500),
        ("sign in: password to session", "Argon2id, 64 MiB", _signing_in(), 1),
        ("seal 32 bytes to a key, and open them", "HPKE", _hpke(), 100),
        ("sign, and verify", "Ed25519", _signing(), 100),
        (f"re-wrap {ROTATED:,} DEKs", "AES-GCM, twice each", _rewrapping(), 1),
    )


def _case(number: int) -> bytes:
    return number.to_bytes(16)


def _sealing() -> dict[str, Act]:
    key = new_dek(new_kek(_ORG, "identity", 1), _case(1)).key
    bare, fernet = AESGCM(os.urandom(32)), Fernet(Fernet.generate_key())
    return {
        CASEWORK: lambda: seal_frame(key, _PLACE, _RECORD),
        BARE: lambda: bare.encrypt(os.urandom(12), _RECORD, None),
        FERNET: lambda: fernet.encrypt(_RECORD),
    }


def _opening() -> dict[str, Act]:
    key = new_dek(new_kek(_ORG, "identity", 1), _case(1)).key
    frame = seal_frame(key, _PLACE, _RECORD)
    bare, fernet, nonce = AESGCM(os.urandom(32)), Fernet(Fernet.generate_key()), os.urandom(12)
    sealed, token = bare.encrypt(nonce, _RECORD, None), fernet.encrypt(_RECORD)
    return {
        CASEWORK: lambda: open_frame(key, _PLACE, frame),
        BARE: lambda: bare.decrypt(nonce, sealed, None),
        FERNET: lambda: fernet.decrypt(token),
    }


def _unwrapping() -> dict[str, Act]:
    kek = new_kek(_ORG, "identity", 1)
    dek = new_dek(kek, _case(1))
    bare, fernet, nonce, part = (
        AESGCM(os.urandom(32)),
        Fernet(Fernet.generate_key()),
        os.urandom(12),
        bytes(32),
    )
    sealed, token = bare.encrypt(nonce, part, None), fernet.encrypt(part)
    return {
        CASEWORK: lambda: unwrap_dek(kek, _case(1), 1, dek.row, dek.shred_part),
        BARE: lambda: bare.decrypt(nonce, sealed, None),
        FERNET: lambda: fernet.decrypt(token),
    }


def _listing(groups: int) -> dict[str, Act]:
    """What a page of a list opens: of each case and group the DEK, then the record under it."""
    stored = []
    for group in list(Group)[:groups]:
        kek = new_kek(_ORG, group, 1)
        for number in range(LISTED):
            dek = new_dek(kek, _case(number))
            stored.append((kek, _case(number), dek.row, dek.shred_part, seal_frame(dek.key, _PLACE, _RECORD)))
    bare, fernet, nonce = AESGCM(os.urandom(32)), Fernet(Fernet.generate_key()), os.urandom(12)
    sealed, token = bare.encrypt(nonce, pad(_RECORD), None), fernet.encrypt(_RECORD)

    def ours() -> None:
        readers: dict[str, FrameReader] = {}
        for kek, case, row, half, frame in stored:
            reader = readers.get(kek.group)
            if reader is None:
                reader = readers[kek.group] = FrameReader(kek, 1, 1)
            reader.open(case, 1, row, half, _ROW, 1, frame)

    return {
        CASEWORK: ours,
        BARE: lambda: [bare.decrypt(nonce, sealed, None) for _ in stored],
        FERNET: lambda: [fernet.decrypt(token) for _ in stored],
    }


def _session_keys() -> SessionKeys:
    keks = tuple(new_kek(_ORG, group, 1) for group in (*Group, "journal", "index"))
    return SessionKeys(_ORG, b"M" * 16, Secret.random(), keks)


def _session() -> dict[str, Act]:
    pepper, token = Pepper.from_secret(Secret.random()), new_token()
    row = session_id(token)
    sealed = seal_session(session_key(pepper, token), row, _session_keys())
    bare, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    box = bare.encrypt(nonce, bytes(len(sealed)), None)
    return {
        CASEWORK: lambda: open_session(session_key(pepper, token), row, sealed),
        BARE: lambda: bare.decrypt(nonce, box, None),
    }


def _signing_in() -> dict[str, Act]:
    """From password and token to the rows of a session: stretch, prove, open the daily key and ten grants, seal."""
    pepper, salt, member, words = (
        Pepper.from_secret(Secret.random()),
        os.urandom(16),
        b"M" * 16,
        "correct horse",
    )
    proof = password_keys(pepper, member, stretch(words, salt, DEFAULT_PARAMS)).auth_hash
    pair, keys = new_key_pair(), _session_keys()
    wrapping = password_keys(pepper, member, stretch(words, salt, DEFAULT_PARAMS))
    daily = wrap_daily(wrapping, member, DEFAULT_PARAMS, pair.private, Floor(1, bytes(32)))
    grants = [(kek, hpke_seal(pair.public, kek.kid, kek.secret.reveal())) for kek in keys.keks]

    def ours() -> None:
        given = password_keys(pepper, member, stretch(words, salt, DEFAULT_PARAMS))
        if not matches(given, proof):
            raise AssertionError
        private, _ = open_daily(given, member, DEFAULT_PARAMS, daily)
        opened = tuple(
            certified_kek(_ORG, kek.group, 1, Secret(hpke_open(private, kek.kid, sealed)), kek.kid)
            for kek, sealed in grants
        )
        token = new_token()
        seal_session(
            session_key(pepper, token), session_id(token), SessionKeys(_ORG, member, private, opened)
        )

    def argon2id() -> None:
        hash_secret_raw(
            words.encode(),
            salt,
            time_cost=DEFAULT_PARAMS.time_cost,
            memory_cost=DEFAULT_PARAMS.memory_kib,
            parallelism=DEFAULT_PARAMS.parallelism,
            hash_len=32,
            type=Type.ID,
        )

    return {CASEWORK: ours, BARE: argon2id}


def _hpke() -> dict[str, Act]:
    pair, secret = new_key_pair(), bytes(32)
    return {CASEWORK: lambda: hpke_open(pair.private, b"info", hpke_seal(pair.public, b"info", secret))}


def _signing() -> dict[str, Act]:
    key, message = SigningKey.new(), bytes(100)
    return {CASEWORK: lambda: verify(key.public, message, key.sign(message))}


def _rewrapping() -> dict[str, Act]:
    """The cryptography of a rotation, without its database: each DEK from the old KEK to the new one."""
    old, new = new_kek(_ORG, "identity", 1), new_kek(_ORG, "identity", 2)
    rows = [(_case(number), new_dek(old, _case(number)).row) for number in range(ROTATED)]
    bare, other, nonce = AESGCM(os.urandom(32)), AESGCM(os.urandom(32)), os.urandom(12)
    sealed = bare.encrypt(nonce, bytes(32), None)

    def ours() -> None:
        for case, row in rows:
            rewrap_dek(old, new, case, 1, row)

    def primitive() -> None:
        for _ in rows:
            other.encrypt(os.urandom(12), bare.decrypt(nonce, sealed, None), None)

    return {CASEWORK: ours, BARE: primitive}
