"""Make and fill the tables of the three twins on SQLAlchemy."""

from sqlalchemy import URL, create_engine, insert

from bench.twins.population import Rows
from bench.twins.tables import metadata

_BATCH = 2_000


def fill(url: URL, rows: Rows) -> None:
    """Create the tables and insert every row; on PostgreSQL the service's login may then use them."""
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(url.set(drivername="sqlite+pysqlite" if is_sqlite else "postgresql+psycopg"))
    with engine.begin() as connection:
        if is_sqlite:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        metadata.create_all(connection)
        for table in metadata.sorted_tables:
            of_table = rows.get(table.name, [])
            for start in range(0, len(of_table), _BATCH):
                connection.execute(insert(table), of_table[start : start + _BATCH])
        if not is_sqlite:
            connection.exec_driver_sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO casework_app")
    engine.dispose()
