"""New keys for one case: the old ones open nothing any more, everybody reads on, and nobody reads more."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Row, select
from structlog.testing import capture_logs

from casework.act import Act
from casework.app import create_app
from casework.cases.tables import case_group
from casework.columns import Column
from casework.deployment import assemble, dismantle
from casework.shreds import ShredStore
from crypto.dek import CaseKey
from crypto.errors import CommitmentMismatch, SealBroken
from crypto.opener import open_frame
from crypto.password import FLOOR_PARAMS
from policies.vocabulary import Group
from tests.casework.administrator import Administrator
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.restricted import GROUPS, ids, lift, restricted_case, write_note
from tests.casework.story import (
    accept,
    agree,
    content,
    denials,
    done,
    draft,
    entries_of,
    hand_over,
    note,
    open_case,
    send,
    told,
)

REASON = {"reason": f"{CANARY} poste volé"}
# What a supervisor of AVEC holds, and what she does not.
HERS = [group for group in Group if group != "health"]
OTHERS = ["health"]

Halves = Mapping[tuple[UUID, str], bytes]


async def _renew(by: Client, case: str, **more: Any) -> dict[str, Any]:
    renewed: dict[str, Any] = await by.post(f"/cases/{case}/keys", REASON, 200, **more)
    return renewed


async def _rows(centre: Centre, case: str) -> dict[str, Row[Any]]:
    query = select(case_group).where(case_group.c.case_id == UUID(case))
    rows = await centre.dba(lambda connection: connection.execute(query).all())
    return {row.compartment: row for row in rows}


def _halves_of(act: Act, case: str) -> Halves:
    owned = act.deployment.shreds.owned(act.org_id)
    purposes = [purpose for owner, purpose in owned if owner == UUID(case)]
    return act.deployment.shreds.of(act.org_id, [UUID(case)], purposes)


def _key(act: Act, row: Row[Any], half: bytes) -> CaseKey | None:
    """With the KEKs of a session and nothing else: no gateway, no policy."""
    return act.keyring.case_key(row.compartment, row.case_id, row.dek_generation, row.dek.blob, half)


async def _everything_of(client: Client, case: str) -> list[Any]:
    opened = await client.get(f"/cases/{case}")
    timeline = (await client.get(f"/cases/{case}/follow-ups"))["items"]
    return [opened, timeline, (await client.get(f"/cases/{case}/notes"))["items"], await client.get("/cases")]


async def _full_case(centre: Centre, social: Client) -> str:
    """A case with texts in all groups, health by the psychologist, who is assigned to it too."""
    supervisor = await centre.sign_in("avec.supervisor")
    case = await open_case(social, *GROUPS)
    await note(social, case, "accompagnement_social", "social", "legal")
    both = {"members": ids(centre, "avec.social", "avec.psychologist")}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=both)
    psychologist = await centre.sign_in("avec.psychologist")
    await psychologist.patch(f"/cases/{case}/groups/health", {"summary": f"{CANARY}-health"}, 0)
    await note(psychologist, case, "suivi_psychologique", "health")
    return case


async def test_a_copy_from_before_opens_nothing_with_what_is_there_now_nor_old_keys_what_is_new(
    centre: Centre,
) -> None:
    """Somebody kept the database, the shred store, and her KEKs: of each she now has only the half that is dead."""
    social = await centre.sign_in("avec.social")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await _full_case(centre, social)
    before = await _everything_of(social, case)
    old_rows = await _rows(centre, case)
    old_halves = await centre.act(social, lambda act: _halves_of(act, case))
    assert done(await _renew(supervisor, case)) == {"renewed": HERS, "waiting": OTHERS}
    # Sessions that were open read on, and give their own groups new keys by it.
    assert await _everything_of(social, case) == before
    psychologist = await centre.sign_in("avec.psychologist")
    assert (await psychologist.get(f"/cases/{case}"))["groups"]["health"] == {"summary": f"{CANARY}-health"}
    assert len((await psychologist.get(f"/cases/{case}/follow-ups"))["items"]) == 2
    await note(social, case, "accompagnement_social", "social")
    rows = await _rows(centre, case)
    assert all(row.dek_generation == row.half > old_rows[group].half for group, row in rows.items())

    def attempt(act: Act) -> None:
        halves = _halves_of(act, case)
        assert not set(halves.values()) & {
            half for (_, kind), half in old_halves.items() if kind in list(Group)
        }
        for group, old in old_rows.items():
            if not act.keyring.holds(group):
                continue
            # The copied database beside the shred store of today.
            for half in halves.values():
                with pytest.raises(CommitmentMismatch):
                    _key(act, old, half)
            # The copied key beside the database of today; and what it opened before, so that the test is one.
            key = _key(act, old, old_halves[UUID(case), group])
            assert key is not None
            place = Column.CASE_GROUP_FRAME.place(act.org_id, old.id, old.version)
            if old.frame is not None:
                assert open_frame(key, place, old.frame.blob)
                with pytest.raises(SealBroken):
                    open_frame(key, place, rows[group].frame.blob)

    for client in (social, psychologist):
        await centre.act(client, attempt)


async def test_handoffs_consents_notes_and_drafts_of_a_renewed_case_work_on(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await _full_case(centre, social)
    noted = await note(social, case, "accompagnement_social", "social", "legal")
    await write_note(social, case, "social", "avec.jurist")
    reception = await centre.sign_in("avec.reception")
    version = (await social.get(f"/cases/{case}"))["versions"]["safety"]
    await reception.patch(f"/cases/{case}/groups/safety", {"summary": told("front desk")}, version)
    unsaved = {"case_id": case, "content": {"text": told("draft")}}
    draft_path = f"/drafts/{uuid4()}"
    await social.request("PUT", draft_path, 200, json=unsaved, headers={"if-none-match": "*"})
    consented = await draft(social, case, "identity", "legal", follow_ups=[noted])
    await agree(social, consented)
    sent, consent = await hand_over(social, case, "identity", "social")

    await _renew(supervisor, case)
    (shown,) = (await social.get(f"/cases/{case}/notes"))["items"]
    assert shown["text"] == f"{CANARY}-note social"
    assert (await social.get(f"/cases/{case}"))["groups"]["safety"] == {"summary": told("front desk")}
    assert (await social.get(draft_path))["content"] == unsaved["content"]
    preview = (await social.get(f"/handoffs/{consented['id']}/preview"))["preview"]
    assert preview["legal"]["fields"] == content("legal")
    await send(social, consented)
    receiver = await centre.sign_in("cidff.jurist", step_up=True)
    supervises = await centre.sign_in("cidff.supervisor", step_up=True)
    arrived = await accept(supervises, consented["id"], "cidff.jurist")
    # New keys for what nobody has opened yet: the parts wait on, and are taken in under them.
    assert (await _renew(supervises, arrived))["renewed"]
    assert (await receiver.get(f"/cases/{arrived}"))["groups"]["legal"] == content("legal")
    await social.post(f"/consents/{consent}/withdrawal", {"means": "oral"}, 200)
    withdrawn = (await social.get("/handoffs?box=sent&state=withdrawn"))["items"]
    assert [item["id"] for item in withdrawn] == [sent]
    correction = {"content": {"social": told("family")}, "reason": "x"}
    await social.post(f"/follow-ups/{noted}/corrections", correction, headers={"if-match": '"1"'})
    await _renew(supervisor, case)
    versions = (await social.get(f"/follow-ups/{noted}/versions"))["items"]
    assert [item["content"]["social"] for item in versions] == [told("social"), told("family")]
    found = await social.post("/search", {"name": f"{CANARY} identity"}, 200)
    assert [item["case_id"] for item in found["items"]] == [case]


async def test_what_the_asker_does_not_hold_is_renewed_by_whoever_opens_or_changes_it_next(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    psychologist = await centre.sign_in("avec.psychologist")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await _full_case(centre, social)
    once = {"headers": {"idempotency-key": "stolen"}}
    assert (await _renew(supervisor, case, **once))["waiting"] == OTHERS
    # A list shows, and renews nothing; nor does who opens it without that key.
    assert [item["id"] for item in (await social.get("/cases"))["items"]] == [case]
    await social.get(f"/cases/{case}")
    rows = await _rows(centre, case)
    assert [group for group, row in rows.items() if row.half > row.dek_generation] == OTHERS
    # Asked again under the same key it says what is true by now, and renews nothing.
    assert done(await _renew(supervisor, case, **once)) == {"renewed": HERS, "waiting": OTHERS}
    await note(psychologist, case, "suivi_psychologique", "health")
    assert done(await _renew(supervisor, case, **once)) == {"renewed": [*Group], "waiting": []}
    rows = await _rows(centre, case)
    assert {group: row.half for group, row in rows.items()} == {**dict.fromkeys(HERS, 2), "health": 3}
    assert len((await psychologist.get(f"/cases/{case}/follow-ups"))["items"]) == 3
    # Who asked, and why; and who finished it.
    items = entries_of(await centre.journal("avec", case=case), "case.renew_keys")
    told_of = [(item["entry"]["actor"], item["detail"], item["entry"].get("count")) for item in items]
    her, asked = ids(centre, "avec.psychologist", "avec.supervisor")
    assert told_of == [
        (her, {"groups": ["health"]}, 1),
        (asked, {"groups": sorted(HERS), **REASON}, 7),
    ]
    assert items[-1]["entry"]["auth"] == "step_up"
    assert CANARY not in str([item["entry"] for item in items])


async def test_who_may_not_restrict_a_case_renews_no_key_of_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await _full_case(centre, social)
    before = {group: (row.dek.blob, row.half) for group, row in (await _rows(centre, case)).items()}
    path = f"/cases/{case}/keys"
    # Assigned, or at the front desk: she knows of the case, and may not.
    for login in ("avec.social", "avec.reception"):
        client = await centre.sign_in(login, step_up=True)
        await client.refused("POST", path, 403, "forbidden", json=REASON)
    # Not assigned, without cases, of another organisation, and of a case that is not there.
    for login in ("avec.jurist", "avec.auditor", "avec.custodian", "avec.dpo", "cidff.supervisor"):
        client = await centre.sign_in(login, step_up=True)
        await client.refused("POST", path, 404, "not_found", json=REASON)
        await client.refused("POST", f"/cases/{uuid4()}/keys", 404, "not_found", json=REASON)
    calm = await centre.sign_in("avec.supervisor")
    problem = await calm.refused("POST", path, 403, "step_up_needed", json=REASON)
    assert problem["advice"] == ["step_up"]
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    problem = await supervisor.refused("POST", path, 403, "forbidden", json={"reason": " "})
    assert problem["advice"] == ["reason"]
    assert {group: (row.dek.blob, row.half) for group, row in (await _rows(centre, case)).items()} == before
    denied = await denials(centre, "avec", "case.restrict")
    assert [item["entry"]["reason"] for item in denied] == ["policy", "step_up", "policy", "policy"]
    of_policy = [item for item in denied if item["entry"]["reason"] == "policy"]
    assert {item["detail"]["tried"]["case"] for item in of_policy} == {case}
    hidden = await denials(centre, "avec", "case.open")
    assert [item["entry"]["reason"] for item in hidden] == ["not_found"] * 8
    assert len(await denials(centre, "cidff", "case.open")) == 2
    assert entries_of(await centre.journal("avec"), "case.renew_keys") == []


async def test_a_restricted_case_is_not_there_to_whoever_is_not_named_and_stays_closed(
    centre: Centre,
) -> None:
    case, social, supervisor = await restricted_case(centre, "avec.social", "avec.psychologist")
    before = await _rows(centre, case)
    await supervisor.refused("POST", f"/cases/{case}/keys", 404, "not_found", json=REASON)
    assert entries_of(await denials(centre, "avec", "case.open"), "case.open")
    assert {row.half for row in (await _rows(centre, case)).values()} == {row.half for row in before.values()}
    assert (await _renew(social, case))["waiting"] == ["health"]
    psychologist = await centre.sign_in("avec.psychologist")
    for client, group in ((social, "social"), (psychologist, "health")):
        assert (await client.get(f"/cases/{case}"))["groups"][group]["summary"].startswith(CANARY)
    # The part that the named hold is laid over the new halves too.
    rows = await _rows(centre, case)

    def attempt(act: Act) -> None:
        halves = _halves_of(act, case)
        with pytest.raises(CommitmentMismatch):
            _key(act, rows["social"], halves[UUID(case), f"social#{rows['social'].half}"])

    await centre.act(supervisor, attempt)
    await supervisor.refused("GET", f"/cases/{case}", 404, "not_found")
    await lift(social, case)
    assert (await supervisor.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_a_renewal_that_was_cut_off_before_its_commit_lost_nothing_and_is_asked_for_again(
    centre: Centre,
) -> None:
    """The halves are in the shred store by then, the rows not: as a kill between the two leaves it."""
    social = await centre.sign_in("avec.social")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await _full_case(centre, social)
    before = await _everything_of(social, case)
    administrator = Administrator(centre.urls.owner)
    await administrator.set_trap("audit_inbox")
    await supervisor.refused("POST", f"/cases/{case}/keys", 500, "internal", json=REASON)
    await administrator.lift_trap("audit_inbox")
    halves = await centre.act(social, lambda act: _halves_of(act, case))
    assert {kind for _, kind in halves} == {"pseudonym", *Group, *(f"{group}#2" for group in Group)}
    assert await _everything_of(social, case) == before
    await _renew(supervisor, case)
    assert await _everything_of(social, case) == before
    halves = await centre.act(social, lambda act: _halves_of(act, case))
    assert {kind for _, kind in halves} == {"pseudonym", *(f"{group}#2" for group in Group)}
    assert entries_of(await centre.journal("avec"), "seal.broken") == []


async def test_two_renewals_at_once_and_readers_beside_them_lose_nothing(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await _full_case(centre, social)
    before = await _everything_of(social, case)
    askers = [await centre.sign_in("avec.supervisor", step_up=True) for _ in range(2)]
    answers = await asyncio.gather(
        *(_renew(asker, case) for asker in askers * 2), *(_everything_of(social, case) for _ in range(4))
    )
    assert all(answer == before for answer in answers if isinstance(answer, list))
    assert await _everything_of(social, case) == before
    rows = await _rows(centre, case)
    halves = await centre.act(social, lambda act: _halves_of(act, case))
    assert {kind for _, kind in halves} == {
        "pseudonym",
        *(f"{group}#{row.half}" for group, row in rows.items()),
    }
    assert all(rows[group].half == 5 for group in HERS)
    assert entries_of(await centre.journal("avec"), "seal.broken") == []


async def _renew_elsewhere(centre: Centre, token: str, case: str) -> None:
    """At another process of the service."""
    other = await assemble(centre.deployment.settings, centre.clock, FLOOR_PARAMS)
    transport = httpx.ASGITransport(create_app(other), client=("127.0.0.1", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
        headers = {"authorization": f"Bearer {token}"}
        answer = await http.post(f"/api/v1/cases/{case}/keys", json=REASON, headers=headers)
        assert answer.status_code == 200, answer.text
    await dismantle(other)


# On SQLite nobody writes between two statements of a unit.
@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("path", ["/cases", "/cases/{case}/follow-ups"])
async def test_a_reading_between_whose_statements_the_keys_are_renewed_is_no_damage(
    centre: Centre, engine_name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the key rows of before when their halves are destroyed."""
    social = await centre.sign_in("avec.social")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await _full_case(centre, social)
    before = await social.get(path.format(case=case))
    read, renewing = ShredStore.of, [threading.Thread(target=_run, args=(centre, supervisor.token, case))]

    def read_late(*args: Any) -> Any:
        while renewing:
            thread = renewing.pop()
            thread.start()
            thread.join()
        return read(*args)

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(ShredStore, "of", read_late)
        assert await social.get(path.format(case=case)) == before
    assert [line for line in logs if line["log_level"] in {"error", "critical"}] == []
    assert {row.half for row in (await _rows(centre, case)).values()} == {2}
    assert entries_of(await centre.journal("avec"), "seal.broken") == []


def _run(centre: Centre, token: str, case: str) -> None:
    asyncio.run(_renew_elsewhere(centre, token, case))
