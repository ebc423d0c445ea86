"""High-value acts answer with a receipt that is verified offline; without an integrator they stand unproved."""

import asyncio
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from litestar.handlers import HTTPRouteHandler

from audit.checkpoint import VerificationKey
from audit.entry import Entry
from audit.errors import NoteRefused
from audit.receipt import Receipt, verify_receipt
from casework import receipts
from casework.deployment import assemble, dismantle
from casework.integration import Integration
from casework.receipts import Receipted
from crypto.password import FLOOR_PARAMS
from crypto.signing import verify
from tests.casework import story
from tests.casework.centre import Centre, Client
from tests.casework.commands.place import run


def proved(centre: Centre, slug: str, receipt: dict[str, Any]) -> Entry:
    """The entry that the receipt proves under the organisation's key, and under no other's."""
    key = VerificationKey.parse(centre.founded[slug].journal_key)
    head, _ = verify_receipt(receipt["proof"], None, [key], verify)
    assert head.origin == receipt["log"]
    raw = Receipt.parse(receipt["proof"]).entry
    assert raw is not None
    entry = Entry.from_bytes(raw)
    assert entry.id == receipt["entry"]
    with pytest.raises(NoteRefused):
        verify_receipt(
            receipt["proof"], None, [VerificationKey.parse(centre.founded["med"].journal_key)], verify
        )
    return entry


async def test_what_is_agreed_sent_accepted_and_withdrawn_is_proved(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    jurist = await centre.sign_in("cidff.jurist")
    case = await story.open_case(social, "legal")
    drafted = await story.draft(social, case, "identity", "legal")
    path = f"/handoffs/{drafted['id']}"
    answers = [
        ("avec", "consent.record", await social.post(f"{path}/consent", story.consent(drafted))),
        ("avec", "handoff.send", await social.post(f"{path}/sending", expect=200)),
        ("cidff", "handoff.accept", await jurist.post(f"{path}/acceptance", {}, expect=200)),
    ]
    consent = answers[0][2]["consent_id"]
    withdrawn = await social.post(f"/consents/{consent}/withdrawal", {"means": "oral"}, expect=200)
    for slug, action, answer in [*answers, ("avec", "handoff.withdraw", withdrawn)]:
        entry = proved(centre, slug, answer["receipt"])
        assert entry.action == action
        assert entry.basis.handoff == drafted["id"]
    # An act of every day has none, and does not wait.
    assert "receipt" not in await social.get(f"/cases/{case}")


async def test_a_replay_is_answered_with_the_receipt_of_its_own_entry(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    drafted = await story.draft(social, await story.open_case(social, "legal"), "identity", "legal")
    await story.agree(social, drafted)
    headers = {"idempotency-key": "once"}
    path = f"/handoffs/{drafted['id']}/sending"
    first, again = [await social.post(path, expect=200, headers=headers) for _ in range(2)]
    assert first["state"] == again["state"]
    assert proved(centre, "avec", first["receipt"]).action == "handoff.send"
    assert proved(centre, "avec", again["receipt"]).action == "handoff.read"


async def test_the_command_verifies_a_receipt_that_was_saved(centre: Centre, tmp_path: Path) -> None:
    social = await centre.sign_in("avec.supervisor", step_up=True)
    worker = await centre.sign_in("avec.social")
    case = await story.open_case(worker)
    glass = {"purpose": "support", "reason": "danger"}
    broken = await social.post(f"/cases/{case}/break-glass", glass)
    file = tmp_path / "receipt"
    file.write_text(broken["receipt"]["proof"])
    for slug, code in (("avec", 0), ("cidff", 30)):
        key = centre.founded[slug].journal_key
        assert run("audit", "receipt", file, "--key", key, environment={}).code == code


async def test_an_export_waits_until_it_covers_its_own_entry(centre: Centre, tmp_path: Path) -> None:
    auditor = await centre.sign_in("avec.auditor")
    path = tmp_path / "journal.zip"
    path.write_bytes(await auditor.get("/journal/bundle"))
    key = centre.founded["avec"].journal_key
    checked = run("audit", "verify", path, "--key", key, "--json", environment={})
    assert checked.code == 0
    exported = await centre.journal("avec", action="journal.export")
    assert f'"size": {exported[0]["index"] + 1}' in checked.out


async def agree(centre: Centre, social: Client) -> Any:
    drafted = await story.draft(social, await story.open_case(social, "legal"), "identity", "legal")
    return await social.post(f"/handoffs/{drafted['id']}/consent", story.consent(drafted))


async def test_without_an_integrator_the_act_stands_and_nothing_is_proved(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    monkeypatch.setattr(receipts, "PATIENCE_SECONDS", 0.05)
    centre.app.state.integration._task.cancel()
    receipt = (await agree(centre, social))["receipt"]
    assert receipt["proof"] is None
    (given,) = await centre.journal("avec", action="consent.record")
    assert given["id"] == receipt["entry"]


async def test_what_another_process_integrated_is_proved_here(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    here, rounds = centre.app.state.integration, centre.deployment.rounds
    other = await assemble(centre.deployment.settings, centre.clock, FLOOR_PARAMS)
    there = Integration(other)
    here._task.cancel()

    async def integrate_there_and_follow_here() -> None:
        while True:
            await there.round()
            await here.follow()
            rounds.end()
            await rounds.pause(0.05)

    task = asyncio.create_task(integrate_there_and_follow_here())
    receipt = (await agree(centre, social))["receipt"]
    task.cancel()
    assert proved(centre, "avec", receipt).action == "consent.record"
    await dismantle(other)


def answer_of(handler: HTTPRouteHandler) -> type[Any]:
    """What a route's function answers, out of its Response."""
    answer: type[Any] = get_args(get_type_hints(handler.fn)["return"])[0]
    return answer


async def test_each_act_of_the_table_has_a_receipt_in_its_answer(centre: Centre) -> None:
    handlers = {
        handler.fn.__name__: handler
        for route in centre.app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
    }
    assert handlers.keys() >= receipts.AWAITED
    answers = {name: answer_of(handlers[name]) for name in receipts.AWAITED}
    assert {name for name, answer in answers.items() if not issubclass(answer, Receipted)} == {
        "export_bundle"
    }
