"""Two processes on one database, and what a stop without its database leaves to the next start."""

from typing import Any
from uuid import uuid4

import httpx
import pyotp
import pytest

from casework.app import create_app
from casework.database import UnitOfWork
from casework.deployment import assemble, dismantle, lanes_folder
from casework.identity.members import Position, prepare_account
from casework.journal import Deed, Who
from casework.organisations.joining import join
from casework.organisations.key_acts import Credentials
from crypto.password import FLOOR_PARAMS
from policies.vocabulary import Profession, Role
from tests.casework.centre import PASSWORD, Centre


async def test_who_joined_and_signed_in_at_another_process_is_let_in_here(centre: Centre) -> None:
    await centre.sign_in("avec.social")
    other = await assemble(centre.deployment.settings, centre.clock, FLOOR_PARAMS)
    new = prepare_account(
        "avec.second", PASSWORD, [Position(Role.WORKER, frozenset({Profession.SOCIAL}))], FLOOR_PARAMS
    )
    await join(other, "avec", new, Credentials("avec.custodian", PASSWORD))
    transport = httpx.ASGITransport(create_app(other), client=("127.0.0.1", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
        begun = await http.post("/api/v1/sessions", json={"login": "avec.second", "password": PASSWORD})
        headers = {"authorization": f"Bearer {begun.json()['token']}"}
        code = {"code": pyotp.TOTP(new.totp_seed).at(centre.clock.now())}
        factor = await http.post("/api/v1/sessions/current/second-factor", json=code, headers=headers)
        assert factor.status_code == 200, factor.text
    assert (await centre.http.get("/api/v1/cases", headers=headers)).status_code == 200
    await dismantle(other)


async def test_a_stop_without_its_database_leaves_unsettled_lanes_to_the_next_start(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, org = centre.deployment.journal, (centre.org("avec"), "avec")

    def lose(unit: UnitOfWork) -> None:
        unit.enter_organisation(org[0])
        journal.record(unit, org, Who(uuid4()), Deed("case.open"))
        raise LookupError

    with pytest.raises(LookupError):
        await centre.deployment.database.unit(lose)

    async def away(_work: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(centre.deployment.database, "unit", away)
        await centre.app.state.integration.stop()
    journal.end()
    assert len(list(lanes_folder(centre.deployment.settings).iterdir())) == 1
    # The fixture ends it once more.
    journal._file = None
