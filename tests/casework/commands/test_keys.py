"""`casework keys rotate` and `casework member remove` at the server's terminal, as the pages say."""

import pytest

from tests.casework.commands.place import Place, Ran
from tests.casework.commands.test_members import journaled


def rotate(place: Place, *holders: str, **wrong: str) -> Ran:
    named = [word for holder in holders for word in ("--holder", holder)]
    return place.run("keys", "rotate", "avec", *named, "--passwords", place.password_file(*holders, **wrong))


def order(place: Place, compartment: str, custodian: str = "avec.custodian") -> Ran:
    passwords = place.password_file("avec.social", custodian)
    return place.run(
        *("keys", "rotate", "avec", "--holder", "avec.social", "--compartment", compartment),
        *("--custodian", custodian, "--passwords", passwords),
    )


def remove(place: Place, login: str, *holders: str) -> Ran:
    named = [word for holder in holders for word in ("--holder", holder)]
    passwords = place.password_file("avec.custodian", *holders)
    return place.run(
        *("member", "remove", "avec", login, "--custodian", "avec.custodian", *named),
        *("--passwords", passwords),
    )


def test_nothing_is_due_on_the_first_day(founded: Place) -> None:
    ran = rotate(founded, "avec.social")
    assert (ran.code, ran.out) == (
        0,
        "Clés renouvelées : aucune.\nClés de dépôt renouvelées : aucune.\n",
    )
    assert journaled(founded, "key.rotate") == []


def test_an_ordered_renewal_is_carried_out_and_journaled(founded: Place) -> None:
    ran = order(founded, "social")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "Clés renouvelées : social."), ran
    assert [role for _, role, _ in journaled(founded, "key.order")] == ["custodian"]
    for step in ("key.rotate", "key.retire"):
        assert [role for _, role, _ in journaled(founded, step)] == ["worker"]


def test_after_a_removal_doctor_names_what_is_due_until_holders_have_renewed_it(founded: Place) -> None:
    ran = remove(founded, "avec.psychologist", "avec.social")
    assert ran.code == 0, ran
    assert "« avec.psychologist » est retirée" in ran.out
    waiting = ran.out.count("En attente d’une détentrice")
    found = founded.run("doctor").out
    assert found.count("quelqu’un qui n’y a plus droit a connu sa clé") == waiting
    rest = rotate(founded, "avec.health", "avec.supervisor")
    assert rest.code == 0, rest
    if "En attente" not in rest.out:
        assert "une personne retirée" not in founded.run("doctor").out


def test_the_leaving_person_and_a_wrong_password_renew_nothing(founded: Place) -> None:
    leaving = remove(founded, "avec.social", "avec.social")
    assert (leaving.code, leaving.out) == (1, ""), leaving
    wrong = rotate(founded, "avec.social", social="not her password")
    assert wrong.code == 1
    assert "not her password" not in wrong.err
    assert journaled(founded, "key.rotate")[0][2] == "wrong_password"


@pytest.mark.parametrize(
    "arguments",
    [("--holder", "avec.social", "--compartment", "social"), ("--holder", "avec.social", "--custodian", "x")],
)
def test_an_order_without_its_custodian_or_its_compartment_is_refused(
    founded: Place, arguments: tuple[str, ...]
) -> None:
    ran = founded.run("keys", "rotate", "avec", *arguments)
    assert (ran.code, ran.err) == (
        1,
        "--compartment et --custodian vont ensemble : la gestionnaire ordonne.\n",
    )
