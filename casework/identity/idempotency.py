"""The memory of what was done under a client's Idempotency-Key: kept 24 hours, neither the key nor a body."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Integer,
    LargeBinary,
    String,
    and_,
    bindparam,
    delete,
    select,
    text,
    tuple_,
    update,
)

from casework.column_types import Id, Moment
from casework.database import UnitOfWork
from casework.errors import bad_field
from casework.identity.tables import idempotency
from casework.statements import HotStatement

if TYPE_CHECKING:
    from casework.act import Act

KEPT = timedelta(hours=24)
# How many rows one sweep deletes at most.
SWEPT = 500
_LABEL = b"csm/idempotency/v1"
_KEY_LABEL = b"csm/idempotency-key/v1"
_FORM = re.compile(r"[!-~]{1,100}")

_THIS = and_(
    idempotency.c.org_id == bindparam("org", type_=Id),
    idempotency.c.member_id == bindparam("member", type_=Id),
    idempotency.c.route == bindparam("used_at", type_=String),
    idempotency.c.key == bindparam("used_key", type_=String),
)
# In words, for Core has no such insert that both engines compile.
_CLAIM = HotStatement(
    text(
        "INSERT INTO idempotency (org_id, member_id, route, key, body_mac, status, created_at) "
        "VALUES (:org, :member, :used_at, :used_key, :mac, 0, :now) ON CONFLICT DO NOTHING RETURNING status"
    )
    .bindparams(
        bindparam("org", type_=Id),
        bindparam("member", type_=Id),
        bindparam("used_at", type_=String),
        bindparam("used_key", type_=String),
        bindparam("mac", type_=LargeBinary),
        bindparam("now", type_=Moment),
    )
    .columns(idempotency.c.status)
)
_FIND = HotStatement(
    select(idempotency.c.body_mac, idempotency.c.resource_id, idempotency.c.created_at).where(_THIS)
)
_FORGET = delete(idempotency).where(_THIS)
_SETTLE = HotStatement(
    update(idempotency)
    .where(_THIS)
    .values(resource_id=bindparam("resource", type_=Id), status=bindparam("answered", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a key: by a member, at a route; key and body (with `If-Match`) are known by their keyed HMACs.

    A client may derive its key from what it sends: the key itself would let a thief of the database try guesses.
    """

    route: str
    key: str
    body_mac: bytes

    @classmethod
    def of(cls, act: "Act", method: str, path: str, key: str, body: bytes) -> "Use":
        """Raises BadInput for a key that is not 1 to 100 printable ASCII characters."""
        if _FORM.fullmatch(key) is None:
            raise bad_field("Idempotency-Key", "malformed")
        pepper = act.deployment.pepper
        mac = pepper.hmac(_LABEL, path.encode(), body)
        return cls(f"{method} {_template(path)}", pepper.hmac(_KEY_LABEL, key.encode()).hex(), mac)


def claim(act: "Act", use: Use) -> UUID | None:
    """Take the key before the work; or return the resource that this very request made before.

    Of two requests at once, one waits here until the other is committed, and then finds what it made.

    Raises:
        BadInput: the key was used with another body or on another resource.

    """
    connection, values = act.unit.connection, _values(act, use)
    if _CLAIM.row(connection, values) is not None:
        return None
    row = _FIND.row(connection, values)
    if row is None or row.created_at < act.unit.now - KEPT:
        connection.execute(_FORGET, values)
        return claim(act, use)
    if not compare_digest(bytes(row.body_mac), use.body_mac):
        raise bad_field("Idempotency-Key", "used_with_another_body")
    resource: UUID = row.resource_id
    return resource


def settle(act: "Act", use: Use, resource: UUID, status: int) -> None:
    """Remember what the request made."""
    _SETTLE.run(act.unit.connection, {**_values(act, use), "resource": resource, "answered": status})


def release(act: "Act", use: Use) -> None:
    """Give the key back: nothing was made under it."""
    act.unit.connection.execute(_FORGET, _values(act, use))


def _values(act: "Act", use: Use) -> dict[str, Any]:
    return {
        "org": act.org_id,
        "member": act.member_id,
        "used_at": use.route,
        "used_key": use.key,
        "mac": use.body_mac,
        "now": act.unit.now,
    }


def forget(connection: Connection, org_id: UUID, resources: Collection[UUID]) -> None:
    """Delete what is remembered of requests that made or moved these resources."""
    connection.execute(
        delete(idempotency).where(idempotency.c.org_id == org_id, idempotency.c.resource_id.in_(resources))
    )


def forget_old(unit: UnitOfWork, org_id: UUID) -> None:
    """Delete an organisation's memory of requests that is older than a day, a batch of it."""
    unit.enter_organisation(org_id)
    key = tuple_(idempotency.c.org_id, idempotency.c.member_id, idempotency.c.route, idempotency.c.key)
    old = (
        select(*key.clauses)
        .where(idempotency.c.org_id == org_id, idempotency.c.created_at < unit.now - KEPT)
        .limit(SWEPT)
    )
    unit.connection.execute(delete(idempotency).where(key.in_(old)))


def _template(path: str) -> str:
    """The path without its ids: a route's name, short enough to store, that names no resource."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{id}", path)[:70]
