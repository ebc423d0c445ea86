"""One holder for secret bytes, so that no value object can show, copy or serialise them by accident."""

import os
from hmac import compare_digest
from typing import NoReturn, Self, SupportsIndex

KEY_SIZE = 32


class Secret:
    """Secret bytes: redacted in repr and str, compared in constant time, refused by pickle, copy and asdict.

    It is deliberately neither bytes nor a dataclass: serializers that walk either must fail on it. ``reveal``
    is the one way to the bytes, so a search for it lists every use.
    """

    __slots__ = ("_value",)

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    @classmethod
    def random(cls) -> Self:
        """Return 32 fresh bytes from the operating system."""
        return cls(os.urandom(KEY_SIZE))

    def reveal(self) -> bytes:
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return compare_digest(self._value, other._value) if isinstance(other, Secret) else NotImplemented

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")
