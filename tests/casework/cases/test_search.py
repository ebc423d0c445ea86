"""Searching a person: what is found, by whom, and what stands in the journal of it."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct
from sqlalchemy import Connection, delete, select, text, update
from structlog.testing import capture_logs

from casework import candidates
from casework.cases import matching, search
from casework.cases.schemas import Search
from casework.cases.service import change_group
from casework.cases.tables import case_group
from casework.organisations.tables import key_grant
from policies.engine import Engine
from policies.vocabulary import Group
from tests.casework.centre import SLUGS, Centre, Client
from tests.casework.conflicting import enter_conflict
from tests.casework.story import accept, denials, entries_of, hand_over, note, open_case

Items = list[dict[str, Any]]


async def register(client: Client, identity: dict[str, Any], **contact: str) -> str:
    more = {"contact": contact} if contact else {}
    created = await client.post("/cases", {"public": "seeking", "identity": identity, **more})
    return str(created["id"])


async def find(client: Client, **wanted: str) -> Items:
    found: Items = (await client.post("/search", wanted, 200))["items"]
    return found


async def found_ids(client: Client, **wanted: str) -> list[str]:
    return [item["case_id"] for item in await find(client, **wanted)]


async def test_a_person_is_found_by_every_name_she_has(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await register(
        social, {"name_in_use": "Inès", "family_name": "Ben Ali", "former_names": ["Lefèvre-Dumas"]}
    )
    other = await register(social, {"name_in_use": "Catherine Martin", "legal_name": "Catherine Benali"})
    for name in ("ines", "BENALI Inès", "Ben-Ali", "Dumas Lefevre", "Inés Benalli", "Lefevre"):
        assert await found_ids(social, name=name) == [case], name
    # Civil status is a record of its own, behind a permission of its own.
    assert await found_ids(social, name="Catherine Benali") == []
    assert await found_ids(social, name="Katherine") == [other]
    assert await find(social, name="Inès") == [{"case_id": case, "name_in_use": "Inès", "score": 1.0}]


async def test_the_best_fit_comes_first_and_twenty_are_shown(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    near = [await register(social, {"name_in_use": f"Marie Durant {n}"}) for n in range(20)]
    exact = await register(social, {"name_in_use": "Marie Durand"})
    found = await find(social, name="Durand Marie")
    assert (found[0]["case_id"], found[0]["score"], len(found)) == (exact, 1.0, 20)
    assert {item["case_id"] for item in found[1:]} < set(near)
    scores = [item["score"] for item in found]
    assert scores == sorted(scores, reverse=True)


async def test_a_date_and_a_phone_confirm_a_name_and_find_alone(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    born = {"name_in_use": "Fatou Diallo", "birth_date": "1988-04-12"}
    first = await register(social, born, phone="01 99 00 12 34")
    second = await register(social, {**born, "birth_date": "1990-01-01"})
    found = await find(social, name="Diallo Fatou", birth_date="1988-04-12")
    assert [(item["case_id"], item["score"]) for item in found] == [(first, 1.0), (second, 0.6)]
    assert await found_ids(social, birth_date="1990-01-01") == [second]
    assert await find(social, phone="+33 1 99 00 12 34") == [
        {"case_id": first, "name_in_use": "Fatou Diallo", "score": 1.0}
    ]
    found = await find(social, name="Fatou", phone="0199001234")
    assert [(item["case_id"], item["score"]) for item in found] == [(first, 1.0), (second, 0.9)]
    assert await found_ids(social, birth_date="1990-01-01", phone="0199001234") == []


async def test_another_organisations_person_is_never_found(centre: Centre) -> None:
    """Not before a handoff, and after it each organisation finds its own case alone."""
    social, jurist = await centre.sign_in("avec.social", step_up=True), await centre.sign_in("cidff.jurist")
    supervisor = await centre.sign_in("cidff.supervisor")
    hers = await open_case(social, "legal")
    await register(jurist, {"name_in_use": "Une autre"})
    assert await found_ids(jurist, name="canari identity") == []
    assert await found_ids(supervisor, name="canari identity") == []

    await note(social, hers, "entretien_juridique", "legal")
    handed, _ = await hand_over(social, hers, "identity", "legal")
    assert await found_ids(supervisor, name="canari identity") == []
    received = await accept(supervisor, handed, "cidff.jurist")
    # What was handed over is found once a holder has opened it.
    await jurist.get(f"/cases/{received}")
    assert await found_ids(jurist, name="canari identity") == [received]
    assert await found_ids(social, name="canari identity") == [hers]
    assert not entries_of(await centre.journal("cidff", action="case.search"), "case.search", "denied")


async def test_whoever_may_not_list_a_case_does_not_find_it(centre: Centre) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    supervisor = await centre.sign_in("avec.supervisor")
    hers = await register(social, {"name_in_use": "Mimosa"}, phone="01 99 00 12 34")
    own = await register(psychologist, {"name_in_use": "Violette"})
    assert await found_ids(psychologist, name="Mimosa") == []
    assert await found_ids(psychologist, phone="0199001234") == []
    assert await found_ids(psychologist, name="Violette") == [own]
    assert await found_ids(supervisor, name="Mimosa") == [hers]

    await enter_conflict(centre, hers, "avec.supervisor")
    assert await found_ids(supervisor, name="Mimosa") == []


async def test_whoever_may_read_identities_and_list_none_finds_nobody(centre: Centre) -> None:
    """A search shows no more than a list, whatever else an organisation's rules permit."""
    added = """
        @id("avec.unlisted") @title("L’encadrement n’a pas de liste")
        forbid (principal in Org::"avec", action == Action::"case.list", resource in Org::"avec")
        when { principal in Role::"supervisor" };
    """
    await centre.decide_by("avec", lambda engine: Engine.of_text("avec", SLUGS, engine.text + added))
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await register(social, {"name_in_use": "Mimosa"})
    assert await found_ids(social, name="Mimosa") == [case]
    assert await found_ids(supervisor, name="Mimosa") == []


async def test_a_phone_that_is_withheld_finds_nobody(centre: Centre) -> None:
    """Planning's coordination lists and reads identities, never contacts."""
    health, supervisor = await centre.sign_in("planning.health"), await centre.sign_in("planning.supervisor")
    case = await register(health, {"name_in_use": "Mimosa"}, phone="01 99 00 12 34")
    assert await found_ids(health, phone="0199001234") == [case]
    assert await found_ids(supervisor, phone="0199001234") == []
    # A phone that she may not read neither confirms the name nor speaks against it.
    scores = [
        (await find(supervisor, name="Mimosa", phone=phone))[0]["score"]
        for phone in ("0199001234", "0199009999")
    ]
    assert scores == [0.9, 0.9]


async def test_without_the_key_of_identities_nobody_is_found(centre: Centre) -> None:
    """The policies let her: what she holds no key of could not be compared."""
    social = await centre.sign_in("avec.social")
    case = await register(social, {"name_in_use": "Mimosa"}, phone="01 99 00 12 34")
    granted = key_grant.c.member_id == centre.member("avec.social")
    await centre.dba(
        lambda connection: connection.execute(
            delete(key_grant).where(granted, key_grant.c.compartment == "identity")
        )
    )
    without = await centre.sign_in("avec.social")
    assert await found_ids(without, name="Mimosa") == []
    found = await find(without, phone="0199001234")
    assert found == [{"case_id": case, "name_in_use": None, "score": 1.0}]
    assert await found_ids(social, name="Mimosa") == [case]


async def test_what_was_found_is_decided_and_compared_anew_before_it_is_shown(centre: Centre) -> None:
    """Between the reading and the answer: one case leaves her list, of one the name changes, one stays."""
    supervisor, social = await centre.sign_in("avec.supervisor"), await centre.sign_in("avec.social")
    left, renamed, stays = [await register(social, {"name_in_use": "Mimosa"}) for _ in range(3)]
    wanted = search.wanted(Search(name="Mimosa"))
    searcher = await centre.act(supervisor, lambda act: search.ask(act, wanted))
    found, is_damaged = await search.find(centre.deployment, searcher, wanted)
    assert not is_damaged
    assert {str(case) for case in found} == {left, renamed, stays}
    await enter_conflict(centre, left, "avec.supervisor")
    await social.patch(f"/cases/{renamed}/groups/identity", {"name_in_use": "Violette"}, 1)
    shown = await centre.act(supervisor, lambda act: search.show(act, wanted, found, is_damaged))
    assert [str(item.case_id) for item in shown.items] == [stays]
    (entry,) = entries_of(await centre.journal("avec", action="case.search"), "case.search")
    assert (entry["entry"]["count"], len(entry["entry"]["subjects"])) == (1, 1)


async def test_what_waits_at_a_drop_key_is_found_once_a_holder_has_opened_the_case(centre: Centre) -> None:
    reception, social = await centre.sign_in("planning.reception"), await centre.sign_in("planning.social")
    case = await register(reception, {"name_in_use": "Mimosa"}, phone="01 99 00 12 34")
    supervisor = await centre.sign_in("planning.supervisor")
    members = {"members": [str(centre.member("planning.social"))]}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=members)
    assert await found_ids(social, name="Mimosa") == [case]
    assert await found_ids(social, phone="0199001234") == []
    assert (await social.get(f"/cases/{case}"))["groups"]["contact"] == {"phone": "01 99 00 12 34"}
    assert await found_ids(social, phone="0199001234") == [case]


class Odd(Struct):
    """An identity as some partner's software may hand it over."""

    name_in_use: int


async def test_an_identity_of_another_form_is_passed_over(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    odd, case = [await register(social, {"name_in_use": "Mimosa"}) for _ in range(2)]
    await centre.act(social, lambda act: change_group(act, UUID(odd), Group.IDENTITY, Odd(name_in_use=7), 1))
    assert await found_ids(social, name="Mimosa") == [case]


class Swollen(Struct):
    """An identity without the limits that our own have."""

    name_in_use: str
    family_name: str
    former_names: list[str]


@pytest.mark.parametrize(
    ("family_name", "former_names"),
    [
        ("D" * 100_000, []),
        ("\u3316" * 30_000, ["Mimosas"]),
        ("Durand", [f"M{n:06}" for n in range(50_000)]),
    ],
    ids=["one word", "letters that unfold", "many names"],
)
async def test_of_a_swollen_identity_a_bounded_part_is_compared(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, family_name: str, former_names: list[str]
) -> None:
    """What a partner hands over passes no schema, and the unit that shows what was found keeps others waiting."""
    compared: list[Collection[str]] = []
    original = matching.extract

    def spy(word: str, vocabulary: Collection[str], **more: Any) -> Any:
        compared.append(vocabulary)
        return original(word, vocabulary, **more)

    monkeypatch.setattr(matching, "extract", spy)
    social = await centre.sign_in("avec.social")
    case = await register(social, {"name_in_use": "Mimosa"})
    swollen = Swollen("Mimosa", family_name, former_names)
    await centre.act(social, lambda act: change_group(act, UUID(case), Group.IDENTITY, swollen, 1))
    await find(social, name="Mimosa Durant")
    assert await found_ids(social, name="Mimosa") == [case]
    # Each word is also tried with one and with two neighbours: six times its letters at most.
    assert compared
    assert max(sum(map(len, vocabulary)) for vocabulary in compared) <= 6 * 2_000


async def test_an_identity_has_at_most_twenty_former_names(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    names = [f"Mimosa {n}" for n in range(21)]
    case = await register(social, {"name_in_use": "Violette", "former_names": names[:20]})
    assert await found_ids(social, name="Mimosa 19") == [case]
    body = {"public": "seeking", "identity": {"name_in_use": "Violette", "former_names": names}}
    answer = await social.request("POST", "/cases", 422, json=body)
    assert answer.json()["errors"] == [{"field": "identity.former_names", "code": "wrong_length"}]


async def test_an_altered_record_is_not_passed_over_in_silence(centre: Centre) -> None:
    """Who moves one identity into another case's row hides that one alone, and the journal says so."""
    social = await centre.sign_in("avec.social")
    mimosa, violette = [await register(social, {"name_in_use": name}) for name in ("Mimosa", "Violette")]

    def swap(connection: Connection) -> None:
        is_identity = case_group.c.compartment == "identity"
        whole = select(case_group.c.frame).where(is_identity, case_group.c.case_id == UUID(violette))
        moved = connection.execute(whole).scalar_one()
        damaged = update(case_group).where(is_identity, case_group.c.case_id == UUID(mimosa))
        connection.execute(damaged.values(frame=moved))

    await centre.dba(swap)
    with capture_logs() as logs:
        found = await social.post("/search", {"name": "Violette"}, 200)
    assert [item["case_id"] for item in found["items"]] == [violette]
    assert [line["case"] for line in logs if line["event"] == "sealed_data_damaged"] == [mimosa]
    (broken,) = await centre.journal("avec", action="seal.broken")
    assert (broken["outcome"], broken["entry"]["actor"]) == ("failed", str(centre.member("avec.social")))


@pytest.mark.parametrize("login", ["avec.auditor", "avec.custodian", "avec.dpo"])
async def test_whoever_opens_no_case_may_not_search(centre: Centre, login: str) -> None:
    await register(await centre.sign_in("avec.social"), {"name_in_use": "Mimosa"})
    asker = await centre.sign_in(login)
    await asker.refused("POST", "/search", 403, "forbidden", json={"name": "Mimosa"})
    (denied,) = await denials(centre, "avec", "case.search")
    assert denied["entry"]["actor"] == str(centre.member(login))
    assert "Mimosa" not in str(denied)


async def test_a_search_is_journaled_with_the_persons_shown_and_its_words_sealed(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await register(social, {"name_in_use": "Canari Un"}, phone="01 99 00 12 34")
    await register(social, {"name_in_use": "Canari Deux"})
    await register(social, {"name_in_use": "Personne"})
    await find(social, name="Canari", birth_date="1988-04-12", phone="0199001234")
    await find(social, name="Introuvable")
    nothing, found = entries_of(await centre.journal("avec", action="case.search"), "case.search")
    assert (found["entry"]["count"], len(found["entry"]["subjects"])) == (2, 2)
    assert (nothing["entry"]["count"], nothing["entry"]["subjects"]) == (0, [])
    assert found["entry"]["basis"]["policies"] == ["avec.search"]
    # The auditor opens the detail; the entry itself, which others carry about, holds no word of it.
    assert found["detail"] == {"name": "Canari", "birth_date": "1988-04-12", "phone": "+33199001234"}
    assert not any(word in str(found["entry"]) for word in ("Canari", "1988", "990012"))

    listed = entries_of(await centre.journal("avec", action="case.create"), "case.create")
    created = {entry["entry"]["subjects"][0]["p"] for entry in listed}
    assert {subject["p"] for subject in found["entry"]["subjects"]} < created


async def test_the_words_stand_in_no_log_and_no_table(
    centre: Centre, capfd: pytest.CaptureFixture[str]
) -> None:
    social = await centre.sign_in("avec.social")
    await find(social, name="Zyxcanari", phone="01 99 00 12 34")
    await social.refused("POST", "/search", 422, "bad_input", json={"name": "Zyxcanari", "phone": "x"})
    await centre.integrate()
    written = "".join(capfd.readouterr())
    assert "/api/v1/search" in written
    assert "zyxcanari" not in written.lower()
    rows = await centre.dba(lambda c: c.execute(text("SELECT bytes FROM audit_entry")).scalars().all())
    assert rows
    assert not any(b"zyxcanari" in bytes(row).lower() for row in rows)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "body", "nothing_to_search_for"),
        ({"name": "—"}, "name", "no_letter"),
        ({"name": ""}, "name", "wrong_length"),
        ({"phone": "12 34"}, "phone", "not_a_phone_number"),
        ({"birth_date": "12/04/1988"}, "birth_date", "not_a_date"),
        ({"surname": "x"}, "body", "unknown_field"),
    ],
)
async def test_a_search_for_nothing_is_refused(
    centre: Centre, body: dict[str, str], field: str, code: str
) -> None:
    social = await centre.sign_in("avec.social")
    refused = await social.refused("POST", "/search", 422, "bad_input", json=body)
    assert refused["errors"] == [{"field": field, "code": code}]


async def test_more_candidates_than_one_search_may_open_are_refused(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(3):
        await register(social, {"name_in_use": "Mimosa"})
    monkeypatch.setattr("casework.candidates.MOST_CANDIDATES", 2)
    await social.refused("POST", "/search", 409, "too_many_candidates", json={"name": "Mimosa"})
    (denied,) = await denials(centre, "avec", "case.search")
    assert denied["entry"]["reason"] == "too_many_candidates"
    assert len(await find(await centre.sign_in("avec.psychologist"), name="Mimosa")) == 0


async def test_of_very_many_candidates_the_halves_are_read_at_once(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "_MANY", 1)
    social = await centre.sign_in("avec.social")
    known = [await register(social, {"name_in_use": name}) for name in ("Mimosa", "Violette", "Iris")]
    assert [item["case_id"] for item in await find(social, name="Violette")] == [known[1]]
