"""Founding: the deployment's one row, and organisations with root, shares, compartments and first members."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, insert, select

from audit.checkpoint import NoteSigner
from audit.integrator import open_log
from audit.tables import DEPLOYMENT_LOG
from casework.anchors import Anchors
from casework.column_types import Sealed
from casework.identity.members import NewAccount, store_account
from casework.ids import new_id
from casework.journal import Journal
from casework.organisations.compartments import COMPARTMENTS
from casework.organisations.tables import (
    deployment,
    drop_key,
    kek_recovery,
    key_directory,
    key_grant,
    organisation,
    policy_set,
)
from casework.signers import new_signer, open_rollup
from crypto.ceremony import Founding, found_organisation
from crypto.pepper import Pepper
from crypto.recovery import TWO_OF_THREE, Split, set_mark
from crypto.secret import Secret
from policies.engine import Engine
from policies.grants import granted_groups


@dataclass(frozen=True, slots=True)
class Founded:
    """What the ceremony prints, once: nothing of it can be asked for again."""

    org_id: UUID
    root_fingerprint: bytes
    journal_key: str
    share_mark: bytes
    shares: tuple[Secret, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class JournalKeys:
    """The verification keys of the two logs that a deployment begins with: its own, and the roll-up."""

    own: str
    rollup: str


@dataclass(frozen=True, slots=True)
class Ground:
    """Where an organisation is founded: a connection that owns the schema, and what stands beside the database."""

    connection: Connection
    state_dir: Path
    pepper: Pepper
    journal: Journal
    now: datetime


def prepare_deployment(
    connection: Connection, state_dir: Path, name: str, *, is_demo: bool, now: datetime
) -> JournalKeys:
    """Mark an empty database as this deployment's and open its own journal and the roll-up; returns their keys."""
    connection.execute(insert(deployment).values(id=1, name=name, is_demo=is_demo, created_at=now))
    open_log(connection, DEPLOYMENT_LOG, name)
    own = new_signer(state_dir, DEPLOYMENT_LOG, name)
    return JournalKeys(str(own.key), str(open_rollup(connection, state_dir, Journal(name)).key))


def organisation_slugs(connection: Connection) -> dict[UUID, str]:
    rows = connection.execute(select(organisation.c.id, organisation.c.slug))
    return {row[0]: row[1] for row in rows}


def organisation_name(connection: Connection, org_id: UUID) -> str:
    name: str = connection.execute(
        select(organisation.c.name).where(organisation.c.id == org_id)
    ).scalar_one()
    return name


def found(
    ground: Ground,
    slug: str,
    name: str,
    engine: Engine,
    accounts: Sequence[NewAccount],
    split: Split = TWO_OF_THREE,
    phrases: str = "",
) -> Founded:
    """Create an organisation with its first members, each granted what the policies derive.

    The rules of `engine` are its first set, signed by its root; `phrases` are what they are tried with. Everything
    is written through `ground.connection`; the journal's key and the directory's anchor stand beside the database
    from then on.
    """
    org_id = new_id()
    signer = new_signer(ground.state_dir, org_id.bytes, ground.journal.origin(slug))
    memberships = [member for account in accounts for member in account.memberships]
    grants = [
        (member.id.bytes, compartment)
        for member in memberships
        for compartment in sorted(granted_groups(engine, member.position.role, member.position.professions))
    ]
    founding = found_organisation(
        org_id.bytes,
        [member.body for member in memberships],
        COMPARTMENTS,
        grants,
        sha256(engine.text.encode()).digest(),
        signer.signer.public,
        split,
    )
    _store(ground, org_id, slug, name, signer, founding)
    _store_rules(ground, org_id, engine.text, phrases)
    for account in accounts:
        store_account(ground.connection, ground.pepper, org_id, account, founding.directory.floor, ground.now)
    _store_grants(ground.connection, org_id, founding)
    open_log(ground.connection, org_id.bytes, ground.journal.origin(slug))
    Anchors(ground.state_dir).plant(org_id, founding.fingerprint, founding.directory.floor)
    mark = set_mark(founding.directory.recovery_public)
    return Founded(org_id, founding.fingerprint, str(signer.key), mark, founding.shares)


def _store(
    ground: Ground, org_id: UUID, slug: str, name: str, signer: NoteSigner, founding: Founding
) -> None:
    connection = ground.connection
    connection.execute(
        insert(organisation).values(
            id=org_id,
            slug=slug,
            name=name,
            root_fingerprint=founding.fingerprint,
            journal_key=str(signer.key),
            created_at=ground.now,
        )
    )
    connection.execute(
        insert(key_directory),
        [{"org_id": org_id, "epoch": entry.epoch, "entry": entry.to_bytes()} for entry in founding.entries],
    )
    for compartment, keys in founding.directory.compartments.items():
        connection.execute(
            insert(drop_key).values(
                org_id=org_id,
                compartment=compartment,
                number=keys.drop.number,
                kek_no=keys.kek_no,
                public=keys.drop.public,
                private=Sealed(founding.wrapped_drops[compartment]),
                made_at=ground.now,
            )
        )
        connection.execute(
            insert(kek_recovery).values(
                org_id=org_id,
                compartment=compartment,
                kek_no=keys.kek_no,
                sealed=Sealed(founding.recovery_copies[compartment]),
            )
        )


def _store_rules(ground: Ground, org_id: UUID, text: str, phrases: str) -> None:
    ground.connection.execute(
        insert(policy_set).values(
            org_id=org_id,
            id=new_id(),
            number=1,
            text_hash=sha256(text.encode()).digest(),
            text=text.encode(),
            phrases=phrases.encode(),
            effective_at=datetime.fromtimestamp(0, UTC),
            proposed_at=ground.now,
        )
    )


def _store_grants(connection: Connection, org_id: UUID, founding: Founding) -> None:
    if not founding.grants:
        return
    connection.execute(
        insert(key_grant),
        [
            {
                "org_id": org_id,
                "epoch": epoch,
                "member_id": UUID(bytes=founding.directory.grants[epoch].member),
                "compartment": founding.directory.grants[epoch].group,
                "kek_no": founding.directory.grants[epoch].kek_no,
                "sealed": Sealed(sealed),
            }
            for epoch, sealed in founding.grants.items()
        ],
    )
