"""What is stolen is a real centre's."""

from tests.casework.conftest import centre, founded, postgresql_foundation, sqlite_foundation

__all__ = ["centre", "founded", "postgresql_foundation", "sqlite_foundation"]
