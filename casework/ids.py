"""Identifiers, made here so that a record's place is known before it is sealed."""

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random. For ids that stay inside."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def made_at(identifier: UUID) -> datetime:
    """When a UUIDv7 was made (RFC 9562, section 5.7), to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1_000, UTC)
