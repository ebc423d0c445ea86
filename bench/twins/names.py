"""A name as it is searched: lower case, no accents, words alone."""

import re
import unicodedata

_WORD = re.compile(r"\w+")


def searchable(name: str) -> str:
    bare = unicodedata.normalize("NFKD", name.casefold())
    return " ".join(_WORD.findall("".join(char for char in bare if not unicodedata.combining(char))))
