"""The oldest algorithm that an organisation's case keys may have: signed into its directory, only ever raised."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, LargeBinary, func, select, type_coerce
from sqlalchemy.exc import IntegrityError

from casework.cases.tables import case_group
from casework.deployment import Deployment
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActRefused,
    Opened,
    open_account,
    record_refusal,
)
from crypto.algorithms import CaseMinimum
from crypto.directory_entries import MinimumBody

ACTION = "key.minimum"


class MinimumFault(StrEnum):
    """Why a minimum was not raised."""

    NOT_HIGHER = "not_higher"
    OLDER_KEYS = "older_keys"


class MinimumRefused(Exception):
    """Nothing was written. `count` is how many keys of cases are older than what was to be accepted."""

    def __init__(self, fault: MinimumFault, count: int = 0) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.count = count


async def raise_minimum(
    deployment: Deployment, org_id: UUID, custodian: Credentials, wanted: CaseMinimum
) -> None:
    """Have the custodian sign a higher minimum. Blocks for an Argon2id stretch of her password.

    Raises:
        KeyActRefused: she is unknown, mistyped her password or may not; another change came first. It is journaled.
        MinimumRefused: it is not higher, or case keys that are older stand yet, which nobody could open any more.

    """
    try:
        opened = await open_account(deployment, org_id, custodian)
        await deployment.database.unit(lambda unit: _raise(KeyAct(deployment, unit, org_id), opened, wanted))
    except (KeyActRefused, IntegrityError) as error:
        raise await record_refusal(deployment, org_id, ACTION, error, custodian.login) from None


def _raise(act: KeyAct, opened: Opened, wanted: CaseMinimum) -> None:
    signer = act.custodian(opened)
    now = act.directory.case_minimum
    if wanted == now or wanted.made < now.made or wanted.accepted < now.accepted:
        raise MinimumRefused(MinimumFault.NOT_HIGHER)
    older = count_older_keys(act.unit.connection, act.org_id, wanted)
    if older:
        raise MinimumRefused(MinimumFault.OLDER_KEYS, older)
    act.append(MinimumBody(wanted.made, wanted.accepted), signer)
    act.record(ACTION, signer, {"made": int(wanted.made), "accepted": int(wanted.accepted)})


def count_older_keys(connection: Connection, org_id: UUID, wanted: CaseMinimum) -> int:
    """How many case keys of an organisation are under an algorithm that `wanted` would not open."""
    # The second byte of a key row, dropped or not, is the number of its algorithm.
    algorithm = type_coerce(func.substr(type_coerce(case_group.c.dek, LargeBinary), 2, 1), LargeBinary)
    query = select(func.count()).where(case_group.c.org_id == org_id, algorithm < bytes([wanted.accepted]))
    return int(connection.execute(query).scalar_one())
