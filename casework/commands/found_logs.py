"""The log that a person names on the command line."""

from uuid import UUID

from sqlalchemy import Connection

from audit.tables import DEPLOYMENT_LOG
from casework.commands.opening import CommandRefused
from casework.database import Database
from casework.deployment import NotPrepared
from casework.organisations.deployments import find_mark
from casework.organisations.founding import organisation_slugs


async def find_log(database: Database, org: str) -> tuple[str, UUID]:
    """The deployment's name, and the log of an organisation, or of the deployment under that name."""

    def read(connection: Connection) -> tuple[str, UUID | None]:
        mark = find_mark(connection)
        if mark is None:
            raise NotPrepared
        if org == mark.name:
            return mark.name, UUID(bytes=DEPLOYMENT_LOG)
        return mark.name, next(
            (org_id for org_id, slug in organisation_slugs(connection).items() if slug == org), None
        )

    name, log = await database.snapshot(read)
    if log is None:
        raise CommandRefused("ORG : cette organisation n’existe pas dans ce déploiement.")
    return name, log
