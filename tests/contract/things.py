"""What stands in the centre before a run, and what of it a request must name to be more than well formed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from schemathesis import Case

from tests.casework import story
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.rights.requests import approval, approve, wanted
from tests.casework.rights.requests import prepare as prepare_erasure

Body = Callable[[Case], dict[str, Any]]
GROUPS = ("identity", "social")
WORKER, ARRIVES = "avec.social", "avec.jurist"
RECEIVER = "cidff.supervisor"
# Of an organisation in which nobody else works in a run: they would all have to accept.
CHARTERED = "med.custodian"
# Nobody's token in a run: the keys of one are made anew, and another's password.
RENEWED, WAITS = "avec.double", "cidff.dpo"


@dataclass(frozen=True)
class Things:
    """By operation: parameters of the path (under "" for every operation), and the body of a generated one."""

    paths: Mapping[str, Mapping[str, str]]
    bodies: Mapping[str, Body]


async def prepare(centre: Centre) -> Things:
    """Make one thing of each kind, in the state that each operation asks for."""
    social = await centre.sign_in(WORKER, step_up=True)
    case = await story.open_case(social, "social")
    closing, closed = await story.open_case(social), await story.open_case(social)
    await social.post(f"/cases/{closed}/closure", {"reason": "contract"}, expect=200)
    restricting = await story.open_case(social)
    named, lifted = [await _restricted(centre, social) for _ in range(2)]
    note = await story.note(social, case, "accompagnement_social", "social")
    # Of a case of its own: what is sent must be as it was drafted, and the other one is changed.
    source = await story.open_case(social, "social")
    draft, cancelled, consented, reviewed = [await story.draft(social, source, *GROUPS) for _ in range(4)]
    await story.agree(social, consented)
    sent = [(await story.hand_over(social, source, *GROUPS))[0] for _ in range(5)]
    _, given = await story.hand_over(social, source, *GROUPS)
    await story.accept(await centre.sign_in(RECEIVER), sent[0])
    taken_up, secret, words = await _renew(centre)
    asked, decided, certified = [await _ask_for_erasure(social) for _ in range(3)]
    await approve(await centre.sign_in("avec.dpo", step_up=True), *certified)
    composed, thrown_away = [await _compose(social, case) for _ in range(2)]
    conflict = (await social.post("/me/conflicts", {"phones": ["01 99 00 56 78"]}))["id"]
    await centre.integrate()
    auditor = await centre.sign_in("avec.auditor")
    (entry,) = (await auditor.get("/journal/entries?limit=1"))["items"]
    reviewable = (await auditor.get("/journal/entries?action=case.create&limit=1"))["items"][0]["id"]
    paths = {
        "": {
            "case_id": case,
            "follow_up_id": note,
            "handoff_id": reviewed["id"],
            "consent_id": given,
            "entry_id": entry["id"],
            "member_id": str(centre.member("avec.psychologist")),
            "draft_id": composed,
            "request_id": asked[0],
        },
        "approve_erasure": {"request_id": decided[0]},
        "view_certificate": {"request_id": certified[0]},
        "delete_draft": {"draft_id": thrown_away},
        "withdraw_conflict": {"conflict_id": conflict},
        "change_team": {"team_id": str(await centre.team("avec", "jour", "avec.social"))},
        "close_team": {"team_id": str(await centre.team("avec", "nuit", "avec.social"))},
        "close_case": {"case_id": closing},
        "restrict_case": {"case_id": restricting},
        "view_restriction": {"case_id": named},
        "name_member": {"case_id": named},
        "unname_member": {"case_id": named},
        "lift_restriction": {"case_id": lifted},
        "reopen_case": {"case_id": closed},
        "change_group": {"case_id": case, "group": "social"},
        "give_consent": {"handoff_id": draft["id"]},
        "cancel": {"handoff_id": cancelled["id"]},
        "send": {"handoff_id": consented["id"]},
        "report_outcome": {"handoff_id": sent[0]},
        "confirm_renewal": {"member_id": str(centre.member(RENEWED))},
        "grant_leave": {"member_id": str(centre.member(RENEWED))},
        "end_leave": {"member_id": str(centre.member(RENEWED))},
        # Nobody acts in her name: it ends her sessions.
        "change_position": {"member_id": str(centre.member("avec.reception"))},
        "accept": {"handoff_id": sent[1]},
        "refuse": {"handoff_id": sent[2]},
        "acknowledge": {"handoff_id": sent[3]},
        "ask": {"handoff_id": sent[4]},
    }
    erasable = await story.open_case(social)
    bodies = {
        **_bodies(centre, case, draft, erasable),
        "record_review": lambda case: {**case.body, "entry": reviewable, "outcome": "justified"},
        "approve_erasure": lambda case: approval(
            decided[1] if case.path_parameters["request_id"] == decided[0] else erasable
        ),
        "take_up_renewal": lambda _: {"login": WAITS, "secret": secret, "new_password": story.PASSPHRASE},
        "confirm_renewal": lambda _: {"words": taken_up},
        "grant_keys": lambda _: {"words": words},
        "rotate_own_keys": lambda _: {"password": PASSWORD},
        "grant_leave": lambda _: {
            "from": centre.clock.now().isoformat(),
            "until": (centre.clock.now() + timedelta(days=30)).isoformat(),
            "reason": "contract",
        },
        "end_leave": lambda _: {"reason": "contract"},
        "change_position": lambda _: {
            "role": "reception",
            "professions": [],
            "secrecy_basis": "mission",
            "reason": "contract",
        },
        "publish_charter": lambda _: {"text": "Accueillir sans condition.", "reason": "contract"},
        "accept_charter": lambda _: {"version": 1},
        **dict.fromkeys(
            ("create_team", "change_team"),
            lambda _: {"name": "nuit", "members": [str(centre.member("avec.social"))], "reason": "contract"},
        ),
        "declare_conflict": lambda _: {"first_name": "Paul", "family_name": "Contrat"},
    }
    return Things(paths, bodies)


async def _renew(centre: Centre) -> tuple[str, str, str]:
    """The words of a renewal that waits for confirmation, the secret of another one, and a colleague's words."""
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    taken_up = await story.take_up(centre, await story.begin_renewal(centre, custodian, RENEWED), RENEWED)
    elsewhere = await centre.sign_in("cidff.custodian", step_up=True)
    secret = await story.begin_renewal(centre, elsewhere, WAITS)
    colleague = await centre.sign_in("avec.psychologist")
    words = (await colleague.get("/me/words"))["words"]
    return " ".join(taken_up), secret, " ".join(words)


async def _ask_for_erasure(client: Client) -> tuple[str, str]:
    """A request for erasure and its case."""
    case = await story.open_case(client)
    return await prepare_erasure(client, case), case


async def _restricted(centre: Centre, client: Client) -> str:
    """A case that three are named for, so that one can be taken away; none of them makes new keys meanwhile."""
    case = await story.open_case(client)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    members = [str(centre.member(login)) for login in (WORKER, "avec.psychologist", ARRIVES)]
    await supervisor.post(f"/cases/{case}/restriction", {"members": members, "reason": "contract"})
    return case


async def _compose(client: Client, case: str) -> str:
    draft, body = str(uuid4()), {"case_id": case, "content": {"social": story.told("social")}}
    await client.request("PUT", f"/drafts/{draft}", 200, json=body, headers={"if-none-match": "*"})
    return draft


def _bodies(centre: Centre, case: str, draft: dict[str, Any], erasable: str) -> Mapping[str, Body]:
    worker, colleague = str(centre.member(WORKER)), str(centre.member("avec.jurist"))
    # Nobody loses a case by it: she has none.
    leaves = str(centre.member("avec.psychologist"))
    text = {"social": story.told("social")}
    return {
        "create_session": lambda _: {"login": WORKER, "password": PASSWORD},
        "give_second_factor": lambda _: {"code": centre.code(ARRIVES)},
        "step_up": lambda _: {"password": PASSWORD},
        "change_password": lambda _: {"password": PASSWORD, "new_password": PASSWORD},
        "change_group": lambda _: {"summary": story.told("social")},
        "set_assignments": lambda _: {"members": [worker, colleague]},
        "restrict_case": lambda _: {"members": [worker, colleague], "reason": "contract"},
        "lift_restriction": lambda _: {"reason": "contract"},
        "write_note": lambda _: {"group": "social", "text": text["social"], "readers": [colleague]},
        "reassign": lambda _: {"from": leaves, "to": [colleague]},
        "record_follow_up": lambda case: {
            **case.body,
            "type": "accompagnement_social",
            "occurred_at": story.OCCURRED_AT,
            "content": text,
        },
        "correct_follow_up": lambda case: {**case.body, "reason": "contract", "content": text},
        "save_draft": lambda _: {"case_id": case, "content": text},
        "draft_handoff": lambda case: {**case.body, "to": "cidff", "groups": list(GROUPS), "excluded": []},
        "give_consent": lambda case: story.consent(
            draft if case.path_parameters["handoff_id"] == draft["id"] else case.body
        ),
        "prepare_erasure": lambda _: wanted(erasable),
        "refuse_erasure": lambda _: {"ground": "not_entitled"},
        "accept": lambda _: {"members": [str(centre.member(RECEIVER))]},
    }
