"""The append-only rule as triggers. They stop bugs and injections; against an administrator stands the tree.

Refused: UPDATE and DELETE (on PostgreSQL TRUNCATE too) of entries, leaves, checkpoints, subtrees, subjects.
Allowed: DELETE of entries and subjects below the pruned index of their log. A log's own row may only grow.
SQLite also refuses a row that would REPLACE another, whatever the pragma `recursive_triggers` says.
"""

from sqlalchemy import Connection, bindparam, text

# Table → the columns by which another row could be replaced (each tuple is unique together with the log).
_APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "audit_entry": (("idx",), ("entry_id",)),
    "audit_leaf": (("idx",),),
    "audit_subject": (("pseudonym", "idx"),),
    "audit_subtree": (("level", "idx"),),
    "audit_checkpoint": (("size",),),
}
_PRUNABLE = ("audit_entry", "audit_subject")
# Of the roll-up log: which head each leaf is, and what witnesses signed.
_ROLLUP: dict[str, str] = {
    "audit_rollup": "idx = NEW.idx",
    "audit_cosignature": "size = NEW.size AND witness = NEW.witness",
}
_SHRINKS = """NEW.log <> OLD.log OR NEW.origin <> OLD.origin
    OR NEW.size < OLD.size OR NEW.pruned < OLD.pruned"""
_ABORT = "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
_TABLES = ("audit_log", "audit_inbox", "audit_detail", *_APPEND_ONLY, *_ROLLUP)
# pg_trigger.h: BEFORE 2, of each ROW 1, DELETE 8, UPDATE 16, TRUNCATE 32.
_BEFORE_EACH_CHANGE, _BEFORE_TRUNCATE = 2 | 1 | 8 | 16, 2 | 32
_SQLITE_STANDING = text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN :tables"
).bindparams(bindparam("tables", expanding=True))
_POSTGRESQL_STANDING = text("""
    SELECT tgname, tgenabled::text, tgtype::int, tgqual IS NULL, prosrc
    FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_class ON pg_class.oid = tgrelid
    WHERE NOT tgisinternal AND relname IN :tables AND pg_table_is_visible(tgrelid)
""").bindparams(bindparam("tables", expanding=True))
_PRUNED = "(SELECT pruned FROM audit_log WHERE audit_log.log = OLD.log)"


def create_triggers(dialect: str) -> tuple[str, ...]:
    """The statements, one each, that put the rule in force on `sqlite` or `postgresql`."""
    return (*_postgresql_functions(), *_postgresql()) if dialect == "postgresql" else _sqlite()


def drop_triggers(dialect: str) -> tuple[str, ...]:
    """The statements that lift the whole rule, as an administrator would."""
    return (*drop_rollup_triggers(dialect), *drop_first_triggers(dialect))


def drop_first_triggers(dialect: str) -> tuple[str, ...]:
    """The statements that lift what `create_triggers` puts in force, for a migration downwards."""
    dropped = _drop(dialect, (*_APPEND_ONLY, "audit_log"))
    if dialect == "sqlite":
        return dropped
    return (
        *dropped,
        "DROP FUNCTION audit_refuse()",
        "DROP FUNCTION audit_refuse_unless_pruned()",
        "DROP FUNCTION audit_refuse_unless_growing()",
    )


def create_rollup_triggers(dialect: str) -> tuple[str, ...]:
    """The same rule for the tables of the roll-up log, which came later; needs `create_triggers`."""
    if dialect == "postgresql":
        return tuple(statement for table in _ROLLUP for statement in _postgresql_table(table, "audit_refuse"))
    return tuple(
        statement
        for table, same_row in _ROLLUP.items()
        for statement in (
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {_ABORT}",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {_ABORT}",
            _sqlite_no_replace(table, same_row),
        )
    )


def drop_rollup_triggers(dialect: str) -> tuple[str, ...]:
    """The statements that lift what `create_rollup_triggers` puts in force."""
    return _drop(dialect, tuple(_ROLLUP))


def trigger_names(dialect: str) -> frozenset[str]:
    """The triggers that must stand in the database, for the drift test and the check at start."""
    return frozenset(
        f"{table}_{rule}" for table in (*_APPEND_ONLY, "audit_log", *_ROLLUP) for rule in _rules(dialect)
    )


def _rules(dialect: str) -> tuple[str, ...]:
    return (
        ("no_change", "no_truncate") if dialect == "postgresql" else ("no_update", "no_delete", "no_replace")
    )


def _drop(dialect: str, tables: tuple[str, ...]) -> tuple[str, ...]:
    names = [(table, f"{table}_{rule}") for table in tables for rule in _rules(dialect)]
    if dialect == "postgresql":
        return tuple(f"DROP TRIGGER {name} ON {table}" for table, name in names)
    return tuple(f"DROP TRIGGER {name}" for _, name in names)


def changed_triggers(connection: Connection) -> list[str]:
    """The triggers of the journal's tables that are gone, off, other than they were made, or not ours; by name."""
    postgresql = connection.dialect.name == "postgresql"
    rows = connection.execute(_POSTGRESQL_STANDING if postgresql else _SQLITE_STANDING, {"tables": _TABLES})
    standing = {row[0]: tuple(row[1:]) for row in rows}
    made = (*create_triggers(connection.dialect.name), *create_rollup_triggers(connection.dialect.name))
    expected = _expected_on_postgresql(made) if postgresql else {one.split()[2]: (one,) for one in made}
    return sorted(
        name for name in standing.keys() | expected.keys() if standing.get(name) != expected.get(name)
    )


def _expected_on_postgresql(made: tuple[str, ...]) -> dict[str, tuple[object, ...]]:
    """Trigger → on, its moments (the bits of tgtype), without a condition, and its function's body."""
    bodies = {one.split()[2].removesuffix("()"): one.split("$$")[1] for one in _postgresql_functions()}
    expected: dict[str, tuple[object, ...]] = {}
    for one in made:
        if not one.startswith("CREATE TRIGGER"):
            continue
        name, function = one.split()[2], one.split()[-1].removesuffix("()")
        moments = _BEFORE_EACH_CHANGE if name.endswith("_no_change") else _BEFORE_TRUNCATE
        expected[name] = ("O", moments, True, bodies[function])
    return expected


def _sqlite() -> tuple[str, ...]:
    statements = [
        f"CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log WHEN {_SHRINKS} {_ABORT}",
        f"CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log {_ABORT}",
        _sqlite_no_replace("audit_log", "log = NEW.log OR origin = NEW.origin"),
    ]
    for table, keys in _APPEND_ONLY.items():
        same = " OR ".join(
            "(" + " AND ".join(f"{column} = NEW.{column}" for column in key) + ")" for key in keys
        )
        pruned = f"WHEN OLD.idx >= {_PRUNED}" if table in _PRUNABLE else ""
        statements += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {_ABORT}",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {pruned} {_ABORT}",
            _sqlite_no_replace(table, f"log = NEW.log AND ({same})"),
        ]
    return tuple(statements)


def _sqlite_no_replace(table: str, same_row: str) -> str:
    exists = f"EXISTS (SELECT 1 FROM {table} WHERE {same_row})"  # noqa: S608 - our own names
    return f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {exists} {_ABORT}"


def _postgresql_functions() -> tuple[str, ...]:
    refuse = "RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'restrict_violation';"
    return (
        f"CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refuse} END $$",
        f"""CREATE FUNCTION audit_refuse_unless_pruned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'DELETE' AND OLD.idx < {_PRUNED} THEN RETURN OLD; END IF; {refuse} END $$""",
        f"""CREATE FUNCTION audit_refuse_unless_growing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'DELETE' OR {_SHRINKS} THEN {refuse} END IF; RETURN NEW; END $$""",
    )


def _postgresql() -> tuple[str, ...]:
    functions = {
        "audit_log": "audit_refuse_unless_growing",
        **dict.fromkeys(_APPEND_ONLY, "audit_refuse"),
        **dict.fromkeys(_PRUNABLE, "audit_refuse_unless_pruned"),
    }
    return tuple(
        statement for table, function in functions.items() for statement in _postgresql_table(table, function)
    )


def _postgresql_table(table: str, function: str) -> tuple[str, str]:
    return (
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {function}()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    )
