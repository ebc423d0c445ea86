"""On PostgreSQL a session is found together with its account and membership: one round trip for each request."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WITH_MEMBER = """
    CREATE FUNCTION find_session(p_id bytea) RETURNS TABLE (
        org_id uuid, account_id uuid, member_id uuid, wanted_role text, keys bytea, step_up_keys bytea,
        seen_at timestamptz, expires_at timestamptz, login text, role text, professions text, active boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    BEGIN
        SELECT s.org_id, s.account_id, s.member_id, s.role, s.keys, s.step_up_keys, s.seen_at, s.expires_at,
               a.login, m.role, m.professions, a.active AND coalesce(m.active, true)
            INTO org_id, account_id, member_id, wanted_role, keys, step_up_keys, seen_at, expires_at,
                 login, role, professions, active
            FROM sessions.session AS s
            LEFT JOIN account AS a ON a.org_id = s.org_id AND a.id = s.account_id
            LEFT JOIN membership AS m ON m.org_id = s.org_id AND m.id = s.member_id
            WHERE s.id = p_id;
        PERFORM set_config('casework.org', coalesce(org_id::text, ''), true);
        IF org_id IS NOT NULL THEN RETURN NEXT; END IF;
    END $$
"""
_ALONE = """
    CREATE FUNCTION find_session(p_id bytea) RETURNS SETOF sessions.session
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE found sessions.session;
    BEGIN
        SELECT * INTO found FROM sessions.session WHERE id = p_id;
        PERFORM set_config('casework.org', coalesce(found.org_id::text, ''), true);
        IF found.id IS NOT NULL THEN RETURN NEXT found; END IF;
    END $$
"""


def upgrade() -> None:
    _replace(_WITH_MEMBER)


def downgrade() -> None:
    _replace(_ALONE)


def _replace(function: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    for statement in (
        "DROP FUNCTION find_session(bytea)",
        function,
        "REVOKE ALL ON FUNCTION find_session(bytea) FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION find_session(bytea) TO casework_app",
    ):
        bind.exec_driver_sql(statement)
