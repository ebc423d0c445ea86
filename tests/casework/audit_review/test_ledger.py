"""What a person is told of who consulted her file: days, roles, purposes, and nobody's name."""

import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pypdf

from casework.audit_review.ledger import WARNING, Ledger, LedgerLine, to_pdf
from tests.casework.centre import CANARY, Centre
from tests.casework.story import note, open_case

FOR_HER = {"Casework-Purpose": "rights_request"}


async def lived(centre: Centre) -> str:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    await note(social, case, "accompagnement_social", "social")
    for _ in range(2):
        await social.get(f"/cases/{case}")
    await centre.integrate()
    return case


async def ledger_of(centre: Centre, case: str, login: str = "avec.social") -> dict[str, Any]:
    member = await centre.sign_in(login, step_up=True)
    made: dict[str, Any] = await member.get(f"/cases/{case}/ledger", headers=FOR_HER)
    return made


async def test_it_tells_days_roles_and_purposes_and_never_a_name(centre: Centre) -> None:
    case, other = await lived(centre), await lived(centre)
    made = await ledger_of(centre, case)
    lines = {(line["role"], line["what"], line["purpose"]): line["times"] for line in made["lines"]}
    assert lines["Une intervenante", "a ouvert votre dossier", "accompagnement"] == 2
    assert lines["Une intervenante", "a créé votre dossier", "accompagnement"] == 1
    assert lines["Une intervenante", "a écrit un suivi de votre dossier", "accompagnement"] == 1
    assert (made["warning"], made["kept_months"]) == (WARNING, 12)
    told = str(made)
    for secret in (str(centre.member("avec.social")), "avec.social", other, CANARY):
        assert secret not in told


async def test_an_emergency_access_is_told_once_and_what_rests_on_it_as_such(centre: Centre) -> None:
    case = await lived(centre)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    body = {"purpose": "support", "reason": "elle appelle"}
    await psychologist.post(f"/cases/{case}/break-glass", body)
    await psychologist.get(f"/cases/{case}")
    await centre.integrate()
    told = {line["what"] for line in (await ledger_of(centre, case))["lines"]}
    assert {what for what in told if "urgence" in what} == {
        "a demandé un accès d’urgence à votre dossier",
        "a ouvert votre dossier en accès d’urgence",
    }


async def test_a_ledger_is_itself_journaled_and_stands_in_the_next(centre: Centre) -> None:
    case = await lived(centre)
    await ledger_of(centre, case, "avec.dpo")
    (entry,) = [item for item in await centre.journal("avec", case=case) if item["action"] == "case.ledger"]
    assert (entry["outcome"], entry["entry"]["role"], entry["entry"]["purpose"]) == (
        "allowed",
        "dpo",
        "rights_request",
    )
    again = await ledger_of(centre, case)
    assert ("La déléguée à la protection des données", "demande de droits") in {
        (line["role"], line["purpose"]) for line in again["lines"]
    }


async def test_who_may_not_answer_her_request_makes_none(centre: Centre) -> None:
    case = await lived(centre)
    social = await centre.sign_in("avec.social")
    refused = await social.refused("GET", f"/cases/{case}/ledger", 403, "forbidden")
    assert "advice" not in refused
    stepped = await social.refused("GET", f"/cases/{case}/ledger", 403, "step_up_needed", headers=FOR_HER)
    assert stepped["advice"] == ["step_up"]
    for login in ("avec.psychologist", "avec.auditor", "avec.custodian", "cidff.jurist", "cidff.dpo"):
        member = await centre.sign_in(login, step_up=True)
        for ending in ("ledger", "ledger.pdf"):
            await member.refused("GET", f"/cases/{case}/{ending}", 404, "not_found", headers=FOR_HER)
        await member.refused("GET", f"/cases/{uuid4()}/ledger", 404, "not_found", headers=FOR_HER)
    denied = [
        item for item in await centre.journal("avec", action="case.ledger") if item["outcome"] == "denied"
    ]
    assert len(denied) == 9


async def test_on_paper_the_warning_comes_first_and_no_number_of_the_case(centre: Centre) -> None:
    case = await lived(centre)
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    answer = await dpo.request("GET", f"/cases/{case}/ledger.pdf", 200)
    reader = pypdf.PdfReader(io.BytesIO(answer.content))
    text = " ".join(reader.pages[0].extract_text().split())
    assert text.index("Attention") < text.index("Qui a lu, modifié ou transmis vos données")
    assert "a ouvert votre dossier" in text
    assert case not in text
    assert "MarkInfo" in reader.trailer["/Root"] or "/MarkInfo" in reader.trailer["/Root"]


def test_a_ledger_without_entries_or_with_many_is_a_page() -> None:
    moment = datetime(2026, 11, 28, tzinfo=UTC)
    line = LedgerLine(moment.date(), "Une intervenante", "a ouvert votre dossier", None, 3)
    for lines in ([], [line] * 200):
        made = Ledger(UUID(int=1), 'AVEC "63" #[x]', moment, 12, WARNING, lines)
        assert to_pdf(made).startswith(b"%PDF")
