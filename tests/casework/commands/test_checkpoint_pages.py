"""The day's checkpoint on paper: what an auditor needs to compare later, and no more."""

from io import BytesIO

from pypdf import PdfReader

from audit.checkpoint import parse_checkpoint
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
