"""A page for each holder of a recovery share, as text and as tagged PDF (PDF/UA-1): the words stand on paper alone.

The PDF is set by typst from `share_page.typ`, in memory, with the fonts that it brings along.
"""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import click
import typst

from casework.commands.opening import CommandRefused
from casework.commands.sheets import fingerprint_words
from casework.settings import Settings
from crypto.errors import SharesRefused
from crypto.recovery import Split
from crypto.secret import Secret

OPTION = "--pages"
_WIDTH = 92
_COLUMNS = 4
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
_MUST = (
    "Gardez cette feuille sous clé, dans une enveloppe fermée, ailleurs que le serveur et que les autres parts.",
    "Si elle est perdue, volée ou lue par quelqu’un, dites-le le jour même à la gestionnaire des clés : une "
    "récupération avec les autres parts la rend sans valeur.",
    "Si vous quittez l’organisation, remettez-la en main propre à la personne que la direction désigne.",
    "Ne tapez ses mots que vous-même, à l’invite de « casework keys recover share », sur un écran à vous, pour une "
    "récupération qu’on vous a annoncée de vive voix, et si le code affiché est celui de l’écran qui l’a ouverte.",
    "Après une récupération, de nouvelles parts sont imprimées : détruisez alors cette feuille.",
)
_MUST_NOT = (
    "Ne la photographiez pas, ne la photocopiez pas, ne la numérisez pas, ne l’envoyez pas.",
    "Ne tapez ni ne notez ses mots nulle part ailleurs ; ne les dites à personne, ni au téléphone : "
    "personne n’a de raison de vous les demander.",
    "Ne la confiez ni à qui administre le serveur, ni à qui garde une autre part.",
)


class SplitType(click.ParamType[Split]):
    """`NEEDED/TOTAL`."""

    name = "NÉCESSAIRES/IMPRIMÉES"

    def convert(self, value: str | Split, param: click.Parameter | None, ctx: click.Context | None) -> Split:
        if isinstance(value, Split):
            return value
        needed, _, total = value.partition("/")
        try:
            return Split(int(needed), int(total))
        except (ValueError, SharesRefused):
            self.fail("deux parts au moins, sur seize au plus, sont attendues, comme « 2/3 »", param, ctx)


@dataclass(frozen=True, slots=True)
class ShareSet:
    """The shares that were made together. A page of another set is worth nothing; `mark` tells them apart."""

    organisation: str
    slug: str
    root_fingerprint: bytes
    mark: bytes
    made_at: datetime
    split: Split
    shares: tuple[Secret, ...] = field(repr=False)

    def pages(self) -> list["SharePage"]:
        return [SharePage(self, number) for number in range(1, self.split.total + 1)]


@dataclass(frozen=True, slots=True)
class SharePage:
    """One share of a set, by its number, and all that its holder must know."""

    of: ShareSet
    number: int

    @property
    def words(self) -> list[str]:
        return self.of.shares[self.number - 1].reveal().decode("ascii").split()

    @property
    def title(self) -> str:
        return f"Part de récupération {self.number} sur {self.of.split.total}"

    @property
    def facts(self) -> list[tuple[str, str]]:
        of, day = self.of, self.of.made_at
        return [
            ("Organisation", f"{of.organisation} ({of.slug})"),
            ("Part", f"n° {self.number} sur {of.split.total} ; il en faut {of.split.needed}"),
            ("Imprimée le", f"{day.day} {_MONTHS[day.month - 1]} {day.year}"),
            ("Jeu de parts", fingerprint_words(of.mark)),
            ("Empreinte de la racine", fingerprint_words(of.root_fingerprint)),
        ]

    @property
    def meaning(self) -> str:
        return (
            f"{self.of.split.needed} de ces {self.of.split.total} parts, réunies, rendent toutes les clés de "
            "l’organisation ; moins n’apprennent rien. Elles servent quand plus personne ne peut remettre une clé."
        )

    def as_text(self) -> str:
        words = self.words
        numbered = [f"{at:4}. {word:<14}" for at, word in enumerate(words, 1)]
        lines = ("".join(numbered[at : at + _COLUMNS]).rstrip() for at in range(0, len(numbered), _COLUMNS))
        facts = "\n".join(f"  {name:<24}{value}" for name, value in self.facts)
        return "\n\n".join(
            (
                f"{self.title.upper()} : {self.of.organisation}",
                facts,
                textwrap.fill(self.meaning, _WIDTH),
                f"LES {len(words)} MOTS DE CETTE PART, LIGNE APRÈS LIGNE",
                "\n".join(lines),
                "CE QUE VOUS DEVEZ FAIRE\n" + _listed(_MUST),
                "CE QUE VOUS NE DEVEZ PAS FAIRE\n" + _listed(_MUST_NOT),
                "Remise en main propre à ____________________  le ______________  signature ______________\n",
            )
        )

    def as_pdf(self) -> bytes:
        page = {
            "title": self.title,
            "organisation": self.of.organisation,
            "facts": self.facts,
            "meaning": self.meaning,
            "words": self.words,
            "must": _MUST,
            "must_not": _MUST_NOT,
        }
        made = typst.compile(
            (files("casework.commands") / "share_page.typ").read_bytes(),
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs={"page": json.dumps(page)},
            pdf_standards="ua-1",
            timestamp=self.of.made_at.replace(microsecond=0),
        )
        assert isinstance(made, bytes)  # a list of them for other formats
        return made


def require_folder(folder: Path, settings: Settings) -> None:
    """Refuse a folder that a backup takes: a share beside the database is no longer a secret of its holder.

    Raises:
        CommandRefused: it lies in the data or state directory.

    """
    if any(folder.resolve().is_relative_to(place) for place in (settings.data_dir, settings.state_dir)):
        raise CommandRefused(
            f"{OPTION} : les parts ne vont ni dans CASEWORK_DATA_DIR ni dans CASEWORK_STATE_DIR."
        )


def page_files(made: ShareSet) -> Iterator[tuple[str, bytes]]:
    """The name and content of each file: text and PDF of each page."""
    for page in made.pages():
        stem = f"{made.slug}-part-{page.number}"
        yield f"{stem}.txt", page.as_text().encode()
        yield f"{stem}.pdf", page.as_pdf()


def require_no_pages(folder: Path, slug: str) -> None:
    """Refuse a folder where pages of this organisation stand: they may be those of the set in force.

    Raises:
        CommandRefused: there is one.

    """
    if next(folder.glob(f"{slug}-part-*"), None) is not None:
        raise CommandRefused(f"{OPTION} : une feuille de cette organisation s’y trouve déjà.")


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(
        textwrap.fill(sentence, _WIDTH, initial_indent="  - ", subsequent_indent="    ")
        for sentence in sentences
    )
