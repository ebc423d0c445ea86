"""How a statement that never changes is run: a caller with a quicker way than SQLAlchemy's own passes its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Delete, Insert

# Runs a statement in the caller's transaction with its values, or with each of several; what it returns is not
# looked at. `Connection.execute` is one.
Execute = Callable[[Connection, Insert | Delete, Mapping[str, Any] | Sequence[Mapping[str, Any]]], object]
