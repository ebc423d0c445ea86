"""For structs that hold what opens something, as text: a password, a code, a token, a seed."""


class Unshown:
    """Shown as its name alone, in any repr, log line, error or traceback. Before `Struct` among the bases."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """What rich would show of it, field by field: nothing."""
        return []
