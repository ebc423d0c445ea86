"""Who may do what with the journal on PostgreSQL: four roles, grants, and row-level security.

`casework_app` serves requests: it puts entries and details in, and reads the log of the organisation that the
transaction has set in `casework.org` (its id in hexadecimal; nothing is set, nothing is seen).
`casework_integrator` drains the inbox and writes the logs. Neither may change or delete what is integrated.
`casework_pruner` raises a log's minimum index and deletes what is below it; only the command of retention has it.
`casework_auditor` is nobody's login: those of auditors belong to it. The login's own name says whose log it reads
(`casework_auditor_` and the log's id in 32 hexadecimal digits), for a setting is anybody's to change.
"""

from collections.abc import Sequence

APP_ROLE = "casework_app"
INTEGRATOR_ROLE = "casework_integrator"
PRUNER_ROLE = "casework_pruner"
AUDITOR_ROLE = "casework_auditor"

_READ = ("audit_log", "audit_leaf", "audit_entry", "audit_subject", "audit_subtree", "audit_checkpoint")
_ALL = ("audit_inbox", *_READ, "audit_detail")
# The subselect lets the planner read the setting once a statement and not once a row.
_OWN_LOG = "log = (SELECT decode(replace(current_setting('casework.org', true), '-', ''), 'hex'))"

_OF_THE_ROLLUP = ("audit_log", "audit_leaf", "audit_subtree", "audit_checkpoint")
_ROLLUP = f"log = decode('{'ff' * 16}', 'hex')"

# Of the login and not of the role in force: SET ROLE gives nobody another log.
_LOG_OF_LOGIN = (
    "log = (SELECT decode(substring(session_user::text FROM '^casework_auditor_([0-9a-f]{32})$'), 'hex'))"
)

# Triggers hold the rule for entries and subjects; details have none, for erasing one alone breaks no tree.
_BELOW = """EXISTS (SELECT FROM audit_entry JOIN audit_log ON audit_log.log = audit_entry.log
    WHERE audit_entry.log = audit_detail.log AND audit_entry.entry_id = audit_detail.entry_id
      AND audit_entry.idx < audit_log.pruned)"""


def create_roles(names: Sequence[str] = (APP_ROLE, INTEGRATOR_ROLE)) -> tuple[str, ...]:
    """Make roles unless the cluster has them; a concurrent migration of another database may win."""
    return tuple(
        f"""DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                CREATE ROLE {role} NOLOGIN;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
        for role in names
    )


def grant_privileges() -> tuple[str, ...]:
    """Grants and policies; dropping the tables drops them."""
    return (
        *(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in _ALL),
        # A request may write to two logs (a handoff, the deployment's own), and reads back neither inbox row.
        f"GRANT INSERT ON audit_inbox, audit_detail TO {APP_ROLE}",
        f"CREATE POLICY app_insert ON audit_inbox FOR INSERT TO {APP_ROLE} WITH CHECK (true)",
        f"CREATE POLICY app_insert ON audit_detail FOR INSERT TO {APP_ROLE} WITH CHECK (true)",
        f"GRANT SELECT ON {', '.join(_READ)}, audit_detail TO {APP_ROLE}",
        *(
            f"CREATE POLICY app_read ON {table} FOR SELECT TO {APP_ROLE} USING ({_OWN_LOG})"
            for table in (*_READ, "audit_detail")
        ),
        f"GRANT SELECT, DELETE ON audit_inbox TO {INTEGRATOR_ROLE}",
        f"GRANT SELECT, INSERT ON {', '.join(_READ)} TO {INTEGRATOR_ROLE}",
        f"GRANT UPDATE (size) ON audit_log TO {INTEGRATOR_ROLE}",
        *(
            f"CREATE POLICY integrator ON {table} TO {INTEGRATOR_ROLE} USING (true) WITH CHECK (true)"
            for table in ("audit_inbox", *_READ)
        ),
    )


def grant_rollup_privileges() -> tuple[str, ...]:
    """The roll-up log is everybody's: hashes, and heads of it that witnesses signed. Which head a leaf is, is not:
    an organisation reads that of its own log alone.
    """
    tables = ("audit_rollup", "audit_cosignature")
    return (
        *(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in tables),
        f"GRANT SELECT ON {', '.join(tables)} TO {APP_ROLE}",
        f"CREATE POLICY app_read ON audit_rollup FOR SELECT TO {APP_ROLE} USING ({_OWN_LOG})",
        f"CREATE POLICY app_read ON audit_cosignature FOR SELECT TO {APP_ROLE} USING (true)",
        *(
            f"CREATE POLICY app_read_rollup ON {table} FOR SELECT TO {APP_ROLE} USING ({_ROLLUP})"
            for table in _OF_THE_ROLLUP
        ),
        f"GRANT SELECT, INSERT ON {', '.join(tables)} TO {INTEGRATOR_ROLE}",
        *(
            f"CREATE POLICY integrator ON {table} TO {INTEGRATOR_ROLE} USING (true) WITH CHECK (true)"
            for table in tables
        ),
    )


def revoke_rollup_privileges() -> tuple[str, ...]:
    """What dropping the roll-up's own tables does not take back."""
    return tuple(f"DROP POLICY app_read_rollup ON {table}" for table in _OF_THE_ROLLUP)


def grant_pruning() -> tuple[str, ...]:
    """What the pruner may: read the logs, raise a minimum index, delete what is below it."""
    read, deleted = ("audit_log", "audit_entry", "audit_checkpoint"), ("audit_entry", "audit_subject")
    return (
        f"GRANT SELECT ON {', '.join(read)}, audit_subject, audit_detail TO {PRUNER_ROLE}",
        f"GRANT UPDATE (pruned) ON audit_log TO {PRUNER_ROLE}",
        f"GRANT DELETE ON {', '.join(deleted)}, audit_detail TO {PRUNER_ROLE}",
        *(
            f"CREATE POLICY pruner ON {table} TO {PRUNER_ROLE} USING (true)"
            for table in (*read, "audit_subject")
        ),
        f"CREATE POLICY pruner_read ON audit_detail FOR SELECT TO {PRUNER_ROLE} USING (true)",
        f"CREATE POLICY pruner_delete ON audit_detail FOR DELETE TO {PRUNER_ROLE} USING ({_BELOW})",
    )


def revoke_pruning() -> tuple[str, ...]:
    """Take it back, for a migration downwards. The role stays: other databases of the cluster may use it."""
    tables = ("audit_log", "audit_entry", "audit_checkpoint", "audit_subject")
    return (
        *(f"DROP POLICY pruner ON {table}" for table in tables),
        "DROP POLICY pruner_read ON audit_detail",
        "DROP POLICY pruner_delete ON audit_detail",
        f"REVOKE ALL ON {', '.join(tables)}, audit_detail FROM {PRUNER_ROLE}",
        f"REVOKE UPDATE (pruned) ON audit_log FROM {PRUNER_ROLE}",
    )


def grant_auditing() -> tuple[str, ...]:
    """What an auditor's login reads beside the service: its log and the roll-up, neither inbox nor details."""
    return (
        f"GRANT SELECT ON {', '.join((*_READ, 'audit_rollup', 'audit_cosignature'))} TO {AUDITOR_ROLE}",
        *(
            f"CREATE POLICY auditor ON {table} FOR SELECT TO {AUDITOR_ROLE} USING ({_LOG_OF_LOGIN})"
            for table in (*_READ, "audit_rollup")
        ),
        *(
            f"CREATE POLICY auditor_rollup ON {table} FOR SELECT TO {AUDITOR_ROLE} USING ({_ROLLUP})"
            for table in _OF_THE_ROLLUP
        ),
        f"CREATE POLICY auditor_rollup ON audit_cosignature FOR SELECT TO {AUDITOR_ROLE} USING (true)",
    )


def revoke_auditing() -> tuple[str, ...]:
    """Take it back, for a migration downwards. The role stays: other databases of the cluster may use it."""
    return (
        *(f"DROP POLICY auditor ON {table}" for table in (*_READ, "audit_rollup")),
        *(f"DROP POLICY auditor_rollup ON {table}" for table in (*_OF_THE_ROLLUP, "audit_cosignature")),
        f"REVOKE ALL ON {', '.join((*_READ, 'audit_rollup', 'audit_cosignature'))} FROM {AUDITOR_ROLE}",
    )
