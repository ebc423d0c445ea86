"""CSV files of fictional persons, as bytes."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from casework.imports.checking import Checked, check
from casework.imports.reading import read_sheet

PERSON = {"public": "en recherche", "prénom d’usage": "Mimosa"}


def sheet(*rows: Mapping[str, str], encoding: str = "utf-8", separator: str = ";") -> bytes:
    """Rows under the headings that any of them has."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    return table(
        [headings, *([row.get(heading, "") for heading in headings] for row in rows)], encoding, separator
    )


def table(records: Sequence[Sequence[str]], encoding: str = "utf-8", separator: str = ";") -> bytes:
    written = StringIO()
    csv.writer(written, delimiter=separator).writerows(records)
    return written.getvalue().encode(encoding)


def checked(*rows: Mapping[str, str]) -> Checked:
    return check(read_sheet(sheet(*rows)))
