"""Texts that are found again wherever they leak, in whatever form they were written there."""

import json
import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from random import Random
from string import ascii_lowercase
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct, inspect

# Each is one letter in Latin-1 as well, and has another form in every encoding.
ACCENTED = "àâçéèêëîïôùû"
LETTERS = 10


class Canaries:
    """The texts of one life. Each is another; all hold the same two random words, by which they are searched."""

    def __init__(self, random: Random) -> None:
        self.plain = "canari" + "".join(random.choices(ascii_lowercase, k=LETTERS))
        self.accented = "".join(random.sample(ACCENTED, len(ACCENTED)))
        self.needles = [*dict.fromkeys([*forms(self.plain), *forms(self.accented)])]
        self._count = 0

    def word(self) -> str:
        """A new one of 19 letters and digits."""
        self._count += 1
        return f"{self.plain}{self._count:03}"

    def text(self, longest: int | None = None) -> str:
        """A new one with accents, quotation marks and a backslash, where there is room for them."""
        word = self.word()
        full, short = f"{word} l’été « {self.accented} » \"'\\", f"{word} « {self.accented} »"
        return next(text for text in (full, short, word) if longest is None or len(text) <= longest)

    def found_in(self, content: bytes) -> list[str]:
        """What stands around each occurrence of each form in `content`."""
        return [
            repr(content[max(at - 200, 0) : at + len(needle) + 20])
            for needle in self.needles
            for at in _places(needle, content)
        ]


def _places(needle: bytes, content: bytes) -> Iterator[int]:
    at = content.find(needle)
    while at >= 0:
        yield at
        at = content.find(needle, at + 1)


def forms(word: str) -> Iterator[bytes]:
    """How a word may be written into a file by a program that did not mean to."""
    upper, decomposed = word.upper(), unicodedata.normalize("NFD", word)
    for spelled in (word, upper, decomposed):
        yield spelled.encode()
        yield spelled.encode("utf-16-le").rstrip(b"\0")
        yield json.dumps(spelled)[1:-1].encode()
    for spelled in (word, upper):
        yield spelled.encode("latin-1")
        yield from _base64(spelled.encode())
        yield spelled.encode().hex().encode()
    raw = word.encode()
    yield raw.hex().upper().encode()
    yield quote(raw).encode()
    yield quote(raw).lower().encode()
    # As `repr` shows bytes, and as PostgreSQL escapes them.
    yield repr(raw)[2:-1].encode()
    yield "".join(chr(byte) if byte < 128 else f"\\{byte:03o}" for byte in raw).encode()


def _base64(raw: bytes) -> Iterator[bytes]:
    """What of the word is the same in the Base64 of whatever text it stands in, at each of three alignments."""
    for before in range(3):
        encoded = b64encode(bytes(before) + raw)
        first, last = (before * 8 + 5) // 6, (before + len(raw)) * 8 // 6
        yield encoded[first:last]
        yield encoded[first:last].replace(b"+", b"-").replace(b"/", b"_")


def filled(kind: type[Struct], canaries: Canaries, /, **given: Any) -> dict[str, Any]:
    """A body of this kind with a text in every field that takes one, however deep; `given` are its other fields.

    A field that is added to the kind is filled as well.
    """
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    body = {field.encode_name: _value(field.type, canaries) for field in described.fields}
    return {name: value for name, value in body.items() if value is not msgspec.UNSET} | given


def _value(kind: inspect.Type, canaries: Canaries) -> Any:
    match kind:
        case inspect.StrType() if kind.pattern is None or re.search(kind.pattern, canaries.plain):
            return canaries.text(kind.max_length)
        case inspect.ListType(item_type=inspect.StrType()):
            return [_value(kind.item_type, canaries), _value(kind.item_type, canaries)]
        case inspect.DictType(key_type=inspect.StrType()):
            return {_value(kind.key_type, canaries): _value(kind.value_type, canaries)}
        case inspect.StructType():
            return filled(kind.cls, canaries, **_DATES.get(kind.cls.__name__, {}))
        case _:
            # Codes, ids and flags. A date is nobody's own: it stands in many places that no person wrote to.
            return msgspec.UNSET


_DATES: dict[str, dict[str, Any]] = {
    "SafeContact": {"confirmed_on": "2026-11-20"},
    "Representative": {"conflict_checked": True},
}
