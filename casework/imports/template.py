"""What an association begins its spreadsheet from."""

import csv
from io import StringIO

from casework.imports.columns import COLUMNS


def template() -> str:
    """The heading and one fictional person, as CSV with semicolons."""
    written = StringIO()
    writer = csv.writer(written, delimiter=";", lineterminator="\n")
    writer.writerow(column.heading for column in COLUMNS)
    writer.writerow(column.example for column in COLUMNS)
    return written.getvalue()
