"""A stolen password, with the pepper and the disk: that member's compartments, and no second factor is asked."""

from dataclasses import replace

from tests.casework.centre import CANARY, PASSWORD, Centre
from tests.thefts import loot
from tests.thefts.opening import plunder
from tests.thefts.stage import prepare


async def test_password_pepper_and_disk_open_what_her_memberships_hold_and_no_more(centre: Centre) -> None:
    await prepare(centre)
    stolen = await loot.disk(centre)
    secrets = stolen.secrets | {loot.pepper(centre)}
    for login in ("avec.reception", "avec.jurist", "avec.double", "cidff.jurist"):
        haul = plunder(replace(stolen, secrets=secrets, passwords={login: PASSWORD}))
        members = {membership.id for membership in centre.accounts[login].memberships}
        org = centre.org(login.partition(".")[0])
        directory = haul.keys.directories[org]
        granted = {(org, grant.group) for member in members for grant in directory.grants_of(member.bytes)}
        assert (haul.keys.daily.keys(), haul.keys.signers) == (members, members)
        assert haul.keys.compartments == granted
        assert haul.opened
        assert haul.compartments <= granted


async def test_another_members_password_or_a_wrong_one_opens_nothing_of_hers(centre: Centre) -> None:
    await prepare(centre)
    stolen = await loot.disk(centre)
    secrets = stolen.secrets | {loot.pepper(centre)}
    haul = plunder(replace(stolen, secrets=secrets, passwords={"avec.social": f"{PASSWORD}!"}))
    assert (haul.opened, haul.keys.keks) == ((), {})
    haul = plunder(replace(stolen, secrets=secrets, passwords={"avec.auditor": PASSWORD}))
    assert haul.compartments == {(centre.org("avec"), "journal")}
    # Marks and tokens: that a member and the person of a case share something, and not what.
    assert haul.columns == {"audit_detail.sealed", "case_relation.sealed", "declaration.tokens"}
    assert CANARY.encode() not in b"".join(
        one.record.text for one in haul.opened if one.column != "audit_detail.sealed"
    )
