"""Sessions, and on PostgreSQL the walls: row-level security, the service's rights, three narrow functions."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Tenant tables: the organisation that the transaction has set sees its own rows, and writes only those.
_TENANT_TABLES = (
    "account",
    "assignment",
    "break_glass",
    "case_conflict",
    "case_file",
    "case_group",
    "case_team",
    "consent",
    "drop_key",
    "follow_up",
    "follow_up_frame",
    "handoff_manifest",
    "handoff_part",
    "handoff_side",
    "idempotency",
    "kek_recovery",
    "key_directory",
    "key_grant",
    "membership",
    "partner",
    "team",
    "team_member",
    "sessions.session",
)
_DELETABLE = (
    "assignment",
    "case_team",
    "case_conflict",
    "handoff_part",
    "idempotency",
    "team_member",
    "sessions.session",
)
# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"

_FUNCTIONS = (
    """
    CREATE FUNCTION find_login(p_login text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE found uuid;
    BEGIN
        SELECT org_id INTO found FROM account WHERE login = p_login;
        PERFORM set_config('casework.org', coalesce(found::text, ''), true);
        RETURN found;
    END $$
    """,
    """
    CREATE FUNCTION find_session(p_id bytea) RETURNS SETOF sessions.session
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE found sessions.session;
    BEGIN
        SELECT * INTO found FROM sessions.session WHERE id = p_id;
        PERFORM set_config('casework.org', coalesce(found.org_id::text, ''), true);
        IF found.id IS NOT NULL THEN RETURN NEXT found; END IF;
    END $$
    """,
    """
    CREATE FUNCTION move_handoff(
        p_handoff uuid, p_next text, p_now timestamptz, p_consent_expires timestamptz,
        p_consent uuid, p_signer uuid, p_envelope bytea, p_chain bytea,
        p_reply bytea,
        p_compartments text[], p_drop_numbers integer[], p_parts bytea[]
    ) RETURNS TABLE (was text, live boolean, moved boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE
        me uuid := nullif(current_setting('casework.org', true), '')::uuid;
        neutral handoff;
        sender handoff_side;
        expected text[];
    BEGIN
        -- Lock first: two acceptances would both see "sent".
        SELECT * INTO neutral FROM handoff WHERE id = p_handoff FOR UPDATE;
        IF neutral.id IS NULL OR me IS NULL OR me NOT IN (neutral.from_org, neutral.to_org) THEN
            RETURN;
        END IF;
        was := neutral.state;
        live := neutral.consent_is_live AND neutral.consent_expires_at > p_now;
        moved := false;
        -- The table of casework/handoffs/states.py: whoever holds the service's rights cannot skip a state.
        expected := CASE p_next
            WHEN 'consented' THEN ARRAY['draft']
            WHEN 'sent' THEN ARRAY['consented']
            WHEN 'cancelled' THEN ARRAY['draft', 'consented', 'sent', 'received']
            WHEN 'withdrawn' THEN ARRAY['consented', 'sent', 'received', 'accepted', 'needs_info', 'scheduled',
                                        'attended', 'no_show', 'completed']
            WHEN 'received' THEN ARRAY['sent']
            WHEN 'accepted' THEN ARRAY['sent', 'received']
            WHEN 'declined' THEN ARRAY['sent', 'received']
            WHEN 'scheduled' THEN ARRAY['accepted', 'needs_info', 'no_show']
            WHEN 'attended' THEN ARRAY['accepted', 'scheduled']
            WHEN 'no_show' THEN ARRAY['scheduled']
            WHEN 'completed' THEN ARRAY['accepted', 'attended']
        END;
        IF NOT coalesce(neutral.state = ANY (expected), false)
           OR (p_next IN ('consented', 'sent', 'cancelled', 'withdrawn') AND me <> neutral.from_org)
           OR (p_next NOT IN ('consented', 'sent', 'cancelled', 'withdrawn') AND me <> neutral.to_org)
           OR (p_next IN ('sent', 'accepted') AND NOT coalesce(live, false))
        THEN RETURN NEXT; RETURN; END IF;
        moved := true;
        UPDATE handoff SET
            state = p_next,
            consent_is_live = CASE WHEN p_next = 'consented' THEN true
                                   WHEN p_next IN ('withdrawn', 'cancelled', 'declined') THEN false
                                   ELSE consent_is_live END,
            consent_expires_at = CASE WHEN p_next = 'consented' THEN p_consent_expires
                                      ELSE consent_expires_at END
        WHERE id = p_handoff;
        UPDATE handoff_side SET state = p_next, moved_at = p_now,
            reply = CASE WHEN org_id = me THEN reply ELSE coalesce(p_reply, reply) END
        WHERE id = p_handoff;
        IF p_next = 'sent' THEN
            SELECT * INTO sender FROM handoff_side WHERE id = p_handoff AND org_id = neutral.from_org;
            UPDATE handoff_side SET sent_at = p_now WHERE id = p_handoff AND org_id = neutral.from_org;
            INSERT INTO handoff_side (
                org_id, id, side, partner_id, kind, urgency, state, created_at, sent_at, moved_at,
                content_digest, envelope, consent_id, consent_expires_at, signer_id, chain)
            VALUES (
                neutral.to_org, p_handoff, 'receiver', neutral.from_org, sender.kind, sender.urgency, 'sent',
                p_now, p_now, p_now, sender.content_digest, p_envelope, p_consent, neutral.consent_expires_at,
                p_signer, p_chain);
            INSERT INTO handoff_part (org_id, handoff_id, compartment, drop_number, part)
            SELECT neutral.to_org, p_handoff, g, n, b
            FROM unnest(p_compartments, p_drop_numbers, p_parts) AS t (g, n, b);
        ELSIF p_next IN ('withdrawn', 'cancelled', 'declined') THEN
            DELETE FROM handoff_part WHERE handoff_id = p_handoff;
        ELSIF p_next = 'accepted' THEN
            UPDATE case_file SET status = 'closed', version = version + 1
            FROM handoff_side AS side
            WHERE side.id = p_handoff AND side.org_id = neutral.from_org AND side.kind = 'transfer'
              AND case_file.org_id = side.org_id AND case_file.id = side.case_id
              AND case_file.status = 'open';
        END IF;
        RETURN NEXT;
    END $$
    """,
)
_SIGNATURES = (
    "find_login(text)",
    "find_session(bytea)",
    "move_handoff(uuid, text, timestamptz, timestamptz, uuid, uuid, bytea, bytea, bytea, text[],"
    " integer[], bytea[])",
)


def _wall() -> list[str]:
    """Row-level security and the service's rights: it owns nothing and sees nothing until one is set."""
    statements = [
        "GRANT USAGE ON SCHEMA sessions TO casework_app",
        "GRANT SELECT ON deployment, organisation TO casework_app",
        "GRANT SELECT ON organisation, deployment TO casework_integrator",
        "ALTER TABLE handoff ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY parties ON handoff FOR SELECT TO casework_app USING ({_OWN} IN (from_org, to_org))",
        f"CREATE POLICY sender ON handoff FOR INSERT TO casework_app "
        f"WITH CHECK (from_org = {_OWN} AND state = 'draft' AND NOT consent_is_live)",
        "GRANT SELECT, INSERT ON handoff TO casework_app",
    ]
    for table in _TENANT_TABLES:
        statements += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant ON {table} TO casework_app "
            f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
            f"GRANT SELECT, INSERT ON {table} TO casework_app",
        ]
        # The directory and its grants are append-only even for the service; a side is moved by the function.
        if table not in {"key_directory", "key_grant", "kek_recovery", "handoff_side"}:
            statements.append(f"GRANT UPDATE ON {table} TO casework_app")
    statements.append("GRANT UPDATE (case_sealed, reply) ON handoff_side TO casework_app")
    statements += [f"GRANT DELETE ON {table} TO casework_app" for table in _DELETABLE]
    for signature in _SIGNATURES:
        statements += [
            f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC",
            f"GRANT EXECUTE ON FUNCTION {signature} TO casework_app",
        ]
    return statements


def upgrade() -> None:
    bind = op.get_bind()
    on_postgresql = bind.dialect.name == "postgresql"
    if on_postgresql:
        bind.exec_driver_sql("CREATE SCHEMA sessions")
    _create_sessions(unlogged=on_postgresql)
    if on_postgresql:
        for statement in (*_FUNCTIONS, *_wall()):
            bind.exec_driver_sql(statement)


def downgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        for signature in _SIGNATURES:
            bind.exec_driver_sql(f"DROP FUNCTION {signature}")
    op.drop_table("session", schema="sessions")
    if bind.dialect.name == "postgresql":
        bind.exec_driver_sql("DROP SCHEMA sessions")
        for table in (*(t for t in _TENANT_TABLES if "." not in t), "handoff"):
            for policy in ("tenant", "parties", "sender"):
                bind.exec_driver_sql(f"DROP POLICY IF EXISTS {policy} ON {table}")
            bind.exec_driver_sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            bind.exec_driver_sql(f"REVOKE ALL ON {table} FROM casework_app")
        bind.exec_driver_sql("REVOKE ALL ON deployment, organisation FROM casework_app, casework_integrator")


def _create_sessions(*, unlogged: bool) -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.LargeBinary(32), nullable=False),
        sa.Column("org_id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("member_id", Id),
        sa.Column("role", sa.String(20)),
        sa.Column("keys", SealedBytes, nullable=False),
        sa.Column("step_up_keys", SealedBytes),
        sa.Column("step_up_until", Moment),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("seen_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
        schema="sessions",
        prefixes=["UNLOGGED"] if unlogged else [],
    )
    op.create_index("ix_session_account", "session", ["org_id", "account_id"], schema="sessions")
