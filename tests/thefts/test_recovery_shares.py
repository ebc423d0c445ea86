"""Recovery shares, without pepper and without password: one is worth nothing, two are the whole organisation."""

from dataclasses import replace

from policies.vocabulary import Group
from tests.casework.centre import CANARY, PASSWORD, Centre
from tests.casework.story import told
from tests.thefts import loot
from tests.thefts.loot import Loot
from tests.thefts.opening import plunder
from tests.thefts.stage import CIVIL_STATUS, LEFT, prepare

# What is sealed to a drop key has no half in the shred store, and waits in no frame.
AT_A_DROP_KEY = {
    "audit_detail.sealed",
    "case_group.arrival",
    "case_group.frame",
    "case_relation.sealed",
    "declaration.tokens",
    "declaration.waiting",
    "handoff_part.part",
    "handoff_side.case_sealed",
    "handoff_side.envelope",
    "handoff_side.reply",
}


async def test_one_share_opens_nothing_even_with_pepper_and_disk(centre: Centre) -> None:
    await prepare(centre)
    stolen = await loot.disk(centre)
    stolen = replace(stolen, secrets=stolen.secrets | {loot.pepper(centre)})
    avec, cidff = (loot.shares(centre, slug) for slug in ("avec", "cidff"))
    for shares in (avec[:1], [avec[0], avec[0]], [avec[0], cidff[1]]):
        haul = plunder(replace(stolen, shares=shares))
        assert (haul.opened, haul.keys.keks) == ((), {})


async def test_two_shares_and_the_disk_open_all_of_one_organisation_and_none_of_another(
    centre: Centre,
) -> None:
    stage = await prepare(centre)
    stolen = await loot.disk(centre)
    haul = plunder(replace(stolen, shares=loot.shares(centre, "avec")[1:]))
    assert haul.groups_of(stage.case) == set(Group) - {Group.HEALTH}
    assert {org for org, _ in haul.compartments} == {stage.avec}
    assert CIVIL_STATUS in haul.text
    # They sign nothing in a member's name.
    assert haul.keys.signers == set()


async def test_a_receivers_shares_open_what_was_sent_there_and_nothing_else_of_the_sender(
    centre: Centre,
) -> None:
    """Unopened parts hold the groups that were chosen; those that were not are empty."""
    stage = await prepare(centre)
    stolen = await loot.disk(centre)
    haul = plunder(replace(stolen, shares=loot.shares(centre, "cidff")[:2]))
    assert {org for org, _ in haul.compartments} == {stage.cidff}
    parts = [one.record for one in haul.opened if one.column == "handoff_part.part"]
    holding = {part.group for part in parts if CANARY.encode() in part.text.replace(b"canari-service", b"")}
    assert holding == {"identity", "legal"}
    assert haul.groups_of(stage.case) == set()


async def test_without_the_shred_store_two_shares_open_no_frame_but_what_waits_at_a_drop_key(
    centre: Centre,
) -> None:
    """A main backup alone: what somebody left for a reader, and parts that nobody opened yet, are readable."""
    stage = await prepare(centre)
    rows = await loot.database(centre)
    for slug, case in (("avec", stage.case), ("cidff", stage.foreign_case)):
        haul = plunder(Loot(rows, shares=loot.shares(centre, slug)[:2]))
        assert haul.keys.cases == {}
        assert haul.groups_of(case) == set()
        assert haul.columns <= AT_A_DROP_KEY
    haul = plunder(Loot(rows, shares=loot.shares(centre, "avec")[:2]))
    assert haul.groups_of(stage.left) == {"safety"}
    assert LEFT in haul.text
    for group in ("contact", "social", "legal", "family"):
        assert told(group) not in haul.text


async def test_without_the_shred_store_password_and_pepper_open_no_frame_either(centre: Centre) -> None:
    stage = await prepare(centre)
    stolen = Loot(await loot.database(centre), frozenset({loot.pepper(centre)}), {"avec.social": PASSWORD})
    haul = plunder(stolen)
    assert haul.keys.keks
    assert haul.keys.cases == {}
    # Her unsaved drafts have no half there; every frame of the case has.
    assert haul.groups_of(stage.case) == {"draft"}
    assert haul.columns <= AT_A_DROP_KEY | {"draft.sealed"}
