"""Unsafe databases: durability that is off, roles that escape the walls, triggers that are gone, old schemas."""

import os

from sqlalchemy import Connection, text

from audit.triggers import changed_triggers
from casework import postgres, sqlite
from casework.commands.findings import Finding
from casework.commands.opening import (
    OWNER_URL,
    RevisionHidden,
    newest_revision,
    owner_url,
    revision_at,
)
from casework.commands.refusals import unsafe_words
from casework.database import UnsafeDatabase
from casework.organisations.deployments import find_mark
from casework.postgres import ESCAPES_THE_WALL
from casework.settings import Settings

_URL = "CASEWORK_DATABASE_URL"
_SHREDS = "CASEWORK_SHRED_URL"
# What the server's own log would keep of requests: statements, their values, rows that broke a rule.
_TALKATIVE = {
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
    "log_min_duration_sample": ("-1",),
    "log_parameter_max_length_on_error": ("0",),
    "log_error_verbosity": ("terse",),
}
_UNWALLED = text(
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('org_id', 'log') AND NOT a.attisdropped"
    " WHERE c.relkind = 'r' AND n.nspname IN ('public', 'sessions') AND NOT c.relrowsecurity ORDER BY 1"
)


async def inspect_database(settings: Settings) -> tuple[list[Finding], bool]:
    """What is unsafe, and whether the database can be used at all, so that its content can be looked at."""
    revision = await _inspect_revision(settings)
    if revision:
        return revision, False
    if settings.is_sqlite:
        engine = sqlite.make_engine(settings.sqlite_path)
        try:
            with engine.connect().execution_options(sqlite_tx="DEFERRED") as connection:
                return _inspect_content(connection), True
        except UnsafeDatabase as error:
            return [Finding(f"{_URL} : {unsafe_words(error)}", "placez la base sur un disque local")], False
    pg = postgres.make_engine(settings.database_url, pool_size=1)
    try:
        async with pg.connect() as connecting:
            return await connecting.run_sync(_inspect_server), True
    finally:
        await pg.dispose()


async def _inspect_revision(settings: Settings) -> list[Finding]:
    # The service's role may not read it, its owner may.
    url = owner_url(settings) if os.environ.get(OWNER_URL) else settings.database_url
    try:
        revision = await revision_at(url)
    except RevisionHidden:
        return []
    if revision is None:
        return [Finding(f"{_URL} : la base n’est pas préparée", "lancez « casework init »")]
    if revision != newest_revision():
        return [
            Finding(
                f"{_URL} : la base est à la révision {revision}, le programme à {newest_revision()}",
                "lancez « casework db upgrade »",
            )
        ]
    return []


def _inspect_durability(connection: Connection, url: str) -> list[Finding]:
    return [
        Finding(
            f"{url} : le réglage {name} est désactivé",
            f"remettez {name} à « on » dans postgresql.conf ou pour le rôle",
        )
        for name in postgres.unsafe_durability(connection)
    ]


def _inspect_server_log(connection: Connection, url: str) -> list[Finding]:
    """The server's log is outside every wall and every backup rule: it must hold nothing of a person."""
    return [
        Finding(
            f"{url} : le réglage {name} peut écrire des données dans le journal du serveur",
            f"donnez-lui la valeur « {sound[0]} », dans postgresql.conf ou pour le rôle",
        )
        for name, sound in _TALKATIVE.items()
        if postgres.setting(connection, name) not in sound
    ]


def _inspect_shred_server(connection: Connection) -> list[Finding]:
    return [*_inspect_durability(connection, _SHREDS), *_inspect_server_log(connection, _SHREDS)]


async def inspect_shreds(settings: Settings) -> list[Finding]:
    """What is unsafe about a shred store on a server; a file is held to its pragmas on opening."""
    if settings.shred_url.get_backend_name() == "sqlite":
        return []
    engine = postgres.make_engine(settings.shred_url, pool_size=1)
    try:
        async with engine.connect() as connecting:
            return await connecting.run_sync(_inspect_shred_server)
    finally:
        await engine.dispose()


def _inspect_server(connection: Connection) -> list[Finding]:
    findings = [*_inspect_durability(connection, _URL), *_inspect_server_log(connection, _URL)]
    if connection.execute(ESCAPES_THE_WALL).scalar_one():
        findings.append(
            Finding(
                f"{_URL} : le rôle du service échappe à la sécurité par ligne",
                "connectez le service avec le rôle casework_app, qui ne possède rien",
            )
        )
    findings += [
        Finding(
            f"{_URL} : la sécurité par ligne n’est pas en vigueur sur la table {table}",
            f"lancez, sous le rôle propriétaire, « ALTER TABLE {table} ENABLE ROW LEVEL SECURITY »",
        )
        for table in connection.execute(_UNWALLED).scalars()
    ]
    return findings + _inspect_content(connection)


def _inspect_content(connection: Connection) -> list[Finding]:
    findings = [
        Finding(
            f"{_URL} : le déclencheur {name} du journal manque, est désactivé ou a été changé",
            "cherchez qui l’a retiré, vérifiez le journal, puis restaurez le schéma",
        )
        for name in changed_triggers(connection)
    ]
    mark = find_mark(connection)
    if mark is not None and mark.is_demo:
        findings.append(
            Finding(
                f"{_URL} : c’est une base de démonstration, dont les mots de passe sont connus",
                "n’y mettez aucune personne réelle ; préparez une autre base",
            )
        )
    return findings
