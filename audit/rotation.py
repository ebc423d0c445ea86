"""Which of a log's two signing keys sign while one replaces the other: what the log itself says of the change.

`log.key_rotated` names the new key and is integrated under the old one; from the checkpoint that covers it on both
sign, until one covers `log.key_retired`, which names the old key. From that one on the new key signs alone.
"""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, select

from audit import tables
from audit.checkpoint import NoteSigner
from audit.entry import Entry, Outcome
from audit.errors import EntryRefused, JournalRefused
from audit.signing_keys import RETIRED_ACTION, ROTATED_ACTION


def signing(connection: Connection, log: bytes, signers: Sequence[NoteSigner]) -> Sequence[NoteSigner]:
    """Of `signers` (the log's one, or the old one and its successor) those that sign the present head."""
    if len(signers) == 1:
        return signers
    old, new = signers
    if says(connection, log, RETIRED_ACTION, old.key.public):
        return [new]
    return [old, new] if says(connection, log, ROTATED_ACTION, new.key.public) else [old]


def says(connection: Connection, log: bytes, action: str, key: bytes) -> bool:
    """Whether an integrated entry of this action names this key."""
    table = tables.entry
    raws = connection.execute(
        select(table.c.bytes).where(table.c.log == log, table.c.action == action)
    ).scalars()
    return any(names(Entry.from_bytes(raw), action, key) for raw in raws)


def waits(connection: Connection, log: bytes, action: str, key: bytes) -> bool:
    """Whether an entry of this action that names this key waits in the inbox; what is no entry is passed over."""
    table = tables.inbox
    for raw in connection.execute(select(table.c.entry).where(table.c.log == log)).scalars():
        with suppress(EntryRefused):
            if names(Entry.from_bytes(raw), action, key):
                return True
    return False


def names(entry: Entry, action: str, key: bytes) -> bool:
    """Whether the entry is of this action and names this key."""
    return entry.action == action and entry.outcome is Outcome.ALLOWED and entry.basis.set == key.hex()


def require_own(log: bytes, entry: Entry, signers: Sequence[NoteSigner]) -> None:
    """Refuse what would have auditors trust a key that is not in the signer's hands.

    Raises:
        JournalRefused: whoever can put rows into the inbox announces a key of her own, or retires ours.

    """
    if entry.action not in {ROTATED_ACTION, RETIRED_ACTION}:
        return
    pair = list(signers) if len(signers) > 1 else []
    own = any(
        names(entry, action, signer.key.public)
        for action, signer in zip((RETIRED_ACTION, ROTATED_ACTION), pair, strict=False)
    )
    if not own:
        raise JournalRefused(log, "the inbox changes the log's key to one that is not the signer's")
