"""Any CSV that a spreadsheet writes is read as it was meant, and anything else is refused in one sentence."""

from contextlib import suppress
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casework.imports import reading
from casework.imports.checking import check
from casework.imports.columns import COLUMNS, NAME_IN_USE, REQUIRED, Column
from casework.imports.errors import ImportRefused
from casework.imports.reading import Encoding, Separator, read_sheet
from tests.casework.imports.sheets import PERSON, sheet, table

CANARY = "canari"
SEPARATORS = {";": Separator.SEMICOLON, ",": Separator.COMMA, "\t": Separator.TABULATION}
ENCODINGS = {"utf-8": Encoding.UTF_8, "utf-8-sig": Encoding.UTF_8, "cp1252": Encoding.WINDOWS_1252}
HEADING = [column.heading for column in REQUIRED]

# What Windows-1252 can write, and what CSV must quote.
_FRENCH = st.text(st.sampled_from("aZ éèçœ€’«»;,\t\"'\n\r=|+-"), max_size=8)


def _others() -> st.SearchStrategy[list[Column]]:
    return st.lists(st.sampled_from([column for column in COLUMNS if column not in REQUIRED]), unique=True)


@given(
    others=_others(),
    data=st.data(),
    separator=st.sampled_from(sorted(SEPARATORS)),
    encoding=st.sampled_from(sorted(ENCODINGS)),
)
def test_rows_come_back_as_they_were_written(
    others: list[Column], data: st.DataObject, separator: str, encoding: str
) -> None:
    columns = data.draw(st.permutations([*REQUIRED, *others]))
    rows = data.draw(
        st.lists(st.lists(_FRENCH, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=6)
    )
    # One that is not ASCII, so that the encoding can be told.
    rows.append(["é"] * len(columns))
    records = [[column.heading for column in columns], *rows]
    found = read_sheet(table(records, encoding, separator))
    assert (found.separator, found.encoding) == (SEPARATORS[separator], ENCODINGS[encoding])
    expected = {
        number: {column: cell for column, cell in zip(columns, row, strict=True) if cell.strip()}
        for number, row in enumerate(rows, 2)
    }
    assert {row.number: row.cells for row in found.rows} == {
        number: cells for number, cells in expected.items() if cells
    }


@given(st.binary(max_size=200))
@example(b"\xff\xfep\x00")
@example(b"public;pr\xc3\xa9nom\n\x81;\x81\n")
@example(b'public;"pr\xc3\xa9nom\nx;y\n')
@example(b'public;pr\xc3\xa9nom\n"x"y;z\n')
def test_garbage_is_read_or_refused_and_never_a_crash(content: bytes) -> None:
    for file in (content, "public;prénom\n".encode() + content):
        with suppress(ImportRefused):
            check(read_sheet(file))


@pytest.mark.parametrize(("line", "separator"), list(product(("\n", "\r\n", "\r"), ";,\t")))
def test_lines_end_as_any_system_ends_them(line: str, separator: str) -> None:
    content = line.join((separator.join(HEADING), separator.join(("en recherche", "Mimosa")), ""))
    (row,) = read_sheet(content.encode()).rows
    assert (row.number, row.cells[NAME_IN_USE]) == (2, "Mimosa")


def test_rows_are_numbered_as_a_spreadsheet_shows_them() -> None:
    person = list(PERSON.values())
    found = read_sheet(table([HEADING, person, [], ["", " "], ["en recherche", "deux\nlignes"], person]))
    assert [row.number for row in found.rows] == [2, 5, 6]


def test_a_row_that_the_spreadsheet_cut_short_is_whole() -> None:
    found = read_sheet(
        table([[*HEADING, "téléphone", ""], list(PERSON.values()), [*PERSON.values(), "", "x"]])
    )
    assert [(len(row.cells), row.is_too_wide) for row in found.rows] == [(2, False), (2, True)]


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ([*HEADING, CANARY], f"« {CANARY} » est inconnue"),
        ([*HEADING, "a" * 50 + CANARY], "« aaa"),
        ([*HEADING, "NOM", "nom de famille"], "« nom de famille » y est 2 fois"),
        (["nom", "prénom d'usage"], "« public » manque"),
        (["Public", "nom"], "« prénom d’usage » manque"),
        (["Soraya", "Belhadj"], "ce n’est pas un en-tête"),
    ],
)
def test_a_heading_that_is_not_understood_is_refused(heading: list[str], words: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        read_sheet(table([heading, ["x"] * len(heading)]))
    assert words in str(refused.value).replace("\u00a0", " ")
    assert "Belhadj" not in str(refused.value)


@pytest.mark.parametrize("heading", ["Prénom d'usage", "PRENOM_D_USAGE", "  prénom  d’usage ", "Prénom"])
def test_a_heading_is_known_however_it_is_typed(heading: str) -> None:
    (row,) = read_sheet(table([["public", heading], ["en recherche", "Mimosa"]])).rows
    assert row.cells[NAME_IN_USE] == "Mimosa"


def test_a_file_beyond_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    three = sheet(PERSON, PERSON, PERSON)
    monkeypatch.setattr(reading, "MAX_ROWS", 3)
    assert len(read_sheet(three).rows) == 3
    monkeypatch.setattr(reading, "MAX_ROWS", 2)
    with pytest.raises(ImportRefused, match="2 lignes"):
        read_sheet(three)
    with pytest.raises(ImportRefused, match="20 Mio"):
        read_sheet(three.ljust(reading.MAX_BYTES + 1, b"\n"))
    with pytest.raises(ImportRefused, match="aucune ligne"):
        read_sheet(table([HEADING, []]))
    with pytest.raises(ImportRefused, match="Ligne 2"):
        read_sheet(sheet(PERSON | {"notes santé": CANARY * 30_000}))
