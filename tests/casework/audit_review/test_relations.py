"""Relation flags: made when data are written, told to the auditor, and to nobody else."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, update

from casework.act import Act
from casework.cases.tables import case_group, case_relation
from casework.column_types import Sealed
from casework.columns import Column
from casework.identity.tables import declaration
from casework.organisations.tables import relation_key
from casework.relations import cases_of_persons, relations_between
from crypto.errors import CryptoError
from crypto.opener import open_drop
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.conflicting import enter_conflict
from tests.casework.story import accept, hand_over

HERS = {
    "first_name": "Léa",
    "family_name": "Martin-Garcia",
    "former_names": ["Lefèvre"],
    "birth_date": "1985-03-01",
    "phones": ["06 99 00 11 22"],
    "address": "12 bis, rue des Lilas, 63000 Clermont-Ferrand",
}
ACTIONS = ("case.open", "case.create", "case.record", "case.list")


async def declare(client: Client, **declared: Any) -> Any:
    answer = await client.request("PUT", "/me/declaration", 200, json=declared)
    return answer.json()


async def open_new(client: Client, identity: dict[str, Any], contact: dict[str, Any] | None = None) -> str:
    body = {"public": "seeking", "identity": {"name_in_use": CANARY, **identity}}
    created = await client.post("/cases", body | ({"contact": contact} if contact else {}))
    return str(created["id"])


async def told(centre: Centre, case: str, login: str, slug: str = "avec", **filters: Any) -> list[list[str]]:
    """Of this member's entries about this case, newest first, the relations that the auditor is shown."""
    found = await centre.journal(slug, case=case, member=str(centre.member(login)), **filters)
    assert found
    return [[kind for each in entry["relations"] for kind in each["relations"]] for entry in found]


@pytest.mark.parametrize(
    ("identity", "contact", "relations"),
    [
        ({"family_name": "MARTIN GARCIA"}, None, ["same_surname"]),
        ({"family_name": "Garcia"}, None, ["same_surname"]),
        ({"former_names": ["Le Fèvre"]}, None, ["same_surname"]),
        ({"legal_name": "Jean Lefevre"}, None, ["same_surname"]),
        ({}, {"phone": "+33 6 99 00 11 22 ou 04 73 00 00 00"}, ["same_phone"]),
        ({}, {"address": "Bât. B\n12bis r. des lilas\n63000 CLERMONT FD"}, ["same_address"]),
        ({}, {"address": "12 bis rue des Lilas"}, ["same_address"]),
        (
            {"family_name": "Garcia Martin", "birth_date": "1985-03-01"},
            {"phone": "0699001123", "address": "12 rue des Lilas, 63000 Clermont-Ferrand"},
            ["same_surname"],
        ),
        ({"family_name": "Durand"}, {"phone": "04 73 00 00 00"}, []),
    ],
)
async def test_what_a_member_shares_with_a_person_is_flagged_whoever_wrote_first(
    centre: Centre, identity: dict[str, Any], contact: dict[str, Any] | None, relations: list[str]
) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    before = await open_new(social, identity, contact)
    await declare(social, **HERS)
    after = await open_new(social, identity, contact)
    assert await told(centre, before, "avec.social") == [relations]
    assert await told(centre, after, "avec.social") == [relations]
    # A colleague who shares nothing has no relation, whatever another one shares.
    of_hers = await open_new(psychologist, identity, contact)
    assert await told(centre, of_hers, "avec.psychologist") == [[]]


async def test_a_members_own_case_is_flagged_as_hers_and_to_others_as_a_colleagues(centre: Centre) -> None:
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    await declare(social, **HERS)
    case = await open_new(
        reception, {"name_in_use": "Lea", "family_name": "Lefevre", "birth_date": "1985-03-01"}
    )
    assert await told(centre, case, "avec.reception") == [["colleague"]]
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    denied = await centre.journal("avec", member=str(centre.member("avec.social")), outcome="denied")
    # Asked for in vain, it names no person in clear; the auditor is told all the same.
    assert [each["relations"] for each in denied[0]["relations"]] == [["self", "same_surname"]]
    listed = await centre.journal("avec", action="case.list", member=str(centre.member("avec.social")))
    assert listed == []


async def test_a_declared_conflict_is_flagged(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_new(social, {})
    await enter_conflict(centre, case, "avec.social")
    assert await told(centre, case, "avec.social") == [["declared_conflict"]]


async def test_a_changed_contact_or_identity_changes_the_flags_and_a_civil_status_that_stays_counts(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    await declare(social, **HERS)
    case = await open_new(social, {"legal_name": "Garcia"}, {"phone": "0473000000"})
    await social.patch(f"/cases/{case}/groups/identity", {"name_in_use": CANARY}, 1)
    assert (await told(centre, case, "avec.social"))[0] == ["same_surname"]
    await social.patch(f"/cases/{case}/groups/contact", {"phone": "06.99.00.11.22"}, 1)
    assert (await told(centre, case, "avec.social"))[0] == ["same_surname", "same_phone"]
    civil = {"name_in_use": CANARY, "legal_name": "Durand"}
    await social.patch(f"/cases/{case}/groups/identity", civil, 2)
    assert (await told(centre, case, "avec.social"))[0] == ["same_phone"]
    await declare(social)
    assert (await told(centre, case, "avec.social"))[0] == []


async def test_what_a_handoff_brought_is_compared_when_its_holder_first_opens_it(centre: Centre) -> None:
    jurist = await centre.sign_in("cidff.jurist")
    await declare(jurist, **HERS)
    social = await centre.sign_in("avec.social", step_up=True)
    source = await open_new(social, {"family_name": "Lefèvre"})
    handoff, _ = await hand_over(social, source, "identity")
    case = await accept(jurist, handoff)
    await jurist.get(f"/cases/{case}")
    assert (await told(centre, case, "cidff.jurist", "cidff", action="case.open"))[0] == ["same_surname"]
    # In the sender's journal nobody shares anything: her declaration is her organisation's alone.
    assert await told(centre, source, "avec.social", action="case.create") == [[]]


async def test_marks_that_nobody_could_make_are_made_by_the_next_holder_who_opens_the_case(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    await declare(social, **HERS)
    case = await open_new(social, {"legal_name": "Garcia"}, {"phone": "0699001122"})

    def forget(connection: Connection) -> None:
        connection.execute(case_relation.delete())
        connection.execute(update(case_group).values(related=0, compared=0))

    await centre.dba(forget)
    assert (await told(centre, case, "avec.social")) == [[]]
    supervisor = await centre.sign_in("avec.supervisor")
    # She reads no contact and no civil status: of the identity she makes all the marks, of the contact none.
    await supervisor.get(f"/cases/{case}")
    assert (await told(centre, case, "avec.social")) == [["same_surname"]]
    await social.get(f"/cases/{case}")
    assert (await told(centre, case, "avec.social"))[0] == ["same_surname", "same_phone"]


async def test_a_declaration_by_who_holds_no_index_waits_for_the_next_holder(centre: Centre) -> None:
    custodian, social = await centre.sign_in("avec.custodian"), await centre.sign_in("avec.social")
    assert (await declare(custodian, **HERS))["waits"]
    assert (await custodian.get("/me/declaration"))["waits"]
    case = await open_new(social, {"name_in_use": "Léa", "family_name": "Garcia", "birth_date": "1985-03-01"})
    # Garcia alone is not her whole name: nobody but she is Léa Martin-Garcia.
    assert await told(centre, case, "avec.social") == [[]]
    case = await open_new(
        social, {"name_in_use": "Léa", "family_name": "Martin Garcia", "birth_date": "1985-03-01"}
    )
    assert await told(centre, case, "avec.social") == [["colleague"]]
    assert not (await custodian.get("/me/declaration"))["waits"]
    (row,) = await centre.dba(lambda connection: connection.execute(select(declaration)).all())
    assert row.waiting is None


async def test_nothing_that_is_no_name_number_or_address_is_declared(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for body, field in (
        ({"family_name": "-"}, "family_name"),
        ({"phones": ["chez ma sœur"]}, "phones"),
        ({"address": "chez ma sœur"}, "address"),
    ):
        problem = await social.refused("PUT", "/me/declaration", 422, "bad_input", json=body)
        assert problem["errors"][0]["field"] == field
    assert await social.get("/me/declaration") == {"declared_at": None, "waits": False}


async def _stored(centre: Centre, *tables: Any) -> list[list[Any]]:
    return await centre.dba(lambda connection: [list(connection.execute(select(t)).all()) for t in tables])


async def test_a_thief_of_the_database_without_keys_learns_no_relation(centre: Centre) -> None:
    """Rows are there for every case and of one size; equal values give no equal bytes, and no row holds one."""
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    for client in (social, psychologist):
        await declare(client, **HERS)
    shared = {"family_name": "Lefèvre", "former_names": ["Garcia", "Durand"]}
    for identity, contact in (
        (shared, {"phone": "0699001122", "address": HERS["address"]}),
        (shared, {"phone": "0699001122", "address": HERS["address"]}),
        ({}, {"email": "x@example.org"}),
    ):
        await open_new(social, identity, contact)
    cases, declared, (key,) = await _stored(centre, case_relation, declaration, relation_key)
    assert {row.of_group: len(row.sealed.blob) for row in cases}.keys() == {"identity", "contact"}
    assert len(cases) == 6
    assert len({len(row.sealed.blob) for row in cases}) == 1
    assert len(declared) == 2
    assert len({len(row.tokens.blob) for row in declared}) == 1
    blobs = [row.sealed.blob for row in cases] + [row.tokens.blob for row in declared]
    pieces = [blob[at : at + 16] for blob in blobs for at in range(6, len(blob) - 16)]
    assert len(set(pieces)) == len(pieces)
    for blob in [*blobs, key.wrapped.blob]:
        for value in (b"LEFEVR", b"+33699001122", b"LILAS"):
            assert value not in blob


@pytest.mark.parametrize("login", ["avec.social", "avec.supervisor", "avec.custodian", "avec.reception"])
async def test_who_does_not_hold_the_journal_opens_no_flag_even_when_everything_is_allowed(
    centre: Centre, login: str
) -> None:
    social = await centre.sign_in("avec.social")
    await declare(social, **HERS)
    await open_new(social, {"family_name": "Lefèvre"})
    member = await centre.sign_in(login)
    await member.refused("GET", "/journal/entries", 403, "forbidden")

    def try_it(act: Act) -> Any:
        persons = cases_of_persons(act)
        pairs = {(centre.member("avec.social"), person) for person in persons}
        return relations_between(act, pairs, persons)

    assert await centre.act(member, try_it) == {}
    auditor = await centre.sign_in("avec.auditor")
    assert list((await centre.act(auditor, try_it)).values()) == [("same_surname",)]


async def test_another_organisations_auditor_is_told_no_flag_and_opens_none(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await declare(social, **HERS)
    case = await open_new(social, {"family_name": "Lefèvre"})
    rows, _, _ = await _stored(centre, case_relation, declaration, relation_key)
    auditor = await centre.sign_in("cidff.auditor")
    assert (await auditor.get("/journal/entries", params={"case": case}))["items"] == []

    def try_it(act: Act) -> None:
        assert cases_of_persons(act) == {}
        number = int.from_bytes(rows[0].sealed.blob[2:6])
        private = act.keyring.drop_private("journal", number)
        assert private is not None
        place = Column.CASE_RELATION.place(centre.org("avec"), rows[0].case_id, 1)
        with pytest.raises(CryptoError):
            open_drop(private, place, rows[0].sealed.blob)

    await centre.act(auditor, try_it)


async def test_marks_or_tokens_that_were_moved_are_refused_and_reported(centre: Centre) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    await declare(social, **HERS)
    await declare(psychologist, family_name="Durand")
    related = await open_new(social, {"family_name": "Lefèvre"})
    other = await open_new(social, {"family_name": "Moulin"})

    def move_marks(connection: Connection) -> None:
        of = select(case_relation.c.sealed).where(case_relation.c.case_id == UUID(related))
        marks: Sealed = connection.execute(of).scalar_one()
        connection.execute(
            update(case_relation).where(case_relation.c.case_id == UUID(other)).values(sealed=marks)
        )

    await centre.dba(move_marks)
    assert await told(centre, other, "avec.social") == [[]]
    assert [each["reason"] for each in await broken(centre)] == ["sealed_data_damaged"]
    assert await told(centre, related, "avec.social") == [["same_surname"]]

    def move_tokens(connection: Connection) -> None:
        rows = connection.execute(select(declaration)).all()
        for row, donor in zip(rows, reversed(rows), strict=True):
            connection.execute(
                update(declaration)
                .where(declaration.c.account_id == row.account_id)
                .values(tokens=donor.tokens)
            )

    await centre.dba(move_tokens)
    assert await told(centre, related, "avec.social") == [[]]
    assert len(await broken(centre)) > 1


async def broken(centre: Centre) -> list[dict[str, Any]]:
    found = await centre.journal("avec", action="seal.broken")
    return [entry["entry"] for entry in found]


async def test_a_relation_key_of_somebody_else_keeps_no_case_closed_and_is_reported(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await open_new(social, {})
    await centre.dba(
        lambda connection: connection.execute(
            update(relation_key).values(wrapped=Sealed(bytes([1, 1, 0, 0, 0, 1]) + bytes(60)))
        )
    )
    case = await open_new(social, {"family_name": "Lefèvre"})
    assert (await social.get(f"/cases/{case}"))["id"] == case
    assert await broken(centre)


async def test_a_declaration_is_journaled_and_what_was_declared_stands_nowhere(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    kept = await declare(social, family_name=CANARY, address=f"1 rue {CANARY} 63000 Clermont")
    assert set(kept) == {"declared_at", "waits"}
    assert not kept["waits"]
    (entry,) = await centre.journal("avec", action="member.declare")
    assert entry["detail"] is None
    assert CANARY not in str(entry).lower()
    assert (await social.get("/me/declaration")) == kept
