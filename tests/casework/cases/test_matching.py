"""What counts as the same name, date or phone. Pure: no key and no database."""

import pytest

from casework.cases.matching import Person, Wanted, name_scores, phone_number, phones_in, score, words_of
from casework.cases.phonetic import sounds_of


def by_name(typed: str, *names: str) -> float:
    return name_scores(typed, [names])[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Inès", ["INES"]),
        ("Marie-Thérèse", ["MARIE", "THERESE"]),
        ("d'Angély", ["D", "ANGELY"]),
        ("d’Angély", ["D", "ANGELY"]),
        ("Œdipe Ægir Strauß", ["OEDIPE", "AEGIR", "STRAUSS"]),
        ("Ǽlfgifu Øyvind", ["AELFGIFU", "OYVIND"]),
        ("ﬁlle", ["FILLE"]),
        ("Nguyễn  Thị", ["NGUYEN", "THI"]),
        ("Élodie_2", ["ELODIE", "2"]),
        ("—", []),
    ],
)
def test_a_name_is_split_into_words_without_marks(name: str, words: list[str]) -> None:
    assert words_of(name) == words


def test_of_one_person_forty_names_and_two_thousand_letters_are_compared() -> None:
    names = [f"nom{n}" for n in range(39)]
    assert by_name("Violette", *names, "Violette") == 1.0
    assert by_name("Violette", *names, "nom", "Violette") == 0.0
    assert by_name("Violette", "m" * 1_991, "Violette") == 1.0
    assert by_name("Violette", "m" * 2_000, "Violette") == 0.0


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("dupont marie", ("Marie Dupont",)),
        ("Marie Dupont", ("Marie", "Dupont")),
        ("DUPONT", ("Marie", "", "Dupont")),
        ("marie therese", ("Marie-Thérèse Durand",)),
        ("Benali", ("Samia Ben Ali",)),
        ("Samia Ben Ali", ("Samia", "Benali")),
        ("Ben-Ali Samia", ("Samia Ben Ali",)),
        ("Delatour", ("Jeanne de la Tour",)),
        ("Jeanne de la Tour", ("Jeanne Delatour",)),
        ("Tour Jeanne", ("Jeanne de la Tour",)),
        ("Legall", ("Le Gall",)),
        ("d'Angely", ("Dangély",)),
        ("Le", ("Le",)),
    ],
)
def test_marks_order_hyphens_particles_and_joins_count_for_nothing(
    typed: str, names: tuple[str, ...]
) -> None:
    assert by_name(typed, *names) == 1.0


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Durant", "Durand"),
        ("Natali", "Nathalie"),
        ("Moro", "Moreau"),
        ("Kristel", "Christelle"),
        ("Filip", "Philippe"),
        ("Kantin", "Quentin"),
        ("Yousef", "Youcef"),
        ("Martni", "Martin"),
        ("Mare Dupont", "Marie Dupont"),
    ],
)
def test_what_is_nearly_the_same_or_sounds_the_same_is_found_and_scores_less(typed: str, name: str) -> None:
    assert 0.8 <= by_name(typed, name) < 1.0


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Marie Dupont", "Marie Lefèvre"),
        ("Durand", "Benali"),
        ("Fatou", "Catherine"),
        ("Marie", "Mariedupont"),
    ],
)
def test_another_name_is_not_found(typed: str, name: str) -> None:
    assert score(Wanted(name=typed), Person([name]), by_name(typed, name)) == 0


def test_the_sound_is_the_same_for_spellings_that_are_heard_alike() -> None:
    alike = [("GAUTHIER", "GOTIER"), ("MAURAUD", "MOREAU"), ("KHADIJA", "CADIJA"), ("LEBRUN", "LEBRAIN")]
    sounds = sounds_of([word for words in alike for word in words])
    assert all(sounds[one] == sounds[other] for one, other in alike)
    # Each word for itself, whatever stands beside it; a silent one is its own code.
    assert sounds == {word: sounds_of([word])[word] for word in sounds}
    unlike = sounds_of(["MARTIN", "H", "MORTIN"])
    assert unlike["MARTIN"] != unlike["MORTIN"]
    assert unlike["H"] == "H"


@pytest.mark.parametrize(
    ("held", "found"),
    [("1988-04-12", 1.0), (None, 0.9), ("1990-01-01", 0.6)],
)
def test_a_date_confirms_a_name_or_speaks_against_it(held: str | None, found: float) -> None:
    person = Person(["Inès"], [held] if held else [])
    assert score(Wanted(name="Ines", birth_date="1988-04-12"), person, 1.0) == found
    # A near miss with another date is another person.
    assert (score(Wanted(name="Ines", birth_date="1988-04-12"), person, 0.85) > 0) == (found > 0.6)


def test_without_a_name_all_that_was_typed_must_be_the_same() -> None:
    both = Wanted(birth_date="1988-04-12", phone="+33199001234")
    assert score(both, Person([], ["1988-04-12"], {"+33199001234"}), 1.0) == 1
    assert score(both, Person([], ["1988-04-12"]), 1.0) == 0
    assert score(both, Person([], ["1988-04-13"], {"+33199001234"}), 1.0) == 0


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("01 99 00 12 34", "+33199001234"),
        ("01.99.00.12.34", "+33199001234"),
        ("+33 1 99 00 12 34", "+33199001234"),
        ("+33 (0)1 99 00 12 34", "+33199001234"),
        ("0033199001234", "+33199001234"),
        ("33199001234", "+33199001234"),
        ("+44 1632 960000", "+441632960000"),
        ("tél. 01 99 00 12 34", "+33199001234"),
        ("12 34", None),
        ("+0123456789", None),
        ("٠١٩٩٠٠١٢٣٤", None),
        ("", None),
    ],
)
def test_a_phone_is_compared_in_e164(typed: str, number: str | None) -> None:
    assert phone_number(typed) == number


def test_a_line_may_hold_several_phones() -> None:
    assert phones_in("01 99 00 12 34 ou +33 6 39 98 00 00 / bureau") == {"+33199001234", "+33639980000"}
