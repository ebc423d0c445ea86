"""Receipts of high-value acts: their answers wait for the checkpoint that covers their entry, and prove it.

The wait follows the commit. Where it ends without a checkpoint the act stands all the same, and `proof` is null.
"""

import asyncio
from typing import Final
from uuid import UUID

import structlog
from msgspec import UNSET, Struct, UnsetType

from audit.log import prove_inclusion
from casework.deployment import Deployment
from casework.journal import Receipt

log = structlog.get_logger(__name__)

# Ten times what an integrator of another process takes.
PATIENCE_SECONDS: Final = 2.0
# The operations whose answers wait, by the names of their routes' functions: what gives somebody access to a
# person's data or takes it away, what leaves the organisation, what cannot be undone.
AWAITED: Final = frozenset(
    {
        "give_consent",
        "withdraw",
        "send",
        "accept",
        "refuse",
        "cancel",
        "break_glass",
        "restrict_case",
        "name_member",
        "unname_member",
        "lift_restriction",
        "renew_keys",
        "approve_erasure",
        "confirm_renewal",
        "grant_keys",
        # Its answer is no JSON: the bundle itself covers the entry of its own export.
        "export_bundle",
    }
)


class ReceiptView(Struct):
    """Where the act stands in the journal: log and entry, and the C2SP tlog-proof that it does.

    `proof` holds the entry's bytes (`casework audit receipt FILE --key VKEY`); null where the wait was in vain.
    """

    log: str
    entry: UUID
    proof: str | None


class Receipted(Struct, kw_only=True):
    """An answer with a receipt. Of a replay it is the receipt of the replay's own entry."""

    receipt: ReceiptView | UnsetType = UNSET


async def await_receipt(deployment: Deployment, org_id: UUID, receipt: Receipt) -> ReceiptView:
    """Wait for the entry to be covered, two seconds at most, and prove it. Raises nothing: the act is committed."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while deployment.memory.holds(receipt.leaf):
                await deployment.rounds.next()
            proof = await deployment.database.snapshot(
                lambda view: prove_inclusion(view, org_id.bytes, receipt.entry), org_id
            )
    except TimeoutError:
        log.warning("receipt_not_proved")
        return ReceiptView(receipt.log, UUID(receipt.entry), None)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, what was done is done
        log.error("receipt_failed", error=type(error).__name__)
        return ReceiptView(receipt.log, UUID(receipt.entry), None)
    return ReceiptView(receipt.log, UUID(receipt.entry), proof)
