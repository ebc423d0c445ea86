"""Declared conflicts of interest: whoever declares a person sees nothing of her cases, whichever came first."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy.util import await_only

from casework.access import Access
from casework.act import Act
from casework.cases import conflicting
from casework.cases.schemas import GroupChanged, Identity, NewConflict
from casework.cases.service import change_group
from casework.cases.tables import case_conflict, case_group, case_relation, declared_conflict
from casework.conflicts import MOST_DECLARED
from casework.organisations.tables import key_grant
from casework.shreds import MATCH
from policies.grants import INDEX
from policies.vocabulary import Action, Group
from tests.casework.centre import CANARY, PASSWORD, Centre, Client
from tests.casework.story import accept, denials, entries_of, hand_over, note

PAUL = {"first_name": "Paul", "family_name": "Exemple", "birth_date": "1985-09-30"}
HIS = {"name_in_use": "Paul", "family_name": "Exemple", "birth_date": "1985-09-30"}


async def declare(client: Client, **person: Any) -> str:
    answer = await client.post("/me/conflicts", person or PAUL)
    assert set(answer) == {"id", "declared_at"}
    return str(answer["id"])


async def open_new(client: Client, identity: dict[str, Any], contact: dict[str, Any] | None = None) -> str:
    body = {"public": "seeking", "identity": {"name_in_use": CANARY, **identity}, "social": {"summary": "x"}}
    created = await client.post("/cases", body | ({"contact": contact} if contact else {}))
    return str(created["id"])


async def closed_cases(centre: Centre, login: str) -> set[str]:
    """The cases that the table closes to a member."""
    query = select(case_conflict.c.case_id).where(case_conflict.c.member_id == centre.member(login))
    rows: set[UUID] = set(await centre.dba(lambda connection: connection.execute(query).scalars().all()))
    return {str(case) for case in rows}


async def listed(client: Client) -> set[str]:
    return {item["id"] for item in (await client.get("/cases"))["items"]}


@pytest.mark.parametrize(
    ("declared", "identity", "contact", "is_hers"),
    [
        (PAUL, HIS, None, True),
        (PAUL, {**HIS, "name_in_use": "PAUL", "family_name": "Éxemple"}, None, True),
        (PAUL, {**HIS, "family_name": "Dupont", "former_names": ["Exemple"]}, None, True),
        # Without a date of birth on the one side or the other, names are enough.
        (PAUL, {"name_in_use": "Paul", "family_name": "Exemple"}, None, True),
        ({"first_name": "Paul", "family_name": "Exemple"}, HIS, None, True),
        ({"first_name": "Paul", "family_name": "Exemple"}, {**HIS, "birth_date": "1990-01-01"}, None, True),
        (PAUL, {**HIS, "birth_date": "1990-01-01"}, None, False),
        (PAUL, {**HIS, "name_in_use": "Pierre"}, None, False),
        ({"phones": ["01 99 00 56 78"]}, {}, {"phone": "+33 1 99 00 56 78"}, True),
        ({"phones": ["01 99 00 56 78"]}, {}, {"phone": "01 99 00 56 79"}, False),
    ],
)
async def test_a_declared_person_is_found_whichever_was_written_first(
    centre: Centre,
    declared: dict[str, Any],
    identity: dict[str, Any],
    contact: dict[str, Any] | None,
    is_hers: bool,
) -> None:
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    before = await open_new(jurist, identity, contact)
    await declare(social, **declared)
    after = await open_new(jurist, identity, contact)
    assert await closed_cases(centre, "avec.social") == ({before, after} if is_hers else set())
    assert await closed_cases(centre, "avec.jurist") == set()


async def test_a_member_with_a_conflict_sees_nothing_of_the_case_anywhere(centre: Centre) -> None:
    """Point reads, lists, search, handoffs, follow-ups, drafts, break-glass: as if it were absent."""
    social, double = await centre.sign_in("avec.social", step_up=True), await centre.sign_in("avec.jurist")
    case, other = await open_new(social, HIS), await open_new(social, {"name_in_use": "Mimosa"})
    noted = await note(social, case, "accompagnement_social", "social")
    handed, _ = await hand_over(social, case, "identity")
    draft = f"/drafts/{uuid4()}"
    unsaved = {"case_id": case, "content": {"social": CANARY}}
    await social.request("PUT", draft, 200, json=unsaved, headers={"if-none-match": "*"})
    assert await listed(social) == {case, other}
    assert (await social.get("/cases"))["count"] == 2
    await declare(social)
    assert await listed(social) == {other}
    assert (await social.get("/cases"))["count"] == 1
    assert (await social.post("/search", {"name": "Paul Exemple"}, 200))["items"] == []
    absent = str(uuid4())
    break_glass = {"reason": CANARY, "purpose": "support"}
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/follow-ups", None),
        ("GET", "/assignments", None),
        ("GET", "/notes", None),
        ("POST", "/break-glass", break_glass),
        ("POST", "/closure", {"reason": "x"}),
        ("POST", "/handoffs", {"to": "cidff", "kind": "orientation", "purpose": "legal_advice"}
         | {"urgency": "normal", "service": "x", "groups": ["identity"]}),
    ):  # fmt: skip
        more = {"json": body} if body is not None else {}
        told = [
            (await social.request(method, f"/cases/{each}{path}", 404, **more)).content
            for each in (case, absent)
        ]
        assert told[0] == told[1], path
    await social.refused("GET", f"/follow-ups/{noted}/versions", 404, "not_found")
    await social.refused("GET", f"/handoffs/{handed}/preview", 404, "not_found")
    await social.refused("GET", draft, 404, "not_found")
    await social.refused("GET", f"/drafts?case_id={case}", 404, "not_found")
    assert handed not in {
        item["id"] for item in (await social.get("/handoffs", params={"box": "sent"}))["items"]
    }
    denied = await denials(centre, "avec", "case.open")
    assert {case, absent} <= {item["detail"]["tried"].get("case") for item in denied}
    assert ["declared_conflict"] in [each["relations"] for item in denied for each in item["relations"]]
    # Nobody else loses anything.
    supervisor = await centre.sign_in("avec.supervisor")
    assert (await supervisor.get(f"/cases/{case}"))["groups"]["identity"]["name_in_use"] == "Paul"
    await double.refused("GET", f"/cases/{case}", 404, "not_found")


async def test_it_holds_in_every_role_of_the_person(centre: Centre) -> None:
    worker = await centre.sign_in("avec.double", role="worker")
    jurist = await centre.sign_in("avec.jurist")
    case = await open_new(jurist, HIS)
    supervisor = await centre.sign_in("avec.double", role="supervisor")
    await supervisor.get(f"/cases/{case}")
    await declare(worker)
    await supervisor.refused("GET", f"/cases/{case}", 404, "not_found")


async def test_a_case_that_becomes_the_declared_persons_is_closed_and_one_that_ceases_is_open(
    centre: Centre,
) -> None:
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    await declare(social)
    case = await open_new(social, {"name_in_use": "Mimosa"}, {"phone": "01 99 00 00 00"})
    supervisor = await centre.sign_in("avec.supervisor")
    both = [str(centre.member(login)) for login in ("avec.social", "avec.jurist")]
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json={"members": both})
    await social.get(f"/cases/{case}")
    await jurist.patch(f"/cases/{case}/groups/identity", HIS, 1)
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    # What another group says of nobody opens nothing.
    await jurist.patch(f"/cases/{case}/groups/contact", {"phone": "01 99 00 00 01"}, 1)
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    await jurist.patch(f"/cases/{case}/groups/identity", {"name_in_use": "Mimosa"}, 2)
    await social.get(f"/cases/{case}")


async def test_what_a_handoff_brought_is_refused_to_the_first_who_opens_it_and_stays_closed(
    centre: Centre,
) -> None:
    """Nobody could compare it before: it is still sealed to the receiver when it is accepted."""
    social = await centre.sign_in("avec.social", step_up=True)
    source = await open_new(social, HIS)
    jurist = await centre.sign_in("cidff.jurist")
    await declare(jurist)
    handoff, _ = await hand_over(social, source, "identity")
    case = await accept(jurist, handoff, "cidff.jurist", "cidff.social")
    for path in ("", "/follow-ups"):
        await jurist.refused("GET", f"/cases/{case}{path}", 404, "not_found")
        assert await closed_cases(centre, "cidff.jurist") == {case}
    assert await listed(jurist) == set()
    colleague = await centre.sign_in("cidff.social")
    assert (await colleague.get(f"/cases/{case}"))["groups"]["identity"]["name_in_use"] == "Paul"
    await jurist.refused("GET", f"/cases/{case}", 404, "not_found")
    denied = await denials(centre, "cidff", "case.open")
    assert [item["detail"]["tried"]["case"] for item in denied] == [case] * 3
    # Her declaration closes nothing elsewhere, nor to the sender.
    assert (await social.get(f"/cases/{source}"))["id"] == source


async def test_what_nobody_compared_yet_is_named_to_no_member_who_declared_a_conflict(centre: Centre) -> None:
    """As after an upgrade: cases have no marks until somebody opens them."""
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    his, other = await open_new(social, HIS), await open_new(social, {"name_in_use": "Paula"})

    def forget(connection: Connection) -> None:
        connection.execute(case_relation.update().values(matched=None))
        connection.execute(update(case_group).values(compared=0))

    await centre.dba(forget)
    assert [item["identity"] is None for item in (await social.get("/cases"))["items"]] == [False, False]
    await declare(social)
    assert [item["identity"] for item in (await social.get("/cases"))["items"]] == [None, None]
    assert (await social.post("/search", {"name": "Paul"}, 200))["items"] == []
    await social.refused("GET", f"/cases/{his}", 404, "not_found")
    await social.get(f"/cases/{other}")
    (item,) = (await social.get("/cases"))["items"]
    assert (item["id"], item["identity"]["name_in_use"]) == (other, "Paula")
    assert await listed(jurist) == set()


async def test_a_withdrawal_needs_a_step_up_and_opens_what_it_alone_closed(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_new(social, HIS, {"phone": "01 99 00 56 78"})
    first, second = await declare(social), await declare(social, phones=["01 99 00 56 78"])
    assert [item["id"] for item in (await social.get("/me/conflicts"))["items"]] == [first, second]
    why = {"reason": f"{CANARY} homonyme"}
    path = f"/me/conflicts/{first}/withdrawal"
    problem = await social.refused("POST", path, 403, "step_up_needed", json=why)
    assert problem["advice"] == ["step_up"]
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    await social.post("/sessions/current/step-up", {"password": PASSWORD}, expect=204)
    await social.post(path, why, expect=200)
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    await social.post(f"/me/conflicts/{second}/withdrawal", why, expect=200)
    assert (await social.get(f"/cases/{case}"))["id"] == case
    await social.refused("POST", path, 404, "not_found", json=why)
    assert (await social.get("/me/conflicts"))["items"] == []
    entries = await centre.journal("avec", member=str(centre.member("avec.social")))
    withdrawn = entries_of(entries, "conflict.withdraw", "allowed")
    assert [item["detail"] for item in withdrawn] == [why, why]
    refused = entries_of(entries, "conflict.withdraw", "denied")
    assert sorted(item["entry"]["reason"] for item in refused) == ["not_found", "step_up"]


async def test_nobody_withdraws_or_sees_what_a_colleague_declared(centre: Centre) -> None:
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist", step_up=True)
    declared = await declare(social)
    assert (await jurist.get("/me/conflicts"))["items"] == []
    why = {"reason": "x"}
    await jurist.refused("POST", f"/me/conflicts/{declared}/withdrawal", 404, "not_found", json=why)
    assert len((await social.get("/me/conflicts"))["items"]) == 1


async def test_a_declaration_answers_and_is_journaled_alike_whether_there_is_such_a_case_or_not(
    centre: Centre,
) -> None:
    """Who declares a name to learn whether the person comes here learns nothing."""
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    await open_new(jurist, HIS)
    answers = [await social.request("POST", "/me/conflicts", 201, json=body) for body in (
        PAUL, {**PAUL, "birth_date": "1970-01-01"}
    )]  # fmt: skip
    assert len({len(answer.content) for answer in answers}) == 1
    entries = await centre.journal("avec", action="conflict.declare")
    said = [{**item["entry"], "id": 0, "time": 0, "request": 0, "index": 0} for item in entries]
    assert len(said) == 2
    kept = ("action", "outcome", "subjects", "count", "reason", "policies")
    assert {name: said[0].get(name) for name in kept} == {name: said[1].get(name) for name in kept}
    assert [item["detail"] for item in entries] == [None, None]


async def test_who_lists_no_case_declares_none_and_what_names_nobody_is_refused(centre: Centre) -> None:
    for login in ("avec.custodian", "avec.auditor"):
        client = await centre.sign_in(login)
        await client.refused("POST", "/me/conflicts", 403, "forbidden", json=PAUL)
        assert (await client.get("/me/conflicts"))["items"] == []
    social = await centre.sign_in("avec.social")
    for body, field, code in (
        ({}, "body", "nobody_is_named"),
        ({"family_name": "Exemple"}, "body", "nobody_is_named"),
        ({"first_name": "-", "family_name": "Exemple"}, "first_name", "no_letter"),
        ({"first_name": "Paul", "former_names": ["-"]}, "family_name", "no_letter"),
        ({"phones": ["chez lui"]}, "phones", "not_a_phone_number"),
    ):
        problem = await social.refused("POST", "/me/conflicts", 422, "bad_input", json=body)
        assert problem["errors"] == [{"field": field, "code": code}]


async def test_a_member_declares_so_many_and_no_more(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await declare(social)

    def fill(connection: Connection) -> None:
        row = connection.execute(select(declared_conflict)).one()
        for _ in range(MOST_DECLARED - 1):
            connection.execute(declared_conflict.insert().values(**row._asdict() | {"id": uuid4()}))

    await centre.dba(fill)
    await social.refused("POST", "/me/conflicts", 409, "too_many_conflicts", json=PAUL)


async def test_a_repeated_declaration_is_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    headers = {"idempotency-key": "k"}
    first, again = [await social.post("/me/conflicts", PAUL, headers=headers) for _ in range(2)]
    assert first == again
    assert len((await social.get("/me/conflicts"))["items"]) == 1


async def test_the_database_does_not_tell_whom_a_member_declared(centre: Centre) -> None:
    """Of two members who declare one person, and of two cases of hers, no bytes are the same; none holds a name."""
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    for client in (social, jurist):
        await declare(client, **PAUL, phones=["01 99 00 56 78"])
        await open_new(jurist, HIS, {"phone": "01 99 00 56 78"})

    def stored(connection: Connection) -> list[bytes]:
        of_cases = select(case_relation.c.matched)
        of_members = select(declared_conflict.c.marks)
        return [
            bytes(blob) for query in (of_cases, of_members) for blob in connection.execute(query).scalars()
        ]

    blobs = await centre.dba(stored)
    assert [len(blob) for blob in blobs] == [512] * 6
    marks = [blob[at : at + 16] for blob in blobs for at in range(0, 512, 16)]
    assert len(set(marks)) == len(marks)
    assert not any(name in blob for blob in blobs for name in (b"Exemple", b"EXEMPL", b"99005678"))
    # What they were made with is half in the shred store, of which a copy of the database has nothing.
    store, org = centre.deployment.shreds, centre.org("avec")
    halves = await centre.deployment.database.unit(lambda _: store.of(org, [org], (MATCH,)))
    assert halves
    await centre.deployment.database.unit(lambda _: store.destroy(org, org, [MATCH]))
    await open_new(jurist, HIS)
    assert len(await closed_cases(centre, "avec.social")) == 2


async def _until_it_waits(centre: Centre, task: "asyncio.Task[Any]") -> None:
    """Let a task run until it is done or waits for a lock in the database."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    def waits(connection: Connection) -> bool:
        return bool(connection.execute(waiting).scalar_one())

    # No event of the database's says so.
    while not task.done() and not await centre.dba(waits):  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_declaration_and_the_writing_of_a_case_at_once_see_each_other_and_both_end(
    centre: Centre,
) -> None:
    """Whichever holds what first: the case, by who changes it, or the key, by who declares."""
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    hers, becomes = await open_new(jurist, HIS), await open_new(jurist, {"name_in_use": "Mimosa"})

    def write(act: Act) -> "asyncio.Task[Any]":
        Access(act).change_case(UUID(hers), [Action.CASE_RECORD_IDENTITY])
        declaring = asyncio.get_running_loop().create_task(declare(social))
        await_only(_until_it_waits(centre, declaring))
        named = Identity(name_in_use="Paul", family_name="Exemple")
        assert isinstance(change_group(act, UUID(hers), Group.IDENTITY, named, 1), GroupChanged)
        return declaring

    await (await centre.act(jurist, write))
    assert await closed_cases(centre, "avec.social") == {hers}

    def declare_first(act: Act) -> "asyncio.Task[Any]":
        conflicting.declare(act, NewConflict(first_name="Paul", family_name="Exemple"))
        changing = jurist.patch(f"/cases/{becomes}/groups/identity", {**HIS, "birth_date": "1990-01-01"}, 1)
        writing = asyncio.get_running_loop().create_task(changing)
        await_only(_until_it_waits(centre, writing))
        return writing

    await (await centre.act(social, declare_first))
    assert await closed_cases(centre, "avec.social") == {hers, becomes}


async def test_two_who_open_at_once_what_nobody_compared_both_see_it(centre: Centre) -> None:
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    case = await open_new(jurist, HIS, {"phone": "01 99 00 56 78"})
    await declare(social)
    await declare(social, phones=["01 99 00 56 78"])
    for _ in range(4):
        await centre.dba(lambda connection: connection.execute(update(case_group).values(compared=0)))
        await asyncio.gather(*(jurist.get(f"/cases/{case}") for _ in range(4)))
    assert await closed_cases(centre, "avec.social") == {case}


async def test_who_declared_and_holds_no_index_opens_nothing_that_nobody_compared(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_new(social, {"name_in_use": "Mimosa"})
    declared = await declare(social)
    index = key_grant.c.compartment == INDEX, key_grant.c.member_id == centre.member("avec.social")

    def take_index_and_forget(connection: Connection) -> None:
        connection.execute(delete(key_grant).where(*index))
        connection.execute(update(case_group).values(compared=0))

    await centre.dba(take_index_and_forget)
    without = await centre.sign_in("avec.social", step_up=True)
    await without.refused("GET", f"/cases/{case}", 404, "not_found")
    assert [item["identity"] for item in (await without.get("/cases"))["items"]] == [None]
    await supervisor.get(f"/cases/{case}")
    await without.get(f"/cases/{case}")
    # Who declared nothing opens what nobody compared, as before.
    await without.post(f"/me/conflicts/{declared}/withdrawal", {"reason": "x"}, 200)
    await centre.dba(lambda connection: connection.execute(update(case_group).values(compared=0)))
    await without.get(f"/cases/{case}")


async def test_nobody_declares_before_she_has_accepted_the_charter(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    declared = await declare(social)
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    await custodian.post("/charter", {"text": "Accueillir sans condition.", "reason": CANARY})
    for method, path, body in (
        ("POST", "/me/conflicts", PAUL),
        ("GET", "/me/conflicts", None),
        ("POST", f"/me/conflicts/{declared}/withdrawal", {"reason": "x"}),
    ):
        more = {"json": body} if body is not None else {}
        await social.refused(method, path, 403, "charter_not_accepted", **more)
