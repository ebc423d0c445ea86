"""Another pepper: what needs no password moves at once, the rest when its owner signs in."""

from typing import Any

import pytest
from sqlalchemy import select

from casework.identity.pepper_rotation import Rotated, rotate_pepper, waiting_for_sign_in
from casework.identity.renewals import Kind
from casework.identity.tables import account, membership, renewal, session
from casework.identity.totp import open_seed
from casework.identity.wrapping import is_right
from casework.rights.erasing import renew_proofs
from crypto.errors import PepperRefused
from crypto.password import stretch
from crypto.pepper import FileKeyProvider, Peppers
from tests.casework import story
from tests.casework.centre import LOGINS, PASSWORD, Centre, assert_problem


class Killed(Exception):
    pass


class KilledBeforeTheFiles(FileKeyProvider):
    def end_rotation(self) -> Any:
        raise Killed


def provider(centre: Centre) -> FileKeyProvider:
    return FileKeyProvider(centre.deployment.settings.pepper_file)


def restart(centre: Centre) -> None:
    """What a start of the service reads."""
    centre.deployment.peppers = provider(centre).peppers()


async def rotate(centre: Centre) -> Rotated:
    rotated = await rotate_pepper(centre.deployment, provider(centre), renew_proofs)
    restart(centre)
    return rotated


async def rows(centre: Centre, table: Any) -> list[Any]:
    return list(await centre.dba(lambda connection: connection.execute(select(table)).all()))


async def the_account(centre: Centre, login: str) -> Any:
    (found,) = [row for row in await rows(centre, account) if row.login == login]
    return found


async def test_after_a_rotation_sessions_are_over_and_everybody_signs_in_as_before(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await story.open_case(social, "social")
    rotated = await rotate(centre)
    assert rotated == Rotated(len(LOGINS), len(LOGINS))
    await social.refused("GET", "/me", 401, "not_signed_in")
    again = await centre.sign_in("avec.social", step_up=True)
    assert (await again.get(f"/cases/{case}"))["groups"]["social"]
    found, current = await the_account(centre, "avec.social"), centre.deployment.pepper
    assert (found.pepper_id, found.outer_pepper_id) == (current.id, None)
    org = centre.org("avec")
    avec = sum(login.startswith("avec.") for login in LOGINS)
    waiting = await centre.dba(lambda connection: waiting_for_sign_in(connection, org, current.id))
    assert waiting == avec - 1
    done, *_ = await centre.journal("avec", action="pepper.rotate")
    assert (done["entry"]["reason"], done["entry"]["count"]) == ("operator", avec)
    wrong = await centre.http.post("/api/v1/sessions", json={"login": "avec.jurist", "password": "no"})
    assert_problem(wrong, 401, "sign_in_refused")


async def test_the_old_pepper_opens_nothing_any_more_from_the_moment_of_the_rotation(centre: Centre) -> None:
    old = Peppers(centre.deployment.pepper)
    before = await the_account(centre, "avec.social")
    stretched = stretch(PASSWORD, before.kdf_salt, centre.deployment.kdf_params)
    assert is_right(old, before, stretched)
    await rotate(centre)
    after = await the_account(centre, "avec.social")
    with pytest.raises(PepperRefused):
        is_right(old, after, stretched)
    with pytest.raises(PepperRefused):
        open_seed(old, after.id, after.totp_seed)
    assert is_right(centre.deployment.peppers, after, stretched)
    kept = {bytes(row.auth_hash) for row in await rows(centre, account)}
    assert bytes(before.auth_hash) not in kept


async def test_a_second_rotation_takes_along_who_did_not_sign_in_since_the_first(centre: Centre) -> None:
    await rotate(centre)
    await centre.sign_in("avec.social")
    await rotate(centre)
    assert len(provider(centre).older()) == 2
    for login in ("avec.social", "avec.jurist"):
        assert (await (await centre.sign_in(login)).get("/me"))["compartments"]


async def test_a_rotation_that_was_killed_goes_on_and_nobody_is_kept_out_meanwhile(centre: Centre) -> None:
    before = centre.deployment.pepper
    # Killed before the database was changed.
    provider(centre).begin_rotation()
    restart(centre)
    await centre.sign_in("avec.social")
    # Killed after its commit, before the files were.
    interrupted = KilledBeforeTheFiles(provider(centre).path)
    with pytest.raises(Killed):
        await rotate_pepper(centre.deployment, interrupted, renew_proofs)
    restart(centre)
    assert centre.deployment.pepper == before
    assert (await (await centre.sign_in("avec.jurist")).get("/me"))["compartments"]
    rotated = await rotate(centre)
    # She signed in meanwhile, under the pepper that was in force then.
    assert rotated == Rotated(1, len(LOGINS))
    assert centre.deployment.pepper != before
    for login in ("avec.social", "avec.jurist", "avec.reception"):
        assert (await (await centre.sign_in(login)).get("/me"))["compartments"]
    assert len(await rows(centre, membership)) == len({row.id for row in await rows(centre, membership)})


async def test_renewals_that_wait_end_with_a_rotation(centre: Centre) -> None:
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    secret = await story.begin_renewal(centre, custodian, "avec.social", Kind.RESET)
    await rotate(centre)
    assert await rows(centre, renewal) == []
    assert await rows(centre, session) == []
    body = {"login": "avec.social", "secret": secret, "new_password": story.PASSPHRASE}
    assert_problem(await centre.http.post("/api/v1/renewals", json=body), 401, "sign_in_refused")
