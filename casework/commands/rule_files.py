"""A file of rules that somebody gives to a command: read, and checked as a proposal is."""

from pathlib import Path

from casework.commands.opening import CommandRefused
from policies.engine import Engine
from policies.proposals import ProposalRefused, sound_engine


def checked(org: str, slugs: frozenset[str], text: str, phrases: str) -> Engine:
    """The rules of a text that passes every check.

    Raises:
        CommandRefused: it does not; each fault is named.

    """
    try:
        return sound_engine(org, slugs, text, phrases)
    except ProposalRefused as error:
        raise CommandRefused("Ces règles ne sont pas admises :\n  " + "\n  ".join(error.faults)) from None


def read_text(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise CommandRefused(f"{option} : le fichier est illisible, ou n’est pas en UTF-8.") from None
