"""The page that each holder of a recovery share is handed: what stands on it, in which form, for whose eyes."""

import re
import stat
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from casework.commands.opening import CommandRefused
from casework.commands.secret_files import write_together
from casework.commands.share_pages import OPTION, ShareSet, page_files, require_no_pages
from crypto.errors import SharesRefused
from crypto.recovery import TWO_OF_THREE, Split, join_shares, set_mark, split_seed
from crypto.secret import Secret
from tests.casework.commands.place import Place, share_of

NAME = "Association d’aide aux victimes et de médiation — Puy-de-Dôme"


def shares(split: Split = TWO_OF_THREE, name: str = NAME) -> ShareSet:
    seed = Secret.random()
    return ShareSet(
        organisation=name,
        slug="avec",
        root_fingerprint=bytes(range(32)),
        mark=b"\x12\x34\xab\xcd",
        made_at=datetime(2026, 8, 3, 10, 30, 0, 250, tzinfo=UTC),
        split=split,
        shares=tuple(Secret(share.encode()) for share in split_seed(seed, split)),
    )


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def words_of_pdf(pdf: bytes) -> str:
    """What stands in the table of words, number by number."""
    table = text_of(pdf).partition("ligne après ligne")[2]
    return " ".join(re.findall(r"\b\d{1,2}\s+([a-z]{4,8})\b", table))


def test_text_and_pdf_of_two_pages_give_the_seed_back() -> None:
    made = shares()
    texts = [share_of(page.as_text()) for page in made.pages()]
    pdfs = [words_of_pdf(page.as_pdf()) for page in made.pages()]
    assert texts == pdfs == [share.reveal().decode() for share in made.shares]
    assert join_shares([texts[0], pdfs[2]]) == join_shares([texts[1], pdfs[0]])


@pytest.mark.parametrize("form", ["text", "pdf"])
def test_a_page_says_whose_share_it_is_of_which_set_and_what_its_holder_must_and_must_not_do(
    form: str,
) -> None:
    page = shares(Split(3, 5)).pages()[3]
    text = " ".join((page.as_text() if form == "text" else text_of(page.as_pdf())).split())
    for said in (
        "récupération 4 sur 5",
        NAME,
        "n° 4 sur 5 ; il en faut 3",
        "3 août 2026",
        "1234 abcd",
        "0001 0203",
        "devez faire",
        "ne devez pas faire",
        "casework keys recover share",
        "détruisez alors cette feuille",
        "Ne la photographiez pas",
        "Remise en main propre",
    ):
        assert said.casefold() in text.casefold(), said


def test_the_pdf_is_one_tagged_page_in_french_that_claims_pdf_ua() -> None:
    for made in (shares(), shares(name="N" * 20 + " nom d’une longueur peu commune" * 6)):
        reader = PdfReader(BytesIO(made.pages()[0].as_pdf()))
        assert len(reader.pages) == 1
        catalog = reader.trailer["/Root"]
        assert catalog["/MarkInfo"]["/Marked"].value is True
        assert "/StructTreeRoot" in catalog
        assert catalog["/Lang"].startswith("fr")
        assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
        assert b"<pdfuaid:part>1</pdfuaid:part>" in catalog["/Metadata"].get_data()
        metadata = reader.metadata
        assert metadata is not None
        assert metadata.title == f"Part de récupération 1 sur 3 : {made.organisation}"


def test_a_page_of_sixteen_shares_is_still_one_page() -> None:
    assert len(PdfReader(BytesIO(shares(Split(16, 16)).pages()[15].as_pdf())).pages) == 1


def test_no_repr_shows_a_word() -> None:
    page = shares().pages()[0]
    assert not [word for word in page.words if word in repr(page).split()]


def test_pages_are_their_owners_alone_and_never_over_another_file(tmp_path: Path) -> None:
    made = shares()
    write_together(tmp_path, page_files(made), OPTION)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(written) == {f"avec-part-{number}.{kind}" for number in (1, 2, 3) for kind in ("txt", "pdf")}
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    with pytest.raises(CommandRefused, match="--pages"):
        require_no_pages(tmp_path, "avec")
    with pytest.raises(CommandRefused, match="--pages"):
        write_together(tmp_path, page_files(shares()), OPTION)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == written


def test_where_one_page_cannot_be_written_none_stays(tmp_path: Path) -> None:
    (tmp_path / "avec-part-3.pdf").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CommandRefused, match="--pages"):
        write_together(tmp_path, page_files(shares()), OPTION)
    assert [path.name for path in tmp_path.iterdir()] == ["avec-part-3.pdf"]


def test_a_set_is_named_by_its_recovery_key() -> None:
    one, other = bytes(32), bytes([1]) + bytes(31)
    assert (len(set_mark(one)), set_mark(one) == set_mark(other)) == (4, False)


def test_shares_are_not_written_where_a_backup_takes_them(sqlite_original: Place) -> None:
    for place in ("data", "state"):
        ran = sqlite_original.run(
            *("org", "create", "med", "--name", "M", "--member", "m:custodian"),
            *("--pages", sqlite_original.folder / place),
        )
        assert (ran.code, ran.err.startswith("--pages")) == (1, True), ran


def test_how_many_shares_are_made_and_needed_can_be_chosen(place: Place) -> None:
    place.run("init", "--name", "centre.example.org")
    members = ("--member", "c:custodian", "--member", "s:supervisor")
    where = ("--pages", place.pages, "--to", place.folder / "sheet")
    ran = place.run("org", "create", "med", "--name", "M", *members, *where, "--split", "3/4")
    assert ran.code == 0, ran
    held = [place.share("med", number) for number in (4, 2, 1)]
    assert join_shares(held)
    with pytest.raises(SharesRefused):
        join_shares(held[:2])


@pytest.mark.parametrize("split", ["1/3", "4/3", "2/17", "2", "x/y"])
def test_a_split_that_cannot_be_is_wrong_use(sqlite_original: Place, split: str) -> None:
    ran = sqlite_original.run(
        *("org", "create", "med", "--name", "M", "--member", "m:custodian", "--split", split),
        *("--pages", sqlite_original.pages),
    )
    assert (ran.code, ran.err.startswith("--split")) == (2, True), ran
