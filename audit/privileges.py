"""Who may do what with the journal on PostgreSQL: two roles, grants, and row-level security.

`casework_app` serves requests: it puts entries and details in, and reads the log of the organisation that the
transaction has set in `casework.org` (its id in hexadecimal; nothing is set, nothing is seen).
`casework_integrator` drains the inbox and writes the logs. Neither may change or delete what is integrated.
"""

APP_ROLE = "casework_app"
INTEGRATOR_ROLE = "casework_integrator"

_READ = ("audit_log", "audit_leaf", "audit_entry", "audit_subject", "audit_subtree", "audit_checkpoint")
_ALL = ("audit_inbox", *_READ, "audit_detail")
# The subselect lets the planner read the setting once a statement and not once a row.
_OWN_LOG = "log = (SELECT decode(replace(current_setting('casework.org', true), '-', ''), 'hex'))"

_OF_THE_ROLLUP = ("audit_log", "audit_leaf", "audit_subtree", "audit_checkpoint")
_ROLLUP = f"log = decode('{'ff' * 16}', 'hex')"


def create_roles() -> tuple[str, ...]:
    """Make both roles unless the cluster has them; a concurrent migration of another database may win."""
    return tuple(
        f"""DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                CREATE ROLE {role} NOLOGIN;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
        for role in (APP_ROLE, INTEGRATOR_ROLE)
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
