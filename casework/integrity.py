"""What can be verified of a whole deployment without any key: `casework check`, and at every restore."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, text

from audit.checkpoint import Checkpoint
from audit.incarnation import stored_head
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG
from audit.verdict import Report, Verdict
from audit.verifier import Trust, verify_database
from casework.anchors import AnchorMissing, Anchors
from casework.cases.soundness import Soundness, inspect_cases
from casework.database import Database
from casework.journal import Journal
from casework.organisations.deployments import find_mark
from casework.organisations.founding import organisation_slugs
from casework.organisations.holders import verified_directory
from casework.shreds import ShredStore
from casework.signers import load_signer
from crypto.errors import DirectoryRefused
from crypto.signing import verify

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was verified: what, whether it is as it must be, and the finding in French."""

    what: str
    passed: bool
    words: str


def check_log(
    connection: Connection,
    state_dir: Path,
    log: bytes,
    origin: str,
    published: Checkpoint | None,
    advance: Progress,
) -> Check:
    """Verify a log in its tables against its key and against what the signer published last.

    Raises:
        SigningKeyRefused, JournalRefused: what stands in the way.

    """
    if published is None and stored_head(connection, log).size == 0:
        return Check(f"journal {origin}", passed=True, words="aucune écriture encore")
    report = verify_log(connection, state_dir, log, origin, published, advance)
    passed = report.verdict in {Verdict.VALID, Verdict.VALID_PRUNED}
    failed = [check.words for check in report.checks if not check.passed]
    return Check(
        f"journal {origin}",
        passed,
        f"{report.size} écriture{_s(report.size)}, {report.verdict.words}"
        + "".join(f" ; {words}" for words in failed),
    )


def verify_log(
    connection: Connection,
    state_dir: Path,
    log: bytes,
    origin: str,
    published: Checkpoint | None,
    advance: Progress,
) -> Report:
    """The auditor's verification, with the key and the last published head that stand beside the database."""
    key = load_signer(state_dir, log, origin).key
    trust = Trust(keys=(key,), trusted=(published,) if published is not None else ())
    return verify_database(connection, log, trust, verify, advance)


def check_directory(connection: Connection, state_dir: Path, org_id: UUID, slug: str) -> Check:
    """Whether the key directory leads to its root and to the newest state that was seen."""
    try:
        directory = verified_directory(connection, Anchors(state_dir), org_id)
    except AnchorMissing:
        return Check(f"annuaire de « {slug} »", passed=False, words="le répertoire d’état ne le connaît pas")
    except DirectoryRefused as error:
        return Check(f"annuaire de « {slug} »", passed=False, words=f"refusé ({error.fault})")
    return Check(
        f"annuaire de « {slug} »", passed=True, words=f"{directory.epoch} entrées mènent à sa racine"
    )


def check_cases(found: Soundness, slug: str) -> Check:
    """What `inspect_cases` found, in words."""
    faults = [
        f"{count} {words}"
        for count, words in (
            (found.incomplete, "sans toutes leurs rubriques"),
            (found.malformed, "dont une clé est malformée"),
            (found.without_half, "dont la moitié d’une clé manque au magasin d’effacement"),
        )
        if count
    ]
    return Check(
        f"dossiers de « {slug} »", not faults, ", ".join([f"{found.cases} dossier{_s(found.cases)}", *faults])
    )


def check_file(connection: Connection) -> Check:
    """SQLite's own verification of the file, and that every foreign key leads to a row.

    PostgreSQL holds its foreign keys itself; a damaged page is found by reading it, as the other checks do.
    """
    if connection.dialect.name != "sqlite":
        return Check("base", passed=True, words="contraintes tenues par PostgreSQL")
    sound = connection.execute(text("PRAGMA main.integrity_check")).scalars().all() == ["ok"]
    orphans = len(connection.execute(text("PRAGMA main.foreign_key_check")).all())
    words = "fichier intact" if sound else "le fichier est endommagé"
    return Check("base", sound and not orphans, words + (f", {orphans} lignes orphelines" if orphans else ""))


async def check_deployment(
    database: Database, shreds: ShredStore, state_dir: Path, advance: Progress
) -> list[Check]:
    """Everything, the deployment's own journal first."""
    name, slugs = await database.snapshot(_read_deployment)
    journal = Journal(name)
    checks = [await database.snapshot(check_file)]
    logs = {UUID(bytes=DEPLOYMENT_LOG): journal.origin(None)}
    logs |= {org_id: journal.origin(slug) for org_id, slug in slugs.items()}
    for log, origin in logs.items():
        # Before the snapshot: a service that runs publishes what it has committed.
        published = SignerState(state_dir).last(origin)
        look = partial(
            check_log,
            state_dir=state_dir,
            log=log.bytes,
            origin=origin,
            published=published,
            advance=advance,
        )
        checks.append(await database.snapshot(look, log))
    for org_id, slug in slugs.items():
        look_closer = partial(
            _check_organisation, shreds=shreds, state_dir=state_dir, org_id=org_id, slug=slug
        )
        checks += await database.snapshot(look_closer, org_id)
    return checks


def _check_organisation(
    connection: Connection, shreds: ShredStore, state_dir: Path, org_id: UUID, slug: str
) -> list[Check]:
    return [
        check_directory(connection, state_dir, org_id, slug),
        check_cases(inspect_cases(connection, org_id, shreds.owned(org_id)), slug),
    ]


def _read_deployment(connection: Connection) -> tuple[str, dict[UUID, str]]:
    mark = find_mark(connection)
    assert mark is not None
    return mark.name, organisation_slugs(connection)


def _s(number: int) -> str:
    # French: none and one are singular.
    return "s" if number > 1 else ""
