"""The memory of what was done under a client's Idempotency-Key: kept 24 hours, never a body."""

import re
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, insert, select, update

from casework.errors import bad_field
from casework.identity.tables import idempotency

if TYPE_CHECKING:
    from casework.act import Act

KEPT = timedelta(hours=24)
_LABEL = b"csm/idempotency/v1"
_FORM = re.compile(r"[!-~]{1,100}")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a key: by a member, at a route, with a body known by its keyed HMAC."""

    route: str
    key: str
    body_mac: bytes

    @classmethod
    def of(cls, act: "Act", method: str, path: str, key: str, body: bytes) -> "Use":
        """Raises BadInput for a key that is not 1 to 100 printable ASCII characters."""
        if _FORM.fullmatch(key) is None:
            raise bad_field("Idempotency-Key", "malformed")
        mac = act.deployment.pepper.hmac(_LABEL, path.encode(), body)
        return cls(f"{method} {_template(path)}", key, mac)


def find(act: "Act", use: Use) -> UUID | None:
    """The resource that this very request made before, or None.

    Raises:
        BadInput: the key was used with another body or on another resource.

    """
    connection, this = act.unit.connection, _this(act, use)
    connection.execute(delete(idempotency).where(this, idempotency.c.created_at < act.unit.now - KEPT))
    row = connection.execute(
        select(idempotency.c.body_mac, idempotency.c.resource_id).where(this)
    ).one_or_none()
    if row is None:
        return None
    if not compare_digest(bytes(row.body_mac), use.body_mac):
        raise bad_field("Idempotency-Key", "used_with_another_body")
    resource: UUID = row.resource_id
    return resource


def claim(act: "Act", use: Use) -> None:
    """Take the key before the work: of two requests at once, one waits here and then finds it taken."""
    act.unit.connection.execute(
        insert(idempotency).values(
            org_id=act.org_id,
            member_id=act.member_id,
            route=use.route,
            key=use.key,
            body_mac=use.body_mac,
            status=0,
            created_at=act.unit.now,
        )
    )


def settle(act: "Act", use: Use, resource: UUID, status: int) -> None:
    act.unit.connection.execute(
        update(idempotency).where(_this(act, use)).values(resource_id=resource, status=status)
    )


def _this(act: "Act", use: Use) -> ColumnElement[bool]:
    return and_(
        idempotency.c.org_id == act.org_id,
        idempotency.c.member_id == act.member_id,
        idempotency.c.route == use.route,
        idempotency.c.key == use.key,
    )


def _template(path: str) -> str:
    """The path without its ids: a route's name, short enough to store, that names no resource."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{id}", path)[:70]
