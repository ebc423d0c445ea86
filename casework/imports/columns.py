"""The columns that a spreadsheet of cases may have: their French headings, and what each gives a new case."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from casework.imports import cells
from casework.imports.cells import plain
from policies.vocabulary import Group


@dataclass(frozen=True, slots=True)
class Column:
    """`path` is the field of a `NewCase`; `others` are headings understood beside `heading`.

    `read` turns a cell that is not empty into the field's JSON, and raises `cells.CellRefused`.
    """

    heading: str
    path: str
    read: Callable[[str], object]
    example: str
    others: tuple[str, ...] = ()

    @property
    def group(self) -> Group:
        """The group that the column is sealed in. The public is part of her request."""
        return Group.INTAKE if self.path == "public" else Group(self.path.partition(".")[0])


PUBLIC: Final = Column("public", "public", cells.public, "accompagnée")
NAME_IN_USE: Final = Column("prénom d’usage", "identity.name_in_use", cells.line, "Inès", ("prénom",))
FAMILY_NAME: Final = Column("nom de famille", "identity.family_name", cells.line, "Exemple", ("nom",))
BIRTH_DATE: Final = Column("date de naissance", "identity.birth_date", cells.day, "12/04/1988", ("né·e le",))
REQUIRED: Final = (PUBLIC, NAME_IN_USE)

COLUMNS: Final = (
    PUBLIC,
    NAME_IN_USE,
    FAMILY_NAME,
    Column("état civil", "identity.legal_name", cells.line, ""),
    Column("anciens noms", "identity.former_names", cells.lines, ""),
    BIRTH_DATE,
    Column("anonyme", "identity.anonymous", cells.flag, "non"),
    Column("téléphone", "contact.phone", cells.line, "01 99 00 12 34", ("tél",)),
    Column("e-mail", "contact.email", cells.line, "", ("courriel", "mail", "email", "mél")),
    Column("adresse", "contact.address", cells.prose, "1 rue Inventée, 63000 Clermont-Ferrand"),
    Column("besoins", "intake.needs", cells.lines, "logement | accès au droit", ("besoin",)),
    Column("langue", "intake.language", cells.line, "portugais"),
    Column("interprète", "intake.interpreter", cells.flag, "oui"),
    Column("notes demande", "intake.summary", cells.prose, "", ("notes accueil",)),
    Column("notes danger", "safety.summary", cells.prose, ""),
    Column("notes sociales", "social.summary", cells.prose, "Cherche un logement."),
    Column("notes juridiques", "legal.summary", cells.prose, ""),
    Column("notes santé", "health.summary", cells.prose, ""),
    Column("notes famille", "family.summary", cells.prose, ""),
)


_BY_HEADING: Final = {
    plain(heading): column for column in COLUMNS for heading in (column.heading, *column.others)
}


def column_of(heading: str) -> Column | None:
    """The column that a heading names, however it is accented, spaced or capitalised."""
    return _BY_HEADING.get(plain(heading))
