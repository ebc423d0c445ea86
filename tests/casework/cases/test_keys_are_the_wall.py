"""With a policy engine that always allows, keys alone keep a reader out: of another organisation, of a group."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, select

from casework.act import Act
from casework.cases.tables import case_group
from casework.columns import Column
from casework.follow_ups.tables import follow_up_frame
from crypto.dek import CaseKey, dek_row_is_dropped
from crypto.errors import CryptoError
from crypto.opener import open_frame
from policies.engine import Decision, Engine
from policies.facts import CASE_STATES
from policies.filters import Cube, minimise
from policies.vocabulary import Group
from tests.casework.centre import CANARY, SLUGS, Centre, Client
from tests.casework.story import content, draft, hand_over, note, open_case

SEALED_FROM_RECEPTION = ("safety", "social", "legal", "health", "family")


class AllowsEverything(Engine):
    """The engine of an organisation whose policies have been replaced by one line."""

    def __init__(self, engine: Engine) -> None:
        self.org = engine.org
        self.hash = engine.hash
        self.policies = engine.policies

    def _allow(self, *_question: Any) -> Decision:
        return Decision(allowed=True, policies=("test.allow",))

    decide_case = decide_org = decide_handoff = decide_change = _allow

    def allowed_states(self, *_question: Any) -> frozenset[int]:
        return frozenset(range(CASE_STATES))

    def list_filter(self, *_question: Any) -> tuple[Cube, ...]:
        return minimise(range(CASE_STATES))


async def allow_everything(centre: Centre) -> None:
    for slug in SLUGS:
        await centre.decide_by(slug, AllowsEverything)


class Record:
    """A case of AVEC that holds a text in every group, with a handoff drafted and one sent."""

    def __init__(self, case: str, handoffs: list[str], entry: str) -> None:
        self.paths = [
            "/me",
            "/cases",
            f"/cases/{case}",
            f"/cases/{case}/follow-ups",
            "/handoffs?box=sent",
            "/handoffs?box=received",
            *(f"/handoffs/{handoff}/preview" for handoff in handoffs),
            "/journal/entries?limit=200",
            f"/journal/entries?case={case}",
            "/journal/checkpoint",
            f"/journal/entries/{entry}/proof",
            "/journal/bundle",
        ]
        self.case = case


async def fill(centre: Centre) -> Record:
    social = await centre.sign_in("avec.social", step_up=True)
    groups = ("contact", "intake", "safety", "social", "legal", "family")
    case = await open_case(social, *groups)
    await note(social, case, "accompagnement_social", "social", "legal", "safety", "family")
    supervisor = await centre.sign_in("avec.supervisor")
    both = [str(centre.member(login)) for login in ("avec.social", "avec.psychologist")]
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json={"members": both})
    psychologist = await centre.sign_in("avec.psychologist")
    await psychologist.patch(f"/cases/{case}/groups/health", content("health"), 0)
    await note(psychologist, case, "suivi_psychologique", "health")
    drafted = await draft(social, case, "identity", "social", to="planning")
    sent, _ = await hand_over(social, case, "identity", "legal", "family", to="cidff")
    entry = (await centre.journal("avec"))[0]["id"]
    return Record(case, [drafted["id"], sent], entry)


async def _read(client: Client, path: str) -> str:
    """The text of an answer, whatever its status; a bundle's bytes as they are."""
    return (await client.request("GET", path)).content.decode("latin-1")


@pytest.mark.parametrize("login", ["cidff.jurist", "cidff.supervisor", "planning.health"])
async def test_another_organisation_reads_nothing_even_when_everything_is_allowed(
    centre: Centre, login: str
) -> None:
    record = await fill(centre)
    await allow_everything(centre)
    stranger = await centre.sign_in(login, step_up=True)
    own = await stranger.post("/cases", {"public": "seeking", "identity": {"name_in_use": "Lina"}})
    for path in record.paths:
        # The service asked for is on the envelope of what was sent to CIDFF.
        text = (await _read(stranger, path)).replace(f"{CANARY}-service", "")
        assert CANARY not in text, path
        assert record.case not in text, path
    await stranger.refused("GET", f"/cases/{record.case}", 404, "not_found")
    assert (await stranger.get(f"/cases/{own['id']}"))["groups"]["identity"] == {"name_in_use": "Lina"}
    social = await centre.sign_in("avec.social")
    assert (await social.get(f"/cases/{record.case}"))["groups"]["social"] == content("social")


async def test_a_receptionist_reads_none_of_the_groups_she_holds_no_key_for(centre: Centre) -> None:
    record = await fill(centre)
    await allow_everything(centre)
    reception = await centre.sign_in("avec.reception", step_up=True)
    for path in record.paths:
        text = await _read(reception, path)
        for group in SEALED_FROM_RECEPTION:
            assert f"{CANARY}-{group}" not in text, (path, group)
    opened = await reception.get(f"/cases/{record.case}")
    assert opened["groups"]["identity"] == content("identity")
    assert opened["withheld"] == list(SEALED_FROM_RECEPTION)
    timeline = await reception.get(f"/cases/{record.case}/follow-ups")
    assert [item["content"] for item in timeline["items"]] == [{}, {}]
    assert not any("type" in item for item in timeline["items"])
    # The journal's own details are sealed from her too.
    entries = (await reception.get("/journal/entries?limit=200"))["items"]
    assert entries
    assert {str(item["detail"]) for item in entries} == {"None"}
    # Nor can she send what she cannot read.
    refused = await reception.request(
        "POST",
        f"/cases/{record.case}/handoffs",
        json={
            "to": "cidff",
            "kind": "orientation",
            "purpose": "support",
            "urgency": "normal",
            "groups": ["social"],
        },
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_input")
    assert CANARY not in refused.text


async def test_whoever_reads_no_case_reads_none_even_when_everything_is_allowed(centre: Centre) -> None:
    record = await fill(centre)
    await allow_everything(centre)
    for login in ("avec.auditor", "avec.custodian", "avec.dpo"):
        member = await centre.sign_in(login)
        for path in record.paths:
            assert CANARY not in await _read(member, path), (login, path)


def _refused(attempt: Callable[..., bytes | CaseKey | None], *arguments: Any) -> bool:
    try:
        return attempt(*arguments) is None
    except CryptoError:
        return True


async def test_rows_handed_to_a_session_of_another_organisation_do_not_open(centre: Centre) -> None:
    """No gateway, no policy, no row-level security: the rows and their shred halves, and her own keys."""
    record = await fill(centre)
    case, avec = UUID(record.case), centre.org("avec")
    jurist = await centre.sign_in("cidff.jurist")
    own = UUID(await open_case(jurist, "social", "legal", "safety", "family"))
    rows = await centre.dba(lambda connection: connection.execute(select(case_group)).all())
    frames = await centre.dba(lambda connection: connection.execute(select(follow_up_frame)).all())
    foreign, hers = ([row for row in rows if row.case_id == wanted] for wanted in (case, own))

    def try_everything(act: Act) -> int:
        halves = act.deployment.shreds.of(avec, [case], list(Group))
        keys = _own_keys(act, hers)
        for row in foreign:
            for group in Group:
                _refuse_key_row(act, row, group, halves[case, row.compartment])
            for org in (avec, act.org_id):
                place = Column.CASE_GROUP_FRAME.place(org, row.id, row.version)
                assert all(_refused(open_frame, key, place, row.frame.blob) for key in keys)
        for frame in frames:
            place = Column.FOLLOW_UP_FRAME.place(avec, frame.follow_up_id, frame.version)
            assert all(_refused(open_frame, key, place, frame.frame.blob) for key in keys)
        return len(keys)

    assert (len(foreign), len(frames) > 4) == (len(Group), True)
    assert await centre.act(jurist, try_everything) == 7


def _own_keys(act: Act, rows: list[Row[Any]]) -> list[CaseKey]:
    halves = act.deployment.shreds.of(act.org_id, [rows[0].case_id], list(Group))
    keys = [
        act.keyring.case_key(
            row.compartment,
            row.case_id,
            row.dek_generation,
            row.dek.blob,
            halves[row.case_id, row.compartment],
        )
        for row in rows
        if not dek_row_is_dropped(row.dek.blob)
    ]
    held = [key for key in keys if key is not None]
    for row in rows:
        key = next((key for key in held if key.group == row.compartment), None)
        if key is not None and row.frame is not None:
            place = Column.CASE_GROUP_FRAME.place(act.org_id, row.id, row.version)
            assert CANARY.encode() in open_frame(key, place, row.frame.blob) or row.compartment == "intake"
    return held


def _refuse_key_row(act: Act, row: Row[Any], group: Group, half: bytes) -> None:
    keyring, dek = act.keyring, row.dek.blob
    assert _refused(keyring.case_key, group, row.case_id, row.dek_generation, dek, half)
    if dek_row_is_dropped(dek):
        assert _refused(keyring.adopt, group, row.case_id, row.dek_generation, dek)
