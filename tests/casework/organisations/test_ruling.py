"""How an organisation changes its rules: proposed by one, signed by two others, each with her own password."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import select, update

from casework.deployment import Deployment
from casework.identity.tables import account, membership
from casework.organisations import ruling
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.organisations.removal import remove
from casework.organisations.ruling import RulesSet, State
from casework.organisations.tables import policy_set
from tests.casework.centre import PASSWORD, Centre
from tests.casework.organisations.test_rotation import CUSTODIAN, another_process
from tests.casework.ruling import NEW, OLD
from tests.casework.story import entries_of

HASH = sha256(NEW.encode()).digest()


def by(name: str) -> Credentials:
    return Credentials(f"avec.{name}", PASSWORD)


async def at_terminal(centre: Centre, work: Callable[[Deployment], Awaitable[RulesSet]]) -> RulesSet:
    async with another_process(centre) as other:
        return await work(other)


async def propose(centre: Centre, text: str = NEW, **more: Any) -> RulesSet:
    effective = more.get("effective_at")
    return await at_terminal(
        centre, lambda other: ruling.propose(other, "avec", text, "", effective, by("custodian"))
    )


async def approve(centre: Centre, name: str, number: int = 2, text_hash: bytes = HASH) -> RulesSet:
    return await at_terminal(centre, lambda other: ruling.approve(other, "avec", number, text_hash, by(name)))


async def refused(act: Awaitable[RulesSet]) -> KeyActFault:
    with pytest.raises(KeyActRefused) as caught:
        await act
    return caught.value.fault


async def denied(centre: Centre, action: str) -> list[str]:
    items = entries_of(await centre.journal("avec", action=action), action, "denied")
    return [item["entry"]["reason"] for item in reversed(items)]


async def test_a_custodian_proposes_two_others_sign_and_the_running_service_decides_by_it(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    await social.post("/search", {"name": "Exemple"}, 200)
    proposed = await propose(centre)
    assert (proposed.number, proposed.state, proposed.approved_by) == (2, State.PROPOSED, ())
    signed = await approve(centre, "supervisor")
    assert (signed.state, signed.approved_by) == (State.PROPOSED, (centre.member("avec.supervisor"),))
    await social.post("/search", {"name": "Exemple"}, 200)
    signed = await approve(centre, "dpo")
    assert (signed.state, len(signed.approved_by)) == (State.IN_FORCE, 2)
    await social.refused("POST", "/search", 403, "forbidden", json={"name": "Exemple"})
    await social.get("/cases")
    items = [item for item in await centre.journal("avec") if item["action"].startswith("policy.")]
    told = [(item["action"], item["entry"].get("role"), item["entry"]["count"]) for item in reversed(items)]
    assert [one for one in told if one[0] != "policy.loaded"] == [
        ("policy.propose", "custodian", 2),
        ("policy.approve", "supervisor", 2),
        ("policy.approve", "dpo", 2),
    ]
    assert ("policy.loaded", None, 2) in told
    about = {"number": 2, "sha256": HASH.hex()}
    assert [item["detail"] for item in items if item["action"] == "policy.approve"] == [about, about]
    async with another_process(centre) as other:
        _, sets = await ruling.sets_of(other, "avec")
    assert [(one.number, one.state) for one in sets] == [(2, State.IN_FORCE), (1, State.PAST)]


async def test_who_proposed_does_not_approve_in_any_of_her_roles(centre: Centre) -> None:
    await propose(centre)
    assert await refused(approve(centre, "custodian")) is KeyActFault.MAY_NOT_APPROVE
    # The supervisor is the same person as who proposed.
    person = select(membership.c.account_id).where(membership.c.id == centre.member("avec.supervisor"))
    hers = update(membership).where(membership.c.id == centre.member("avec.custodian"))
    one = hers.values(account_id=person.scalar_subquery(), active=False)
    await centre.dba(lambda connection: connection.execute(one))
    assert await refused(approve(centre, "supervisor")) is KeyActFault.MAY_NOT_APPROVE
    assert await denied(centre, "policy.approve") == ["may_not_approve", "may_not_approve"]
    assert (await centre.engine("avec")).text == OLD


async def test_nobody_signs_twice_nor_one_person_in_two_roles(centre: Centre) -> None:
    await propose(centre)
    await approve(centre, "supervisor")
    assert await refused(approve(centre, "supervisor")) is KeyActFault.APPROVED_ALREADY
    # Her other role is data-protection officer, with keys of its own: she signs it in, and is one person still.
    async with another_process(centre) as other:
        dpo = select(membership.c.account_id).where(membership.c.id == centre.member("avec.dpo"))
        hers = update(membership).where(membership.c.id == centre.member("avec.supervisor"))
        one = hers.values(account_id=dpo.scalar_subquery(), active=False)
        await centre.dba(lambda connection: connection.execute(one))
        act = ruling.approve(other, "avec", 2, HASH, by("dpo"))
        assert await refused(act) is KeyActFault.APPROVED_ALREADY
    assert await denied(centre, "policy.approve") == ["approved_already", "approved_already"]
    assert (await centre.engine("avec")).text == OLD


@pytest.mark.parametrize("name", ["social", "reception", "auditor"])
async def test_who_may_not_neither_proposes_nor_approves_nor_refuses(centre: Centre, name: str) -> None:
    await propose(centre)
    assert await refused(approve(centre, name)) is KeyActFault.MAY_NOT_APPROVE
    async with another_process(centre) as other:
        act = ruling.propose(other, "avec", OLD + "\n", "", None, by(name))
        assert await refused(act) is KeyActFault.MAY_NOT_PROPOSE
        assert await refused(ruling.end(other, "avec", 2, HASH, by(name))) is KeyActFault.MAY_NOT_APPROVE
    assert await denied(centre, "policy.approve") == ["may_not_approve"]


async def test_a_wrong_password_or_a_member_who_is_away_signs_nothing(centre: Centre) -> None:
    await propose(centre)
    wrong = Credentials("avec.dpo", "another horse battery")
    async with another_process(centre) as other:
        act = ruling.approve(other, "avec", 2, HASH, wrong)
        assert await refused(act) is KeyActFault.WRONG_PASSWORD
    now = centre.clock.now()
    away = update(account).where(account.c.login == "avec.dpo")
    away = away.values(away_since=now - timedelta(hours=1), away_until=now + timedelta(days=1))
    await centre.dba(lambda connection: connection.execute(away))
    assert await refused(approve(centre, "dpo")) is KeyActFault.ON_LEAVE
    assert await denied(centre, "policy.approve") == ["wrong_password", "on_leave"]


async def test_a_signature_of_who_was_removed_since_counts_no_more(centre: Centre) -> None:
    await propose(centre)
    await approve(centre, "supervisor")
    async with another_process(centre) as other:
        await remove(other, "avec", "avec.supervisor", CUSTODIAN)
    assert await refused(approve(centre, "supervisor")) is KeyActFault.UNKNOWN_LOGIN
    signed = await approve(centre, "dpo")
    assert (signed.state, signed.approved_by) == (State.PROPOSED, (centre.member("avec.dpo"),))


@pytest.mark.parametrize(("number", "text"), [(1, OLD), (1, NEW), (3, NEW), (2, OLD)])
async def test_a_number_or_a_hash_that_is_not_proposed_is_not_signed(
    centre: Centre, number: int, text: str
) -> None:
    """An older set under its number, a number left out, and another file under the number of this one."""
    await propose(centre)
    act = approve(centre, "dpo", number, sha256(text.encode()).digest())
    assert await refused(act) is KeyActFault.NOT_PROPOSED
    assert await denied(centre, "policy.approve") == ["not_proposed"]


async def test_a_text_that_was_changed_since_it_was_proposed_is_not_signed(centre: Centre) -> None:
    proposed = await propose(centre)
    changed = update(policy_set).where(policy_set.c.id == proposed.id).values(text=OLD.encode())
    await centre.dba(lambda connection: connection.execute(changed))
    assert await refused(approve(centre, "dpo")) is KeyActFault.NOT_PROPOSED


async def test_a_proposal_is_refused_by_who_approves_and_withdrawn_by_who_proposed(centre: Centre) -> None:
    for name, action, state in (
        ("supervisor", "policy.refuse", State.REFUSED),
        ("custodian", "policy.withdraw", State.WITHDRAWN),
    ):
        await propose(centre)
        ended = await at_terminal(
            centre,
            lambda other, name=name: ruling.end(other, "avec", 2, HASH, by(name)),  # type: ignore[misc]
        )
        assert ended.state is state
        assert await refused(approve(centre, "dpo")) is KeyActFault.NOT_PROPOSED
        assert len(await centre.journal("avec", action=action)) == 1


async def test_what_is_in_force_is_not_proposed_again(centre: Centre) -> None:
    assert await refused(propose(centre, OLD)) is KeyActFault.RULES_IN_FORCE


async def test_of_two_proposals_the_first_that_two_have_signed_takes_the_number(centre: Centre) -> None:
    """And rules of a later day wait for it."""
    other = NEW + "\n// autrement\n"
    await propose(centre)
    await propose(centre, other, effective_at=centre.clock.now() + timedelta(days=1))
    await approve(centre, "supervisor")
    for name in ("supervisor", "dpo"):
        signed = await approve(centre, name, 2, sha256(other.encode()).digest())
    assert signed.state is State.APPROVED
    assert await refused(approve(centre, "dpo")) is KeyActFault.NOT_PROPOSED
    assert (await centre.engine("avec")).text == OLD
    async with another_process(centre) as process:
        _, sets = await ruling.sets_of(process, "avec")
    assert {one.state for one in sets} == {State.APPROVED, State.OVERTAKEN, State.IN_FORCE}
