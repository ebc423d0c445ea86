"""Hot statements: written in SQLAlchemy Core, compiled once a dialect, run on the driver itself.

Measured on the page of a case: building, caching and executing its Core statements cost more than everything else
that the request did, opening eight sealed groups included. Whatever is not asked many times a minute stays an
ordinary Core statement. Both kinds share the unit's connection and transaction.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, PoolProxiedConnection
from sqlalchemy.util import await_only

Processor = Callable[[Any], Any]


class HotStatement:
    """A statement whose text never changes; its values are named `bindparam`s.

    `rows` gives named tuples whose values the column types have converted, as Core would. An error of the driver
    is raised as the driver's own, and a value that was not given as KeyError.
    """

    __slots__ = ("_prepared", "_statement")

    def __init__(self, statement: Executable) -> None:
        self._statement: Any = statement
        self._prepared: dict[str, _Prepared] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Run it and return every row; `values` may hold more than it needs."""
        return self.rows_of(connection.connection, connection.dialect, values)

    def rows_of(
        self, borrowed: PoolProxiedConnection, dialect: Dialect, values: Mapping[str, Any]
    ) -> list[Any]:
        """As `rows`, on a connection straight from a pool: each statement is a transaction of its own."""
        return self._for(dialect).rows(borrowed.driver_connection, values)

    def row(self, connection: Connection, values: Mapping[str, Any]) -> Any | None:
        """Run it and return the first row, or None."""
        found = self.rows(connection, values)
        return found[0] if found else None

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Run it for its effect."""
        self._for(connection.dialect).run(connection.connection.driver_connection, values)

    def run_each(self, connection: Connection, several: Sequence[Mapping[str, Any]]) -> None:
        """Run it for its effect, once for each."""
        self._for(connection.dialect).run_each(connection.connection.driver_connection, several)

    def _for(self, dialect: Dialect) -> "_Prepared":
        prepared = self._prepared.get(dialect.name)
        if prepared is None:
            prepared = self._prepared[dialect.name] = _prepare(self._statement, dialect)
        return prepared


@cache
def _hot(statement: Executable) -> HotStatement:
    return HotStatement(statement)


def run_hot(
    connection: Connection, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> None:
    """Run a statement of somebody else's as a hot one, once or for each of several values.

    It must be a constant of its module.
    """
    hot = _hot(statement)
    if isinstance(values, Mapping):
        hot.run(connection, values)
    else:
        hot.run_each(connection, values)


class _Prepared:
    """The text for one dialect, what turns values into the driver's, and the driver's rows into ours."""

    __slots__ = ("_binds", "_fixed", "_is_sqlite", "_make", "_results", "_text")

    def __init__(
        self,
        text: str,
        is_sqlite: bool,
        binds: list[tuple[str, Processor | None]],
        fixed: Mapping[str, Any],
        make: Callable[[Any], Any],
        results: list[tuple[int, Processor]],
    ) -> None:
        self._text = text
        self._is_sqlite = is_sqlite
        self._binds = binds
        self._fixed = fixed
        self._make = make
        self._results = results

    def rows(self, driver: Any, values: Mapping[str, Any]) -> list[Any]:
        arguments = self._arguments(values)
        if self._is_sqlite:
            found = driver.execute(self._text, arguments).fetchall()
        else:
            found = await_only(driver.fetch(self._text, *arguments))
        if not self._results:
            return [self._make(row) for row in found]
        return [self._convert(list(row)) for row in found]

    def run(self, driver: Any, values: Mapping[str, Any]) -> None:
        arguments = self._arguments(values)
        if self._is_sqlite:
            driver.execute(self._text, arguments)
        else:
            await_only(driver.fetch(self._text, *arguments))

    def run_each(self, driver: Any, several: Sequence[Mapping[str, Any]]) -> None:
        arguments = [self._arguments(values) for values in several]
        if self._is_sqlite:
            driver.executemany(self._text, arguments)
        else:
            await_only(driver.executemany(self._text, arguments))

    def _arguments(self, values: Mapping[str, Any]) -> list[Any]:
        arguments = []
        for name, process in self._binds:
            value = values[name] if name in values else self._fixed[name]
            arguments.append(value if process is None else process(value))
        return arguments

    def _convert(self, values: list[Any]) -> Any:
        for position, process in self._results:
            values[position] = process(values[position])
        return self._make(values)


def _prepare(statement: Any, dialect: Dialect) -> _Prepared:
    compiled = statement.compile(dialect=dialect)
    # A list of values is written out by SQLAlchemy at each execution, and by nobody here.
    assert "POSTCOMPILE" not in compiled.string
    binds = [
        (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
        for name in compiled.positiontup or ()
    ]
    columns = list(getattr(statement, "selected_columns", ()))
    kinds = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    # asyncpg gives and takes the types of PostgreSQL itself.
    results = [(position, process) for position, process in enumerate(kinds) if process is not None]
    row_type = namedtuple("Row", [column.key for column in columns])  # type: ignore[misc]  # noqa: PYI024
    fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
    return _Prepared(compiled.string, dialect.name == "sqlite", binds, fixed, row_type._make, results)
