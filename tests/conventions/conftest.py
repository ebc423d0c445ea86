"""The routes are those of a real application."""

from tests.casework.conftest import centre, founded, postgresql_foundation, sqlite_foundation

__all__ = ["centre", "founded", "postgresql_foundation", "sqlite_foundation"]
