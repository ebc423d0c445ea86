"""Unsafe journals and keys: a signer's state that is gone or behind, compartments that one person alone holds."""

import asyncio
from uuid import UUID

from sqlalchemy import Connection

from audit.checkpoint import Checkpoint, parse_checkpoint
from audit.continuity import CLOCK_TOLERANCE_US
from audit.errors import NoteRefused, NothingPublished, StateRefused
from audit.log import latest_checkpoint, newest_time
from audit.rollup import ROLLUP
from audit.rotation import says
from audit.signing_keys import ROTATED_ACTION
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG, ROLLUP_LOG
from casework.anchors import AnchorMissing, Anchors
from casework.clock import Clock, microseconds
from casework.commands.findings import Finding
from casework.commands.keys import words
from casework.commands.progress import progress
from casework.database import Database
from casework.deployment import make_database
from casework.journal import Journal
from casework.organisations.deployments import find_mark, journal_key_of
from casework.organisations.due import find_due
from casework.organisations.founding import organisation_slugs
from casework.organisations.holders import holders, thin, verified_directory
from casework.rules import RulesNotLoaded, engine_in_force
from casework.settings import Settings
from casework.signers import SigningKeyRefused, load_signer
from crypto.directory import Directory
from crypto.errors import DirectoryRefused

# Between the commit of a round and its publication lies one small file.
PUBLISHED_WITHIN_SECONDS = 1.0

_STATE = "CASEWORK_STATE_DIR"
_MEND_THIN = "ajoutez un membre avec « casework member add »"
_MEND_EMPTY = "rendez sa clé avec les parts de récupération, « casework keys recover begin »"
_RESTORE_STATE = "rétablissez la copie la plus récente du répertoire d’état, et vérifiez le journal"


async def inspect_logs(settings: Settings) -> list[Finding]:
    """What is unsafe about each log, the deployment's own first, and about each organisation's keys."""
    database = make_database(settings, Clock())
    try:
        name, slugs = await database.snapshot(_read_deployment)
        if name is None:
            return [Finding("La base n’est pas préparée", "lancez « casework init »")]
        journal = Journal(name)
        deployment_log = UUID(bytes=DEPLOYMENT_LOG)
        findings = await _inspect_log(settings, database, deployment_log, journal.origin(None))
        findings += await _inspect_log(settings, database, UUID(bytes=ROLLUP_LOG), journal.origin(ROLLUP))
        for org_id, slug in slugs.items():
            findings += await _inspect_log(settings, database, org_id, journal.origin(slug))
            findings += await _inspect_organisation(settings, database, org_id, slugs)
    finally:
        await database.stop()
    return findings


async def _inspect_log(settings: Settings, database: Database, log: UUID, origin: str) -> list[Finding]:
    findings = await database.snapshot(
        lambda connection: _inspect_signing_key(connection, settings, log, origin), log
    )
    newest = await database.snapshot(lambda connection: newest_time(connection, log.bytes), log)
    if newest is not None and newest > microseconds(database.clock.now()) + CLOCK_TOLERANCE_US:
        findings.append(
            Finding(
                f"L’horloge de la machine retarde sur la dernière écriture du journal {origin}",
                "réglez-la et synchronisez-la (NTP) avant de servir",
            )
        )
    state = SignerState(settings.state_dir)
    try:
        # Before and after: a service that runs goes on publishing meanwhile, a commit ahead of its state.
        before = state.last(origin)
        published = await database.snapshot(lambda connection: _newest(connection, log), log)
        if _size(state.last(origin)) < _size(published):
            await asyncio.sleep(PUBLISHED_WITHIN_SECONDS)
        after = state.last(origin)
    except StateRefused:
        return [*findings, Finding(f"{_STATE} : l’état du signataire est illisible", _RESTORE_STATE)]
    return findings + _compare(origin, published, before, after)


def _compare(
    origin: str, published: Checkpoint | None, before: Checkpoint | None, after: Checkpoint | None
) -> list[Finding]:
    size = _size(published)
    if size and after is None:
        return [Finding(f"{_STATE} : le signataire ne connaît pas le journal {origin}", _RESTORE_STATE)]
    if _size(after) < size:
        return [
            Finding(
                f"{_STATE} : l’état du signataire est en retard sur le journal {origin}",
                "démarrez le service, qui prouve la continuité avant de signer",
            )
        ]
    if _size(before) > size or (after is not None and _size(after) == size and after != published):
        return [
            Finding(
                f"La base : le journal {origin} n’est pas celui qui a été publié, ou a été ramené en arrière",
                "arrêtez le service et comparez la base avec ses sauvegardes",
            )
        ]
    return []


def _size(head: Checkpoint | None) -> int:
    return head.size if head is not None else 0


def _newest(connection: Connection, log: UUID) -> Checkpoint | None:
    try:
        return parse_checkpoint(latest_checkpoint(connection, log.bytes)).checkpoint
    except (NothingPublished, NoteRefused):
        return None


def _inspect_signing_key(connection: Connection, settings: Settings, log: UUID, origin: str) -> list[Finding]:
    try:
        key = load_signer(settings.state_dir, log.bytes, origin).key
    except SigningKeyRefused:
        return [
            Finding(
                f"{_STATE} : la clé de signature du journal {origin} manque, est abîmée ou trop ouverte",
                "rétablissez sa copie, en mode 0600",
            )
        ]
    known = journal_key_of(connection, log)
    # The one that was printed at the founding, or one that the log has announced since.
    if known not in {None, str(key)} and not says(connection, log.bytes, ROTATED_ACTION, key.public):
        return [
            Finding(f"{_STATE} : la clé de signature du journal {origin} n’est pas la sienne", _RESTORE_STATE)
        ]
    return []


async def _inspect_organisation(
    settings: Settings, database: Database, org_id: UUID, slugs: dict[UUID, str]
) -> list[Finding]:
    slug = slugs[org_id]

    def read(connection: Connection) -> Directory:
        return verified_directory(connection, Anchors(settings.state_dir), org_id)

    try:
        directory = await database.snapshot(read, org_id)
    except AnchorMissing:
        return [Finding(f"{_STATE} : l’organisation « {slug} » y est inconnue", _RESTORE_STATE)]
    except DirectoryRefused as error:
        return [
            Finding(
                f"L’annuaire de « {slug} » est refusé ({error.fault})",
                "comparez la base et le répertoire d’état avec leurs sauvegardes",
            )
        ]
    rules = directory.rules_at(int(database.clock.now().timestamp()))
    try:
        engine = await database.snapshot(
            lambda connection: engine_in_force(connection, org_id, slugs, rules), org_id
        )
    except RulesNotLoaded as error:
        return [
            Finding(
                f"« {slug} » : les règles en vigueur ne se chargent pas ({error.fault})",
                "remettez leur texte, ou faites-en approuver d’autres, et cherchez qui a écrit dans la base",
            )
        ]
    counts = await database.snapshot(lambda connection: holders(connection, directory, org_id), org_id)
    with progress(f"Lecture des règles de {slug}") as advance:
        found = thin(engine, counts, advance)
    findings = []
    if rules is None:
        findings.append(
            Finding(
                f"« {slug} » : personne n’a approuvé ses règles ; celles livrées avec le programme décident",
                f"proposez-les (« casework policy propose {slug} ») et faites-les approuver par deux membres",
            )
        )
    findings += [
        Finding(
            f"« {slug} » : le compartiment « {compartment} » a {persons} détentrice au lieu de deux",
            _MEND_THIN if persons else _MEND_EMPTY,
        )
        for compartment, persons in found.items()
    ]
    now = database.clock.now()
    due = await database.snapshot(
        lambda connection: find_due(connection, directory, engine, org_id, now), org_id
    )
    return findings + [
        Finding(
            f"« {slug} » : le compartiment « {one.compartment} » est à renouveler, {words(one)}",
            f"lancez « casework keys rotate {slug} » avec une de ses détentrices",
        )
        for one in due
    ]


def _read_deployment(connection: Connection) -> tuple[str | None, dict[UUID, str]]:
    mark = find_mark(connection)
    return mark.name if mark is not None else None, organisation_slugs(connection)
