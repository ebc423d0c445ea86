"""A log's key is replaced as the log itself says, and by nobody else's word."""

from pathlib import Path

import pytest
from sqlalchemy import insert

from audit import tables
from audit.bundle import write_bundle
from audit.checkpoint import NoteSigner, parse_checkpoint, verify_checkpoint
from audit.entry import Basis, Outcome
from audit.errors import JournalRefused, NoteRefused
from audit.integrator import integrate
from audit.rotation import says, waits
from audit.signing_keys import RETIRED_ACTION, ROTATED_ACTION
from audit.trust import Trust
from audit.verdict import Verdict
from audit.verifier import verify_bundle
from tests.audit.journal import LOG, ORIGIN, Journal, Key, verify

NEW = NoteSigner(ORIGIN, Key(2))


def announce(journal: Journal, action: str, signer: NoteSigner, **changes: object) -> None:
    basis = Basis(policies=(), set=signer.key.public.hex())
    journal.write(journal.next_entry(action=action, basis=basis, subjects=(), **changes))


def round_with(journal: Journal, *signers: NoteSigner) -> str:
    (pending,) = journal.run(lambda connection: integrate(connection, {LOG: signers}, journal.state))
    journal.state.publish([pending.checkpoint])
    return pending.note


def signed_by(note: str, *candidates: NoteSigner) -> list[NoteSigner]:
    found = []
    for signer in candidates:
        try:
            verify_checkpoint(parse_checkpoint(note), [signer.key], verify)
        except NoteRefused:
            continue
        found.append(signer)
    return found


def test_the_old_key_signs_then_both_then_the_new_one_alone(journal: Journal, tmp_path: Path) -> None:
    old = journal.signer
    journal.write(journal.next_entry())
    assert signed_by(round_with(journal, old, NEW), old, NEW) == [old]
    announce(journal, ROTATED_ACTION, NEW)
    assert journal.run(lambda connection: waits(connection, LOG, ROTATED_ACTION, NEW.key.public))
    assert signed_by(round_with(journal, old, NEW), old, NEW) == [old, NEW]
    assert not journal.run(lambda connection: waits(connection, LOG, ROTATED_ACTION, NEW.key.public))
    journal.write(journal.next_entry())
    assert signed_by(round_with(journal, old, NEW), old, NEW) == [old, NEW]
    announce(journal, RETIRED_ACTION, old)
    assert signed_by(round_with(journal, old, NEW), old, NEW) == [NEW]
    journal.write(journal.next_entry())
    assert signed_by(round_with(journal, NEW), old, NEW) == [NEW]
    bundle = tmp_path / "bundle.zip"
    journal.run(lambda connection: write_bundle(connection, LOG, bundle))
    # Who was given the first key when the organisation was founded, and who was given the second.
    for signer in (old, NEW):
        report = verify_bundle(bundle, Trust(keys=(signer.key,)), verify)
        assert report.verdict is Verdict.VALID, report


@pytest.mark.parametrize(
    ("action", "named"),
    [
        (ROTATED_ACTION, NoteSigner(ORIGIN, Key(9))),
        (RETIRED_ACTION, NEW),
        (ROTATED_ACTION, NoteSigner(ORIGIN, Key(1))),
    ],
)
@pytest.mark.parametrize("is_changing", [False, True])
def test_a_key_that_somebody_else_announced_is_not_signed(
    journal: Journal, action: str, named: NoteSigner, *, is_changing: bool
) -> None:
    """Whoever can put rows into the inbox would have auditors trust her own key, or distrust ours."""
    announce(journal, action, named)
    signers = (journal.signer, NEW) if is_changing else (journal.signer,)
    with pytest.raises(JournalRefused, match="not the signer's"):
        round_with(journal, *signers)
    assert journal.state.last(ORIGIN) is None


def test_a_denied_change_changes_nothing_and_is_refused(journal: Journal) -> None:
    announce(journal, ROTATED_ACTION, NEW, outcome=Outcome.DENIED)
    with pytest.raises(JournalRefused, match="not the signer's"):
        round_with(journal, journal.signer, NEW)


def test_what_is_no_entry_waits_for_nobody(journal: Journal) -> None:
    journal.run(
        lambda connection: connection.execute(insert(tables.inbox).inline(), {"log": LOG, "entry": b"{}"})
    )
    assert not journal.run(lambda connection: waits(connection, LOG, ROTATED_ACTION, NEW.key.public))
    assert not journal.run(lambda connection: says(connection, LOG, ROTATED_ACTION, NEW.key.public))
