"""Joining: a custodian signs a new member in, and hands her a secret with which she makes keys of her own.

She is granted nothing here: whoever grants hears eight words first (`casework.organisations.renewing`).
"""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity import renewals
from casework.identity.members import NewAccount, login_is_taken, store_account
from casework.identity.renewals import Kind
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActFault,
    KeyActRefused,
    Opened,
    open_account,
    record_refusal,
)
from crypto.secret import Secret
from policies.grants import granted_groups


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it: the secret that is handed over in person, and the compartments that wait for a holder."""

    member_id: UUID
    secret: Secret = field(repr=False)
    waiting: tuple[str, ...]


async def join(
    deployment: Deployment,
    slug: str,
    new: NewAccount,
    custodian: Credentials,
) -> Joined:
    """Add a member with one membership to the organisation `slug`. Blocks for an Argon2id stretch a password.

    Raises:
        KeyActRefused: somebody who signs is unknown, mistyped her password or may not; the login is taken;
            another change of the directory came first. It is journaled as a denial.
        DirectoryRefused, GrantRefused: the database is not what the directory certifies.

    """
    org_id = next(found for found, known in deployment.slugs.items() if known == slug)
    try:
        signer = await open_account(deployment, org_id, custodian)
        joined = await deployment.database.unit(
            lambda unit: _Joining(deployment, unit, org_id, new).run(signer)
        )
    except (KeyActRefused, IntegrityError) as error:
        raise await record_refusal(deployment, org_id, "member.add", error, new.login) from None
    return joined


class _Joining(KeyAct):
    """One joining."""

    def __init__(self, deployment: Deployment, unit: UnitOfWork, org_id: UUID, new: NewAccount) -> None:
        super().__init__(deployment, unit, org_id)
        self._new = new
        (self._member,) = new.memberships

    def run(self, custodian: Opened) -> Joined:
        if login_is_taken(self.unit.connection, self._new.login):
            raise KeyActRefused(KeyActFault.LOGIN_TAKEN, self._new.login)
        self.unit.enter_organisation(self.org_id)
        certifier = self._certify(custodian)
        position = self._member.position
        wanted = granted_groups(self.engine, position.role, position.professions)
        store_account(
            self.unit.connection,
            self.deployment.pepper,
            self.org_id,
            self._new,
            self.directory.floor,
            self.unit.now,
        )
        invited = renewals.begin(
            self.unit, self.deployment.pepper, self.org_id, self._new.id, Kind.RESET, certifier
        )
        return Joined(self._member.id, invited.secret, tuple(sorted(wanted)))

    def _certify(self, custodian: Opened) -> UUID:
        signer = self.custodian(custodian)
        self.append(self._member.body, signer)
        position = self._member.position
        about = {"role": position.role, "professions": sorted(position.professions)}
        self.record("member.add", signer, {"member": str(self._member.id), **about})
        return signer.member.id
