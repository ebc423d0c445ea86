"""How long the rotation of a compartment's KEK takes: every step of it, over the key rows of many cases."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, make_url

from casework.anchors import Anchors
from casework.cases.tables import assignment, case_file, case_group
from casework.clock import Clock
from casework.column_types import Sealed
from casework.columns import Column
from casework.deployment import assemble, dismantle
from casework.identity.members import NewAccount, Position, prepare_account
from casework.ids import new_id
from casework.journal import Journal
from casework.keyring import open_grants
from casework.organisations.founding import Ground, found, prepare_deployment
from casework.organisations.holders import verified_directory
from casework.organisations.key_acts import Credentials
from casework.organisations.rotation import Order, rotate
from casework.schema import migrate
from casework.settings import Settings
from casework.shreds import PSEUDONYM, ShredStore
from crypto.dek import NewDek, new_dek, new_dek_to_drop
from crypto.frame import seal_frame
from crypto.journal import new_pseudonym
from crypto.password import FLOOR_PARAMS
from crypto.pepper import create_pepper_file
from crypto.session import SessionKeys
from policies.engine import Engine
from policies.vocabulary import Group, Profession, Role, Status

SLUG = "avec"
CASES = 10_000
# Cases to one insert.
_AT_ONCE = 1_000


@dataclass(frozen=True)
class Measured:
    """Seconds for the whole rotation of one compartment, the holder's password included, and of how many cases."""

    seconds: float
    cases: int


@dataclass(frozen=True)
class Filler:
    """Who fills an organisation with cases of her own: what she does not hold is left at the drop key."""

    state_dir: Path
    org_id: UUID
    account: NewAccount

    def insert(self, connection: Connection, shreds: ShredStore, names: Sequence[str]) -> list[UUID]:
        """A case for each name, its identity sealed and the other groups empty; returns their ids."""
        made: list[UUID] = []
        for start in range(0, len(names), _AT_ONCE):
            made += self._insert(connection, shreds, names[start : start + _AT_ONCE])
        return made

    def _insert(self, connection: Connection, shreds: ShredStore, names: Sequence[str]) -> list[UUID]:
        (member,) = self.account.memberships
        directory = verified_directory(connection, Anchors(self.state_dir), self.org_id)
        keys = SessionKeys(self.org_id.bytes, member.id.bytes, member.daily_private, ())
        keks = {kek.group: kek for kek in open_grants(connection, directory, keys)}

        def dek(group: str, case: UUID) -> NewDek:
            if group in keks:
                return new_dek(keks[group], case.bytes)
            return new_dek_to_drop(directory.compartments[group].drop, case.bytes)

        now = datetime.now(UTC)
        cases, groups, assigned = [], [], []
        halves: dict[tuple[UUID, str], bytes] = {}
        for name in names:
            case, person = new_id(), new_pseudonym()
            halves[case, PSEUDONYM] = person.shred_part
            cases.append({"id": case, "pseudonym_part": person.mapping_part})
            assigned.append({"case_id": case})
            for group in Group:
                made, row = dek(group, case), new_id()
                halves[case, group] = made.shred_part
                values: dict[str, Any] = {"case_id": case, "compartment": group, "id": row, "frame": None}
                values |= {"dek": Sealed(made.row), "version": 0}
                if group is Group.IDENTITY:
                    place = Column.CASE_GROUP_FRAME.place(self.org_id, row, 1)
                    content = msgspec.json.encode({"name_in_use": name})
                    values |= {"frame": Sealed(seal_frame(made.key, place, content)), "version": 1}
                groups.append(values)
        shreds.add(self.org_id, halves)
        fixed = {"org_id": self.org_id, "status": Status.OPEN, "restricted": False, "version": 1}
        fixed |= {"created_at": now, "created_by": member.id, "last_contact_at": now}
        connection.execute(insert(case_file), [fixed | values for values in cases])
        of_group = {"org_id": self.org_id, "dek_generation": 1, "legal_name": None, "arrival": None}
        connection.execute(insert(case_group), [of_group | values for values in groups])
        of_member = {"org_id": self.org_id, "member_id": member.id, "since": now}
        connection.execute(insert(assignment), [of_member | values for values in assigned])
        return [case for case, purpose in halves if purpose == PSEUDONYM]


def measure(folder: Path, cases: int = CASES) -> Measured:
    """Found an organisation with so many cases in an empty folder, on SQLite, and rotate one compartment."""
    return asyncio.run(_measure(folder, cases))


async def _measure(folder: Path, cases: int) -> Measured:
    for name in ("data", "state"):
        (folder / name).mkdir()
    database = make_url(f"sqlite:///{folder / 'data' / 'casework.db'}")
    shreds = make_url(f"sqlite:///{folder / 'data' / 'shreds.db'}")
    settings = Settings(
        database_url=database,
        integrator_url=database,
        shred_url=shreds,
        data_dir=folder / "data",
        state_dir=folder / "state",
        pepper_file=folder / "pepper",
        managed_networks=(),
    )
    password = secrets.token_urlsafe()
    social = Position(Role.WORKER, frozenset({Profession.SOCIAL}))
    positions = {"avec.social": social, "avec.custodian": Position(Role.CUSTODIAN)}
    accounts = [
        prepare_account(login, password, [position], FLOOR_PARAMS) for login, position in positions.items()
    ]
    pepper = create_pepper_file(settings.pepper_file)
    store = ShredStore(shreds)
    await store.create()

    def build(connection: Connection) -> None:
        now = datetime.now(UTC)
        prepare_deployment(connection, settings.state_dir, "bench.example", is_demo=False, now=now)
        ground = Ground(connection, settings.state_dir, pepper, Journal("bench.example"), now)
        org_id = found(ground, SLUG, "AVEC", Engine.load(SLUG, [SLUG]), accounts).org_id
        names = [f"Personne {number}" for number in range(cases)]
        Filler(settings.state_dir, org_id, accounts[0]).insert(connection, store, names)

    await migrate(database)
    await migrate(database, build)
    await store.dispose()
    deployment = await assemble(settings, Clock(), FLOOR_PARAMS)
    holder, custodian = (Credentials(login, password) for login in positions)
    started = time.perf_counter()
    rotated = await rotate(deployment, SLUG, [holder], Order(custodian, (Group.IDENTITY,)))
    seconds = time.perf_counter() - started
    assert rotated.keks == (Group.IDENTITY,)
    await dismantle(deployment)
    return Measured(seconds, cases)
