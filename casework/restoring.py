"""What a database that comes from a backup needs before it may be served: verified, and under a new name.

What a backup lacks was signed and shown to auditors: so every log goes on as a new incarnation
(audit.incarnation), whose first entry names the newest tree head that is known of the one that ended.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Connection

from audit.checkpoint import Checkpoint
from audit.entry import Entry
from audit.errors import JournalRefused
from audit.incarnation import begin_incarnation, marked, stored_head, wait_again
from audit.integrator import Pending, integrate
from audit.rollup import ROLLUP, verify_rollup
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG, ROLLUP_LOG
from audit.verdict import Verdict
from casework.anchors import Anchors
from casework.backups import BackupRefused
from casework.database import UnitOfWork
from casework.identity import renewals
from casework.identity.members import pepper_ids
from casework.integrity import Progress, verify_log
from casework.journal import Deed, Journal, Who
from casework.organisations.deployments import find_mark, rename_deployment
from casework.organisations.founding import organisation_slugs
from casework.organisations.partners import decode_chain, own_chain
from casework.rights.erasing import replay
from casework.signers import all_signers, rollup_signer
from crypto.directory import verify_directory
from crypto.pepper import Peppers
from crypto.signing import verify

_STAMP = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class Restored:
    """The deployment's new name and journal keys, and what is known to be lost of each log and directory.

    `erased_again` says how many cases of each organisation were erased since the copy, and are again.
    """

    name: str
    keys: Mapping[str, str]
    lost_entries: Mapping[str, int]
    lost_directory_entries: Mapping[str, int]
    erased_again: Mapping[str, int]


def begin_again(
    connection: Connection,
    state_dir: Path,
    peppers: Peppers,
    erased: Mapping[UUID, Collection[bytes]],
    now: datetime,
    advance: Progress,
) -> Restored:
    """Verify logs and directories of a restored database and begin the next incarnation of each log.

    `erased` is the shred store's list, by organisation: what the database still has of it is erased again. Renewals
    that waited are over: their secrets may have been used since.
    `state_dir` is the newest state there is; it learns of the new origins, and of the directories as they are now.
    Needs the schema's owner; everything in the database happens in the caller's transaction.

    Raises:
        BackupRefused: the pepper, a log or a directory does not belong to what was restored.

    """
    mark = find_mark(connection)
    if mark is None:
        raise BackupRefused("La base sauvegardée n’est pas celle d’un déploiement.")
    if pepper_ids(connection) - {known.id for known in (peppers.current, *peppers.others)}:
        raise BackupRefused(
            "CASEWORK_PEPPER_FILE : ce n’est pas le secret sous lequel la base a été scellée."
        )
    slugs = organisation_slugs(connection)
    old, new = Journal(mark.name), Journal(marked(mark.name, now.strftime(_STAMP)))
    state = SignerState(state_dir)
    lost_directory = {slug: _go_back(connection, state_dir, org_id) for org_id, slug in slugs.items()}
    logs: dict[bytes, str | None] = {DEPLOYMENT_LOG: None} | {org.bytes: slug for org, slug in slugs.items()}
    signers = all_signers(state_dir, new, slugs)
    lost_entries, unit = {}, UnitOfWork(connection, now)
    for log, slug in logs.items():
        head = stored_head(connection, log)
        newest = _newest(state, head, old.origin(slug))
        _require_valid(connection, state_dir, log, head, newest, advance)
        lost_entries[old.origin(slug)] = newest.size - head.size
        waiting = begin_incarnation(connection, log, new.origin(slug))
        state.begin(new.origin(slug))
        if head.size:
            state.publish([replace(head, origin=new.origin(slug))])
        org = (UUID(bytes=log), slug) if slug is not None else None
        root = newest.root.hex() if newest.size else None
        new.record(unit, org, Who(uuid4()), Deed("log.restored", count=newest.size, policy_set=root))
        wait_again(connection, log, [_under(raw, new.origin(slug)) for raw in waiting])
    _go_on_rolling_up(connection, state_dir, old, new, now)
    erased_again = {
        slug: _erase_again(unit, new, (org, slug), peppers, erased.get(org, ()))
        for org, slug in slugs.items()
    }
    for org_id in slugs:
        renewals.drop_all(connection, org_id)
    keys = {new.origin(slug): str(signers[log][0].key) for log, slug in logs.items()}
    keys[new.origin(ROLLUP)] = str(rollup_signer(state_dir, new).key)
    rename_deployment(
        connection, new.origin(None), {org: keys[new.origin(slug)] for org, slug in slugs.items()}
    )
    return Restored(new.origin(None), keys, lost_entries, lost_directory, erased_again)


def _go_on_rolling_up(
    connection: Connection, state_dir: Path, old: Journal, new: Journal, now: datetime
) -> None:
    """The roll-up's next incarnation. It has no entries: the deployment's log says what was lost of it.

    Its old name is never signed at a smaller size either, so witnesses must be told of the new one.
    """
    state = SignerState(state_dir)
    head = stored_head(connection, ROLLUP_LOG)
    newest = _newest(state, head, old.origin(ROLLUP))
    published = state.last(old.origin(ROLLUP)) if newest.size == head.size else None
    try:
        verify_rollup(connection, rollup_signer(state_dir, old).key, published, verify)
    except JournalRefused:
        raise BackupRefused("Le récapitulatif des journaux de la sauvegarde est refusé.") from None
    begin_incarnation(connection, ROLLUP_LOG, new.origin(ROLLUP))
    state.begin(new.origin(ROLLUP))
    if head.size:
        state.publish([replace(head, origin=new.origin(ROLLUP))])
    root = newest.root.hex() if newest.size else None
    new.record(
        UnitOfWork(connection, now),
        None,
        Who(uuid4()),
        Deed("rollup.restored", count=newest.size, policy_set=root),
    )


def integrate_restored(connection: Connection, state_dir: Path) -> list[Pending]:
    """The first rounds of the new incarnations; the caller commits, then has the state publish what is returned."""
    mark = find_mark(connection)
    assert mark is not None
    signers = all_signers(state_dir, Journal(mark.name), organisation_slugs(connection))
    state = SignerState(state_dir)
    newest: dict[bytes, Pending] = {}
    while pending := integrate(connection, signers, state):
        newest |= {one.log: one for one in pending}
    return list(newest.values())


def _erase_again(
    unit: UnitOfWork, journal: Journal, org: tuple[UUID, str], peppers: Peppers, erased: Collection[bytes]
) -> int:
    count = replay(unit, org[0], peppers, erased)
    if count:
        journal.record(unit, org, Who(uuid4()), Deed("erasure.replay", count=count))
    return count


def _newest(state: SignerState, head: Checkpoint, origin: str) -> Checkpoint:
    """The larger of what the database has and what was last published of it."""
    published = state.last(origin)
    return published if published is not None and published.size > head.size else head


def _require_valid(
    connection: Connection,
    state_dir: Path,
    log: bytes,
    head: Checkpoint,
    newest: Checkpoint,
    advance: Progress,
) -> None:
    if head.size == 0:
        return
    published = SignerState(state_dir).last(head.origin)
    # One that was published of what is lost cannot be compared: that is what the new incarnation says.
    trusted = published if newest.size == head.size else None
    report = verify_log(connection, state_dir, log, head.origin, trusted, advance)
    if report.verdict not in {Verdict.VALID, Verdict.VALID_PRUNED}:
        raise BackupRefused(f"Le journal {head.origin} de la sauvegarde est refusé ({report.verdict.words}).")


def _go_back(connection: Connection, state_dir: Path, org_id: UUID) -> int:
    """Verify a directory from its root and accept it as the newest; returns how many entries are known lost."""
    anchors = Anchors(state_dir)
    directory = verify_directory(
        org_id.bytes, decode_chain(own_chain(connection, org_id)), anchors.root(org_id), None
    )
    known = anchors.floor(org_id)
    if known.epoch <= directory.epoch:
        directory.require_floor(known)
    anchors.go_back(org_id, directory.floor)
    return max(0, known.epoch - directory.epoch)


def _under(raw: bytes, origin: str) -> bytes:
    return msgspec.structs.replace(Entry.from_bytes(raw), log=origin).to_bytes()
