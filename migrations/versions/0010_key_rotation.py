"""Rotation: when a drop key was made, the right to destroy what a newer key has replaced and nothing else, and a
partner's newest public keys.
"""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# The newest numbers, asked for with the owner's rights: a policy may not look into its own table.
_NEWEST = """
    CREATE FUNCTION {name}(p_org uuid, p_compartment text) RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS
    $$ SELECT max({column}) FROM {table} WHERE org_id = p_org AND compartment = p_compartment $$
"""
_FUNCTIONS = {
    "newest_kek": ("kek_recovery", "kek_no"),
    "newest_drop_key": ("drop_key", "number"),
}
# What a partner's directory says beyond the chain that was last accepted: signed, and public among partners.
_PARTNER_ENTRIES = """
    CREATE FUNCTION partner_entries(p_partner uuid) RETURNS TABLE (epoch integer, entry bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS
    $$ SELECT key_directory.epoch, key_directory.entry FROM partner JOIN key_directory
           ON key_directory.org_id = partner.partner_id AND key_directory.epoch > partner.epoch
       WHERE partner.org_id = nullif(current_setting('casework.org', true), '')::uuid
         AND partner.partner_id = p_partner
       ORDER BY key_directory.epoch $$
"""
_SIGNATURES = ("newest_kek(uuid, text)", "newest_drop_key(uuid, text)", "partner_entries(uuid)")
# Table → what of a row must be smaller than the newest number, and whose.
_DESTROYED = {
    "key_grant": ("kek_no", "newest_kek"),
    "kek_recovery": ("kek_no", "newest_kek"),
    "drop_key": ("number", "newest_drop_key"),
}


def upgrade() -> None:
    with op.batch_alter_table("drop_key") as batch:
        batch.add_column(sa.Column("made_at", Moment))
    founded = "(SELECT created_at FROM organisation WHERE organisation.id = drop_key.org_id)"
    op.execute(f"UPDATE drop_key SET made_at = {founded}")  # noqa: S608 - our own names
    with op.batch_alter_table("drop_key") as batch:
        batch.alter_column("made_at", existing_type=Moment, nullable=False)
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    for name, (table, column) in _FUNCTIONS.items():
        bind.exec_driver_sql(_NEWEST.format(name=name, table=table, column=column))
    bind.exec_driver_sql(_PARTNER_ENTRIES)
    for signature in _SIGNATURES:
        bind.exec_driver_sql(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        bind.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {signature} TO casework_app")
    for table, (column, newest) in _DESTROYED.items():
        bind.exec_driver_sql(f"GRANT DELETE ON {table} TO casework_app")
        bind.exec_driver_sql(
            f"CREATE POLICY superseded ON {table} AS RESTRICTIVE FOR DELETE TO casework_app "
            f"USING ({column} < {newest}(org_id, compartment))"
        )


def downgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        for table in _DESTROYED:
            bind.exec_driver_sql(f"DROP POLICY superseded ON {table}")
            bind.exec_driver_sql(f"REVOKE DELETE ON {table} FROM casework_app")
        for signature in _SIGNATURES:
            bind.exec_driver_sql(f"DROP FUNCTION {signature}")
    with op.batch_alter_table("drop_key") as batch:
        batch.drop_column("made_at")
