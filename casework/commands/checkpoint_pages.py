"""What anchors a journal outside this machine for nothing: its checkpoint of the day on paper."""

import json
from datetime import datetime
from importlib.resources import files

import typst

from audit.checkpoint import VerificationKey, parse_checkpoint
from casework.commands.sheets import fingerprint_words

_TITLE = "Point de contrôle du journal"
_USE = (
    "Gardez cette feuille. Plus tard, demandez une archive du journal et vérifiez-la : si l’arbre de ses premières"
    " écritures n’a plus cette racine, le journal a été récrit."
)


def checkpoint_page(note: str, key: VerificationKey, now: datetime) -> bytes:
    """One sheet of A4 (tagged PDF, PDF/UA-1): origin, date, size, root in groups of four, the key's identity."""
    head = parse_checkpoint(note).checkpoint
    page = {
        "title": _TITLE,
        "origin": head.origin,
        "facts": [
            ("Journal", head.origin),
            ("Imprimé le", f"{now:%d/%m/%Y à %H:%M} UTC"),
            ("Écritures", str(head.size)),
            ("Racine", fingerprint_words(head.root)),
            ("Clé de vérification", fingerprint_words(key.key_id)),
            ("Clé publique", fingerprint_words(key.public)),
        ],
        "use": _USE,
    }
    made = typst.compile(
        (files("casework.commands") / "checkpoint_page.typ").read_bytes(),
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"page": json.dumps(page)},
        pdf_standards="ua-1",
        timestamp=now.replace(microsecond=0),
    )
    assert isinstance(made, bytes)  # a list of them for other formats
    return made
