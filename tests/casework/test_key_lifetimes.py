"""Keys live as long as the request: after its answer nothing that can be reached from the service holds one."""

import asyncio
import gc
from collections.abc import Iterator
from itertools import compress, repeat
from operator import is_
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import Connection, update

from casework.act import Act
from casework.cases.tables import case_group
from casework.column_types import Sealed
from casework.identity.schemas import Credentials, PasswordAgain
from casework.identity.sessions import PendingSession, SignedIn, Token
from casework.keyring import Keyring
from crypto.dek import CaseKey, NewDek
from crypto.drop import DropPrivate
from crypto.kek import Kek
from crypto.opener import FrameReader
from crypto.password import PasswordKeys
from crypto.secret import Secret
from crypto.session import SessionKeys
from crypto.signing import SigningKey
from tests.casework.centre import PASSWORD, Centre, Client, stretched_once
from tests.casework.story import follow_up, open_case

KINDS = {
    Secret,
    Kek,
    CaseKey,
    NewDek,
    DropPrivate,
    FrameReader,
    PasswordKeys,
    SessionKeys,
    SigningKey,
    Keyring,
    Act,
    SignedIn,
    PendingSession,
    Token,
    Credentials,
    PasswordAgain,
}
T = TypeVar("T")
ROUNDS = 20
WRONG = "never the password of anybody"


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def key_objects() -> list[object]:
    """Those that came since the collector's last freeze."""
    return [found for found in gc.get_objects() if type(found) in KINDS]


def holders_of(*texts: str) -> list[object]:
    """What holds a text equal to one of these that is not the tests' own constant."""
    own = {id(text) for text in texts}
    holders = gc.get_objects()
    # The collector does not follow a dictionary of texts alone.
    holders += [one for one in _of_type(dict, gc.get_referents(*holders)) if not gc.is_tracked(one)]

    def is_copy(held: object) -> bool:
        return type(held) is str and held in texts and id(held) not in own

    # All at once first: a process has millions of objects.
    if not any(map(is_copy, _of_type(str, gc.get_referents(*holders)))):
        return []
    return [holder for holder in holders if any(map(is_copy, gc.get_referents(holder)))]


def _of_type(kind: type[T], objects: list[Any]) -> Iterator[T]:
    """Those of exactly this type, with hardly a step in Python."""
    return compress(objects, map(is_, map(type, objects), repeat(kind)))


class Since:
    """What was there before, the tests themselves hold: the prepared accounts, the deployment's pepper.

    The collector is told to pass it over (`gc.freeze`), so that only what came since is looked through for keys.
    """

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()

    async def assert_nothing_stayed(self, of: str) -> None:
        left = list[object]()
        # A thread that has just answered may still be on its way back to its queue.
        for _ in range(ROUNDS):
            await asyncio.sleep(0.01)
            gc.collect()
            left = key_objects()
            if not left:
                break
        assert [type(found).__name__ for found in left] == [], (of, [_path(found) for found in left[:2]])

    async def assert_no_password_stayed(self, of: str) -> None:
        """Nor a key; and what was there before is looked through as well: it may hold a text that came since."""
        await self.assert_nothing_stayed(of)
        # The tests' own: what it remembers it does by the passwords.
        stretched_once.cache_clear()
        gc.unfreeze()
        assert [type(holder).__name__ for holder in holders_of(PASSWORD, WRONG)] == [], of
        gc.freeze()


def _path(found: object) -> list[str]:
    """Some of what leads to a leftover, for whoever has to mend it."""
    path: list[str] = []
    seen = {id(path)}
    for _ in range(6):
        referrers = [
            one for one in gc.get_referrers(found) if id(one) not in seen and type(one).__name__ != "frame"
        ] or gc.get_referrers(found)
        if not referrers:
            break
        found = referrers[0]
        seen.add(id(found))
        path.append(f"{type(found).__module__}.{type(found).__qualname__}"[:60])
    return path


async def _damage(centre: Centre, case: str) -> None:
    def alter(connection: Connection) -> None:
        connection.execute(
            update(case_group)
            .where(case_group.c.case_id == UUID(case), case_group.c.compartment == "identity")
            .values(frame=Sealed(b"\1\1\0\0\0\1" + bytes(80)))
        )

    await centre.dba(alter)


async def test_nothing_holds_a_key_or_a_password_once_it_was_answered(centre: Centre) -> None:
    """A success, a refusal, an error and a step-up; and each kind of sign-in."""
    social = await centre.sign_in("avec.social")
    reception = await centre.sign_in("avec.reception")
    case = await open_case(social, "contact", "social")
    damaged = await open_case(social)
    await _damage(centre, damaged)
    since = Since()

    await social.get(f"/cases/{case}")
    await social.post(f"/cases/{case}/follow-ups", follow_up("accompagnement_social", "social"))
    await social.get("/cases")
    await social.post("/search", {"name": "Quelqu’un"}, 200)
    await since.assert_no_password_stayed("success")

    await reception.refused("POST", f"/cases/{case}/closure", 403, "forbidden", json={"reason": "Parce que."})
    await social.refused("GET", f"/cases/{case[:-4]}0000", 404, "not_found")
    await since.assert_nothing_stayed("refusal")

    await social.refused("GET", f"/cases/{damaged}", 500, "sealed_data_damaged")
    await since.assert_nothing_stayed("error")

    await _step_up(social, PASSWORD, 204)
    await social.get("/me")
    await _step_up(social, WRONG, 401)
    await since.assert_no_password_stayed("step-up")

    await centre.token("avec.supervisor")
    refused = await centre.http.post("/api/v1/sessions", json={"login": "avec.social", "password": WRONG})
    assert refused.status_code == 401
    unknown = await centre.http.post("/api/v1/sessions", json={"login": "nobody", "password": WRONG})
    assert unknown.status_code == 401
    await since.assert_no_password_stayed("sign-in")


async def _step_up(client: Client, password: str, status: int) -> None:
    answer: Any = await client.request(
        "POST", "/sessions/current/step-up", status, json={"password": password}
    )
    del answer


async def test_a_key_that_stays_would_be_found(centre: Centre) -> None:
    """The walk itself: one session's keys kept by the application are seen."""
    social = await centre.sign_in("avec.social")
    since = Since()
    kept = await centre.act(social, lambda act: act.session.keys)
    centre.app.state.kept = kept
    del kept
    with pytest.raises(AssertionError, match="SessionKeys"):
        await since.assert_nothing_stayed("kept")
    del centre.app.state.kept


async def test_a_password_that_stays_would_be_found(centre: Centre) -> None:
    since = Since()
    centre.app.state.kept = {"text": PASSWORD[:-1] + PASSWORD[-1]}
    with pytest.raises(AssertionError, match="dict"):
        await since.assert_no_password_stayed("kept")
    del centre.app.state.kept
