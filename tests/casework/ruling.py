"""What tests do with an organisation's rules: texts beside the service, signatures as their members make them."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, insert

from casework.ids import new_id
from casework.organisations.tables import key_directory, policy_set
from crypto.directory_agreements import PolicyApprovalBody
from crypto.directory_entries import EntrySigner, MemberRemovedBody, sign_entry
from policies.sources import org_source
from tests.casework.centre import Centre

NO_SEARCH = """
@id("avec.no_search") @title("Personne ne cherche")
forbid (principal in Org::"avec", action == Action::"case.search", resource in Org::"avec");
"""
OLD = org_source("avec").text
NEW = OLD + NO_SEARCH
APPROVERS = ("avec.supervisor", "avec.dpo")


def approval(number: int, text: str, effective: int = 0) -> PolicyApprovalBody:
    return PolicyApprovalBody(number, sha256(text.encode()).digest(), effective)


async def keep(centre: Centre, text: str, number: int = 2, slug: str = "avec", **other: Any) -> None:
    """A row of a text, as anybody makes it who writes into the database."""

    def write(connection: Connection) -> None:
        now = datetime.now(UTC)
        row = {
            "org_id": centre.org(slug),
            "id": new_id(),
            "number": number,
            "text_hash": sha256(text.encode()).digest(),
            "text": text.encode(),
            "phrases": b"",
            "effective_at": now,
            "proposed_at": now,
            "proposed_by": None,
            **other,
        }
        connection.execute(insert(policy_set).values(**row))

    await centre.dba(write)


async def append(
    centre: Centre, body: PolicyApprovalBody | MemberRemovedBody, login: str, slug: str = "avec"
) -> None:
    """The next entry of the directory, signed by a member whatever she may, and read by nobody yet."""

    def write(connection: Connection) -> None:
        directory = centre.directory(connection, slug)
        member = centre.accounts[login].memberships[-1]
        signer = EntrySigner(member.id.bytes, member.signing)
        entry = sign_entry(directory.org, directory.epoch + 1, directory.head, body, signer)
        connection.execute(
            insert(key_directory).values(org_id=centre.org(slug), epoch=entry.epoch, entry=entry.to_bytes())
        )

    await centre.dba(write)


async def put_in_force(centre: Centre, text: str, number: int = 2, effective: int = 0) -> None:
    """Keep a text of AVEC, have two members sign it, and have the service read the directory."""
    await keep(centre, text, number)
    for login in APPROVERS:
        await append(centre, approval(number, text, effective), login)
    await centre.learn("avec")
