"""Opens whatever a loot opens: every value is tried as every key, and every key found is used for the next.

The thief knows the code and asks nobody: no service, no gateway, no policy, no row-level security. What the
database publishes of each key (its id, its public half) tells which value is one, so that no guess is missed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row

from casework.shreds import half_purpose
from crypto.dek import CaseKey, adopt_dek, dek_row_is_dropped, dek_row_key_number, unwrap_dek
from crypto.directory import Directory, verify_directory
from crypto.directory_entries import DirectoryEntry
from crypto.drop import DropPrivate, DropPublic, unwrap_drop_private
from crypto.errors import CryptoError
from crypto.grant import open_grant
from crypto.hpke import public_half
from crypto.kek import Kek, kek_from_secret
from crypto.password import KdfParams, open_daily, open_signing, password_keys, stretch
from crypto.pepper import Pepper, open_under_pepper
from crypto.recovery import join_shares, open_recovery_kek, recovery_key
from crypto.restriction import blind_half, open_named_part, open_named_part_by_recovery
from crypto.secret import Secret
from crypto.session import SessionKeys, open_pending, open_session, open_step_up, session_id, session_key
from tests.thefts.loot import Loot

T = TypeVar("T")
_TOTP_LABEL = b"csm/totp/v1"
_NEW_TOTP_LABEL = b"csm/totp-renewal/v1"


@dataclass
class Keys:
    """What a loot gives."""

    directories: dict[UUID, Directory]
    peppers: list[Pepper] = field(default_factory=list)
    totp_seeds: dict[UUID, str] = field(default_factory=dict)
    # Membership → its daily key; memberships whose signature the thief can make.
    daily: dict[UUID, Secret] = field(default_factory=dict)
    signers: set[UUID] = field(default_factory=set)
    keks: dict[tuple[UUID, str, int], Kek] = field(default_factory=dict)
    drops: dict[tuple[UUID, str, int], DropPrivate] = field(default_factory=dict)
    # Of each restricted case: the part that its named members hold.
    named: dict[UUID, Secret] = field(default_factory=dict)
    cases: dict[tuple[UUID, str], CaseKey] = field(default_factory=dict)
    recovery: dict[UUID, Secret] = field(default_factory=dict)

    @property
    def compartments(self) -> set[tuple[UUID, str]]:
        return {(org, group) for org, group, _ in self.keks}


def attempt(open_it: Callable[..., T], *arguments: Any) -> T | None:
    """What opens, or None."""
    try:
        return open_it(*arguments)
    except CryptoError:
        return None


def find_keys(loot: Loot) -> Keys:
    """Every key that the loot gives, from the outermost to those of single cases."""
    keys = Keys({row.id: _directory(loot, row) for row in loot.table("organisation")})
    _match(loot, keys)
    _open_accounts(loot, keys)
    _open_sessions(loot, keys)
    _open_grants(loot, keys)
    _recover(loot, keys)
    _open_drop_keys(loot, keys)
    _open_named_parts(loot, keys)
    _open_case_keys(loot, keys)
    return keys


def _directory(loot: Loot, organisation: Row[Any]) -> Directory:
    rows = sorted(
        (row for row in loot.table("key_directory") if row.org_id == organisation.id),
        key=lambda row: row.epoch,
    )
    entries = [DirectoryEntry.from_bytes(bytes(row.entry)) for row in rows]
    return verify_directory(organisation.id.bytes, entries, bytes(organisation.root_fingerprint), None)


def _match(loot: Loot, keys: Keys) -> None:
    """Recognise peppers, private halves and KEKs among the values."""
    pepper_ids = {bytes(row.pepper_id) for row in loot.table("account")}
    members = {
        certified.daily_public: UUID(bytes=member)
        for directory in keys.directories.values()
        for member, certified in directory.members.items()
    }
    drops = {bytes(row.public): row for row in loot.table("drop_key")}
    kids = {
        kid: (org, group, number)
        for org, directory in keys.directories.items()
        for (group, number), kid in directory.kids.items()
    }
    for value in loot.values:
        secret = Secret(value)
        if (pepper := Pepper.from_secret(secret)).id in pepper_ids:
            keys.peppers.append(pepper)
        public = public_half(secret)
        if public in members:
            keys.daily[members[public]] = secret
        if (row := drops.get(public)) is not None:
            drop = DropPublic(row.org_id.bytes, row.compartment, row.number, public)
            keys.drops[row.org_id, row.compartment, row.number] = DropPrivate(drop, secret)
        kid = kek_from_secret(bytes(16), "any", 1, secret).kid
        if kid in kids:
            org, group, number = kids[kid]
            keys.keks[org, group, number] = kek_from_secret(org.bytes, group, number, secret)


def _open_accounts(loot: Loot, keys: Keys) -> None:
    for pepper in keys.peppers:
        for row in loot.table("account"):
            seed = attempt(open_under_pepper, pepper, _TOTP_LABEL, row.id.bytes, row.totp_seed.blob)
            if seed is not None:
                keys.totp_seeds[row.id] = seed.decode("ascii")
            if row.login in loot.passwords:
                stretched = stretch(loot.passwords[row.login], bytes(row.kdf_salt), _params(row))
                _use_password(loot, keys, pepper, row, stretched)
            _open_renewals(loot, keys, pepper, row)


def _open_renewals(loot: Loot, keys: Keys, pepper: Pepper, account: Row[Any]) -> None:
    """What waits to be confirmed: a seed, and keys that no grant was ever made to."""
    for row in loot.table("renewal"):
        if row.account_id != account.id:
            continue
        if row.totp_seed is not None:
            attempt(open_under_pepper, pepper, _NEW_TOTP_LABEL, row.id.bytes, row.totp_seed.blob)
        if account.login in loot.passwords and row.kdf_salt is not None:
            stretched = stretch(loot.passwords[account.login], bytes(row.kdf_salt), _params(row))
            for new in (new for new in loot.table("renewed_key") if new.renewal_id == row.id):
                wrapping = password_keys(pepper, new.member_id.bytes, stretched)
                daily = attempt(open_daily, wrapping, new.member_id.bytes, _params(row), new.daily_key.blob)
                if daily is not None:
                    keys.daily.setdefault(new.member_id, daily[0])
                if attempt(open_signing, wrapping, new.member_id.bytes, _params(row), new.signing_key.blob):
                    keys.signers.add(new.member_id)


def _params(row: Row[Any]) -> KdfParams:
    return KdfParams(row.kdf_memory_kib, row.kdf_time, row.kdf_parallelism)


def _use_password(loot: Loot, keys: Keys, pepper: Pepper, account: Row[Any], stretched: Secret) -> None:
    for row in loot.table("membership"):
        if row.account_id == account.id:
            wrapping = password_keys(pepper, row.id.bytes, stretched)
            daily = attempt(open_daily, wrapping, row.id.bytes, _params(account), row.daily_key.blob)
            if daily is not None:
                keys.daily[row.id] = daily[0]
            if attempt(open_signing, wrapping, row.id.bytes, _params(account), row.signing_key.blob):
                keys.signers.add(row.id)


def _open_sessions(loot: Loot, keys: Keys) -> None:
    """By token and pepper; and by each value as if it were the session's own key."""
    accounts = {row.id: row for row in loot.table("account")}
    for row in loot.table("sessions.session"):
        session = bytes(row.id)
        tokens = [Secret(value) for value in loot.values if session_id(Secret(value)) == session]
        derived = [(session_key(pepper, token), pepper) for pepper in keys.peppers for token in tokens]
        for key, pepper in (*derived, *((Secret(value), None) for value in loot.values)):
            opened = attempt(open_session, key, session, row.keys.blob)
            if opened is not None:
                _use_session(keys, opened)
            stretched = attempt(open_pending, key, session, row.account_id.bytes, row.keys.blob)
            if stretched is not None and pepper is not None:
                _use_password(loot, keys, pepper, accounts[row.account_id], stretched)
            # The thief's clock says what she likes.
            if row.step_up_keys is not None and attempt(open_step_up, key, session, row.step_up_keys.blob, 0):
                keys.signers.add(row.member_id)


def _use_session(keys: Keys, opened: SessionKeys) -> None:
    keys.daily[UUID(bytes=opened.member)] = opened.daily_private
    for kek in opened.keks:
        keys.keks[UUID(bytes=opened.org), kek.group, kek.number] = kek


def _open_grants(loot: Loot, keys: Keys) -> None:
    """Each daily key tried on every grant, whoever's it says it is."""
    for row in loot.table("key_grant"):
        for daily in keys.daily.values():
            directory = keys.directories[row.org_id]
            kek = attempt(open_grant, directory, row.epoch, row.sealed.blob, row.member_id.bytes, daily)
            if kek is not None:
                keys.keks[row.org_id, kek.group, kek.number] = kek


def _recover(loot: Loot, keys: Keys) -> None:
    seed = attempt(join_shares, loot.shares)
    candidates = [recovery_key(seed).private] if seed is not None else []
    candidates += [Secret(value) for value in loot.values]
    for private in candidates:
        public = public_half(private)
        for org, directory in keys.directories.items():
            if directory.recovery_public != public:
                continue
            keys.recovery[org] = private
            for row in loot.table("kek_recovery"):
                if row.org_id == org:
                    kek = open_recovery_kek(directory, row.compartment, row.kek_no, row.sealed.blob, private)
                    keys.keks[org, kek.group, kek.number] = kek


def _open_drop_keys(loot: Loot, keys: Keys) -> None:
    for row in loot.table("drop_key"):
        for kek in keys.keks.values():
            private = attempt(unwrap_drop_private, kek, row.number, bytes(row.public), row.private.blob)
            if private is not None:
                keys.drops[row.org_id, row.compartment, row.number] = private


def _open_named_parts(loot: Loot, keys: Keys) -> None:
    for row in loot.table("named_seal"):
        daily = keys.daily.get(row.member_id)
        case, directory = row.case_id.bytes, keys.directories[row.org_id]
        if daily is not None:
            part = attempt(open_named_part, directory, case, row.sealed.blob, row.member_id.bytes, daily)
            keys.named |= {row.case_id: part} if part is not None else {}
    for row in loot.table("named_recovery"):
        private = keys.recovery.get(row.org_id)
        case, directory = row.case_id.bytes, keys.directories[row.org_id]
        if private is not None:
            part = attempt(open_named_part_by_recovery, directory, case, row.sealed.blob, private)
            keys.named |= {row.case_id: part} if part is not None else {}


def _open_case_keys(loot: Loot, keys: Keys) -> None:
    halves = {(row.org_id, row.owner_id, row.purpose): bytes(row.part) for row in loot.table("shred")}
    for row in loot.table("case_group"):
        dek = _under_kek(keys, row)
        half = halves.get((row.org_id, row.case_id, half_purpose(row.compartment, row.half)), bytes(32))
        if row.case_id in keys.named:
            half = blind_half(half, keys.named[row.case_id])
        for kek in keys.keks.values():
            key = attempt(unwrap_dek, kek, row.case_id.bytes, row.dek_generation, dek, half)
            if key is not None:
                keys.cases[row.case_id, row.compartment] = key


def _under_kek(keys: Keys, row: Row[Any]) -> bytes:
    """A case's key row; one left at the drop key is taken over where that is possible."""
    dek: bytes = row.dek.blob
    if not dek_row_is_dropped(dek):
        return dek
    private = keys.drops.get((row.org_id, row.compartment, dek_row_key_number(dek)))
    for kek in _keks_of(keys, row.org_id, row.compartment):
        if private is not None:
            return adopt_dek(private, kek, row.case_id.bytes, row.dek_generation, dek)
    return dek


def _keks_of(keys: Keys, org: UUID, group: str) -> Iterator[Kek]:
    return (kek for (of, compartment, _), kek in keys.keks.items() if (of, compartment) == (org, group))
