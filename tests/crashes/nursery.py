"""A process whose children do the real work of the service and are killed, one after the other.

    python -m tests.crashes.nursery KILLS SEED SECRETS

The settings are those of the environment; SECRETS holds as JSON the second factors, by login. It signs in once,
then forks for each kill: a child assembles the deployment, opens cases, renews their keys, prepares and approves
erasures in units of work of the service, and dies by SIGKILL after a random while. After each, both stores are
read. What was found wrong and what was done is printed as JSON.
"""

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import msgspec
import pyotp
from sqlalchemy import Connection, make_url, select

from casework import rules as rules_module
from casework.access import Access
from casework.act import Act, Circumstances, begin_act
from casework.app import create_app
from casework.cases.key_renewal import renew_keys
from casework.cases.schemas import KeyRenewal, NewCase
from casework.cases.service import create_case
from casework.cases.tables import case_file, case_group
from casework.clock import Clock
from casework.database import UnitOfWork
from casework.deployment import Deployment, assemble, dismantle
from casework.errors import Problem
from casework.identity import sessions
from casework.identity.sessions import SignedIn, Token
from casework.journal import JOURNAL
from casework.keyring import Directories
from casework.organisations.tables import organisation
from casework.rights.erasing import finish, finish_erasures
from casework.rights.schemas import Approval, NewRequest
from casework.rights.service import approve_erasure, prepare_erasure
from casework.rights.states import Basis, State
from casework.rights.tables import erasure
from casework.routing import decode_token
from casework.settings import from_environment
from casework.shreds import erased_mark, half_purpose, shred
from crypto.erasure import is_erased
from crypto.password import FLOOR_PARAMS
from crypto.pepper import FileKeyProvider
from policies.engine import Engine
from tests.casework import story
from tests.casework.administrator import Administrator
from tests.casework.centre import PASSWORD

T = TypeVar("T")
# A child is killed within so many acts, and so long after the last of them has begun.
MOST_ACTS, LONGEST_ACT_SECONDS = 6, 0.02
LOGINS = ("avec.social", "avec.supervisor", "avec.dpo")
_NEW = msgspec.json.encode(story.new_case("social"))


class Paused(Clock):
    """The machine's clock, that stops before the step-up of the sign-in is over."""

    def __init__(self) -> None:
        self._end = datetime.now(UTC) + timedelta(minutes=4)

    def now(self) -> datetime:
        return min(datetime.now(UTC), self._end)


def main(kills: int, seed: int, secrets: dict[str, str]) -> None:
    _load_policies_once()
    clock, random = Paused(), Random(seed)
    tokens, directories = asyncio.run(_sign_in(clock, secrets))
    wrong: list[str] = []
    for number in range(kills):
        _let_live(clock, tokens, directories, random)
        wrong += [f"after kill {number + 1}: {found}" for found in asyncio.run(_inspect())]
    told = asyncio.run(_tell())
    sys.stdout.write(json.dumps({"kills": kills, "wrong": wrong, **told}) + "\n")


def _load_policies_once() -> None:
    """A child has the policies of its parent: loading them would take longer than it lives."""
    loaded: dict[str, Engine] = {}
    load = Engine.of_text

    def known(slug: str, *rest: Any, **more: Any) -> Engine:
        if slug not in loaded:
            loaded[slug] = load(slug, *rest, **more)
        return loaded[slug]

    rules_module.Engine.of_text = known  # type: ignore[method-assign, assignment]


async def _sign_in(clock: Clock, secrets: dict[str, str]) -> tuple[dict[str, str], Directories]:
    """Tokens by login; and the verified directories, which a child inherits too."""
    deployment = await assemble(from_environment(), clock, FLOOR_PARAMS)
    app = create_app(deployment)
    tokens = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centre/api/v1") as http:
        for login in LOGINS:
            begun = await http.post("/sessions", json={"login": login, "password": PASSWORD})
            token = begun.json()["token"]
            headers = {"authorization": f"Bearer {token}"}
            code = pyotp.TOTP(secrets[login]).now()
            for path, body in (("second-factor", {"code": code}), ("step-up", {"password": PASSWORD})):
                given = await http.post(f"/sessions/current/{path}", json=body, headers=headers)
                assert given.is_success, given.text
            tokens[login] = token
    for token in tokens.values():
        await _act(deployment, token, lambda act: act.drop(JOURNAL))
    await dismantle(deployment)
    return tokens, deployment.directories


def _let_live(clock: Clock, tokens: dict[str, str], directories: Directories, random: Random) -> None:
    """Fork a child, let it begin some acts, and kill it in the midst of the last."""
    reading, writing = os.pipe()
    seed, acts = random.randrange(2**32), random.randint(1, MOST_ACTS)
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_work(clock, tokens, directories, Random(seed), writing))
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent
            traceback.print_exc()
        os._exit(1)
    os.close(writing)
    for _ in range(acts):
        # Nothing is read where it died by itself, which its status tells.
        os.read(reading, 1)
    time.sleep(random.uniform(0, LONGEST_ACT_SECONDS))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    assert os.WIFSIGNALED(status), f"a child ended by itself: {status}"


async def _work(
    clock: Clock, tokens: dict[str, str], directories: Directories, random: Random, acts: int
) -> None:
    deployment = await assemble(from_environment(), clock, FLOOR_PARAMS)
    deployment.directories = directories
    social, supervisor, dpo = (tokens[login] for login in LOGINS)
    # The first act of a connection is slow: its statements are not prepared yet.
    await _act(deployment, social, lambda act: act.drop(JOURNAL))
    os.write(acts, b".")
    await finish_erasures(deployment)
    while True:
        os.write(acts, b".")
        what = random.random()
        if what < 0.35:
            new = msgspec.json.decode(_NEW, type=NewCase)
            await _act(deployment, social, lambda act, new=new: create_case(act, new))
        elif what < 0.45:
            await _act(deployment, supervisor, lambda act: _renew_one(act, random))
        elif what < 0.55:
            await _act(deployment, social, lambda act: _read_one(act, random))
        elif what < 0.75:
            await _act(deployment, social, lambda act: _prepare_one(act, random))
        else:
            await _erase_one(deployment, dpo, random)


async def _act(deployment: Deployment, token: str, work: Callable[[Act], T]) -> T:
    """Run a service's function as this member's act, as a request does."""

    def unit_of_work(unit: UnitOfWork) -> T:
        session = sessions.find(unit, Token.of(deployment.pepper, decode_token(token)))
        assert isinstance(session, SignedIn)
        circumstances = Circumstances(
            request=uuid4(), source="00" * 32, purpose=None, address=b"", device=True
        )
        return work(begin_act(deployment, unit, session, circumstances))

    return await deployment.database.unit(unit_of_work)


def _renew_one(act: Act, random: Random) -> None:
    for case in _any_case(act, random):
        renew_keys(act, case, KeyRenewal("Une session a été volée."))


def _read_one(act: Act, random: Random) -> None:
    """What whoever renewed its keys could not open is renewed by it."""
    for case in _any_case(act, random):
        Access(act).open_case(case)


def _any_case(act: Act, random: Random) -> list[UUID]:
    query = select(case_file.c.id).where(case_file.c.org_id == act.org_id).order_by(case_file.c.id)
    cases = act.unit.connection.execute(query).scalars().all()
    return [random.choice(cases)] if cases else []


def _prepare_one(act: Act, random: Random) -> None:
    asked = select(erasure.c.case_id).where(erasure.c.case_id.is_not(None))
    free = select(case_file.c.id).where(case_file.c.org_id == act.org_id, case_file.c.id.not_in(asked))
    cases = act.unit.connection.execute(free.order_by(case_file.c.id)).scalars().all()
    if cases:
        prepare_erasure(act, NewRequest("erasure", random.choice(cases), Basis.OBJECTION, "Elle le demande."))


async def _erase_one(deployment: Deployment, token: str, random: Random) -> None:
    """As the route does it: the rows in one unit, the halves in the next."""

    def approve(act: Act) -> tuple[UUID, UUID] | None:
        prepared = select(erasure.c.id, erasure.c.case_id).where(
            erasure.c.org_id == act.org_id, erasure.c.state == State.PREPARED
        )
        requests = act.unit.connection.execute(prepared.order_by(erasure.c.id)).all()
        if not requests:
            return None
        chosen = random.choice(requests)
        approve_erasure(act, chosen.id, Approval(chosen.case_id, Basis.OBJECTION))
        return act.org_id, chosen.id

    with suppress(Problem):
        approved = await _act(deployment, token, approve)
        if approved is not None:
            await finish(deployment, *approved)


async def _inspect() -> list[str]:
    """What must never be, after whatever kill; the database is read before the store that commits before it."""
    main, store = _administrators()
    deks, cases, decided = await main.run(_read_database)
    orgs = await main.run(lambda connection: connection.execute(select(organisation.c.id)).scalars().all())
    halves, marks = await store.run(_read_store)
    peppers = FileKeyProvider(from_environment().pepper_file).peppers()
    owners = cases | {owner for owner, _ in halves}
    listed = {
        owner for owner in owners if any(is_erased(peppers, org.bytes, owner.bytes, marks) for org in orgs)
    }
    wrong = [f"a key without its half: {dek}" for dek in deks - halves]
    wrong += [f"an erased case is still there: {case}" for case in cases & (listed | decided)]
    wrong += [f"an erased case has a half: {owner}" for owner, _ in halves if owner in listed]
    return wrong


def _read_database(connection: Connection) -> tuple[set[tuple[UUID, str]], set[UUID], set[UUID]]:
    """(case, purpose) of the half of every key, every case, and every case whose erasure was decided."""
    gone = select(erasure.c.case_id).where(erasure.c.state.in_([State.ERASED, State.COMPLETE]))
    return (
        {
            (case, half_purpose(compartment, half))
            for case, compartment, half in connection.execute(
                select(case_group.c.case_id, case_group.c.compartment, case_group.c.half)
            )
        },
        set(connection.execute(select(case_file.c.id)).scalars()),
        set(connection.execute(gone.where(erasure.c.case_id.is_not(None))).scalars()),
    )


def _read_store(connection: Connection) -> tuple[set[tuple[UUID, str]], set[bytes]]:
    """(owner, purpose) of every half, and the marks of who is listed as erased."""
    return (
        set(connection.execute(select(shred.c.owner_id, shred.c.purpose)).tuples()),
        {bytes(mark) for mark in connection.execute(select(erased_mark.c.mark)).scalars()},
    )


async def _tell() -> dict[str, int]:
    """What was done in all, and what a kill left: requests half done, and halves of cases that never were."""
    main, store = _administrators()
    _, cases, _ = await main.run(_read_database)
    halves, _ = await store.run(_read_store)
    states = await main.run(lambda connection: connection.execute(select(erasure.c.state)).scalars().all())
    return {
        "cases": len(cases),
        "renewed": len({owner for owner, purpose in halves if "#" in purpose}),
        "complete": states.count(State.COMPLETE),
        "half_done": states.count(State.ERASED),
        "orphans": len({owner for owner, _ in halves} - cases),
    }


def _administrators() -> tuple[Administrator, Administrator]:
    settings = from_environment()
    owner = os.environ.get("CASEWORK_OWNER_URL")
    return Administrator(make_url(owner) if owner else settings.database_url), Administrator(
        settings.shred_url
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
