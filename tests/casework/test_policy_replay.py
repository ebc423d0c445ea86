"""The journal says what was decided in words that can be asked again, and of what is hidden it says nothing."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from audit.entry import Asked, Basis, Entry, Outcome
from audit.log import Filters, entries
from casework.journal import Deed, Who
from casework.policy_replay import replay_journal
from policies.engine import Engine
from policies.replay import Replay, Unreplayable
from policies.sources import Source, base_source, org_source
from policies.vocabulary import Action
from policies.wording import replayed
from tests.casework.centre import CANARY, SLUGS, Centre
from tests.casework.story import draft, note, open_case

ASSIGNS = (
    '\n@id("avec.assigns") @title("Une intervenante affecte ses dossiers")\n'
    'permit (principal in Org::"avec", action == Action::"case.assign", resource in Org::"avec")\n'
    'when { principal in Role::"worker" && resource.mine };\n'
)
READS = [f"case.read.{group}" for group in ("contact", "family", "health", "identity", "intake")]


def new_rules(*, without: str = "", added: str = "") -> Engine:
    """AVEC's file without one of its rules, and with more text."""
    rules = org_source("avec").text.split("\n@id(")
    kept = [rule for rule in rules if not without or not rule.startswith(f'"{without}"')]
    return Engine("avec", SLUGS, [base_source(), Source("avec", "\n@id(".join(kept) + added)])


async def logged(centre: Centre, slug: str) -> list[Entry]:
    """The organisation's entries, oldest first."""
    await centre.integrate()
    log = centre.org(slug)

    def read(connection: Connection) -> list[Entry]:
        return [found.entry for found in entries(connection, log.bytes, Filters(), limit=500).entries]

    return list(reversed(await centre.deployment.database.snapshot(read, log)))


async def again(centre: Centre, new: Engine, slug: str = "avec", **more: Any) -> Replay:
    await centre.integrate()
    log, until = centre.org(slug), more.pop("until", centre.clock.now())
    in_force = await centre.engine(slug)
    return await centre.deployment.database.snapshot(
        lambda connection: replay_journal(connection, log, in_force, new, until=until, **more), log
    )


async def lived(centre: Centre) -> str:
    """A case that is opened, read twice, and that her worker may not give to anybody."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    await note(social, case, "accompagnement_social", "social")
    await social.get(f"/cases/{case}")
    await social.get("/cases")
    await social.refused("PUT", f"/cases/{case}/assignments", 403, "forbidden", json={"members": []})
    return case


def times(found: Replay) -> dict[str, int]:
    return {str(turned.change.action): turned.times for turned in found.turned_over}


async def test_other_rules_are_tried_on_what_the_journal_says_was_decided(centre: Centre) -> None:
    await lived(centre)
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.get(f"/cases/{await open_case(jurist)}")

    unchanged = await again(centre, new_rules())
    assert (unchanged.turned_over, unchanged.drift) == ((), ())
    assert unchanged.decisions > len(READS)
    assert set(unchanged.unreplayable) <= {Unreplayable.NOT_NOTED}

    wider = await again(centre, new_rules(added=ASSIGNS))
    assert replayed(wider)[0].startswith("1 fois, « affecter » par l’intervenante serait permis")
    assert times(wider) == {Action.CASE_ASSIGN: 1}
    narrower = await again(centre, new_rules(without="avec.own.read"))
    assert times(narrower)[Action.CASE_READ_SOCIAL] == 1
    assert times(narrower)[Action.CASE_LIST] >= 2
    # Of the other organisation's day nothing is counted, and of days before nothing.
    assert Action.CASE_READ_LEGAL not in times(narrower)
    before = await again(centre, new_rules(), until=centre.clock.now() - timedelta(days=1))
    assert (before.decisions, before.unreplayable) == (0, {})
    told = " ".join(replayed(narrower) + replayed(wider)).lower()
    assert CANARY not in told
    assert not any(str(centre.member(login)) in told for login in ("avec.social", "cidff.jurist"))


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_an_entry_holds_each_question_once_and_whether_it_was_allowed(centre: Centre) -> None:
    await lived(centre)
    by_action = {entry.action: entry for entry in await logged(centre, "avec")}
    holds = ("active", "device", "hours", "mfa", "mine", "profession.social", "status.open")
    (opened,) = by_action["case.open"].basis.asked
    assert opened.holds == holds
    assert set(opened.allowed) > {"case.list", "case.read.identity", "case.read.legal", "case.read.social"}
    assert "case.read.health" in opened.denied
    assert by_action["case.list"].basis.asked == (
        Asked(allowed=("case.list", "case.read.identity"), denied=(), holds=holds),
    )
    denied = next(entry for entry in await logged(centre, "avec") if entry.outcome is Outcome.DENIED)
    assert (denied.action, denied.basis.asked) == (
        "case.assign",
        (Asked(allowed=(), denied=("case.assign",), holds=holds),),
    )


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_hidden_refusal_notes_nothing_and_is_counted_as_not_replayed(centre: Centre) -> None:
    case = await lived(centre)
    other = await centre.sign_in("avec.psychologist")
    unknown = "0193a000-0000-7000-8000-000000000000"
    for hidden in (case, unknown):
        await other.refused("GET", f"/cases/{hidden}", 404, "not_found")
    refused = [entry for entry in await logged(centre, "avec") if entry.reason == "not_found"]
    assert [(entry.action, entry.basis) for entry in refused] == [
        ("case.open", Basis(policies=(), set=refused[0].basis.set))
    ] * 2
    found = await again(centre, new_rules(without="avec.own.read"))
    assert found.unreplayable[Unreplayable.HIDDEN] == 2


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_what_is_not_noted_is_counted_by_its_reason(centre: Centre) -> None:
    case = await lived(centre)
    social = await centre.sign_in("avec.social")
    before = await again(centre, new_rules())
    await draft(social, case, "identity", "contact")
    org, who = (centre.org("avec"), "avec"), Who(centre.member("avec.social"), role="worker")
    deeds = (
        Deed("case.open", policies=("avec.own.read",)),
        Deed("case.close", outcome=Outcome.DENIED, reason="policy"),
        Deed("case.close", outcome=Outcome.DENIED, reason="engine.error", policies=("engine.error",)),
    )
    for deed in deeds:
        await centre.deployment.database.unit(
            lambda unit, deed=deed: centre.deployment.journal.record(unit, org, who, deed)
        )
    after = await again(centre, new_rules())
    grown = {why: after.unreplayable.get(why, 0) - before.unreplayable.get(why, 0) for why in Unreplayable}
    assert grown == {
        Unreplayable.NOT_NOTED: 2,
        Unreplayable.HANDOFF: 1,
        Unreplayable.HIDDEN: 0,
        Unreplayable.FAILED: 1,
        Unreplayable.UNKNOWN: 0,
    }
    assert any("relais" in line for line in replayed(after) if line.startswith("ATTENTION"))
