"""The founded centre of tests/casework, for a server to stand on."""

from tests.casework.conftest import founded, postgresql_foundation, sqlite_foundation

__all__ = ["founded", "postgresql_foundation", "sqlite_foundation"]
