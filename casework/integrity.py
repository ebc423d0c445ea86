"""What can be verified of a whole deployment without any key: `casework check`, and at every restore."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, text

from audit.checkpoint import Checkpoint
from audit.errors import JournalRefused
from audit.incarnation import stored_head
from audit.integrator import hold_off
from audit.rollup import ROLLUP, rolled_up_heads, verify_rollup
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG
from audit.trust import Trust
from audit.verdict import Report, Verdict
from audit.verifier import verify_database
from audit.versions import SeenRows, seen_rows
from casework.anchors import AnchorMissing, Anchors
from casework.cases.soundness import Soundness, inspect_cases, pseudonym_parts, stored_versions
from casework.database import Database
from casework.follow_ups.soundness import stored_versions as versions_of_follow_ups
from casework.journal import Journal
from casework.organisations.deployments import find_mark
from casework.organisations.founding import organisation_slugs
from casework.organisations.holders import verified_directory
from casework.shreds import PSEUDONYM, ShredStore
from casework.signers import load_signer, rollup_signer
from crypto.errors import DirectoryRefused
from crypto.journal import pseudonym, row_pseudonym
from crypto.signing import verify

Progress = Callable[[int, int], None]

# What writes a new version of a row, and names it in its entry.
_CHANGES = frozenset({"case.record", "follow_up.correct"})
# What names rows of cases and follow-ups, and no others.
_OF_CASES = _CHANGES | {
    "case.create",
    "case.list",
    "case.open",
    "case.search",
    "follow_up.create",
    "follow_up.list",
}
# So many cases are named; who administers the server finds the others once these are mended.
_NAMED = 5


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


def check_rollup(connection: Connection, state_dir: Path, journal: Journal) -> Check:
    """Verify the roll-up log against its leaves, its key, and what the signer published last."""
    what = f"récapitulatif {journal.origin(ROLLUP)}"
    # Several queries make one reading: a roll-up between them would look like a fault.
    hold_off(connection)
    published = SignerState(state_dir).last(journal.origin(ROLLUP))
    try:
        size = verify_rollup(connection, rollup_signer(state_dir, journal).key, published, verify)
    except JournalRefused:
        return Check(what, passed=False, words="ce n’est pas ce qui a été signé et publié")
    return Check(what, passed=True, words=f"{size} feuille{_s(size)}, signé et cohérent")


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
    # What witnesses vouch for through the roll-up holds, whatever became of the log's own checkpoints.
    trusted = (*rolled_up_heads(connection, log), *((published,) if published is not None else ()))
    trust = Trust(keys=(key,), trusted=trusted)
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
            (
                found.with_old_half,
                "dont d’anciennes moitiés de clés restent à détruire (le service le fait chaque minute)",
            ),
        )
        if count
    ]
    return Check(
        f"dossiers de « {slug} »", not faults, ", ".join([f"{found.cases} dossier{_s(found.cases)}", *faults])
    )


def check_rows(connection: Connection, shreds: ShredStore, org_id: UUID, slug: str) -> list[Check]:
    """Hold every row against what the journal has seen of it.

    A record that was put back, its old version with it, opens; and while the half of a pseudonym is another, what
    is done is journaled under another's name, or nobody's. Both are told by the journal alone.
    """
    halves = shreds.all_of(org_id, PSEUDONYM)
    persons = {
        case_id: pseudonym(part, halves[case_id.bytes])
        for case_id, part in pseudonym_parts(connection, org_id).items()
        # Without the half nobody knows the person in the journal any more: `check_cases` says so.
        if case_id.bytes in halves
    }
    rows = [
        (case_id, row, version)
        for case_id, row, version in chain(
            stored_versions(connection, org_id), versions_of_follow_ups(connection, org_id)
        )
        if case_id in persons
    ]
    seen = seen_rows(connection, org_id.bytes, _CHANGES, _OF_CASES)
    names = {
        row_pseudonym(persons[case_id], row.bytes).hex(): (case_id, version) for case_id, row, version in rows
    }
    older = {
        case_id
        for name, (case_id, version) in names.items()
        if version < seen.newest.get(name, 0) or name in seen.written_twice
    }
    misnamed = _misnamed(seen, names.keys(), rows)
    sound = f"{len(rows)} enregistrement{_s(len(rows))}"
    return [
        Check(
            f"versions de « {slug} »",
            not older,
            _cases("un contenu plus ancien a été remis en place, d’après le journal", older)
            or f"{sound}, aucun plus ancien que ce que le journal en a vu",
        ),
        Check(
            f"noms du journal de « {slug} »",
            not misnamed,
            _cases("des accès ont été inscrits sous un autre nom", misnamed)
            or f"{sound}, aucun sous un autre nom que celui de son dossier",
        ),
    ]


def _misnamed(seen: SeenRows, names: AbstractSet[str], rows: Sequence[tuple[UUID, UUID, int]]) -> set[UUID]:
    """The cases of which a row stands in the journal under a name that is not its person's."""
    found: set[UUID] = set()
    for person, named in seen.of_persons.items():
        # What was erased is unknown too, and is found under no name.
        if unknown := named - names:
            other = bytes.fromhex(person)
            found |= {case_id for case_id, row, _ in rows if row_pseudonym(other, row.bytes).hex() in unknown}
    return found


def _cases(what: str, cases: AbstractSet[UUID]) -> str | None:
    """« N dossiers où … : », and at most five of them; None where there is none."""
    if not cases:
        return None
    named = ", ".join(str(case_id) for case_id in sorted(cases)[:_NAMED])
    return f"{len(cases)} dossier{_s(len(cases))} où {what} : {named}{', …' if len(cases) > _NAMED else ''}"


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
    # Which head each leaf is: an organisation sees its own alone, the integrator's role sees all.
    checks.append(await database.integrate(lambda connection: check_rollup(connection, state_dir, journal)))
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
        *check_rows(connection, shreds, org_id, slug),
    ]


def _read_deployment(connection: Connection) -> tuple[str, dict[UUID, str]]:
    mark = find_mark(connection)
    assert mark is not None
    return mark.name, organisation_slugs(connection)


def _s(number: int) -> str:
    # French: none and one are singular.
    return "s" if number > 1 else ""
