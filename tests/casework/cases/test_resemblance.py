"""In which form surnames, persons, phones and addresses are compared. Pure: no key and no database."""

from typing import Any

import pytest

from casework.cases.resemblance import (
    addresses,
    of_contact,
    of_identity,
    persons,
    surnames_as_they_sound,
)
from crypto.relation import Trait


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ("Lefèvre", "LE FEVRE", True),
        ("Dupont", "Dupond", True),
        ("Martin-Dupont", "Dupont", True),
        ("De la Tour", "Latour", False),
        ("De La Tour", "Tour", True),
        ("d’Angély", "Dangély", True),
        ("Ben Ali", "Benali", True),
        ("Ben Ali", "Ben Salah", False),
        ("Martin", "Marti", False),
        ("Li", "Lo", False),
        ("Li", "Ly", False),
        ("—", "—", False),
    ],
)
def test_surnames_are_the_same_as_they_sound_whole_or_by_a_word_that_is_one(
    one: str, other: str, is_shared: bool
) -> None:
    assert (not set(surnames_as_they_sound([one])).isdisjoint(surnames_as_they_sound([other]))) is is_shared


@pytest.mark.parametrize(
    "written",
    [
        "12 bis, rue des Lilas, 63000 Clermont-Ferrand",
        "12bis r. des Lilas\n63000 CLERMONT FERRAND",
        "Apt 4, 12 BIS RUE DES LILAS 63000 Clermont",
        "Chez Mme X ; 12 b rue Lilas ; 63000",
    ],
)
def test_an_address_is_its_number_street_and_postcode(written: str) -> None:
    assert addresses(written) == ["12BIS RUE LILAS 63000", "12BIS RUE LILAS"]


@pytest.mark.parametrize(
    ("written", "forms"),
    [
        ("Le Bourg, 63500 Issoire", ["LE BOURG 63500"]),
        ("3 avenue Jean-Jaurès", ["3 AVENUE JEAN JAURES"]),
        ("12 rue des Lilas 63000 Clermont", ["12 RUE LILAS 63000", "12 RUE LILAS"]),
        ("12", []),
        ("63000", []),
        ("chez sa sœur", []),
        ("", []),
    ],
)
def test_other_addresses(written: str, forms: list[str]) -> None:
    assert addresses(written) == forms


def test_a_person_is_surname_first_name_and_date_together_or_nobody() -> None:
    assert persons("Marie-Claude", ["Dupont", "Lefèvre"], "1980-01-02") == [
        "DUP3 MARI 1980-01-02",
        "LEFEVR MARI 1980-01-02",
    ]
    for first, surnames, born in (
        ("", ["Dupont"], "1980-01-02"),
        ("Marie", [], "1980-01-02"),
        ("Marie", ["X"], ""),
    ):
        assert persons(first, surnames, born) == []


@pytest.mark.parametrize(
    "content", [{}, {"family_name": 3, "former_names": "x"}, {"former_names": [None, 4]}]
)
def test_what_a_partner_sent_in_another_form_is_compared_with_nothing(content: dict[str, Any]) -> None:
    assert of_identity(content) == []
    assert of_contact({"phone": content, "address": None}) == []


def test_identity_and_contact_give_their_traits() -> None:
    identity = {"name_in_use": "Inès", "family_name": "Dupont", "birth_date": "1988-04-12"}
    assert of_identity(identity | {"legal_name": "Durand"}) == [
        (Trait.PERSON, "DUP3 IN 1988-04-12"),
        (Trait.SURNAME, "DUP3"),
        (Trait.SURNAME, "DUR1"),
    ]
    contact = {"phone": "06 99 00 11 22 / 04 73 00 00 00", "address": "1 rue Haute 63000"}
    assert of_contact(contact) == [
        (Trait.PHONE, "+33473000000"),
        (Trait.PHONE, "+33699001122"),
        (Trait.ADDRESS, "1 RUE HAUTE 63000"),
    ]
