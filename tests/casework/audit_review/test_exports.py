"""The journal for other programs: CSV that no spreadsheet runs, FHIR that a stranger's model takes, no detail."""

import csv
import io
import json
import warnings
from typing import Any

import pytest

from audit.entry import Basis, Outcome
from audit.log import Integrated
from casework.audit_review import exporting
from casework.audit_review.formats import to_csv, to_fhir
from tests.audit.journal import make_entry
from tests.casework.centre import CANARY, Centre
from tests.casework.story import note, open_case

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fhir.resources.R4B.auditevent import AuditEvent
    from fhir.resources.R4B.bundle import Bundle


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


async def export(centre: Centre, login: str = "avec.auditor", **query: Any) -> bytes:
    await centre.integrate()
    member = await centre.sign_in(login, step_up=True)
    answer = await member.request("GET", "/journal/export", 200, params={"format": "csv", **query})
    return answer.content


async def lived(centre: Centre) -> str:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    await note(social, case, "accompagnement_social", "social")
    await social.get(f"/cases/{case}")
    await (await centre.sign_in("avec.psychologist")).refused("GET", f"/cases/{case}", 404, "not_found")
    return case


async def test_the_export_holds_what_the_entries_show_oldest_first(centre: Centre) -> None:
    case = await lived(centre)
    found = rows_of(await export(centre, case=case))
    shown = [
        item
        for item in reversed(await centre.journal("avec", case=case))
        if item["action"] != "journal.export"
    ]
    assert [row["id"] for row in found] == [item["id"] for item in shown]
    assert [row["sentence"] for row in found] == [item["sentence"] for item in shown]
    assert found[-1]["sentence"].startswith("Une intervenante d’AVEC a ouvert le dossier ")
    assert found[-1]["sentence"].endswith(" au titre de son affectation.")
    opened = rows_of(await export(centre, action="case.open", outcome="denied"))
    assert [row["reason"] for row in opened] == ["not_found"]
    assert CANARY.encode() not in await export(centre)


@pytest.mark.parametrize("login", ["avec.auditor", "avec.dpo"])
async def test_a_bundle_of_audit_events_is_fhir(centre: Centre, login: str) -> None:
    case = await lived(centre)
    content = await export(centre, login, format="fhir")
    bundle = Bundle.model_validate_json(content)
    assert len(bundle.entry) == len(json.loads(content)["entry"])
    opened = next(
        one.resource
        for one in bundle.entry
        if one.resource.subtype[0].code == "case.open" and one.resource.outcome == "0"
    )
    assert (opened.action, opened.agent[0].requestor) == ("R", True)
    assert opened.agent[0].who.identifier.value == str(centre.member("avec.social"))
    assert opened.agent[0].purposeOfUse[0].coding[0].code == "support"
    refused = next(one.resource for one in bundle.entry if one.resource.outcome == "4")
    assert "s’est vu refuser" in refused.outcomeDesc
    assert case.encode() not in content
    assert CANARY.encode() not in content


async def test_every_export_is_journaled_with_how_many_it_showed(centre: Centre) -> None:
    case = await lived(centre)
    shown = rows_of(await export(centre, case=case))
    (entry,) = [item for item in await centre.journal("avec") if item["action"] == "journal.export"]
    assert (entry["outcome"], entry["entry"]["count"], entry["detail"]) == (
        "allowed",
        len(shown),
        {"case": case},
    )


async def test_an_export_without_a_confirmed_password_is_refused_and_journaled(centre: Centre) -> None:
    auditor = await centre.sign_in("avec.auditor")
    refused = await auditor.refused("GET", "/journal/export?format=csv", 403, "step_up_needed")
    assert refused["advice"] == ["step_up"]
    (entry,) = [item for item in await centre.journal("avec") if item["outcome"] == "denied"]
    assert (entry["action"], entry["entry"]["reason"]) == ("journal.read", "step_up")


async def test_who_may_not_read_the_journal_exports_none(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    await social.refused("GET", "/journal/export?format=fhir", 403, "forbidden")
    foreign = rows_of(await export(centre, "cidff.auditor"))
    assert all(
        row["action"]
        in {
            "session.create",
            "session.second_factor",
            "session.step_up",
            "org.create",
            "log.heartbeat",
            "key.grant",
        }
        for row in foreign
    ), foreign


async def test_more_than_a_file_holds_is_refused(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    await lived(centre)
    monkeypatch.setattr(exporting, "MOST", 2)
    auditor = await centre.sign_in("avec.auditor", step_up=True)
    await centre.integrate()
    await auditor.refused("GET", "/journal/export?format=csv", 409, "too_many_entries")
    await auditor.refused("GET", "/journal/export?format=xml", 422, "bad_input")
    await auditor.refused("GET", "/journal/export?format=csv&from=2026-01-01T00:00:00", 422, "bad_input")


def test_csv_runs_no_formula_and_keeps_every_value() -> None:
    # The schema lets no such value into an entry; a name of an organisation may begin so.
    for name in ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'a "b", c\nd'):
        entry = make_entry(role=None, actor=None, action="case.close")
        forged = Integrated(0, entry, b"")
        (row,) = rows_of(to_csv([Integrated(0, make_entry(reason=None), b"")], "x", name))
        assert not row["sentence"].startswith(("=", "+", "-", "@", "\t", "\r"))
        assert rows_of(to_csv([forged], "x", name))[0]["id"] == entry.id

    class Hostile:
        """As an entry of a database that somebody writes to."""

        def __getattr__(self, name: str) -> Any:
            return "=HYPERLINK()" if name == "reason" else getattr(make_entry(), name)

    hostile: Any = Hostile()
    (row,) = rows_of(to_csv([Integrated(0, hostile, b"")], "x", "X"))
    assert row["reason"] == "'=HYPERLINK()"
    assert to_csv([], "x", "X").count(b"\r\n") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"subjects": (), "actor": None, "role": None, "purpose": None, "basis": Basis(policies=(), set=None)},
        {"outcome": Outcome.FAILED, "action": "of.another_version"},
        {"action": "erasure.approve"},
    ],
)
def test_any_entry_is_an_audit_event(changes: dict[str, Any]) -> None:
    raw = to_fhir([Integrated(0, make_entry(**changes), b"")], "avec", "AVEC")
    (one,) = json.loads(raw)["entry"]
    AuditEvent.model_validate(one["resource"])
    Bundle.model_validate_json(raw)
    Bundle.model_validate_json(to_fhir([], "avec", "AVEC"))
