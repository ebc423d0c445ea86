"""From rows to bodies of new cases, checked with the very types that the API decodes; faults by row and column."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from casework.cases.schemas import NewCase, Public
from casework.errors import BadInput
from casework.imports.cells import CellRefused, Rule, plain, require_plain_text
from casework.imports.columns import BIRTH_DATE, COLUMNS, FAMILY_NAME, NAME_IN_USE, PUBLIC, REQUIRED, Column
from casework.imports.reading import Row, Sheet
from casework.json_input import MAX_BODY, read_json
from policies.vocabulary import Group

_RULES: Final = {"wrong_length": Rule.LENGTH}
# In the place of what must be there and is not: the rest of such a row is checked all the same.
_SOUND: Final[Mapping[Column, object]] = {PUBLIC: Public.SEEKING, NAME_IN_USE: "…"}
_BY_PATH: Final = {column.path: column for column in COLUMNS}
_TOO_WIDE = "des cellules sont remplies au-delà des colonnes de l’en-tête"
_TOO_LARGE = "la ligne entière est trop volumineuse"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to be corrected in one row; `column` is None where it is the row as a whole."""

    row: int
    column: Column | None
    rule: str

    def __str__(self) -> str:
        where = f", {self.column.heading}" if self.column is not None else ""
        return f"Ligne {self.row}{where} : {self.rule}."


@dataclass(frozen=True, slots=True)
class Line:
    """One case to open: its row, the body of its request, and the groups that it fills."""

    row: int
    body: bytes
    groups: frozenset[Group]


@dataclass(frozen=True, slots=True)
class Checked:
    """`twins` are rows that seem to be one person's: the same names and the same birth date."""

    lines: tuple[Line, ...]
    faults: tuple[Fault, ...]
    twins: tuple[tuple[int, ...], ...]


def check(sheet: Sheet) -> Checked:
    """Check every row of a sheet; nothing of a row with a fault is in `lines`."""
    lines: list[Line] = []
    faults: list[Fault] = []
    for row in sheet.rows:
        found = _check_row(row)
        if isinstance(found, Line):
            lines.append(found)
        else:
            faults += found
    return Checked(tuple(lines), tuple(faults), tuple(_twins(sheet.rows)))


def _check_row(row: Row) -> Line | list[Fault]:
    faults = [Fault(row.number, None, _TOO_WIDE)] if row.is_too_wide else []
    values: dict[Column, object] = {}
    for column, cell in row.cells.items():
        try:
            require_plain_text(cell)
            values[column] = column.read(cell)
        except CellRefused as refused:
            faults.append(Fault(row.number, column, refused.rule))
    faults += [Fault(row.number, column, Rule.MISSING) for column in REQUIRED if column not in row.cells]
    # The decoder names the first wrong field alone: what it names is taken out until it finds no more.
    while (wrong := _first_wrong(values)) is not None:
        column, rule = wrong
        faults.append(Fault(row.number, column, rule))
        del values[column]
    if faults:
        return faults
    body = _body(values)
    if len(body) > MAX_BODY:
        return [Fault(row.number, None, _TOO_LARGE)]
    # What public she belongs to is part of her request, and who she is of every case.
    return Line(row.number, body, frozenset(column.group for column in (*REQUIRED, *values)))


def _first_wrong(values: Mapping[Column, object]) -> tuple[Column, Rule] | None:
    try:
        read_json(_body({**_SOUND, **values}), NewCase)
    except BadInput as refused:
        error = refused.errors[0]
        return _BY_PATH[error.field.partition("[")[0]], _RULES.get(error.code, Rule.REFUSED)
    return None


def _body(values: Mapping[Column, object]) -> bytes:
    """The JSON of a new case; the same values always give the same bytes, which a repeated request needs."""
    case: dict[str, Any] = {}
    for column in COLUMNS:
        if column in values:
            *group, field = column.path.split(".")
            there = case.setdefault(group[0], {}) if group else case
            there[field] = values[column]
    return msgspec.json.encode(case)


def _twins(rows: Sequence[Row]) -> Iterator[tuple[int, ...]]:
    persons: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in rows:
        names = tuple(plain(row.cells.get(column, "")) for column in (NAME_IN_USE, FAMILY_NAME))
        born = _born(row)
        # A first name alone is many persons'.
        if names[1] or born:
            persons[(*names, born)].append(row.number)
    return (tuple(found) for found in persons.values() if len(found) > 1)


def _born(row: Row) -> str:
    try:
        return str(BIRTH_DATE.read(row.cells.get(BIRTH_DATE, "")))
    except CellRefused:
        return ""
