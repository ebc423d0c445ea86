"""The closing of a case whose responsibility has passed to another organisation."""

from uuid import UUID

from sqlalchemy import Connection, update

from casework.cases.tables import case_file


def close_after_transfer(connection: Connection, org_id: UUID, case_id: UUID) -> None:
    """Close the sender's case; one that is closed already stays as it is."""
    connection.execute(
        update(case_file)
        .where(case_file.c.org_id == org_id, case_file.c.id == case_id, case_file.c.status == "open")
        .values(status="closed", version=case_file.c.version + 1)
    )
