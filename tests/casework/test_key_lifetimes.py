"""Keys live as long as the request: after its answer nothing that can be reached from the service holds one."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any
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

KINDS = (
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
)
ROUNDS = 20
WRONG = "never the password of anybody"


def key_objects() -> dict[int, object]:
    return {id(found): found for found in gc.get_objects() if type(found) in KINDS}


def holders_of(words: str) -> Iterator[object]:
    """What holds a text equal to `words` that is not the tests' own constant."""
    for holder in gc.get_objects():
        if any(
            type(held) is str and held == words and held is not words for held in gc.get_referents(holder)
        ):
            yield holder


class Since:
    """What was there before, which the tests themselves hold: the prepared accounts, the deployment's pepper."""

    def __init__(self) -> None:
        gc.collect()
        self._before = key_objects()

    async def assert_nothing_stayed(self, of: str) -> None:
        # A thread that has just answered may still be on its way back to its queue.
        for _ in range(ROUNDS):
            await asyncio.sleep(0.01)
            gc.collect()
            left = [found for number, found in key_objects().items() if number not in self._before]
            if not left:
                break
        assert [type(found).__name__ for found in left] == [], (of, [_path(found) for found in left[:2]])
        # The tests' own: what it remembers it does by the passwords.
        stretched_once.cache_clear()
        for words in (PASSWORD, WRONG):
            assert [type(holder).__name__ for holder in holders_of(words)] == [], of


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
    await since.assert_nothing_stayed("success")

    await reception.refused("POST", f"/cases/{case}/closure", 403, "forbidden", json={"reason": "Parce que."})
    await social.refused("GET", f"/cases/{case[:-4]}0000", 404, "not_found")
    await since.assert_nothing_stayed("refusal")

    await social.refused("GET", f"/cases/{damaged}", 500, "sealed_data_damaged")
    await since.assert_nothing_stayed("error")

    await _step_up(social, PASSWORD, 204)
    await social.get("/me")
    await _step_up(social, WRONG, 401)
    await since.assert_nothing_stayed("step-up")

    await centre.token("avec.supervisor")
    refused = await centre.http.post("/api/v1/sessions", json={"login": "avec.social", "password": WRONG})
    assert refused.status_code == 401
    unknown = await centre.http.post("/api/v1/sessions", json={"login": "nobody", "password": WRONG})
    assert unknown.status_code == 401
    await since.assert_nothing_stayed("sign-in")


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
