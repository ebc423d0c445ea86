"""Rotation: a compartment's new KEK and drop key, while the service goes on serving with both.

Each step is a unit of work of its own, and what was done stands in the signed directory and in the rows
themselves: after a kill at any point the same command goes on where it was. A holder carries it out; what is not
due by itself, a custodian orders. The steps of one compartment:

1. the new KEK and drop key are certified; the KEK is sealed to every holder who stays, and to recovery;
2. key rows (and wrapped drop keys) move to it, in batches;
3. once nothing is under the old KEK, its end is certified, and its grants and its recovery copy are destroyed.

Sessions that are open meet a number that they do not hold, and open the grant (`casework.keyring`). From step 1 on
nobody wraps under the old KEK: whoever makes a key holds the lock that step 1 waits for.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity.members import accounts_of_members
from casework.organisations.due import RENEWS_THE_KEK, Due, Reason, find_due, with_order
from casework.organisations.holders import is_entitled
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActFault,
    KeyActRefused,
    Opened,
    Signer,
    open_account,
    record_refusal,
)
from casework.organisations.tables import drop_key, kek_recovery, key_grant, relation_key
from casework.rewrapping import (
    Batch,
    CompartmentKeys,
    count_stale,
    count_under,
    drop_key_is_needed,
    rewrap_batch,
)
from crypto.directory import Directory
from crypto.directory_entries import CompartmentBody, KekRetiredBody
from crypto.drop import DropPrivate, new_drop_key, unwrap_drop_private, wrap_drop_private
from crypto.kek import Kek, new_kek
from crypto.recovery import seal_kek_to_recovery
from crypto.relation import unwrap_relation_key, wrap_relation_key, wrapping_number
from policies.engine import Engine
from policies.grants import INDEX
from policies.vocabulary import Action

# By then every process has long learnt the newer key (`casework.upkeep`), and nobody seals to the older one.
REPLACED_FOR = timedelta(days=1)

Advance = Callable[[int, int], None]
"""Told how many of a compartment's key rows were moved, of how many."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The compartments whose KEK, or whose drop key alone, was renewed; the (compartment, number) of the drop keys
    that were destroyed; and what is still due for want of a holder who can do it.
    """

    keks: tuple[str, ...]
    drops: tuple[str, ...]
    destroyed: tuple[tuple[str, int], ...]
    waiting: tuple[Due, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A custodian's order to renew the keys of compartments that are not due by themselves."""

    custodian: Credentials
    compartments: tuple[str, ...]


def ignore_progress(_moved: int, _of: int) -> None:
    """For a rotation that nobody watches."""


async def rotate(
    deployment: Deployment,
    slug: str,
    holders: Sequence[Credentials],
    by_order: Order | None = None,
    advance: Advance = ignore_progress,
) -> Rotated:
    """Renew what is due in the organisation `slug`, and what is ordered, as far as these holders can.

    Blocks for an Argon2id stretch a password. May be ended at any point and run again.

    Raises:
        KeyActRefused: somebody who signs is unknown, mistyped her password or may not, or a key row does not open.
            What was done before stays done; the refusal is journaled.
        DirectoryRefused, GrantRefused, SealBroken: the database is not what the directory certifies.

    """
    org_id = next(found for found, known in deployment.slugs.items() if known == slug)
    try:
        opened = [await open_account(deployment, org_id, holder) for holder in holders]
        ordered: tuple[str, ...] = ()
        if by_order is not None:
            custodian = await open_account(deployment, org_id, by_order.custodian)
            await deployment.database.unit(partial(_record_order, deployment, org_id, custodian, by_order))
            ordered = by_order.compartments
        return await _carry_out(_Rotation(deployment, org_id, opened), ordered, advance)
    except (KeyActRefused, IntegrityError) as error:
        login = holders[0].login if holders else slug
        raise await record_refusal(deployment, org_id, "key.rotate", error, login) from None


async def _carry_out(rotation: "_Rotation", ordered: Collection[str], advance: Advance) -> Rotated:
    await rotation.require_holders()
    keks, drops, waiting = [], [], []
    for due in await rotation.due(ordered):
        if not await rotation.renew(due, advance):
            waiting.append(due)
        elif due.reason is Reason.DROP_KEY:
            drops.append(due.compartment)
        else:
            keks.append(due.compartment)
    destroyed = await rotation.destroy_drop_keys()
    return Rotated(tuple(keks), tuple(drops), destroyed, tuple(waiting))


class _Rotation:
    """The steps, each in a unit of its own."""

    def __init__(self, deployment: Deployment, org_id: UUID, holders: Sequence[Opened]) -> None:
        self._deployment = deployment
        self._database = deployment.database
        self._org_id = org_id
        self._holders = holders

    async def require_holders(self) -> None:
        def require(unit: UnitOfWork) -> None:
            act = KeyAct(self._deployment, unit, self._org_id, alone=False)
            for holder in self._holders:
                if not act.signers(holder, Action.KEY_GRANT):
                    raise KeyActRefused(KeyActFault.MAY_NOT_GRANT, holder.login)

        await self._database.unit(require)

    async def due(self, ordered: Collection[str]) -> tuple[Due, ...]:
        """Read outside the units that write: what the policies derive takes seconds to find out."""

        def read(unit: UnitOfWork) -> tuple[Directory, Engine]:
            return self._read(unit), self._deployment.engine(unit, self._org_id)

        now = self._deployment.clock.now()
        directory, engine = await self._database.unit(read)

        def find(connection: Connection) -> tuple[Due, ...]:
            found = find_due(connection, directory, engine, self._org_id, now)
            return with_order(found, directory, ordered)

        return await self._database.snapshot(find, self._org_id)

    async def renew(self, due: Due, advance: Advance) -> bool:
        """Take the steps of one compartment; False where none of the holders can."""
        begin = self._begin if due.reason in RENEWS_THE_KEK else self._renew_drop_key
        if not await self._database.unit(partial(begin, due=due)):
            return False
        compartment, moved, after = due.compartment, 0, None
        older = (await self._database.unit(self._read)).retiring(compartment)
        of = await self._database.snapshot(
            lambda connection: count_stale(connection, self._org_id, compartment, older), self._org_id
        )
        while True:
            batch = await self._database.unit(partial(self._rewrap, compartment=compartment, after=after))
            if batch.last is None:
                break
            moved, after = moved + batch.moved, batch.last
            advance(moved, of)
        await self._database.unit(partial(self._retire, compartment=compartment))
        return True

    async def destroy_drop_keys(self) -> tuple[tuple[str, int], ...]:
        """Destroy the private halves that were replaced a day ago and that nothing is sealed to any more."""
        unneeded = await self._database.snapshot(self._find_unneeded, self._org_id)
        destroyed = []
        for compartment, number in unneeded:
            if await self._database.unit(partial(self._destroy, compartment=compartment, number=number)):
                destroyed.append((compartment, number))
        return tuple(destroyed)

    def _begin(self, unit: UnitOfWork, due: Due) -> bool:
        act = KeyAct(self._deployment, unit, self._org_id)
        signer = self._signer(act, due.compartment)
        if signer is None:
            return False
        current = act.directory.compartments[due.compartment]
        if current.kek_no != due.kek_no:
            # Somebody else began it since.
            return True
        stay = _holders_who_stay(act, due.compartment, first=signer.member.id)
        kek = new_kek(self._org_id.bytes, due.compartment, current.kek_no + 1)
        drop = new_drop_key(self._org_id.bytes, due.compartment, current.drop.number + 1)
        _certify(act, signer, kek, drop)
        unit.connection.execute(
            insert(kek_recovery).values(
                org_id=self._org_id,
                compartment=kek.group,
                kek_no=kek.number,
                sealed=Sealed(seal_kek_to_recovery(act.directory, kek)),
            )
        )
        for member in stay:
            act.grant(signer, kek, member)
        detail = {"compartment": kek.group, "kek_no": kek.number, "reason": due.reason}
        act.record("key.rotate", signer, detail, count=len(stay))
        return True

    def _renew_drop_key(self, unit: UnitOfWork, due: Due) -> bool:
        act = KeyAct(self._deployment, unit, self._org_id)
        signer = self._signer(act, due.compartment)
        if signer is None:
            return False
        current = act.directory.compartments[due.compartment]
        if due.reason is not Reason.DROP_KEY or current.drop.number != due.drop_no:
            return True
        kek = _keks(act, signer, due.compartment)[current.kek_no]
        drop = new_drop_key(self._org_id.bytes, due.compartment, current.drop.number + 1)
        _certify(act, signer, kek, drop)
        act.record("key.drop_rotate", signer, {"compartment": kek.group, "drop_no": drop.public.number})
        return True

    def _read(self, unit: UnitOfWork) -> Directory:
        unit.enter_organisation(self._org_id)
        return self._deployment.directories.fresh(unit, self._org_id)

    def _rewrap(self, unit: UnitOfWork, compartment: str, after: UUID | None) -> Batch:
        # Beside whoever uses the keys: both are live, and no row goes back to the older one.
        act = KeyAct(self._deployment, unit, self._org_id, alone=False)
        signer = self._require_signer(act, compartment)
        keks = _keks(act, signer, compartment)
        current = keks.pop(act.directory.compartments[compartment].kek_no)
        drops = _move_drop_keys(unit.connection, current, keks)
        if compartment == INDEX:
            _move_relation_key(unit.connection, current, keks)
        batch = rewrap_batch(unit.connection, CompartmentKeys(self._org_id, current, keks, drops), after)
        if batch.moved:
            act.record("key.rewrap", signer, {"compartment": compartment}, count=batch.moved)
        return batch

    def _retire(self, unit: UnitOfWork, compartment: str) -> None:
        act = KeyAct(self._deployment, unit, self._org_id)
        older = act.directory.retiring(compartment)
        if not older:
            return
        signer = self._require_signer(act, compartment)
        if count_under(unit.connection, self._org_id, compartment, older):
            # Only its key can tell what a damaged row was: it is kept.
            raise KeyActRefused(KeyActFault.ROWS_DAMAGED, self._holders[0].login)
        for number in older:
            act.append(KekRetiredBody(compartment, number), signer)
        for table in (key_grant, kek_recovery):
            unit.connection.execute(
                delete(table).where(
                    table.c.org_id == self._org_id,
                    table.c.compartment == compartment,
                    table.c.kek_no.in_(older),
                )
            )
        act.record("key.retire", signer, {"compartment": compartment, "kek_nos": list(older)})

    def _find_unneeded(self, connection: Connection) -> list[tuple[str, int]]:
        query = select(drop_key.c.compartment, drop_key.c.number, drop_key.c.made_at)
        rows = connection.execute(query.where(drop_key.c.org_id == self._org_id)).all()
        made = {(row.compartment, row.number): row.made_at for row in rows}
        replaced_by = self._deployment.clock.now() - REPLACED_FOR
        return [
            (compartment, number)
            for compartment, number in sorted(made)
            if (compartment, number + 1) in made
            and made[compartment, number + 1] <= replaced_by
            and not drop_key_is_needed(connection, self._org_id, compartment, number)
        ]

    def _destroy(self, unit: UnitOfWork, compartment: str, number: int) -> bool:
        act = KeyAct(self._deployment, unit, self._org_id)
        signer = self._signer(act, compartment)
        if signer is None:
            return False
        unit.connection.execute(
            delete(drop_key).where(
                drop_key.c.org_id == self._org_id,
                drop_key.c.compartment == compartment,
                drop_key.c.number == number,
            )
        )
        act.record("key.drop_destroy", signer, {"compartment": compartment, "drop_no": number})
        return True

    def _signer(self, act: KeyAct, compartment: str) -> Signer | None:
        """The first membership of the holders that has every live KEK of the compartment and is entitled to it."""
        live = {act.directory.compartments[compartment].kek_no, *act.directory.retiring(compartment)}
        for holder in self._holders:
            for signer in act.signers(holder, Action.KEY_GRANT):
                member = signer.member.id.bytes
                grants = act.directory.grants_of(member)
                held = {grant.kek_no for grant in grants if grant.group == compartment}
                if live <= held and is_entitled(act.directory, act.engine, member, compartment):
                    return signer
        return None

    def _require_signer(self, act: KeyAct, compartment: str) -> Signer:
        signer = self._signer(act, compartment)
        if signer is None:
            raise KeyActRefused(KeyActFault.MAY_NOT_GRANT, self._holders[0].login)
        return signer


def _record_order(
    deployment: Deployment, org_id: UUID, custodian: Opened, order: Order, unit: UnitOfWork
) -> None:
    act = KeyAct(deployment, unit, org_id, alone=False)
    for signer in act.signers(custodian, Action.KEY_ROTATE):
        act.record("key.order", signer, {"compartments": sorted(order.compartments)})
        return
    raise KeyActRefused(KeyActFault.MAY_NOT_ORDER, custodian.login)


def _holders_who_stay(act: KeyAct, compartment: str, *, first: UUID) -> list[UUID]:
    """The active memberships that hold the current KEK and are still entitled to it; who makes the next one first.

    Who waits for a first grant goes on waiting: her keys were compared with nobody's yet.
    """
    active = accounts_of_members(act.unit.connection, act.org_id)
    stay = [
        UUID(bytes=member)
        for member in act.directory.members
        if UUID(bytes=member) in active
        and act.directory.holds(member, compartment)
        and is_entitled(act.directory, act.engine, member, compartment)
    ]
    return sorted(stay, key=lambda member: member != first)


def _certify(act: KeyAct, signer: Signer, kek: Kek, drop: DropPrivate) -> None:
    public = drop.public
    act.append(CompartmentBody(kek.group, kek.number, kek.kid, public.number, public.public), signer)
    act.unit.connection.execute(
        insert(drop_key).values(
            org_id=act.org_id,
            compartment=kek.group,
            number=public.number,
            kek_no=kek.number,
            public=public.public,
            private=Sealed(wrap_drop_private(kek, drop)),
            made_at=act.unit.now,
        )
    )


def _keks(act: KeyAct, signer: Signer, compartment: str) -> dict[int, Kek]:
    return {kek.number: kek for kek in act.keks_of(signer) if kek.group == compartment}


def _move_drop_keys(connection: Connection, current: Kek, older: Mapping[int, Kek]) -> dict[int, DropPrivate]:
    """Every private drop key of the compartment; one that is wrapped under an older KEK is wrapped anew."""
    this = (drop_key.c.org_id == UUID(bytes=current.org), drop_key.c.compartment == current.group)
    opened = {}
    for row in connection.execute(select(drop_key).where(*this)).all():
        kek = older.get(row.kek_no, current)
        drop = unwrap_drop_private(kek, row.number, bytes(row.public), row.private.blob)
        opened[row.number] = drop
        if kek is not current:
            connection.execute(
                update(drop_key)
                .where(*this, drop_key.c.number == row.number)
                .values(kek_no=current.number, private=Sealed(wrap_drop_private(current, drop)))
            )
    return opened


def _move_relation_key(connection: Connection, current: Kek, older: Mapping[int, Kek]) -> None:
    """Wrap the key of relation tokens anew, where it is under an older KEK: the tokens stay as they are."""
    this = relation_key.c.org_id == UUID(bytes=current.org)
    wrapped = connection.execute(select(relation_key.c.wrapped).where(this)).scalar_one_or_none()
    kek = older.get(wrapping_number(wrapped.blob)) if wrapped is not None else None
    if wrapped is not None and kek is not None:
        anew = Sealed(wrap_relation_key(current, unwrap_relation_key(kek, wrapped.blob)))
        connection.execute(update(relation_key).where(this).values(wrapped=anew))
