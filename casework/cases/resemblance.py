"""What of a person or a member is compared to tell a relation: surnames, phones and addresses in one form each.

Pure functions over `matching`. A surname counts as it sounds, as a whole and by each word that is one by itself
("Martin-Dupont" and "Dupont"); an address by its number, street and postcode.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from casework.cases.matching import PARTICLES, phones_in, words_of
from casework.cases.phonetic import sounds_of
from crypto.relation import Trait

Values = Sequence[tuple[Trait, str]]

# In the place of a date of birth, where the one or the other who is compared has none.
_ANY_DATE, _NO_DATE = "*", "-"
# A word before a name, never a name by itself.
_PREFIXES = frozenset(
    {"ABD", "AIT", "AL", "BEN", "BENT", "BOU", "EL", "MAC", "OULD", "SAINT", "SAINTE", "SAN", "VAN", "VON"}
)
_SHORTEST_NAME = 3
_MOST_WORDS = 8
_MOST_LETTERS = 2_000
_WAYS = {
    "ALL": "ALLEE",
    "ALLEE": "ALLEE",
    "ALLEES": "ALLEE",
    "AV": "AVENUE",
    "AVE": "AVENUE",
    "AVENUE": "AVENUE",
    "BD": "BOULEVARD",
    "BLD": "BOULEVARD",
    "BOULEVARD": "BOULEVARD",
    "BVD": "BOULEVARD",
    "CHE": "CHEMIN",
    "CHEM": "CHEMIN",
    "CHEMIN": "CHEMIN",
    "CITE": "CITE",
    "COURS": "COURS",
    "FAUBOURG": "FAUBOURG",
    "FG": "FAUBOURG",
    "IMP": "IMPASSE",
    "IMPASSE": "IMPASSE",
    "MONTEE": "MONTEE",
    "PASSAGE": "PASSAGE",
    "PL": "PLACE",
    "PLACE": "PLACE",
    "QUAI": "QUAI",
    "R": "RUE",
    "RESIDENCE": "RESIDENCE",
    "ROUTE": "ROUTE",
    "RTE": "ROUTE",
    "RUE": "RUE",
    "SENTIER": "SENTIER",
    "SQ": "SQUARE",
    "SQUARE": "SQUARE",
    "TRAVERSE": "TRAVERSE",
    "VOIE": "VOIE",
}
_REPEATED = {"B": "BIS", "BIS": "BIS", "T": "TER", "TER": "TER", "QUATER": "QUATER"}
_LINES = re.compile(r"[,;\n]")
_NUMBER = re.compile(r"([0-9]{1,4})(BIS|TER|QUATER|[A-Z])?", re.ASCII)
# "12, rue des Lilas" is one line.
_AFTER_NUMBER = re.compile(r"\b([0-9]{1,4}(?: ?(?:bis|ter|quater|[a-z]))?) ?, ?(?=[^\W\d])", re.IGNORECASE)
_POSTCODE = re.compile(r"[0-9]{5}", re.ASCII)


def of_identity(identity: Mapping[str, Any]) -> list[tuple[Trait, str]]:
    """What is compared of an identity (with `legal_name`, where there is one), in the order of its weight."""
    surnames = [_text(identity.get("family_name")), *_texts(identity.get("former_names"))]
    written = [*surnames, _text(identity.get("legal_name"))]
    found = [
        (Trait.PERSON, person)
        for person in persons(_text(identity.get("name_in_use")), surnames, _text(identity.get("birth_date")))
    ]
    return found + [(Trait.SURNAME, sound) for sound in surnames_as_they_sound(written)]


def of_contact(contact: Mapping[str, Any]) -> list[tuple[Trait, str]]:
    """What is compared of a contact: its phones, and its address with the postcode where it has one."""
    found = [(Trait.PHONE, number) for number in sorted(phones_in(_text(contact.get("phone"))))]
    return found + [(Trait.ADDRESS, form) for form in addresses(_text(contact.get("address")))[:1]]


def conflicts_of_identity(identity: Mapping[str, Any]) -> Values:
    """What tells that an identity is a declared person's: her names, with the dates of birth that both have."""
    surnames = [_text(identity.get("family_name")), *_texts(identity.get("former_names"))]
    born = _text(identity.get("birth_date"))
    dates = (born or _NO_DATE, _ANY_DATE)
    return _named(_text(identity.get("name_in_use")), surnames, dates)


def conflicts_of_contact(contact: Mapping[str, Any]) -> Values:
    """What tells that a contact is a declared person's: her phones."""
    return [(Trait.PHONE, number) for number in sorted(phones_in(_text(contact.get("phone"))))]


def conflicts_of_declared(
    first_name: str, surnames: Sequence[str], birth_date: str, phones: Sequence[str]
) -> Values:
    """What a declared person is found by; without a date of birth (RFC 3339), by her names whatever a case's is."""
    dates = (birth_date, _NO_DATE) if birth_date else (_ANY_DATE,)
    return [*_named(first_name, surnames, dates), *((Trait.PHONE, number) for number in phones)]


def surnames_as_they_sound(names: Sequence[str]) -> list[str]:
    """Each surname as a whole and each word of it that can be one, as they sound, none twice."""
    spelled: dict[str, None] = {}
    for name in names:
        words = _words(name)
        kept = _without_particles(words)
        alone = [word for word in kept if len(word) >= _SHORTEST_NAME and word not in _PREFIXES]
        # With its particles too ("Le Fèvre", "Lefèvre").
        spelled |= dict.fromkeys(form for form in ("".join(words), "".join(kept), *alone) if form)
    sounds = sounds_of(spelled)
    # A code of two signs stands for too many names.
    return list(
        dict.fromkeys(sounds[word] if len(sounds[word]) >= _SHORTEST_NAME else word for word in spelled)
    )


def persons(first_name: str, surnames: Sequence[str], birth_date: str) -> list[str]:
    """One value for each surname that, with first name and date of birth (RFC 3339), names a person."""
    first = _words(first_name)[:1]
    if not first or not birth_date:
        return []
    whole = ["".join(_words(name)) for name in surnames]
    sounds = sounds_of([first[0], *whole])
    return list(dict.fromkeys(f"{sounds[name]} {sounds[first[0]]} {birth_date}" for name in whole if name))


def addresses(text: str) -> list[str]:
    """The address in the form that is compared; where it has a postcode, first with it and then without.

    Without a number and a street, what stands before a postcode counts ("Le Bourg, 63500 Issoire"). None where
    there is neither.
    """
    written = _AFTER_NUMBER.sub(r"\1 ", text[:_MOST_LETTERS])
    lines = [words_of(line) for line in _LINES.split(written)]
    postcode = next((word for line in lines for word in line if _POSTCODE.fullmatch(word)), "")
    for line in lines:
        street = _street(line)
        if street:
            return [f"{street} {postcode}", street] if postcode else [street]
    before = [word for line in lines for word in line]
    place = " ".join(before[: before.index(postcode)]) if postcode else ""
    return [f"{place} {postcode}"] if place else []


def _named(first_name: str, surnames: Sequence[str], dates: Sequence[str]) -> list[tuple[Trait, str]]:
    return [(Trait.PERSON, person) for date in dates for person in persons(first_name, surnames, date)]


def _street(line: Sequence[str]) -> str | None:
    """Number, kind of way and name of the first street of a line."""
    for at, word in enumerate(line):
        number = _NUMBER.fullmatch(word)
        if number is None:
            continue
        after = at + 1
        repeated = _REPEATED.get(number[2], number[2] or "")
        if not repeated and after < len(line) and line[after] in _REPEATED:
            repeated, after = _REPEATED[line[after]], after + 1
        if after < len(line) and line[after] in _WAYS:
            name = " ".join(_name_of_way(line[after + 1 :]))
            return f"{number[1]}{repeated} {_WAYS[line[after]]} {name}"
    return None


def _name_of_way(words: Sequence[str]) -> Iterator[str]:
    for word in words[:_MOST_WORDS]:
        if _POSTCODE.fullmatch(word):
            return
        if word not in PARTICLES:
            yield word


def _words(name: str) -> list[str]:
    return words_of(name[:_MOST_LETTERS])[:_MOST_WORDS]


def _without_particles(words: Sequence[str]) -> list[str]:
    return [word for word in words if word not in PARTICLES]


def _text(value: object) -> str:
    # What a partner handed over passed no schema.
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [_text(each) for each in value[:20]] if isinstance(value, list) else []
