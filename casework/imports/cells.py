"""What may stand in one cell, by the kind of its column. A refusal says the rule, never the cell."""

import re
import unicodedata
from datetime import date
from enum import StrEnum
from typing import Final

from casework.cases.schemas import Public


def plain(text: str) -> str:
    """A text without case, accents and punctuation, to compare by: "Prénom d'usage" is "prenom d usage"."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", kept).strip()


_FRENCH_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_FLAGS: Final = {"oui": True, "non": False}
_PUBLICS: Final = {
    plain(word): public
    for public, words in {
        Public.KNOWN_NEED: ("bénéficiaire",),
        Public.REFERRED: ("accompagnée", "accompagné", "accompagné·e"),
        Public.SEEKING: ("en recherche",),
    }.items()
    for word in (*words, public)
}
# Between several values in one cell.
_BETWEEN: Final = "|"
# What a program wrote where it could not read a character.
_LOST: Final = "\N{REPLACEMENT CHARACTER}"


class Rule(StrEnum):
    """What a cell must be, in words for whoever corrects the spreadsheet."""

    MISSING = "une valeur est obligatoire"
    CONTROL = "un caractère de commande s’y trouve"
    LOST = "un caractère a été perdu lors d’une conversion du fichier"
    FORMULA = "c’est une formule de tableur, pas une valeur"
    ONE_LINE = "une seule ligne est admise dans cette cellule"
    DATE = "une date JJ/MM/AAAA ou AAAA-MM-JJ est attendue"
    FLAG = "oui ou non est attendu"
    PUBLIC = "valeurs admises : bénéficiaire, accompagnée, en recherche"
    LENGTH = "le texte est trop long"
    REFUSED = "la valeur n’est pas admise"


class CellRefused(Exception):
    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.rule = rule


def require_plain_text(cell: str) -> None:
    """Refuse what no one typed: control characters, lost characters, a spreadsheet's formula."""
    if any(unicodedata.category(character) == "Cc" and character not in "\t\r\n" for character in cell):
        raise CellRefused(Rule.CONTROL)
    if _LOST in cell:
        raise CellRefused(Rule.LOST)
    if cell.lstrip().startswith("="):
        raise CellRefused(Rule.FORMULA)


def line(cell: str) -> str:
    text = cell.strip()
    if any(character in "\t\r\n" for character in text):
        raise CellRefused(Rule.ONE_LINE)
    return text


def prose(cell: str) -> str:
    return cell.strip().replace("\r\n", "\n").replace("\r", "\n")


def lines(cell: str) -> list[str]:
    """Several values in one cell, with a vertical bar between them."""
    return [text for part in cell.split(_BETWEEN) if (text := line(part))]


def day(cell: str) -> str:
    text = cell.strip()
    if found := _FRENCH_DATE.fullmatch(text):
        numbers = found[3], found[2], found[1]
    elif found := _ISO_DATE.fullmatch(text):
        numbers = found[1], found[2], found[3]
    else:
        raise CellRefused(Rule.DATE)
    try:
        return date(*map(int, numbers)).isoformat()
    except ValueError:
        raise CellRefused(Rule.DATE) from None


def flag(cell: str) -> bool:
    found = _FLAGS.get(plain(cell))
    if found is None:
        raise CellRefused(Rule.FLAG)
    return found


def public(cell: str) -> str:
    found = _PUBLICS.get(plain(cell))
    if found is None:
        raise CellRefused(Rule.PUBLIC)
    return found
