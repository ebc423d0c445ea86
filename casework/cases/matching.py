"""How what somebody types is compared with what a case holds: names, a date of birth, a phone. Pure functions.

Names are compared word by word: accents, case, hyphens, apostrophes and order count for nothing, particles
(de, du, des, la, le) are left out, and neighbours are also tried as one word ("Ben Ali", "Benali").
"""

import re
import unicodedata
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import extract

from casework.cases.phonetic import sounds_of

# Between two persons; no word has it.
_PERSON = "\x1e"
_BETWEEN_WORDS = re.compile(r"[^\w \x1e]|_")
# What NFKD takes off a letter, in the scripts that names are written in here.
_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
PARTICLES = frozenset({"D", "DE", "DES", "DU", "L", "LA", "LE"})
# What has no decomposition in Unicode; ß is SS in upper case already.
_LIGATURES = {"Œ": "OE", "Æ": "AE", "Ø": "O", "Ł": "L", "Đ": "D"}
# At most so many neighbours are tried as one word ("de la Tour", "Delatour").
_JOINED = 3
_MOST_WORDS = 8
# Of one person. Nobody has more; but what a partner handed over passed no schema, and others wait meanwhile.
_MOST_NAMES = 40
_MOST_LETTERS = 2_000

# Two words less alike than this are two words: one letter of four may differ, or two neighbours be swapped.
_ALIKE = 0.75
_SIFTED = 0.72
# Of two spellings of one sound, so much is the same.
_HEARD = 0.4
_SAME_SOUND = 0.9
# Of all that was typed of a name, so much must be found.
_NAME_FOUND = 0.75
# What else was typed confirms a name, is not on record, or speaks against it.
_UNKNOWN, _ANOTHER = 0.9, 0.6
_FOUND = 0.6

_E164 = re.compile(r"\+[1-9]\d{7,14}", re.ASCII)
# 00 abroad, a single 0 in France, and France without its plus.
_TO_E164 = (
    (re.compile(r"^00"), "+"),
    (re.compile(r"^0(?=\d{9}$)"), "+33"),
    (re.compile(r"^(?=33\d{9}$)"), "+"),
)
_NOT_DIALLED = re.compile(r"\(0\)|[^\d+]")
_BETWEEN_PHONES = re.compile(r"[/,;|\n]|\bou\b")


@dataclass(frozen=True, slots=True)
class Person:
    """What a case holds of a person that can be searched for; empty where it is not to be read."""

    names: Sequence[str] = ()
    birth_dates: Collection[str] = ()
    phones: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for: words of a name, a date (RFC 3339), a phone (E.164); at least one of them."""

    name: str | None = None
    birth_date: str | None = None
    phone: str | None = None


def name_scores(typed: str, people: Sequence[Sequence[str]]) -> list[float]:
    """How well each person's names, taken together, hold the name: 0 (not at all) to 1 (word for word).

    Of each person at most 40 names and 2,000 letters are compared.
    """
    readings = _readings(typed)
    wanted = {word for reading in readings for word in reading}
    # One text for all: folding and splitting ten thousand names one by one takes longer than opening them.
    text = _folded(_PERSON.join(_compared(names) for names in people))
    # Once more: one character can unfold to six (U+3316) and more.
    held = [line[:_MOST_LETTERS].split() for line in text.split(_PERSON)][: len(people)]
    _join_neighbours(held, {word[0] for word in wanted})
    likeness = _likeness(wanted, {word for words in held for word in words})
    near = {word for alike in likeness.values() for word in alike}
    return [
        0.0 if near.isdisjoint(words) else max(_share(reading, words, likeness) for reading in readings)
        for words in held
    ]


def words_of(name: str) -> list[str]:
    """The words of a name in upper case, without marks; particles too."""
    return _folded(name).split()


def score(wanted: Wanted, person: Person, by_name: float) -> float:
    """0 to 1; 0 where the person is not to be shown.

    Without a name, everything that was typed must be the same. With one, a date or phone that is the same
    confirms it, one that is another leaves only a name that is found almost word for word.
    """
    found = by_name if wanted.name is not None else 1.0
    if found < _NAME_FOUND:
        return 0.0
    for one, held in ((wanted.birth_date, person.birth_dates), (wanted.phone, person.phones)):
        if one is not None:
            found *= _confirms(one, held, alone=wanted.name is None)
    return round(found, 2) if found >= _FOUND else 0.0


def phones_in(text: str) -> set[str]:
    """Every phone number of a line's first 2,000 letters, in E.164."""
    found = (phone_number(part) for part in _BETWEEN_PHONES.split(text[:_MOST_LETTERS]))
    return {number for number in found if number is not None}


def phone_number(text: str) -> str | None:
    """A number in E.164 (ITU-T); one that begins with a single 0 is French. None where it is not a number."""
    digits = _NOT_DIALLED.sub("", text)
    for pattern, written in _TO_E164:
        digits = pattern.sub(written, digits)
    return digits if _E164.fullmatch(digits) is not None else None


def _confirms(one: str, held: Collection[str], *, alone: bool) -> float:
    if one in held:
        return 1.0
    if alone:
        return 0.0
    return _ANOTHER if held else _UNKNOWN


def _compared(names: Sequence[str]) -> str:
    return " ".join(names[:_MOST_NAMES])[:_MOST_LETTERS].replace(_PERSON, " ")


def _folded(text: str) -> str:
    upper = text.upper()
    if not upper.isascii():
        upper = _MARKS.sub("", unicodedata.normalize("NFKD", upper)).upper()
        for ligature, letters in _LIGATURES.items():
            upper = upper.replace(ligature, letters)
    return _BETWEEN_WORDS.sub(" ", upper)


def _join_neighbours(held: Sequence[list[str]], initials: Container[str]) -> None:
    """Add to each person's words her neighbouring words as one, where one of them could be wanted."""
    for words in held:
        starts = [at for at, word in enumerate(words) if word[0] in initials]
        words += [
            "".join(words[at : at + size])
            for at in starts
            for size in range(2, min(_JOINED, len(words) - at) + 1)
        ]


def _without_particles(words: Sequence[str]) -> list[str]:
    # A name that is nothing but particles ("Le") is a name.
    return [word for word in words if word not in PARTICLES] or list(words)


def _spans(count: int) -> list[tuple[int, int]]:
    return [(a, a + size) for size in range(2, _JOINED + 1) for a in range(count - size + 1)]


def _readings(name: str) -> list[list[str]]:
    """What was typed, word by word; and with neighbours taken for one word that was torn apart."""
    words = words_of(name)[:_MOST_WORDS]
    joined = [[*words[:a], "".join(words[a:b]), *words[b:]] for a, b in _spans(len(words))]
    return [_without_particles(reading) for reading in (words, *joined)]


def _likeness(wanted: Iterable[str], vocabulary: Collection[str]) -> dict[str, dict[str, float]]:
    """For each wanted word the words that are like it, by letters or by sound, and how much."""
    return {word: _like(word, vocabulary) for word in wanted}


def _like(word: str, vocabulary: Collection[str]) -> dict[str, float]:
    # Jaro-Winkler to sift in C: alone it takes a beginning ("Marie") for the whole ("Mariedupont").
    sifted = extract(word, vocabulary, scorer=JaroWinkler.similarity, score_cutoff=_SIFTED, limit=None)
    likeness = {other: OSA.normalized_similarity(word, other) for other, _, _ in sifted}
    spelled_otherwise = [other for other, alike in likeness.items() if _HEARD <= alike < _SAME_SOUND]
    sounds = sounds_of([word, *spelled_otherwise])
    likeness |= {other: _SAME_SOUND for other in spelled_otherwise if sounds[other] == sounds[word]}
    return {other: alike for other, alike in likeness.items() if alike >= _ALIKE}


def _share(
    reading: Sequence[str], words: Collection[str], likeness: Mapping[str, Mapping[str, float]]
) -> float:
    """How much of the reading is found, each word weighing its length."""
    found = sum(len(word) * max(likeness[word].get(other, 0.0) for other in words) for word in reading)
    return found / sum(map(len, reading))
