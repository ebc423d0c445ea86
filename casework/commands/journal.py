"""`casework audit`: bundles and checkpoints of the journal, and their verification by anybody."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import click

from audit.bundle import write_bundle
from audit.checkpoint import Checkpoint, VerificationKey, parse_checkpoint
from audit.entry import Entry
from audit.errors import EntryRefused, NoteRefused, ProofRefused
from audit.log import latest_checkpoint
from audit.receipt import Receipt, verify_receipt
from audit.tables import DEPLOYMENT_LOG
from audit.trust import Trust
from audit.verdict import Report, Verdict
from audit.verifier import Progress, verify_bundle, verify_database
from audit.witnessing import Counterpart
from casework.clock import Clock, microseconds
from casework.commands.compared_checkpoints import compare
from casework.commands.found_logs import find_log
from casework.commands.log_keys import retire_key, rotate_key
from casework.commands.opening import with_database
from casework.commands.progress import progress
from casework.commands.secret_files import new_file
from casework.commands.verification_keys import VerificationKeyType
from casework.commands.witness import witness
from casework.database import Database, UnitOfWork
from casework.journal import Deed, Journal, Who
from casework.settings import Settings
from casework.signers import log_signers
from crypto.signing import verify as verify_signature


class TrustedCheckpoint(click.ParamType[Checkpoint]):
    name = "fichier"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Checkpoint:
        try:
            return parse_checkpoint(Path(value).read_text("utf-8-sig")).checkpoint
        except (OSError, UnicodeDecodeError, NoteRefused):
            self.fail("un point de contrôle enregistré auparavant est attendu", param, ctx)


@click.group(help="Le journal : l’emporter, le vérifier.")
def audit() -> None:
    pass


audit.add_command(compare)
audit.add_command(retire_key)
audit.add_command(rotate_key)
audit.add_command(witness)


@audit.command(
    help="Écrit le journal de l’organisation ORG (ou du déploiement, par son nom) dans une archive."
)
@click.argument("org")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Fichier neuf (.zip).")
def export(org: str, to: Path) -> None:
    async def run(_settings: Settings, database: Database) -> None:
        name, log = await find_log(database, org)
        slug = None if log.bytes == DEPLOYMENT_LOG else org
        await database.unit(lambda unit: _record_export(unit, name, log, slug))
        with new_file(to) as file, progress("Export"):
            await database.snapshot(lambda connection: write_bundle(connection, log.bytes, file), log)

    with_database(run)
    click.echo(f"Journal de « {org} » écrit.")


@audit.command(help="Imprime le dernier point de contrôle signé du journal de l’organisation ORG.")
@click.argument("org")
@click.option("--page", type=click.Path(path_type=Path), help="Fichier neuf (.pdf) d’une feuille à garder.")
def checkpoint(org: str, page: Path | None) -> None:
    async def run(settings: Settings, database: Database) -> tuple[str, VerificationKey]:
        name, log = await find_log(database, org)
        origin = Journal(name).origin(org if log.bytes != DEPLOYMENT_LOG else None)
        # While one key replaces another both sign, and the old one is on paper already.
        key = log_signers(settings.state_dir, log.bytes, origin)[0].key
        note = await database.snapshot(lambda connection: latest_checkpoint(connection, log.bytes), log)
        return note, key

    note, key = with_database(run)
    click.echo(note, nl=False)
    if page is not None:
        # Here, and not above: `audit verify` need not wait until a typesetter is imported.
        from casework.commands.checkpoint_pages import checkpoint_page

        with new_file(page, "--page") as file:
            file.write(checkpoint_page(note, key, Clock().now()))


@audit.command(
    help="Vérifie une archive, sans réseau ni réglage, ou le journal dans la base. Codes de sortie : 0 valide,"
    " 10 valide et élagué, 11 sans témoin, 12 trop ancien, 20 incomplet, 30 incohérent."
)
@click.argument("path", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--database", "org", help="Vérifie le journal de cette organisation dans la base.")
@click.option("--key", type=VerificationKeyType(), help="Clé imprimée à la création de l’organisation.")
@click.option("--trusted", type=TrustedCheckpoint(), help="Point de contrôle que vous avez gardé.")
@click.option("--rollup-key", type=VerificationKeyType(), help="Clé du récapitulatif du déploiement.")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    type=VerificationKeyType(),
    help="Clé d’un témoin qui doit avoir signé le récapitulatif ; autant de fois qu’il y en a.",
)
@click.option(
    "--counterpart",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Reçu d’une écriture du journal d’un partenaire, qui doit aussi être dans celui-ci.",
)
@click.option("--counterpart-key", type=VerificationKeyType(), help="Clé du journal de ce partenaire.")
@click.option("--json", "as_json", is_flag=True, help="Rapport en JSON.")
@click.option("--max-age", type=click.IntRange(1), help="Âge admis du dernier signe de vie, en heures.")
@click.pass_context
def verify(
    ctx: click.Context,
    path: Path | None,
    org: str | None,
    key: VerificationKey | None,
    trusted: Checkpoint | None,
    rollup_key: VerificationKey | None,
    witnesses: tuple[VerificationKey, ...],
    counterpart: Path | None,
    counterpart_key: VerificationKey | None,
    as_json: bool,
    max_age: int | None,
) -> None:
    if (path is None) is (org is None):
        raise click.UsageError("one of PATH and --database", ctx)
    trust = Trust(
        keys=(key,) if key is not None else (),
        trusted=(trusted,) if trusted is not None else (),
        rollup_keys=(rollup_key,) if rollup_key is not None else (),
        witnesses=witnesses,
        counterparts=_counterparts(ctx, counterpart, counterpart_key),
        max_age=max_age and timedelta(hours=max_age) // timedelta(microseconds=1),
        now=microseconds(Clock().now()),
    )
    with progress("Vérification") as advance:
        if path is not None:
            report = verify_bundle(path, trust, verify_signature, advance)
        else:
            report = _verify_stored(str(org), trust, advance)
    click.echo(_as_json(report) if as_json else _as_text(report))
    ctx.exit(report.exit_code)


@audit.command(
    help="Vérifie un reçu (FICHIER, une preuve tlog-proof avec son écriture), sans réseau ni réglage. Codes de"
    " sortie : 0 l’écriture est au journal, 20 le reçu ne contient pas l’écriture, 30 le reçu ne prouve rien."
)
@click.argument("path", metavar="FICHIER", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", type=VerificationKeyType(), required=True, help="Clé imprimée à la création de l’organisation."
)
@click.pass_context
def receipt(ctx: click.Context, path: Path, key: VerificationKey) -> None:
    try:
        text = path.read_text("utf-8-sig")
        raw = Receipt.parse(text).entry
        if raw is None:
            click.echo("Le reçu ne contient pas l’écriture qu’il prouve.")
            ctx.exit(Verdict.INCOMPLETE)
        head, index = verify_receipt(text, raw, [key], verify_signature)
        entry = Entry.from_bytes(raw)
    except (UnicodeDecodeError, ProofRefused, NoteRefused, EntryRefused):
        click.echo(
            "Ce reçu ne prouve rien : il est malformé, d’une autre clé, ou ne mène pas à son écriture."
        )
        ctx.exit(Verdict.INCONSISTENT)
    click.echo(f"Journal : {head.origin}, {head.size} écritures")
    click.echo(f"L’écriture n° {index} ({entry.id}, {entry.action}) y est inscrite.")


def _counterparts(
    ctx: click.Context, receipt: Path | None, key: VerificationKey | None
) -> tuple[Counterpart, ...]:
    if receipt is None and key is None:
        return ()
    if receipt is None or key is None:
        raise click.UsageError("--counterpart and --counterpart-key go together", ctx)
    # What is no text is a receipt that proves nothing: a verdict, not an error of use.
    return (Counterpart(receipt.read_text("utf-8-sig", errors="replace"), key),)


def _verify_stored(org: str, trust: Trust, advance: Progress) -> Report:
    async def run(_settings: Settings, database: Database) -> Report:
        _, log = await find_log(database, org)
        return await database.snapshot(
            lambda connection: verify_database(connection, log.bytes, trust, verify_signature, advance), log
        )

    return with_database(run)


def _record_export(unit: UnitOfWork, name: str, log: UUID, slug: str | None) -> None:
    unit.enter_organisation(log)
    org = (log, slug) if slug is not None else None
    Journal(name).record(unit, org, Who(uuid4()), Deed("journal.export"))


def _as_text(report: Report) -> str:
    lines = [f"Journal : {report.origin or 'illisible'}, {report.size} écritures"]
    lines += [f"  {'✓' if check.passed else '✗'} {check.words}" for check in report.checks]
    if report.first_wrong is not None:
        identity = f" ({report.first_wrong.entry_id})" if report.first_wrong.entry_id else ""
        lines.append(f"Première écriture en cause : n° {report.first_wrong.index}{identity}")
    return "\n".join([*lines, f"Verdict : {report.verdict.words}"])


def _as_json(report: Report) -> str:
    wrong = report.first_wrong
    return json.dumps(
        {
            "verdict": report.verdict.name.lower(),
            "exit_code": report.exit_code,
            "words": report.verdict.words,
            "origin": report.origin,
            "size": report.size,
            "first_wrong": {"index": wrong.index, "entry_id": wrong.entry_id} if wrong is not None else None,
            "checks": [
                {"name": check.name, "passed": check.passed, "words": check.words} for check in report.checks
            ],
        },
        ensure_ascii=False,
        indent=2,
    )
