"""A log replaces its signing key, and a verifier follows from the key that it was given."""

from dataclasses import replace
from typing import Any

import pytest

from audit import integrator
from audit.checkpoint import NoteSigner
from audit.entry import Outcome
from audit.verdict import CheckName, Verdict
from tests.audit.journal import ORIGIN, Journal, Key, make_entry
from tests.audit.test_verifier import failed
from tests.audit.test_verifier_testimony import STRANGER, heads, judged


@pytest.fixture
def engine_name() -> str:
    return "sqlite"


@pytest.fixture
def lawless(monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator runs an integrator of her own, which takes whatever an entry says about keys."""
    monkeypatch.setattr(integrator, "require_own", lambda *_: None)


NEW = NoteSigner(ORIGIN, Key(2))


def announce(journal: Journal, new: NoteSigner = NEW, **changes: Any) -> None:
    basis = replace_set(journal, new.signer.public.hex())
    journal.write(journal.next_entry(**{"action": "log.key_rotated", "basis": basis, **changes}))
    journal.integrate()


def retire(journal: Journal, old: NoteSigner) -> None:
    basis = replace_set(journal, old.signer.public.hex())
    journal.write(journal.next_entry(action="log.key_retired", basis=basis))


def replace_set(journal: Journal, value: str) -> Any:
    basis = make_entry().basis
    return type(basis)(policies=basis.policies, set=value)


def test_a_verifier_with_the_old_key_follows_a_rotation_to_its_end(journal: Journal) -> None:
    old = journal.signer
    journal.grow(2)
    journal.successors = [NEW]
    announce(journal)
    journal.grow(2)
    retire(journal, old)
    journal.integrate()
    journal.signer, journal.successors = NEW, []
    journal.grow(2, 1)
    assert judged(journal, keys=(old.key,)).verdict is Verdict.VALID
    # Who trusts the new one alone is shown nothing that it should have signed and has not.
    assert judged(journal, keys=(NEW.key,)).verdict is Verdict.VALID
    assert judged(journal, keys=(old.key, NEW.key)).verdict is Verdict.VALID
    late = replace(NEW, signer=Key(3)).key
    assert judged(journal, keys=(old.key, late)).verdict is Verdict.VALID
    assert judged(journal, keys=(late,)).verdict is Verdict.INCONSISTENT
    assert judged(journal, keys=(replace(STRANGER, name=ORIGIN).key,)).verdict is Verdict.INCONSISTENT


@pytest.mark.usefixtures("lawless")
def test_a_key_that_no_trusted_checkpoint_announced_signs_nothing(journal: Journal) -> None:
    """An administrator announces a key of her own in a tree that she signs herself."""
    journal.grow(2)
    old, journal.signer = journal.signer, NEW
    announce(journal)
    journal.grow(1)
    report = judged(journal, keys=(old.key,))
    assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.SIGNATURES})
    # An auditor who kept a head behind the announcement stands for it.
    (kept,) = heads(journal, 1)
    report = judged(journal, keys=(old.key,), trusted=(kept,))
    assert CheckName.SIGNATURES in failed(report)


def test_an_auditors_own_checkpoint_announces_a_key_too(journal: Journal) -> None:
    old = journal.signer
    journal.successors = [NEW]
    announce(journal)
    (kept,) = heads(journal, 1)
    journal.signer, journal.successors = NEW, []
    journal.grow(1)
    for trusted, verdict in (((kept,), Verdict.VALID), ((), Verdict.INCONSISTENT)):
        assert judged(journal, {"checkpoints": b""}, keys=(old.key,), trusted=trusted).verdict is verdict


@pytest.mark.usefixtures("lawless")
@pytest.mark.parametrize(
    "changes", [{"outcome": Outcome.FAILED}, {"basis": "null"}, {"action": "log.key_listed"}]
)
def test_what_announces_no_key_announces_none(journal: Journal, changes: dict[str, Any]) -> None:
    old = journal.signer
    if "basis" in changes:
        basis = make_entry().basis
        changes = {"basis": type(basis)(policies=basis.policies, set=None)}
    announce(journal, **changes)
    journal.signer = NEW
    journal.grow(1)
    assert judged(journal, keys=(old.key,)).verdict is Verdict.INCONSISTENT


def test_a_checkpoint_that_only_the_retired_key_signed_is_a_fault(journal: Journal) -> None:
    old = journal.signer
    journal.successors = [NEW]
    announce(journal)
    retire(journal, old)
    journal.integrate()
    assert judged(journal, keys=(old.key,)).verdict is Verdict.VALID
    journal.successors = []
    journal.grow(1)
    for keys in ((old.key,), (NEW.key,), (old.key, NEW.key)):
        report = judged(journal, keys=keys)
        assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.SIGNATURES})


@pytest.mark.usefixtures("lawless")
def test_a_key_that_is_retired_before_it_is_trusted_signs_nothing(journal: Journal) -> None:
    old = journal.signer
    basis = replace_set(journal, NEW.signer.public.hex())
    journal.write(journal.next_entry(action="log.key_rotated", basis=basis))
    retire(journal, NEW)
    journal.integrate()
    assert judged(journal, keys=(old.key,)).verdict is Verdict.VALID
    journal.signer = NEW
    journal.grow(1)
    assert judged(journal, keys=(old.key,)).verdict is Verdict.INCONSISTENT
