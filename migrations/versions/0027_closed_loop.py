"""Questions, expiry and reminders of handoffs: the rest of the state machine, and when a side was last reminded."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Moment

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# next state: (states it may follow, whose move it is; None: either side's, once the consent has run out)
_Moves = dict[str, tuple[tuple[str, ...], str | None]]
_WORKED_WITH = ("accepted", "scheduled", "attended", "no_show")
_ALIKE: _Moves = {
    "consented": (("draft",), "sender"),
    "sent": (("consented",), "sender"),
    "received": (("sent",), "receiver"),
    "attended": (("accepted", "scheduled"), "receiver"),
    "no_show": (("scheduled",), "receiver"),
    "completed": (("accepted", "attended"), "receiver"),
}
_BEFORE: _Moves = _ALIKE | {
    "cancelled": (("draft", "consented", "sent", "received"), "sender"),
    "withdrawn": (("consented", "sent", "received", "needs_info", *_WORKED_WITH, "completed"), "sender"),
    "accepted": (("sent", "received"), "receiver"),
    "declined": (("sent", "received"), "receiver"),
    "scheduled": (("accepted", "needs_info", "no_show"), "receiver"),
}
_OFFERED = ("sent", "received", "needs_info")
_AFTER: _Moves = _ALIKE | {
    "cancelled": (("draft", "consented", *_OFFERED), "sender"),
    "withdrawn": (("consented", *_OFFERED, *_WORKED_WITH, "completed"), "sender"),
    "needs_info": (("sent", "received"), "receiver"),
    "accepted": (_OFFERED, "receiver"),
    "declined": (_OFFERED, "receiver"),
    "scheduled": (("accepted", "no_show"), "receiver"),
    "expired": (("consented", *_OFFERED), None),
}


def upgrade() -> None:
    op.add_column("handoff_side", sa.Column("reminded_at", Moment, nullable=True))
    _replace(_AFTER, "GRANT UPDATE (reminded_at) ON handoff_side TO casework_app")


def downgrade() -> None:
    _replace(_BEFORE)
    op.drop_column("handoff_side", "reminded_at")


def _replace(moves: _Moves, *more: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        for statement in (_function(moves), *more):
            bind.exec_driver_sql(statement)


def _words(states: tuple[str, ...]) -> str:
    return ", ".join(f"'{state}'" for state in states)


def _function(moves: _Moves) -> str:
    whens = "\n".join(
        f"            WHEN '{following}' THEN ARRAY[{_words(follows)}]"
        for following, (follows, _) in moves.items()
    )
    of = {
        side: _words(tuple(following for following, (_, mover) in moves.items() if mover == side))
        for side in ("sender", "receiver")
    }
    ending = _words(("withdrawn", "cancelled", "declined", *(("expired",) if "expired" in moves else ())))
    return f"""
    CREATE OR REPLACE FUNCTION move_handoff(
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
{whens}
        END;
        IF NOT coalesce(neutral.state = ANY (expected), false)
           OR (p_next IN ({of["sender"]}) AND me <> neutral.from_org)
           OR (p_next IN ({of["receiver"]}) AND me <> neutral.to_org)
           OR (p_next IN ('sent', 'accepted') AND NOT coalesce(live, false))
           OR (p_next = 'expired' AND coalesce(live, true))
        THEN RETURN NEXT; RETURN; END IF;
        moved := true;
        UPDATE handoff SET
            state = p_next,
            consent_is_live = CASE WHEN p_next = 'consented' THEN true
                                   WHEN p_next IN ({ending}) THEN false
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
        ELSIF p_next IN ({ending}) THEN
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
    """  # noqa: S608 - of this file's own words alone
