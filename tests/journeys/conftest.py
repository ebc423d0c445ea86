"""Journeys run in the same centre as the slices' tests."""

from tests.casework.conftest import centre, founded, postgresql_foundation, sqlite_foundation

__all__ = ["centre", "founded", "postgresql_foundation", "sqlite_foundation"]
