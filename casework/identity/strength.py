"""Which passwords are taken: not too simple (CNIL, délibération 2022-100), and not soon guessed (zxcvbn)."""

import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from math import log2

from zxcvbn import zxcvbn

from casework.errors import BadInput, FieldError
from crypto.password import PASSWORD_LIMIT

# A password alone, without counting on what slows down guessing: who holds database and pepper is not slowed down.
ENTROPY_BITS = 80
# Of 0 to 4: more than 10^10 guesses (Wheeler, zxcvbn, USENIX Security 2016).
SCORE = 4
# zxcvbn's own limit, beyond which its time grows; what follows can only make a password harder to guess.
_LOOKED_AT = 72
# How many characters of each kind there are to choose from, as the CNIL counts them.
_OFFERED = {"lower": 26, "upper": 26, "digit": 10, "other": 37}
_SHORTEST_WORD = 3


class PasswordRule(StrEnum):
    """The rule that a password breaks; the value is the field error's code."""

    UNUSABLE = "unusable"
    TOO_SIMPLE = "too_simple"
    GUESSABLE = "guessable"


_TITLES = {
    PasswordRule.UNUSABLE: (
        "Ce mot de passe ne peut pas être saisi partout\u00a0: il est vide, trop long ou contient un caractère "
        "de commande."
    ),
    PasswordRule.TOO_SIMPLE: (
        "Ce mot de passe est trop court ou trop peu varié. La règle de la CNIL (délibération 2022-100, 80 bits) "
        "demande 12 caractères avec majuscules, minuscules, chiffres et signes, ou 14 sans signe, "
        "ou une phrase de 7 mots."
    ),
    PasswordRule.GUESSABLE: (
        "Ce mot de passe se devine\u00a0: mots courants, suites, dates ou votre identifiant "
        "(règle zxcvbn, 4 sur 4). Ajoutez des mots sans rapport entre eux."
    ),
}


class PasswordTooWeak(BadInput):
    """The password is not taken; `rule` says why, the title in French. What was typed is never shown."""

    code = "password_too_weak"
    title = "Ce mot de passe est trop faible."

    def __init__(self, rule: PasswordRule) -> None:
        super().__init__(errors=[FieldError("new_password", rule)])
        self.rule = rule
        self.title = _TITLES[rule]


def require_strong(password: str, known: Sequence[str]) -> None:
    """Refuse a password that is too simple, or that zxcvbn guesses; `known` are words that a guesser knows of her.

    zxcvbn knows English words, names, keyboards (AZERTY is not among them), dates and repetitions; takes up to some
    tens of milliseconds.

    Raises:
        PasswordTooWeak: says which rule; never what was typed.

    """
    if not 0 < len(password) <= PASSWORD_LIMIT or any(
        unicodedata.category(char) in {"Cc", "Cs"} for char in password
    ):
        raise PasswordTooWeak(PasswordRule.UNUSABLE)
    if round(entropy_bits(password)) < ENTROPY_BITS:
        raise PasswordTooWeak(PasswordRule.TOO_SIMPLE)
    words = [
        word
        for text in known
        for word in (text, *text.replace("-", ".").split("."))
        if len(word) >= _SHORTEST_WORD
    ]
    if zxcvbn(password[:_LOOKED_AT], user_inputs=words)["score"] < SCORE:
        raise PasswordTooWeak(PasswordRule.GUESSABLE)


def entropy_bits(password: str) -> float:
    """log2(N^L) of L characters drawn from the N that its kinds offer (CNIL, délibération 2022-100)."""
    offered = sum(_OFFERED[kind] for kind in {_kind(char) for char in password})
    return len(password) * log2(offered) if offered else 0.0


def _kind(char: str) -> str:
    kinds = (("lower", "a", "z"), ("upper", "A", "Z"), ("digit", "0", "9"))
    return next((name for name, first, last in kinds if first <= char <= last), "other")
