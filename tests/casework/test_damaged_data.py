"""One byte of each sealed column altered beside the service: a clear problem, an alarm, an entry, and no detail."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Column, Connection, Table, and_, select, update
from structlog.testing import capture_logs

from casework.audit_review.tables import review
from casework.cases.tables import case_group, case_relation, member_note, named_recovery, named_seal
from casework.column_types import Sealed, SealedBytes
from casework.columns import Column as SealedColumn
from casework.consents.tables import consent
from casework.database import metadata
from casework.drafts.tables import draft as composed_draft
from casework.follow_ups.tables import follow_up_frame
from casework.handoffs.tables import handoff_manifest, handoff_part, handoff_side
from casework.identity.tables import (
    account,
    declaration,
    membership,
    renewal,
    renewed_key,
    session,
    sessions_metadata,
)
from casework.organisations.tables import drop_key, kek_recovery, key_grant, relation_key
from casework.rights.tables import erasure
from crypto.drop import seal_to_drop
from policies.vocabulary import Group
from tests.casework.centre import CANARY, PASSWORD, Centre, Client, assert_problem
from tests.casework.story import accept, draft, entries_of, follow_up, hand_over, new_case, told

CODE = "sealed_data_damaged"
# What no request opens: a lost key is recovered by command, a consent's words are read with the person's rights,
# and a part that does not open is refused and journaled as such (tests/casework/handoffs/test_opening.py).
# Restricted cases and renewals are altered beside their own tests (cases/test_restricted_wall.py,
# identity/test_renewals.py), relations in audit_review/test_relations.py; the words of an erasure are read by two
# persons in a year, and a review by auditors alone.
NOT_OPENED = {
    (kek_recovery, "sealed"),
    (consent, "frame"),
    (handoff_part, "part"),
    (named_seal, "sealed"),
    (named_recovery, "sealed"),
    (member_note, "frame"),
    (renewal, "totp_seed"),
    (renewed_key, "daily_key"),
    (renewed_key, "signing_key"),
    (erasure, "motive"),
    (erasure, "certificate"),
    (declaration, "tokens"),
    (declaration, "waiting"),
    (case_relation, "sealed"),
    (relation_key, "wrapped"),
    (review, "note"),
}


@dataclass
class Stage:
    """A case of AVEC with one follow-up, a draft, and handoffs to CIDFF: one waits, one was accepted."""

    centre: Centre
    social: Client
    jurist: Client
    case: str
    draft: str
    waiting: str
    received: str
    composed: str

    async def view(self) -> httpx.Response:
        # For a purpose that shows civil status too.
        headers = {"casework-purpose": "admin"}
        return await self.social.request("GET", f"/cases/{self.case}", headers=headers)

    async def follow_ups(self) -> httpx.Response:
        return await self.social.request("GET", f"/cases/{self.case}/follow-ups")

    async def preview(self) -> httpx.Response:
        return await self.social.request("GET", f"/handoffs/{self.draft}/preview")

    async def take_on(self) -> httpx.Response:
        return await self.jurist.request("POST", f"/handoffs/{self.waiting}/acceptance", json={})

    async def take_in(self) -> httpx.Response:
        return await self.jurist.request("GET", f"/cases/{self.received}")

    async def composer(self) -> httpx.Response:
        return await self.social.request("GET", f"/drafts/{self.composed}")

    async def me(self) -> httpx.Response:
        return await self.social.request("GET", "/me")

    async def begin(self) -> dict[str, str]:
        begun = await self.centre.http.post(
            "/api/v1/sessions", json={"login": "avec.jurist", "password": PASSWORD}
        )
        return {"authorization": f"Bearer {begun.json()['token']}"}

    async def second_factor(self) -> httpx.Response:
        headers = await self.begin()
        body = {"code": self.centre.code("avec.jurist")}
        return await self.centre.http.post(
            "/api/v1/sessions/current/second-factor", json=body, headers=headers
        )

    async def step_up(self) -> httpx.Response:
        return await self.social.request("POST", "/sessions/current/step-up", json={"password": PASSWORD})


Ask = Callable[[Stage], Any]
# Column → what opens it, and whether somebody is known to ask, in whose journal the damage then stands.
OPENED: dict[tuple[Table, str], tuple[Ask, str | None]] = {
    (case_group, "frame"): (Stage.view, "avec"),
    (case_group, "dek"): (Stage.view, "avec"),
    (case_group, "legal_name"): (Stage.view, "avec"),
    (case_group, "arrival"): (Stage.take_in, "cidff"),
    (composed_draft, "sealed"): (Stage.composer, "avec"),
    (handoff_manifest, "frame"): (Stage.preview, "avec"),
    (handoff_side, "envelope"): (Stage.take_on, "cidff"),
    (drop_key, "private"): (Stage.take_on, "cidff"),
    (session, "keys"): (Stage.me, None),
    (session, "step_up_keys"): (Stage.me, None),
    (membership, "signing_key"): (Stage.step_up, None),
    (membership, "daily_key"): (Stage.second_factor, None),
    (key_grant, "sealed"): (Stage.second_factor, None),
    (account, "totp_seed"): (Stage.second_factor, None),
}
# Opened by a list alone, which shows the rest.
LISTED = {(handoff_side, "case_sealed"), (handoff_side, "reply"), (follow_up_frame, "frame")}


@pytest.fixture
async def stage(centre: Centre) -> Stage:
    social = await centre.sign_in("avec.social", step_up=True)
    jurist = await centre.sign_in("cidff.jurist")
    body = new_case("social", "legal")
    body["identity"]["legal_name"] = f"{CANARY} Dupont"
    case = (await social.post("/cases", body))["id"]
    await social.post(f"/cases/{case}/follow-ups", follow_up("accompagnement_social", "social"))
    accepted, _ = await hand_over(social, case, "identity", "legal")
    received = await accept(jurist, accepted)
    waiting, _ = await hand_over(social, case, "identity", "legal")
    drafted = await draft(social, case, "identity", "legal")
    composed = str(uuid4())
    body = {"case_id": case, "content": {"text": CANARY}}
    await social.request("PUT", f"/drafts/{composed}", 200, json=body, headers={"if-none-match": "*"})
    return Stage(centre, social, jurist, case, drafted["id"], waiting, received, composed)


@asynccontextmanager
async def damaged(centre: Centre, table: Table, name: str) -> AsyncIterator[None]:
    """The last byte of this column is another in every row, for a while."""
    column: Column[Any] = table.c[name]
    keys = list(table.primary_key)

    def flip(connection: Connection) -> None:
        rows = connection.execute(select(*keys, column.label("sealed")).where(column.is_not(None))).all()
        assert rows, (table.name, name)
        for row in rows:
            blob = row.sealed.blob
            other = Sealed(blob[:-1] + bytes([blob[-1] ^ 1]))
            this = and_(*(key == value for key, value in zip(keys, row, strict=False)))
            connection.execute(update(table).where(this).values({name: other}))

    await centre.dba(flip)
    yield
    await centre.dba(flip)


def test_every_sealed_column_is_opened_here_or_said_not_to_be() -> None:
    sealed = {
        (table, column.name)
        for one in (metadata, sessions_metadata)
        for table in one.sorted_tables
        for column in table.c
        if isinstance(column.type, SealedBytes)
    }
    assert sealed == OPENED.keys() | LISTED | NOT_OPENED


async def test_an_altered_byte_is_a_clear_problem_an_alarm_and_an_entry(stage: Stage) -> None:
    journaled = {"avec": 0, "cidff": 0}
    for (table, name), (ask, organisation) in OPENED.items():
        with capture_logs() as logs:
            async with damaged(stage.centre, table, name):
                answer = await ask(stage)
        assert answer.status_code == 500, (table.name, name, answer.text)
        assert_problem(answer, 500, CODE)
        (alarm,) = [line for line in logs if line["event"] == CODE]
        assert alarm["log_level"] == "critical"
        assert set(alarm) == {"event", "log_level", "error", "id"}
        assert CANARY not in str(logs).lower()
        if organisation is not None:
            journaled[organisation] += 1
    for organisation, times in journaled.items():
        broken = entries_of(await stage.centre.journal(organisation), "seal.broken")
        assert [(item["outcome"], item["entry"]["reason"]) for item in broken] == [("failed", CODE)] * times
    # All is as it was: nothing of a request that failed was written.
    for ask in (Stage.view, Stage.follow_ups, Stage.preview, Stage.take_in, Stage.take_on):
        assert (await ask(stage)).is_success


async def test_one_damaged_identity_does_not_hide_the_other_cases(stage: Stage) -> None:
    whole = (await stage.social.post("/cases", new_case()))["id"]
    this = and_(case_group.c.case_id == UUID(stage.case), case_group.c.compartment == Group.IDENTITY)
    before = await stage.centre.journal("avec")

    def swap(connection: Connection) -> None:
        connection.execute(update(case_group).where(this).values(frame=Sealed(bytes(60))))

    await stage.centre.dba(swap)
    with capture_logs() as logs:
        items = {item["id"]: item for item in (await stage.social.get("/cases"))["items"]}
    assert items[stage.case]["identity"] is None
    assert items[stage.case]["problem"] == CODE
    assert items[whole]["identity"] == new_case()["identity"]
    assert "problem" not in items[whole]
    assert [(line["event"], line["case"]) for line in logs if line["event"] == CODE] == [(CODE, stage.case)]
    after = entries_of(await stage.centre.journal("avec"), "seal.broken")
    assert len(after) == len(entries_of(before, "seal.broken")) + 1


async def test_one_damaged_follow_up_does_not_hide_the_others(stage: Stage) -> None:
    (damaged_one,) = (await stage.follow_ups()).json()["items"]
    path = f"/cases/{stage.case}/follow-ups"
    with capture_logs() as logs:
        async with damaged(stage.centre, follow_up_frame, "frame"):
            whole = (await stage.social.post(path, follow_up("accompagnement_social", "social")))["id"]
            items = {item["id"]: item for item in (await stage.social.get(path))["items"]}
            shown = items.pop(damaged_one["id"])
            await stage.social.refused("GET", f"/follow-ups/{damaged_one['id']}/versions", 500, CODE)
    assert (shown["problem"], shown["content"], "type" in shown) == (CODE, {}, False)
    assert CANARY not in str(shown)
    assert items[whole]["content"] == {"social": told("social")}
    assert "problem" not in items[whole]
    alarms = [line for line in logs if line["event"] == CODE]
    assert [line.get("follow_up") for line in alarms] == [damaged_one["id"], None]
    broken = entries_of(await stage.centre.journal("avec"), "seal.broken")
    assert [(item["outcome"], item["entry"]["reason"]) for item in broken] == [("failed", CODE)] * 2


async def test_one_damaged_envelope_does_not_hide_the_others(stage: Stage) -> None:
    """The sender seals it, and may seal anything; the list shows what stands in clear, and says so."""
    centre = stage.centre

    async def plant(record: bytes) -> None:
        place = SealedColumn.HANDOFF_ENVELOPE.place(centre.org("cidff"), UUID(stage.waiting), 1)
        drop = await centre.act(stage.jurist, lambda act: act.drop(Group.INTAKE))
        this = and_(handoff_side.c.org_id == centre.org("cidff"), handoff_side.c.id == UUID(stage.waiting))
        envelope = Sealed(seal_to_drop(drop, place, record))
        await centre.dba(
            lambda connection: connection.execute(update(handoff_side).where(this).values(envelope=envelope))
        )

    for record in (b"[", b'{"service": 1}', b"\xff"):
        await plant(record)
        with capture_logs() as logs:
            items = (await stage.jurist.get("/handoffs?box=received"))["items"]
        shown = {item["id"]: item for item in items}
        assert len(shown) == 2
        bad = shown.pop(stage.waiting)
        assert bad["problem"] == CODE
        assert (bad["from"], bad["state"], "groups" in bad) == ("avec", "sent", False)
        (good,) = shown.values()
        assert "problem" not in good
        assert sorted(good["groups"]) == ["identity", "legal"]
        assert [line["handoff"] for line in logs if line["event"] == CODE] == [stage.waiting]
        await stage.jurist.refused("POST", f"/handoffs/{stage.waiting}/acceptance", 500, CODE, json={})
    broken = entries_of(await centre.journal("cidff"), "seal.broken")
    about = [item["entry"]["basis"].get("handoff") for item in broken]
    assert about.count(stage.waiting) == 3
    assert len(about) == 6
