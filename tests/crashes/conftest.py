"""Where services are killed."""

from tests.crashes.ground import ground

__all__ = ["ground"]
