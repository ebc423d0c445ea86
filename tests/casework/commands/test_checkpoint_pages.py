"""The day's checkpoint on paper and as the text of a mail: what an auditor needs to compare later, and no more."""

from datetime import UTC, datetime
from io import BytesIO

from pypdf import PdfReader

from audit.checkpoint import parse_checkpoint
from casework.commands.checkpoint_pages import daily_mail
from casework.commands.sheets import fingerprint_words
from tests.casework.commands.place import NAME, Place


def test_a_page_says_origin_size_root_and_whose_key(founded: Place) -> None:
    path = founded.folder / "page.pdf"
    ran = founded.run("audit", "checkpoint", "avec", "--page", path)
    assert ran.code == 0, ran
    head = parse_checkpoint(ran.out).checkpoint
    (page,) = PdfReader(BytesIO(path.read_bytes())).pages
    text = " ".join(page.extract_text().split())
    for words in (f"{NAME}/avec", str(head.size), "Racine", founded.key("avec").split("+")[1][:4]):
        assert words in text
    assert fingerprint_words(head.root).replace(" ", "") in text.replace(" ", "")
    again = founded.run("audit", "checkpoint", "avec", "--page", path)
    assert (again.code, "--page" in again.err) == (1, True)


def test_the_daily_mail_carries_the_signed_note_and_nothing_of_a_person(founded: Place) -> None:
    note = founded.run("audit", "checkpoint", "avec").out
    text = daily_mail(note, datetime(2026, 11, 28, tzinfo=UTC))
    assert text.endswith(note)
    assert "28/11/2026" in text
    assert fingerprint_words(parse_checkpoint(note).checkpoint.root) in text
