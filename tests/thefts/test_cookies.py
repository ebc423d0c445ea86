"""A stolen cookie or bearer token, with the pepper and the disk: that session's compartments, and no others."""

from dataclasses import replace
from datetime import timedelta

from tests.casework.centre import PASSWORD, Centre
from tests.thefts import loot
from tests.thefts.loot import Loot
from tests.thefts.opening import Haul, plunder
from tests.thefts.stage import LEFT, prepare


async def robbed(centre: Centre, token: str) -> Haul:
    """Disk, pepper and one token."""
    stolen = await loot.disk(centre)
    return plunder(replace(stolen, secrets=stolen.secrets | {loot.pepper(centre), loot.token(token)}))


async def test_cookie_pepper_and_disk_open_exactly_that_sessions_compartments(centre: Centre) -> None:
    await prepare(centre)
    for login in ("avec.reception", "avec.social", "avec.custodian", "cidff.jurist"):
        member = await centre.sign_in(login)
        org = centre.org(login.partition(".")[0])
        held = {(org, group) for group in (await member.get("/me"))["compartments"]}
        haul = await robbed(centre, member.token)
        assert haul.keys.compartments - {(org, "index")} == held - {(org, "index")}
        # Beside them, what she alone can read: her drafts.
        drafts = {(org, "draft")} if login == "avec.social" else set()
        assert haul.compartments <= held | drafts
        assert haul.compartments >= drafts
        assert bool(haul.opened) == (login != "avec.custodian")
        # The signing key needs the password, which she did not give a second time.
        assert haul.keys.signers == set()


async def test_a_stolen_cookie_opens_its_groups_in_every_case_assigned_or_not(centre: Centre) -> None:
    """Keys separate organisations and groups; within a group it is the service that asks who is assigned."""
    stage = await prepare(centre)
    await stage.social.get(f"/cases/{stage.colleagues_case}", 404)
    haul = await robbed(centre, stage.social.token)
    assert haul.groups_of(stage.colleagues_case) == {"identity", "intake", "legal"}
    assert haul.groups_of(stage.foreign_case) == set()
    assert LEFT in haul.text


async def test_a_cookie_that_waits_for_its_second_factor_is_worth_the_password(centre: Centre) -> None:
    stage = await prepare(centre)
    begun = await centre.http.post("/api/v1/sessions", json={"login": "avec.jurist", "password": PASSWORD})
    haul = await robbed(centre, begun.json()["token"])
    assert haul.groups_of(stage.colleagues_case) == {"identity", "intake", "legal"}
    assert haul.keys.signers == {centre.member("avec.jurist")}


async def test_a_cookie_of_a_session_that_was_ended_opens_nothing(centre: Centre) -> None:
    stage = await prepare(centre)
    await stage.social.request("DELETE", "/sessions/current", 204)
    haul = await robbed(centre, stage.social.token)
    assert (haul.opened, haul.keys.keks) == ((), {})


async def test_a_step_up_that_is_over_gives_the_signing_key_while_its_row_is_there(centre: Centre) -> None:
    """The five minutes are the service's to hold: whoever has cookie, pepper and disk sets the clock herself."""
    stage = await prepare(centre)
    centre.clock.offset += timedelta(minutes=6)
    await stage.social.get("/me")
    haul = await robbed(centre, stage.social.token)
    assert haul.keys.signers == {centre.member("avec.social")}


async def test_a_cookie_and_the_pepper_open_nothing_of_a_backup(centre: Centre) -> None:
    """Sessions are in none, so the keys that the token opens are not there."""
    stage = await prepare(centre)
    rows = {**await loot.database(centre), **await loot.shred_store(centre)}
    secrets = loot.state(centre) | {loot.pepper(centre), loot.token(stage.social.token)}
    haul = plunder(Loot(rows, secrets))
    assert (haul.opened, haul.keys.keks) == ((), {})
    assert haul.keys.totp_seeds
