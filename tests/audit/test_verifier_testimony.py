"""What a verification draws from beside the entries and the tree: signs of life, disclosed details, the roll-up and
its witnesses, and partners' receipts.

What is tested is what the file says, so one engine will do; the second verifier must agree each time.
"""

import io
from dataclasses import replace
from hashlib import sha256
from hmac import digest
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import pytest

from audit.bundle import write_bundle
from audit.checkpoint import Checkpoint, NoteSigner, SignedCheckpoint, parse_checkpoint, sign_checkpoint
from audit.entry import Entry, LaneNumber, Outcome
from audit.incarnation import marked
from audit.log import prove_inclusion
from audit.receipt import Receipt
from audit.tree import leaf_hash, node_hash
from audit.trust import Trust
from audit.verdict import CheckName, Report, Verdict
from audit.verifier import verify_bundle
from audit.witnessing import Counterpart
from tests.audit import second
from tests.audit.journal import LOG, Journal, Key, make_entry, verify
from tests.audit.test_bundle import bundle_of, judge, members, zipped
from tests.audit.test_checkpoint import WITNESS, cosign
from tests.audit.test_verifier import failed, prune

MINUTE = 60_000_000
ROLLUP = NoteSigner("casework.test/journal/rollup", Key(7))
STRANGER = NoteSigner(ROLLUP.name, Key(66))
OTHER_WITNESS = replace(WITNESS, name="elsewhere.test/witness")
SALT = b"s" * 32


@pytest.fixture
def engine_name() -> str:
    return "sqlite"


def judged(journal: Journal, extra: dict[str, bytes] | None = None, **trusted: Any) -> Report:
    """The report on the journal's bundle with more members, under its key unless another is given."""
    path = journal.directory / "judged.zip"
    path.write_bytes(zipped({**members(bundle_of(journal)), **(extra or {})}))
    trust = Trust(**{"keys": (journal.key,), **trusted})
    report = verify_bundle(path, trust, verify)
    assert second.exit_code(path, trust) == report.exit_code, report
    return report


def words_of(report: Report, name: CheckName) -> str:
    return next(check.words for check in report.checks if check.name is name)


# Signs of life


def beat(journal: Journal, after: int, **changes: Any) -> None:
    """A heartbeat so many seconds after the last entry; the next is promised within 600."""
    journal.time += after * 1_000_000
    changes = {"action": "log.heartbeat", "count": 600, "actor": None, "subjects": (), **changes}
    journal.write(journal.next_entry(**changes))
    journal.integrate()


def test_heartbeats_within_their_promise_are_valid(journal: Journal) -> None:
    journal.grow(1)
    # Without heartbeats nothing was promised.
    journal.time += 5_000 * 1_000_000
    for after, reason in (
        (1, "started"),
        (600, None),
        (659, None),
        (10, "started"),
        (600, None),
        (1, "stopped"),
    ):
        beat(journal, after, reason=reason)
    report = judged(journal)
    assert (report.verdict, words_of(report, CheckName.TIME)) == (Verdict.VALID, "les heures se suivent")


def test_a_silence_between_heartbeats_is_found(journal: Journal) -> None:
    beat(journal, 1, reason="started")
    journal.grow(1)
    beat(journal, 661)
    report = judged(journal)
    assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.TIME})
    assert report.first_wrong is not None
    assert report.first_wrong.index == 2
    assert report.first_wrong.entry_id is not None


@pytest.mark.parametrize("changes", [{"outcome": Outcome.FAILED}, {"action": "case.read"}])
def test_what_is_no_heartbeat_ends_no_silence(journal: Journal, changes: dict[str, Any]) -> None:
    beat(journal, 1, reason="started")
    beat(journal, 600, **changes)
    beat(journal, 600)
    assert judged(journal).verdict is Verdict.INCOMPLETE


def test_a_heartbeat_that_promises_nothing_allows_no_silence(journal: Journal) -> None:
    beat(journal, 1, count=None)
    beat(journal, 61)
    assert judged(journal).verdict is Verdict.INCOMPLETE


def test_a_stoppage_is_told_and_is_no_fault(journal: Journal) -> None:
    beat(journal, 1, reason="started")
    beat(journal, 1, reason="stopped")
    beat(journal, 5_000, reason="started")
    beat(journal, 9_000, reason="started")
    report = judged(journal)
    assert report.verdict is Verdict.VALID
    assert words_of(report, CheckName.TIME).endswith("arrêts du service : 2")


def test_freshness_looks_at_the_newest_heartbeat(journal: Journal) -> None:
    beat(journal, 1, reason="started")
    newest = journal.time
    journal.time += 3 * MINUTE
    journal.grow(1)
    for age, verdict in ((2 * MINUTE, Verdict.STALE), (4 * MINUTE, Verdict.VALID)):
        report = judged(journal, max_age=age, now=newest + 3 * MINUTE)
        assert report.verdict is verdict


# Disclosed details


def disclosed(entry_id: str, text: bytes, salt: bytes = SALT) -> bytes:
    return entry_id.encode() + len(text).to_bytes(2) + salt + text


def with_detail(journal: Journal, text: bytes) -> str:
    entry = journal.next_entry(detail=digest(SALT, text, "sha256").hex())
    journal.write(entry)
    journal.integrate()
    return entry.id


def test_disclosed_details_must_be_what_was_committed_to(journal: Journal) -> None:
    journal.grow(1)
    first, other = with_detail(journal, b"une raison"), with_detail(journal, b"")
    honest = disclosed(first, b"une raison") + disclosed(other, b"")
    report = judged(journal, {"details": honest})
    assert report.verdict is Verdict.VALID
    assert words_of(report, CheckName.DETAILS).endswith(": 2")
    for lie in (disclosed(first, b"une autre"), disclosed(first, b"une raison", b"t" * 32)):
        report = judged(journal, {"details": disclosed(other, b"") + lie})
        assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.DETAILS})
        assert report.first_wrong is not None
        assert (report.first_wrong.index, report.first_wrong.entry_id) == (1, first)


def test_a_bundle_is_written_with_the_details_to_disclose(journal: Journal) -> None:
    entry_id = with_detail(journal, b"une raison")
    path = journal.directory / "disclosing.zip"
    journal.run(lambda connection: write_bundle(connection, LOG, path, [(entry_id, SALT + b"une raison")]))
    content = members(path.read_bytes())
    assert content["details"] == disclosed(entry_id, b"une raison")
    assert content.keys() - {"details"} == members(bundle_of(journal)).keys()
    assert judged(journal, {"details": content["details"]}).verdict is Verdict.VALID


def test_details_that_cannot_be_read_are_incomplete(journal: Journal) -> None:
    details = disclosed(with_detail(journal, b"une raison"), b"une raison")
    # Not deflated: there a wrong bit may stand where nobody looks.
    raw = bytearray(zipped({**members(bundle_of(journal)), "details": details}, method=ZIP_STORED))
    with ZipFile(io.BytesIO(bytes(raw))) as bundle:
        raw[bundle.getinfo("details").header_offset + 30 + len("details") + 25] ^= 0xFF
    assert judge(journal, bytes(raw)) == (Verdict.INCOMPLETE, {CheckName.FORM})


def test_a_detail_of_an_entry_that_has_none_is_refused(journal: Journal) -> None:
    entry = journal.next_entry()
    journal.write(entry)
    journal.integrate()
    assert judged(journal, {"details": disclosed(entry.id, b"x")}).verdict is Verdict.INCONSISTENT


def test_a_detail_of_no_entry_is_incomplete(journal: Journal) -> None:
    journal.grow(1)
    for entry_id in (make_entry().id, "é" * 18):
        report = judged(journal, {"details": disclosed(entry_id, b"x")[: 36 + 2 + 32 + 1]})
        assert report.verdict > Verdict.STALE
    report = judged(journal, {"details": disclosed(make_entry().id, b"x")})
    assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.DETAILS})


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw[:40], lambda raw: raw + raw])
def test_details_that_are_cut_short_or_repeated_are_refused(journal: Journal, change: Any) -> None:
    raw = disclosed(with_detail(journal, b"x"), b"x")
    report = judged(journal, {"details": change(raw)})
    assert (report.verdict, CheckName.FORM in failed(report)) == (Verdict.INCONSISTENT, True)


# The roll-up


def rolled_up(
    head: Checkpoint, *, signer: NoteSigner = ROLLUP, witnessed: bool = True, origin: str = ROLLUP.name
) -> dict[str, bytes]:
    """The members for a roll-up of three leaves, of which this head is the second."""
    leaf = head.text.encode()
    left, right = sha256(b"left").digest(), sha256(b"right").digest()
    root = node_hash(node_hash(left, leaf_hash(leaf)), right)
    signer = replace(signer, name=origin)
    note = sign_checkpoint(Checkpoint(origin, 3, root), [signer])
    note = cosign(note) if witnessed else note
    return {"rollup/leaf": leaf, "rollup/proof": str(Receipt(1, (left, right), note)).encode()}


ASKED = {"rollup_keys": (ROLLUP.key,), "witnesses": (WITNESS,)}


def heads(journal: Journal, *sizes: int) -> list[Checkpoint]:
    return [parse_checkpoint(note).checkpoint for note in journal.grow(*sizes)]


def test_a_head_that_was_rolled_up_and_witnessed_is_valid(journal: Journal) -> None:
    early, late = heads(journal, 3, 4)
    for head in (early, late):
        for asked in ({}, ASKED, {"witnesses": (WITNESS,)}, {"rollup_keys": (ROLLUP.key,)}):
            report = judged(journal, rolled_up(head), **asked)
            assert report.verdict is Verdict.VALID
            assert f"les {head.size} premières" in words_of(report, CheckName.WITNESSES)
            assert ("signé" in words_of(report, CheckName.WITNESSES)) is bool(asked)


def test_who_was_asked_for_and_has_not_signed_makes_it_unwitnessed(journal: Journal) -> None:
    (head,) = heads(journal, 3)
    own_head = members(bundle_of(journal))["checkpoint"].decode()
    for members_too, asked, name in (
        ({}, ASKED, "récapitulatif"),
        (rolled_up(head, witnessed=False), ASKED, WITNESS.name),
        (rolled_up(head), {"witnesses": (OTHER_WITNESS,)}, OTHER_WITNESS.name),
        (rolled_up(head, signer=STRANGER), ASKED, ROLLUP.name),
    ):
        report = judged(journal, members_too, **asked)
        assert (report.verdict, failed(report)) == (Verdict.UNWITNESSED, {CheckName.WITNESSES})
        assert name in words_of(report, CheckName.WITNESSES)
    assert parse_checkpoint(cosign(own_head)).checkpoint == head


def test_a_witness_on_the_logs_own_checkpoint_counts_for_nothing(journal: Journal) -> None:
    journal.grow(3)
    own = members(bundle_of(journal))["checkpoint"].decode()
    report = judged(journal, {"checkpoint": cosign(own).encode()}, witnesses=(WITNESS,))
    assert report.verdict is Verdict.UNWITNESSED


def test_a_log_that_is_not_what_was_rolled_up_is_found(journal: Journal) -> None:
    early, late = heads(journal, 3, 4)
    for head, index in (
        (replace(early, root=bytes(32)), 0),
        (replace(late, root=bytes(32)), 3),
        (replace(late, size=9), 7),
    ):
        report = judged(journal, rolled_up(head), **ASKED)
        assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.HISTORY})
        assert report.first_wrong is not None
        assert report.first_wrong.index == index
        # Nobody was asked, so nobody vouches for it; it contradicts all the same.
        assert judged(journal, rolled_up(head)).verdict is Verdict.INCONSISTENT


@pytest.mark.parametrize(
    "origin", ["casework.test/rollup", "rollup", "casework.test/journal/roll", "other/rollup"]
)
def test_the_roll_up_of_another_deployment_proves_nothing(journal: Journal, origin: str) -> None:
    (head,) = heads(journal, 3)
    report = judged(journal, rolled_up(head, origin=origin))
    assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.WITNESSES})


def test_a_restored_deployments_roll_up_still_counts(journal: Journal) -> None:
    (head,) = heads(journal, 3)
    origin = marked("casework.test", "2" * 14) + "/journal/rollup"
    assert judged(journal, rolled_up(head, origin=origin), **ASKED).verdict is Verdict.VALID


def test_a_rolled_up_head_of_another_log_proves_nothing(journal: Journal) -> None:
    (head,) = heads(journal, 3)
    report = judged(journal, rolled_up(replace(head, origin="casework.test/journal/cidff")))
    assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.WITNESSES})


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("rollup/leaf", b"\n3\n", b"\n2\n"),
        ("rollup/leaf", b"=\n", b"="),
        ("rollup/leaf", b"=\n", b"=\n\n"),
        ("rollup/proof", b"index 1", b"index 0"),
        ("rollup/proof", b"index 1", b"index 7"),
        ("rollup/proof", b"tlog-proof", b"tlog"),
        ("rollup/proof", b"\n3\n", b"\n3"),
        ("rollup/proof", b"\n3\n", b"\n9\n"),
        ("rollup/proof", b"index 1\n", b"index 1\n" + b"A" * 43 + b"=\n"),
    ],
)
def test_a_roll_up_that_proves_nothing_is_inconsistent(
    journal: Journal, name: str, old: bytes, new: bytes
) -> None:
    content = rolled_up(*heads(journal, 3))
    assert old in content[name]
    report = judged(journal, {**content, name: content[name].replace(old, new)})
    assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.WITNESSES})


def test_half_a_roll_up_is_incomplete(journal: Journal) -> None:
    content = rolled_up(*heads(journal, 3))
    for name, raw in content.items():
        assert judged(journal, {name: raw}, **ASKED).verdict is Verdict.INCOMPLETE
        assert judged(journal, {**content, name: b"\xff"}, **ASKED).verdict is Verdict.INCONSISTENT


# Partners


PARTNER = NoteSigner("casework.test/journal/cidff", Key(9))


def partners_receipt(entry: Entry | bytes, signer: NoteSigner = PARTNER) -> str:
    raw = entry if isinstance(entry, bytes) else entry.to_bytes()
    note = sign_checkpoint(Checkpoint(PARTNER.name, 1, leaf_hash(raw)), [signer])
    return str(Receipt(0, (), note, raw))


def test_what_a_partners_log_holds_must_stand_in_this_one(journal: Journal) -> None:
    ours = journal.next_entry(action="handoff.accept")
    journal.write(ours)
    journal.integrate()
    theirs = make_entry(id=ours.id, log=PARTNER.name, action="handoff.accept")
    report = judged(journal, counterparts=(Counterpart(partners_receipt(theirs), PARTNER.key),))
    assert (report.verdict, failed(report)) == (Verdict.VALID, set())
    hidden = make_entry(log=PARTNER.name)
    report = judged(journal, counterparts=(Counterpart(partners_receipt(hidden), PARTNER.key),))
    assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.COUNTERPARTS})
    assert hidden.id in words_of(report, CheckName.COUNTERPARTS)


def test_a_partners_receipt_that_proves_nothing_is_refused(journal: Journal) -> None:
    ours = journal.next_entry()
    journal.write(ours)
    journal.integrate()
    theirs = make_entry(id=ours.id, log=PARTNER.name)
    other = make_entry(id=ours.id, log=PARTNER.name, nonce="0e" * 16)
    receipt = Receipt.parse(partners_receipt(theirs))
    for text in (
        "no receipt",
        partners_receipt(theirs, replace(STRANGER, name=PARTNER.name)),
        partners_receipt(b"no entry"),
        str(replace(receipt, entry=other.to_bytes())),
        str(replace(receipt, entry=None)),
        str(replace(receipt, index=1)),
    ):
        report = judged(journal, counterparts=(Counterpart(text, PARTNER.key),))
        assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.COUNTERPARTS})


def test_our_own_receipts_serve_a_partner(journal: Journal) -> None:
    """Through a tree with siblings on both sides."""
    entries = [journal.next_entry() for _ in range(7)]
    journal.write(*entries)
    journal.integrate()
    for entry in entries:
        text = journal.run(lambda connection, entry=entry: prove_inclusion(connection, LOG, entry.id))
        assert judged(journal, counterparts=(Counterpart(text, journal.key),)).verdict is Verdict.VALID


# Pruning, more than once


def say_pruned(journal: Journal, count: int) -> None:
    journal.write(journal.next_entry(action="log.prune", count=count, subjects=(), actor=None))
    journal.integrate()


def test_a_journal_pruned_twice_is_explained_by_the_last_time(journal: Journal) -> None:
    journal.grow(300)
    say_pruned(journal, 256)
    journal.grow(300)
    say_pruned(journal, 512)
    for index in (256, 512):
        prune(journal, index)
        report = judged(journal)
        assert (report.verdict, failed(report)) == (Verdict.VALID_PRUNED, set())
        assert f"élagué jusqu’à l’écriture {index}" in words_of(report, CheckName.PRUNING)


def test_a_prune_beyond_what_stood_there_explains_nothing(journal: Journal) -> None:
    """Else one entry would excuse whatever vanishes later."""
    journal.grow(300)
    say_pruned(journal, 512)
    prune(journal, 256)
    report = judged(journal)
    assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.PRUNING})


def test_every_step_is_reported_that_there_was_something_for(journal: Journal) -> None:
    entry_id = with_detail(journal, b"x")
    head = parse_checkpoint(members(bundle_of(journal))["checkpoint"].decode()).checkpoint
    theirs = make_entry(id=entry_id, log=PARTNER.name, lane=LaneNumber(n=1, writer="0" * 8))
    report = judged(
        journal,
        {"details": disclosed(entry_id, b"x"), **rolled_up(head)},
        **ASKED,
        counterparts=(Counterpart(partners_receipt(theirs), PARTNER.key),),
        max_age=MINUTE,
        now=journal.time,
    )
    assert report.verdict is Verdict.VALID
    assert [check.name for check in report.checks] == [
        name for name in CheckName if name is not CheckName.FORM
    ]
    assert isinstance(parse_checkpoint(members(bundle_of(journal))["checkpoint"].decode()), SignedCheckpoint)
