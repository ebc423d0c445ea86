"""Lives that close a case to others: restricted to two members, and erased."""

from casework.cases.schemas import ConflictWithdrawal, KeyRenewal, Lifting, NewNote, NewRestriction
from casework.rights.schemas import NewRequest
from policies.vocabulary import Group
from tests.casework.rights.requests import approval
from tests.journeys.canaries import filled
from tests.journeys.lives import SOCIAL, Life, new_case


def live_through_restrictions(life: Life) -> None:
    """A case under new keys that two keep for themselves, with a note for both; then an ordinary one again."""
    social = life.member("avec.social", step_up=True)
    case = social.post("/cases", new_case(life.canaries, SOCIAL))["id"]
    jurist = str(life.id_of("avec.jurist"))
    members = [str(life.id_of("avec.social")), jurist]
    restriction = filled(NewRestriction, life.canaries, members=members)
    supervisor = life.member("avec.supervisor", step_up=True)
    supervisor.post(f"/cases/{case}/keys", filled(KeyRenewal, life.canaries), 200)
    supervisor.post(f"/cases/{case}/restriction", restriction)
    note = filled(NewNote, life.canaries, group=Group.SOCIAL, readers=[jurist])
    social.post(f"/cases/{case}/notes", note)
    assert life.canaries.found_in(str(social.get(f"/cases/{case}/notes")).encode())
    assert life.canaries.found_in(str(social.get(f"/cases/{case}")).encode())
    social.post(f"/cases/{case}/restriction/lifting", filled(Lifting, life.canaries), 200)


def live_with_conflicts(life: Life) -> None:
    """A person is declared, taken back, and declared again."""
    social = life.member("avec.social", step_up=True)
    person = {"first_name": life.canaries.text(), "family_name": life.canaries.text()}
    declared = social.post("/me/conflicts", {**person, "phones": ["01 99 00 56 78"]})["id"]
    social.post("/me/conflicts", {"phones": [life.canaries.word()]}, 422)
    social.post(f"/me/conflicts/{declared}/withdrawal", filled(ConflictWithdrawal, life.canaries), 200)
    social.post("/me/conflicts", person)


def live_by_the_hours(life: Life) -> None:
    """The custodian says when it is open and which networks are its own: what is none stands nowhere."""
    custodian = life.member("avec.custodian", step_up=True)
    path = "/organisation/settings"
    settings = {"opening_hours": {}, "closed_on": [], "managed_networks": []}
    changed = {**settings, "version": custodian.get(path)["version"], "reason": life.canaries.text()}
    custodian.ask("PUT", path, 200, changed)
    custodian.ask("PUT", path, 422, {**changed, "managed_networks": [life.canaries.word()]})


def live_in_a_team(life: Life) -> None:
    """A team is made, with a reason, renamed, and closed."""
    supervisor = life.member("avec.supervisor", step_up=True)
    member = (next(iter(supervisor.get("/members")["items"])))["id"]
    team = {"name": "nuit", "members": [member], "reason": life.canaries.text()}
    path = f"/teams/{supervisor.post('/teams', team)['id']}"
    supervisor.ask("PUT", path, 200, {**team, "name": "soir", "reason": life.canaries.text()})
    supervisor.post(f"{path}/closure", {"reason": life.canaries.text()}, 200)


def live_until_erased(life: Life) -> None:
    """Erasure is asked for, with a reason: of one case refused, of another done."""
    social, officer = life.member("avec.social"), life.member("avec.dpo", step_up=True)
    for decision in ("refusal", "approval"):
        case = social.post("/cases", new_case(life.canaries, SOCIAL))["id"]
        asked = filled(NewRequest, life.canaries, kind="erasure", case_id=case, basis="objection")
        request = social.post("/rights-requests", asked)["id"]
        assert life.canaries.found_in(str(officer.get(f"/rights-requests/{request}")).encode())
        body = {"ground": "not_entitled"} if decision == "refusal" else approval(case)
        officer.post(f"/rights-requests/{request}/{decision}", body, 200)
