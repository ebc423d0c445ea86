"""Which rules decide: what two members have signed and the database still holds, and nothing else."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update
from structlog.testing import capture_logs

from casework.alerts import AlertKind
from casework.deployment import Deployment, load_rules
from casework.identity.tables import membership
from casework.organisations.tables import key_directory, policy_set
from casework.rules import RulesFault
from crypto.directory_entries import MemberRemovedBody
from crypto.directory_rules import POLICY_APPROVERS
from crypto.errors import DirectoryFault, DirectoryRefused
from policies.engine import Engine
from policies.facts import Asker, ChangeFacts
from policies.grants import favourable_contexts
from policies.sources import base_source
from policies.vocabulary import Action, ChangeKind, Role
from tests.casework.centre import SLUGS, Centre
from tests.casework.organisations.test_rotation import another_process
from tests.casework.ruling import APPROVERS, NEW, NO_SEARCH, OLD, append, approval, keep, put_in_force
from tests.casework.story import entries_of


async def text_in_force(centre: Centre) -> str:
    return (await centre.engine("avec")).text


async def told(centre: Centre) -> list[tuple[str, str | None, int | None]]:
    """What the journal says of rules that were loaded or not, oldest first: outcome, reason, number."""
    items = await centre.journal("avec")
    found = [item for item in items if item["action"] in {"policy.loaded", "policy.not_loaded"}]
    return [
        (item["outcome"], item["entry"].get("reason"), item["entry"].get("count")) for item in reversed(found)
    ]


async def restarted(centre: Centre) -> tuple[Engine, list[str | None]]:
    """What a process decides by that starts now, and the alarms that it raises."""
    async with another_process(centre) as other:
        with capture_logs() as logs:
            await load_rules(other)
        raised = [line["fault"] for line in logs if line["event"] == AlertKind.POLICY_NOT_LOADED]
        return await _engine(centre, other), raised


async def _engine(centre: Centre, deployment: Deployment) -> Engine:
    org_id = centre.org("avec")

    def read(unit: Any) -> Engine:
        unit.enter_organisation(org_id)
        return deployment.engine(unit, org_id)

    return await deployment.database.unit(read)


async def test_what_two_members_signed_is_loaded_without_a_restart_and_journaled(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await social.post("/search", {"name": "Exemple"}, 200)
    before = await centre.engine("avec")
    await put_in_force(centre, NEW)
    await social.refused("POST", "/search", 403, "forbidden", json={"name": "Exemple"})
    # The act that finds it is refused and rolled back: the next one that stands tells it.
    await social.get("/cases")
    after = await centre.engine("avec")
    assert (after.text, after.hash != before.hash) == (NEW, True)
    (entry,) = entries_of(await centre.journal("avec"), "policy.loaded")
    assert (entry["entry"]["count"], entry["entry"]["basis"]["set"]) == (2, after.hash)
    assert entry["entry"].get("actor") is None
    # Nothing is loaded a second time, and other organisations have what they had.
    assert await told(centre) == [("allowed", None, 2)]
    assert (await centre.engine("cidff")).text != NEW


async def test_an_unapproved_file_is_never_loaded_whoever_puts_it_into_the_database(centre: Centre) -> None:
    """The newest row is anybody's who writes there; one signature, or that of a custodian alone, is none."""
    assert await text_in_force(centre) == OLD
    await keep(centre, NEW)
    await centre.learn("avec")
    assert await text_in_force(centre) == OLD
    await append(centre, approval(2, NEW), "avec.supervisor")
    await centre.learn("avec")
    assert await text_in_force(centre) == OLD
    assert (await restarted(centre)) == (await centre.engine("avec"), [])
    assert await told(centre) == []


async def test_a_text_that_was_changed_after_its_approval_is_not_loaded(centre: Centre) -> None:
    assert await text_in_force(centre) == OLD
    await put_in_force(centre, NEW)
    swapped = update(policy_set).values(text=(NEW + "\n// oui\n").encode())
    await centre.dba(lambda connection: connection.execute(swapped.where(policy_set.c.number == 2)))
    with capture_logs() as logs:
        assert await text_in_force(centre) == OLD
    (alarm,) = [line for line in logs if line["event"] == AlertKind.POLICY_NOT_LOADED]
    assert (alarm["log_level"], alarm["organisation"], alarm["fault"]) == ("critical", "avec", "text_missing")
    assert await told(centre) == [("failed", "text_missing", 2)]
    # The alarm is raised once while its cause lasts, and what is loaded stays.
    with capture_logs() as logs:
        await _look_again(centre)
        assert await text_in_force(centre) == OLD
    assert not [line for line in logs if line["event"] == AlertKind.POLICY_NOT_LOADED]
    # With nothing loaded the base rules decide alone: nobody may do what only the organisation permits.
    engine, raised = await restarted(centre)
    assert (engine.text, {policy.source for policy in engine.policies}) == ("", {"base"})
    assert raised == [RulesFault.TEXT_MISSING]


async def test_rules_that_are_put_back_are_loaded_within_a_minute_without_a_restart(centre: Centre) -> None:
    assert await text_in_force(centre) == OLD
    await put_in_force(centre, NEW)
    rows = policy_set.c.number == 2
    await centre.dba(lambda connection: connection.execute(update(policy_set).where(rows).values(text=b"?")))
    assert await text_in_force(centre) == OLD
    back = update(policy_set).where(rows).values(text=NEW.encode())
    await centre.dba(lambda connection: connection.execute(back))
    await _look_again(centre)
    assert await text_in_force(centre) == NEW
    assert await told(centre) == [("failed", "text_missing", 2), ("allowed", None, 2)]


async def test_an_older_sets_row_that_is_put_in_place_of_the_newer_one_brings_it_back_for_nobody(
    centre: Centre,
) -> None:
    await put_in_force(centre, NEW)
    assert await text_in_force(centre) == NEW

    def put_back(connection: Connection) -> None:
        mine = policy_set.c.org_id == centre.org("avec")
        connection.execute(delete(policy_set).where(mine, policy_set.c.number == 2))
        renamed = {"number": 2, "text_hash": sha256(NEW.encode()).digest()}
        connection.execute(update(policy_set).where(mine).values(**renamed))

    await centre.dba(put_back)
    assert await text_in_force(centre) == NEW
    engine, raised = await restarted(centre)
    assert (engine.text, raised) == ("", [RulesFault.TEXT_MISSING])


async def test_a_directory_that_is_rolled_back_brings_no_older_rules_back(centre: Centre) -> None:
    """What was seen is remembered outside the database: an older directory is refused, and nobody decides by it."""
    await put_in_force(centre, NEW)
    assert await text_in_force(centre) == NEW

    def roll_back(connection: Connection) -> None:
        last = centre.directory(connection, "avec").epoch
        mine = key_directory.c.org_id == centre.org("avec")
        connection.execute(delete(key_directory).where(mine, key_directory.c.epoch >= last - 1))

    await centre.dba(roll_back)
    with pytest.raises(DirectoryRefused):
        await centre.learn("avec")
    assert await text_in_force(centre) == NEW
    async with another_process(centre) as other:
        await load_rules(other)
        with pytest.raises(DirectoryRefused) as refused:
            await _engine(centre, other)
    assert refused.value.fault is DirectoryFault.ROLLED_BACK


async def test_rules_of_a_later_day_are_not_loaded_before_it(centre: Centre) -> None:
    day = int((centre.clock.now() + timedelta(hours=2)).timestamp())
    await put_in_force(centre, NEW, effective=day)
    social = await centre.sign_in("avec.social")
    await social.post("/search", {"name": "Exemple"}, 200)
    assert await told(centre) == []
    centre.clock.offset += timedelta(hours=2)
    assert await text_in_force(centre) == NEW
    assert await told(centre) == [("allowed", None, 2)]


async def test_one_person_in_two_roles_puts_no_rules_in_force(centre: Centre) -> None:
    """The directory knows two memberships; that one person has both, the accounts say."""
    person = select(membership.c.account_id).where(membership.c.id == centre.member("avec.supervisor"))
    hers = update(membership).where(membership.c.id == centre.member("avec.dpo"))
    one = hers.values(account_id=person.scalar_subquery())
    await centre.dba(lambda connection: connection.execute(one))
    assert await text_in_force(centre) == OLD
    await put_in_force(centre, NEW)
    assert await text_in_force(centre) == OLD
    assert await told(centre) == [("failed", "one_person", 2)]


@pytest.mark.parametrize("text", ["permit (principal", NEW.replace('@title("Personne ne cherche")', "")])
async def test_what_the_checks_refuse_is_not_loaded_though_two_have_signed_it(
    centre: Centre, text: str
) -> None:
    assert await text_in_force(centre) == OLD
    await put_in_force(centre, text)
    assert await text_in_force(centre) == OLD
    assert await told(centre) == [("failed", "not_admitted", 2)]


async def test_an_approval_by_who_was_removed_before_the_second_counts_no_more(centre: Centre) -> None:
    await keep(centre, NEW)
    await append(centre, approval(2, NEW), "avec.supervisor")
    removed = MemberRemovedBody(centre.member("avec.supervisor").bytes)
    await append(centre, removed, "avec.custodian")
    await append(centre, approval(2, NEW), "avec.dpo")
    directory = await centre.learn("avec")
    assert directory.approvals == {approval(2, NEW): (centre.member("avec.dpo").bytes,)}
    assert await text_in_force(centre) == OLD


async def test_a_directory_with_an_approval_by_who_may_not_is_refused(centre: Centre) -> None:
    """Also where she writes it into the database herself: nothing of the directory is believed then."""
    await keep(centre, NEW)
    await append(centre, approval(2, NEW), "avec.custodian")
    with pytest.raises(DirectoryRefused) as refused:
        await centre.learn("avec")
    assert refused.value.fault is DirectoryFault.NOT_ENTITLED


async def test_another_organisations_text_is_not_loaded_under_its_own_approval(centre: Centre) -> None:
    """A text is its organisation's: the same hash approved by another loads nothing here."""
    other = NO_SEARCH.replace("avec", "cidff")
    await keep(centre, other, slug="cidff")
    await put_in_force(centre, other)
    await centre.dba(
        lambda connection: connection.execute(
            delete(policy_set).where(policy_set.c.org_id == centre.org("avec"), policy_set.c.number == 2)
        )
    )
    assert await text_in_force(centre) == ""
    assert await told(centre) == [("failed", "text_missing", 2)]


def test_the_directory_knows_the_roles_that_the_base_rules_let_approve() -> None:
    """Whoever verifies a directory need not know the policies; so the two must say the same."""
    engine = Engine("avec", SLUGS, [base_source()])
    facts = ChangeFacts(kind=ChangeKind.POLICY, mine=False)
    may = {
        role
        for role in Role
        for context in favourable_contexts()
        if engine.decide_change(
            Asker(org="avec", role=role, professions=frozenset(), active=True),
            Action.POLICY_APPROVE,
            facts,
            context,
        ).allowed
    }
    assert may == POLICY_APPROVERS
    assert {login.partition(".")[2] for login in APPROVERS} <= POLICY_APPROVERS


async def _look_again(centre: Centre) -> None:
    def look(act: Any) -> None:
        act.enter_organisation(centre.org("avec"))
        centre.deployment.rules.look_again(act, centre.org("avec"))

    await centre.deployment.database.unit(look)
