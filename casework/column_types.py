"""The one place where the two engines' types meet: ids, moments and sealed bytes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Never
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    LargeBinary,
    TypeDecorator,
    Uuid,
    func,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Id(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, 16 bytes on SQLite (whose own UUIDs are text)."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Uuid() if dialect.name == "postgresql" else LargeBinary(16)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        return None if dialect.name == "postgresql" else _id_to_bytes

    def result_processor(self, dialect: Dialect, _coltype: object) -> Callable[[Any], Any] | None:
        return None if dialect.name == "postgresql" else _id_from_bytes


def raw_id(column: ColumnElement[UUID], dialect_name: str) -> ColumnElement[bytes]:
    """An id's 16 bytes as the driver gives them, where thousands are read and no UUID is needed of them."""
    if dialect_name == "postgresql":
        return func.uuid_send(column, type_=LargeBinary)
    return type_coerce(column, LargeBinary)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: `timestamptz` on PostgreSQL, microseconds since the epoch on SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return DateTime(timezone=True) if dialect.name == "postgresql" else BigInteger()

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        return _with_zone if dialect.name == "postgresql" else _moment_to_microseconds

    def result_processor(self, dialect: Dialect, _coltype: object) -> Callable[[Any], Any] | None:
        return None if dialect.name == "postgresql" else _moment_from_microseconds


class Sealed:
    """Bytes that only crypto can open. No serializer, log or pickle takes it."""

    __slots__ = ("blob",)

    def __init__(self, blob: bytes) -> None:
        self.blob = blob

    def __repr__(self) -> str:
        return f"<Sealed {len(self.blob)} bytes>"

    def __reduce__(self) -> Never:
        raise TypeError("a sealed value is not pickled")


# In a column's `info`: the compartment to whose drop key its values are sealed, where no column of the row says it.
SEALED_TO = "sealed_to"


class SealedBytes(TypeDecorator[Sealed]):
    """A column of sealed frames or envelopes: gives `Sealed`, never plain bytes."""

    impl = LargeBinary
    cache_ok = True

    def bind_processor(self, _dialect: Dialect) -> Callable[[Any], Any]:
        return _sealed_to_bytes

    def result_processor(self, _dialect: Dialect, _coltype: object) -> Callable[[Any], Any]:
        return _sealed_from_bytes


# Processors, not SQLAlchemy's wrappers around `process_…`: one page of cases calls them a thousand times.
def _id_to_bytes(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes


def _id_from_bytes(value: bytes | None) -> UUID | None:
    return None if value is None else UUID(bytes=value)


def _with_zone(value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return value


def _moment_to_microseconds(value: datetime | None) -> int | None:
    return None if value is None else (_with_zone(value) - _EPOCH) // _MICROSECOND  # type: ignore[operator]


def _moment_from_microseconds(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def _sealed_to_bytes(value: Sealed | None) -> bytes | None:
    return None if value is None else value.blob


def _sealed_from_bytes(value: Any) -> Sealed | None:
    return None if value is None else Sealed(bytes(value))
