"""Statements are compiled once a process, and not anew by the engine of each test.

An engine keeps what it has compiled, by dialect; each test has engines of its own, which would begin with nothing.
All databases of a run are of two kinds, SQLite's one version and the server's: dialects of a kind compile alike.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

# The service has some hundreds of statements, on two databases.
_compiled: LRUCache[Any, Any] = LRUCache(5_000)


def compile_once() -> None:
    """Let every engine of this process keep its compiled statements in one place."""
    DefaultDialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
    DefaultDialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
    Engine._compiled_cache = property(lambda _engine: _compiled, lambda _engine, _own: None)  # type: ignore[assignment]
