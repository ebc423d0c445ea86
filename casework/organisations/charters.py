"""The welcome charter: versioned, put in force by a custodian, accepted by each member with her own signature.

Version, hash of the text and acceptances stand in the signed directory (decision 0026); the table keeps the texts.
An organisation without a charter asks nobody for anything.
"""

from datetime import datetime
from functools import partial
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from casework.act import Act
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import Conflict
from casework.journal import Deed
from casework.organisations.entries import append_in_act
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActFault,
    KeyActRefused,
    Opened,
    open_account,
    record_refusal,
)
from casework.organisations.schemas import CharterAccepted, CharterPublished, CharterView
from casework.organisations.tables import charter
from crypto.directory import Directory
from crypto.directory_agreements import CharterAcceptedBody, CharterBody
from crypto.directory_entries import EntrySigner
from crypto.errors import SealBroken
from policies.vocabulary import Action

ACCEPT = "charter.accept"
PUBLISH = "charter.publish"


def view(act: Act) -> CharterView:
    """The charter in force, and whether the asker has accepted it; without one, no version and no text.

    Raises:
        SealBroken: the text of the database is not the one that a custodian certified.

    """
    directory = _fresh(act)
    if directory.charter is None:
        return CharterView(None, None, None, accepted=True)
    version = directory.charter.version
    row = act.unit.connection.execute(
        select(charter.c.text, charter.c.published_at).where(
            charter.c.org_id == act.org_id, charter.c.version == version
        )
    ).one_or_none()
    if row is None or sha256(row.text).digest() != directory.charter.text_hash:
        raise SealBroken("the charter is not the one that was certified")
    text = bytes(row.text).decode()
    accepted = directory.has_accepted(act.member_id.bytes)
    return CharterView(version, text, row.published_at, accepted)


def publish(act: Act, text: str, reason: str) -> CharterPublished:
    """Put the next version in force; from then on nobody works before she has accepted it, the custodian included.

    Raises:
        Forbidden: she does not manage members, or has not stepped up.
        Conflict: this very text is in force; or another change of the directory came first.

    """
    decision = act.require_org(Action.MEMBER_MANAGE, reason=True)
    key = act.require_signing_key(Action.MEMBER_MANAGE)
    directory = _fresh(act)
    body = next_version(directory, text)
    if body is None:
        raise Conflict("charter_in_force", "Ce texte est déjà celui de la charte en vigueur.")
    entry = directory.next_entry(body, EntrySigner(act.member_id.bytes, key))
    append_in_act(act, directory, entry)
    keep_text(act.unit.connection, act.org_id, body.version, text, act.unit.now)
    detail = {"version": body.version, "reason": reason}
    act.record(Deed(PUBLISH, policies=decision.policies, count=body.version, detail=detail))
    return CharterPublished(body.version)


def accept(act: Act, version: int) -> CharterAccepted:
    """Sign the acceptance of the version in force; once it is signed, asking again changes nothing.

    Raises:
        AuthenticationStepNeeded: her signing key opens with her password alone.
        Conflict: another version is in force, or none; or another change of the directory came first.

    """
    directory = _fresh(act)
    if directory.charter is None or directory.charter.version != version:
        raise Conflict("charter_not_in_force", "Cette version de la charte n’est pas en vigueur. Relisez-la.")
    if not directory.has_accepted(act.member_id.bytes):
        # What she signs is what she can read.
        view(act)
        signer = EntrySigner(act.member_id.bytes, act.require_signing_key(ACCEPT))
        body = CharterAcceptedBody(version, directory.charter.text_hash)
        append_in_act(act, directory, directory.next_entry(body, signer))
        act.record(Deed(ACCEPT, count=version))
    return CharterAccepted(version)


async def publish_at_terminal(deployment: Deployment, slug: str, text: str, custodian: Credentials) -> int:
    """Put the next version of the charter of the organisation `slug` in force; returns its number.

    Raises:
        KeyActRefused: the custodian's password is wrong, or she may not; this very text is in force. It is
            journaled as a denial.
        DirectoryRefused: the database is not what the directory certifies.

    """
    org_id = next(found for found, known in deployment.slugs.items() if known == slug)
    try:
        signer = await open_account(deployment, org_id, custodian)
        return await deployment.database.unit(partial(_publish, deployment, org_id, signer, text))
    except (KeyActRefused, IntegrityError) as error:
        raise await record_refusal(deployment, org_id, PUBLISH, error, custodian.login) from None


def next_version(directory: Directory, text: str) -> CharterBody | None:
    """What a custodian signs to put a text in force; None where it is in force."""
    text_hash, now = sha256(text.encode()).digest(), directory.charter
    if now is not None and now.text_hash == text_hash:
        return None
    return CharterBody((now.version if now is not None else 0) + 1, text_hash)


def keep_text(connection: Connection, org_id: UUID, version: int, text: str, now: datetime) -> None:
    """Keep the text of a version."""
    connection.execute(
        insert(charter).values(org_id=org_id, version=version, text=text.encode(), published_at=now)
    )


def _publish(deployment: Deployment, org_id: UUID, custodian: Opened, text: str, unit: UnitOfWork) -> int:
    act = KeyAct(deployment, unit, org_id, alone=False)
    signer = act.custodian(custodian)
    body = next_version(act.directory, text)
    if body is None:
        raise KeyActRefused(KeyActFault.CHARTER_IN_FORCE, custodian.login)
    act.append(body, signer)
    keep_text(unit.connection, org_id, body.version, text, unit.now)
    act.record(PUBLISH, signer, {"version": body.version}, count=body.version)
    return body.version


def _fresh(act: Act) -> Directory:
    return act.deployment.directories.fresh(act.unit, act.org_id)
