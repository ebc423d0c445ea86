"""Joining: a custodian certifies a new member's keys, and holders give her what the policies derive."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity.members import NewAccount, login_is_taken, store_account
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActFault,
    KeyActRefused,
    Opened,
    open_account,
    record_refusal,
    remember_directory,
)
from crypto.kek import Kek
from policies.grants import granted_groups
from policies.vocabulary import Action


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it: the compartments given, and those that still wait for a holder."""

    member_id: UUID
    granted: tuple[str, ...]
    waiting: tuple[str, ...]


async def join(
    deployment: Deployment,
    slug: str,
    new: NewAccount,
    custodian: Credentials,
    holders: Sequence[Credentials],
) -> Joined:
    """Add a member with one membership to the organisation `slug`. Blocks for an Argon2id stretch a password.

    Raises:
        KeyActRefused: somebody who signs is unknown, mistyped her password or may not; the login is taken;
            another change of the directory came first. It is journaled as a denial.
        DirectoryRefused, GrantRefused: the database is not what the directory certifies.

    """
    org_id = next(found for found, known in deployment.slugs.items() if known == slug)
    try:
        signers = {
            given.login: await open_account(deployment, org_id, given) for given in (custodian, *holders)
        }
        joined = await deployment.database.unit(
            lambda unit: _Joining(deployment, unit, org_id, new).run(
                signers[custodian.login], [signers[holder.login] for holder in holders]
            )
        )
    except (KeyActRefused, IntegrityError) as error:
        raise await record_refusal(deployment, org_id, "member.add", error, new.login) from None
    await remember_directory(deployment, org_id)
    return joined


class _Joining(KeyAct):
    """One joining."""

    def __init__(self, deployment: Deployment, unit: UnitOfWork, org_id: UUID, new: NewAccount) -> None:
        super().__init__(deployment, unit, org_id)
        self._new = new
        (self._member,) = new.memberships

    def run(self, custodian: Opened, holders: Sequence[Opened]) -> Joined:
        if login_is_taken(self.unit.connection, self._new.login):
            raise KeyActRefused(KeyActFault.LOGIN_TAKEN, self._new.login)
        self.unit.enter_organisation(self.org_id)
        self._certify(custodian)
        position = self._member.position
        wanted = granted_groups(self.engine, position.role, position.professions)
        for holder in holders:
            self._take_from(holder, wanted)
        member = self._member.id.bytes
        granted = {group for group in wanted if self.directory.holds(member, group)}
        store_account(
            self.unit.connection,
            self.deployment.pepper,
            self.org_id,
            self._new,
            self.directory.floor,
            self.unit.now,
        )
        return Joined(self._member.id, tuple(sorted(granted)), tuple(sorted(wanted - granted)))

    def _certify(self, custodian: Opened) -> None:
        signer = self.custodian(custodian)
        self.append(self._member.body, signer)
        position = self._member.position
        about = {"role": position.role, "professions": sorted(position.professions)}
        self.record("member.add", signer, {"member": str(self._member.id), **about})

    def _take_from(self, holder: Opened, wanted: frozenset[str]) -> None:
        entitled = self.signers(holder, Action.KEY_GRANT)
        if not entitled:
            raise KeyActRefused(KeyActFault.MAY_NOT_GRANT, holder.login)
        for signer in entitled:
            for kek in self.keks_of(signer):
                if kek.group in wanted and not self._has(kek):
                    self.grant(signer, kek, self._member.id)

    def _has(self, kek: Kek) -> bool:
        return any(
            (grant.group, grant.kek_no) == (kek.group, kek.number)
            for grant in self.directory.grants_of(self._member.id.bytes)
        )
