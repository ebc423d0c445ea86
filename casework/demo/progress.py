"""What of the making of a demo can be watched."""

from collections.abc import Callable
from enum import StrEnum


class Stage(StrEnum):
    """The parts of the work, in words for whoever waits."""

    ACCOUNTS = "Comptes et clés"
    FOUNDING = "Associations"
    SIGN_IN = "Connexions"
    CASES = "Dossiers et suivis"
    RELAYS = "Relais"


Progress = Callable[[Stage, int, int], None]
"""(stage, done, in all)."""
