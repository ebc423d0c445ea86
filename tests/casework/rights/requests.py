"""Erasures as two members of the tests' centre carry them out."""

from typing import Any

from tests.casework.centre import CANARY, Centre, Client

REASON = f"Demande écrite de la personne, {CANARY}-motif"


def wanted(case: str, **more: Any) -> dict[str, Any]:
    return {"kind": "erasure", "case_id": case, "basis": "objection", "reason": REASON, **more}


async def prepare(client: Client, case: str) -> str:
    prepared = await client.post("/rights-requests", wanted(case))
    return str(prepared["id"])


def approval(case: str) -> dict[str, str]:
    return {"case_id": case, "basis": "objection"}


async def approve(client: Client, request: str, case: str) -> dict[str, Any]:
    approved: dict[str, Any] = await client.post(f"/rights-requests/{request}/approval", approval(case), 200)
    return approved


async def erase(centre: Centre, client: Client, case: str) -> str:
    """Prepare as this member and approve as the data protection officer of AVEC; returns the request."""
    request = await prepare(client, case)
    await approve(await centre.sign_in("avec.dpo", step_up=True), request, case)
    return request
