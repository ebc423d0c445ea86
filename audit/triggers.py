"""The append-only rule as triggers. They stop bugs and injections; against an administrator stands the tree.

Refused: UPDATE and DELETE (on PostgreSQL TRUNCATE too) of entries, leaves, checkpoints, subtrees, subjects.
Allowed: DELETE of entries and subjects below the pruned index of their log. A log's own row may only grow.
SQLite also refuses a row that would REPLACE another, whatever the pragma `recursive_triggers` says.
"""

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
