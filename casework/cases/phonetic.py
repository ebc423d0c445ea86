"""How a French name sounds, roughly: a code that is the same for spellings that are heard alike.

Rules in the order of application, after French spelling: silent letters, one sign per vowel sound, nasal
vowels as digits (1 an, 2 in, 3 on). It is coarse on purpose: it only lifts words that look alike already.
"""

import re
from collections.abc import Iterable

# Of many words, a line each: `.` matches no end of a line, and `$` each.
_RULES = tuple(
    (re.compile(pattern, re.MULTILINE), sound)
    for pattern, sound in (
        (r"(.)\1+", r"\1"),
        (r"SCH|SH|CH(?![RLNT])", "8"),
        (r"CH|QU|Q|KH|CK", "K"),
        (r"PH", "F"),
        (r"GN", "N"),
        (r"GU(?=[EIY])", "4"),
        (r"G(?=[EIY])|DJ", "J"),
        (r"G|4", "G"),
        (r"SC(?=[EIY])|C(?=[EIY])", "S"),
        (r"C", "K"),
        (r"H", ""),
        (r"W", "V"),
        (r"Z", "S"),
        (r"X(?=.)", "KS"),
        (r"(?:EAU|AU)X?", "O"),
        (r"OU|OO", "9"),
        (r"(?:EI|AI|AY|EY)[NM](?=[^AEIOUY9]|$)", "2"),
        (r"[AE][NM](?=[^AEIOUY9NM]|$)", "1"),
        (r"[IYU][NM](?=[^AEIOUY9NM]|$)", "2"),
        (r"O[NM](?=[^AEIOUY9NM]|$)", "3"),
        (r"OI|OY", "9A"),
        (r"AI|EI|AY|EY|OE|AE", "E"),
        (r"Y", "I"),
        (r"(?:E|ES|[SXTDP])+$", ""),
        (r"(.)\1+", r"\1"),
    )
)


def sounds_of(words: Iterable[str]) -> dict[str, str]:
    """The code of each word in upper case without marks or blanks; one that is silent is its own code.

    All are rewritten as one text: rule by rule over thousands of words, one by one, takes ten times longer.
    """
    written = list(words)
    if not written:
        return {}
    text = "\n".join(written)
    for pattern, heard in _RULES:
        text = pattern.sub(heard, text)
    return {word: sound or word for word, sound in zip(written, text.split("\n"), strict=True)}
