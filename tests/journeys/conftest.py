"""Journeys run in the same centre as the slices' tests, or on a ground of their own."""

from tests.casework.conftest import centre, founded, postgresql_foundation, sqlite_foundation
from tests.crashes.ground import ground

__all__ = ["centre", "founded", "ground", "postgresql_foundation", "sqlite_foundation"]
