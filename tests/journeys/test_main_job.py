"""The main job, end to end: a follow-up recorded, a case transferred with consent, the journal reviewed."""

from pathlib import Path

from audit.checkpoint import VerificationKey
from audit.trust import Trust
from audit.verifier import verify_bundle
from crypto.signing import verify
from tests.casework.centre import Centre

FOLLOW_UP = {
    "type": "accompagnement_social",
    "occurred_at": "2026-11-20T10:00:00Z",
    "channel": "on_site",
    "duration_minutes": 45,
    "content": {"social": "Cherche un logement.", "legal": "Veut porter plainte."},
}


async def test_a_follow_up_is_recorded_transferred_and_reviewed(centre: Centre, tmp_path: Path) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await social.post(
        "/cases",
        {"public": "seeking", "identity": {"name_in_use": "Inès"}, "contact": {"phone": "0639980101"}},
    )
    recorded = await social.post(f"/cases/{case['id']}/follow-ups", FOLLOW_UP)
    draft = await social.post(
        f"/cases/{case['id']}/handoffs",
        {
            "to": "cidff",
            "kind": "transfer",
            "purpose": "legal_advice",
            "urgency": "normal",
            "service": "acces_au_droit",
            "groups": ["identity", "legal"],
            "follow_ups": [recorded["id"]],
        },
    )
    await social.post(
        f"/handoffs/{draft['id']}/consent",
        {
            "content_digest": draft["content_digest"],
            "means": "written",
            "language": "fr",
            "safe_contact_checked": True,
        },
    )
    await social.post(f"/handoffs/{draft['id']}/sending", expect=200)

    jurist = await centre.sign_in("cidff.jurist")
    box = await jurist.get("/handoffs?box=received")
    assert [(item["id"], item["service"]) for item in box["items"]] == [(draft["id"], "acces_au_droit")]
    accepted = await jurist.post(f"/handoffs/{draft['id']}/acceptance", {}, expect=200)
    received = await jurist.get(f"/cases/{accepted['case_id']}")
    assert received["groups"]["identity"] == {"name_in_use": "Inès"}
    assert received["groups"]["contact"] == {}
    timeline = await jurist.get(f"/cases/{accepted['case_id']}/follow-ups")
    assert [item["content"] for item in timeline["items"]] == [{"legal": "Veut porter plainte."}]
    assert (await social.get(f"/cases/{case['id']}"))["status"] == "closed"

    await centre.integrate()
    for login in ("avec.auditor", "cidff.auditor"):
        auditor = await centre.sign_in(login)
        journal = await auditor.get("/journal/entries?limit=200")
        assert {"handoff.accept", "handoff.accepted"} & {item["action"] for item in journal["items"]}
        bundle = tmp_path / f"{login}.zip"
        bundle.write_bytes(await auditor.get("/journal/bundle"))
        key = centre.founded[login.partition(".")[0]].journal_key
        report = verify_bundle(bundle, Trust(keys=(VerificationKey.parse(key),)), verify)
        assert report.exit_code == 0, report
