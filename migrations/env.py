"""Alembic's entry: runs the history on the connection that `casework.schema` hands over."""

from alembic import context

import casework.schema  # noqa: F401 - registers every slice's tables
from audit.tables import metadata as audit_metadata
from casework.database import metadata as casework_metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=[audit_metadata, casework_metadata],
    transactional_ddl=True,
    compare_type=True,
    include_schemas=False,
)
with context.begin_transaction():
    context.run_migrations()
