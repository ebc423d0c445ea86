"""From the bytes of a CSV file to rows under known columns: encoding, separator, quotes (RFC 4180) and limits.

Rows bear the numbers that a spreadsheet shows: the heading is row 1, an empty row counts.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from io import StringIO
from typing import Final

from casework.imports.columns import REQUIRED, Column, column_of
from casework.imports.errors import ImportRefused

MAX_BYTES: Final = 20 * 1024 * 1024
MAX_ROWS: Final = 20_000
_SHOWN_HEADING = 40
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Encoding(StrEnum):
    UTF_8 = "UTF-8"
    WINDOWS_1252 = "Windows-1252"


class Separator(StrEnum):
    SEMICOLON = "point-virgule"
    COMMA = "virgule"
    TABULATION = "tabulation"


_CHARACTERS: Final = {Separator.SEMICOLON: ";", Separator.COMMA: ",", Separator.TABULATION: "\t"}


@dataclass(frozen=True, slots=True)
class Row:
    """`cells` are those that are not empty. `is_too_wide`: something stands where no column is."""

    number: int
    cells: Mapping[Column, str]
    is_too_wide: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """`digest` is the file's SHA-256, in hexadecimal."""

    digest: str
    encoding: Encoding
    separator: Separator
    rows: tuple[Row, ...]


def read_sheet(content: bytes) -> Sheet:
    """Read a whole file.

    Raises:
        ImportRefused: too large, not text, no CSV, or a heading that is unknown, missing or there twice.

    """
    if len(content) > MAX_BYTES:
        raise ImportRefused(f"Le fichier dépasse {MAX_BYTES // 1024**2} Mio : partagez-le en plusieurs.")
    text, encoding = _decode(content)
    separator = max(Separator, key=lambda candidate: _count_known(_heading(text, candidate)))
    columns = _columns(_heading(text, separator))
    records = _records(text, separator)
    next(records)
    rows = []
    for number, record in records:
        if row := _row(number, record, columns):
            rows.append(row)
        if len(rows) > MAX_ROWS:
            raise ImportRefused(f"Le fichier dépasse {MAX_ROWS} lignes : partagez-le en plusieurs.")
    if not rows:
        raise ImportRefused("Le fichier n’a aucune ligne sous son en-tête.")
    return Sheet(sha256(content).hexdigest(), encoding, separator, tuple(rows))


def _decode(content: bytes) -> tuple[str, Encoding]:
    if content.startswith(_UTF16):
        raise ImportRefused("Le fichier est en UTF-16 : enregistrez-le en « CSV UTF-8 ».")
    try:
        return content.decode("utf-8-sig"), Encoding.UTF_8
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252"), Encoding.WINDOWS_1252
    except UnicodeDecodeError:
        raise ImportRefused(
            "Le fichier n’est ni en UTF-8 ni en Windows-1252 : enregistrez-le en « CSV UTF-8 »."
        ) from None


def _records(text: str, separator: Separator) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=_CHARACTERS[separator], strict=True)
    number = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # Its text may quote the file, and what follows a lost quotation mark cannot be told apart.
            raise ImportRefused(
                f"Ligne {number} : les guillemets ne se ferment pas comme il faut, ou une cellule est démesurée."
            ) from None
        yield number, record
        number += 1


def _heading(text: str, separator: Separator) -> list[str]:
    try:
        return next((record for _, record in _records(text, separator)), [])
    except ImportRefused:
        return []


def _count_known(heading: Sequence[str]) -> int:
    return sum(column_of(name) is not None for name in heading)


def _columns(heading: Sequence[str]) -> list[Column | None]:
    """The column of each place; None where the heading is empty."""
    # Without a heading the first row is a person's: it must not be shown as one.
    if _count_known(heading) < len(REQUIRED):
        needed = " et ".join(f"« {column.heading} »" for column in REQUIRED)
        raise ImportRefused(
            f"Ligne 1 : ce n’est pas un en-tête. Il doit nommer au moins {needed} "
            "(« casework import template » en montre un)."
        )
    columns = [column_of(name) if name.strip() else None for name in heading]
    for name, column in zip(heading, columns, strict=True):
        if column is None and name.strip():
            raise ImportRefused(f"Ligne 1 : la colonne « {_shown(name)} » est inconnue.")
    for column, count in Counter(columns).items():
        if column is not None and count > 1:
            raise ImportRefused(f"Ligne 1 : la colonne « {column.heading} » y est {count} fois.")
    for column in REQUIRED:
        if column not in columns:
            raise ImportRefused(f"Ligne 1 : la colonne « {column.heading} » manque.")
    return columns


def _shown(name: str) -> str:
    """A heading, safe for a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in name.strip())[:_SHOWN_HEADING]


def _row(number: int, record: Sequence[str], columns: Sequence[Column | None]) -> Row | None:
    """The row of a record; None of one that is empty. Excel leaves out empty cells at a row's end."""
    if not any(cell.strip() for cell in record):
        return None
    headed = zip(columns, record, strict=False)
    cells = {column: cell for column, cell in headed if column is not None and cell.strip()}
    unheaded = [cell for at, cell in enumerate(record) if at >= len(columns) or columns[at] is None]
    return Row(number, cells, is_too_wide=any(cell.strip() for cell in unheaded))
