"""Each log loses what is older than its organisation's period, and nothing that somebody still needs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from audit.bundle import write_bundle
from audit.checkpoint import VerificationKey
from audit.errors import JournalRefused
from audit.triggers import drop_triggers
from audit.trust import Trust
from audit.verdict import Verdict
from audit.verifier import verify_bundle
from casework import postgres, retention
from casework.database import UnitOfWork
from casework.journal import Deed, Who
from casework.organisations.periods import set_journal_months
from casework.retention import NotCovered, Prune, Pruning, find_prunable, months_before, prune
from crypto.signing import verify
from tests.audit import second
from tests.casework.centre import Centre
from tests.casework.rights.requests import prepare
from tests.casework.story import open_case

YEAR = timedelta(days=370)


@asynccontextmanager
async def pruner(centre: Centre) -> AsyncIterator[Prune]:
    """What the command is given: on PostgreSQL a login that may prune and no more."""
    if centre.deployment.settings.is_sqlite:
        yield centre.deployment.database.integrate
        return
    engine = postgres.make_engine(centre.urls.owner.set(username="casework_pruner"), pool_size=1)

    async def as_pruner(work: Callable[[Connection], int]) -> int:
        async with engine.begin() as connection:
            return await connection.run_sync(work)

    yield as_pruner
    await engine.dispose()


async def fill(centre: Centre, slug: str, entries: int) -> None:
    """Put entries into an organisation's log, details and all, as old as the clock says."""
    org_id = centre.org(slug)

    def write(unit: UnitOfWork) -> None:
        unit.enter_organisation(org_id)
        drop = centre.deployment.directories.drop(unit, org_id, "journal")
        for _ in range(entries):
            deed = Deed("case.list", detail={"count": 1})
            centre.deployment.journal.record(unit, (org_id, slug), Who(uuid4()), deed, drop)

    await centre.deployment.database.unit(write)
    await centre.integrate()


async def found_in(centre: Centre, slug: str | None) -> tuple[UUID, Pruning]:
    found = {one.slug: (log, one) async for log, one in find_prunable(centre.deployment, lambda *_: None)}
    return found[slug]


async def run(centre: Centre, slug: str = "avec") -> int:
    """What a run does to one log; how many entries went."""
    log, found = await found_in(centre, slug)
    async with pruner(centre) as as_pruner:
        if found.count:
            await prune(centre.deployment, log, found, as_pruner)
    return found.count


async def verdict(centre: Centre, tmp_path: Path, slug: str = "avec") -> Verdict:
    """Of the bundle that the auditor takes away; both verifiers agree on it."""
    await centre.integrate()
    path = tmp_path / f"{uuid4().hex}.zip"
    org_id = centre.org(slug)
    await centre.deployment.database.snapshot(lambda view: write_bundle(view, org_id.bytes, path), org_id)
    trust = Trust(keys=(VerificationKey.parse(centre.founded[slug].journal_key),))
    report = verify_bundle(path, trust, verify)
    assert second.exit_code(path, trust) == report.exit_code
    return report.verdict


async def count(centre: Centre, table: str, slug: str = "avec") -> int:
    log = centre.org(slug).bytes
    return int(
        await centre.dba(
            lambda view: view.execute(
                text(f"SELECT count(*) FROM {table} WHERE log = :log"), {"log": log}
            ).scalar_one()
        )
    )


async def test_what_is_older_than_the_period_goes_and_the_rest_still_verifies(
    centre: Centre, tmp_path: Path
) -> None:
    await open_case(await centre.sign_in("avec.social"), "social")
    await fill(centre, "avec", 300)
    centre.clock.offset = YEAR
    await fill(centre, "avec", 2)
    before = await count(centre, "audit_leaf"), await count(centre, "audit_detail")
    assert await run(centre) == 256
    # The announcement is one more leaf; each detail of an entry that is gone is gone.
    assert await count(centre, "audit_leaf") == before[0] + 1
    assert await count(centre, "audit_entry") == before[0] + 1 - 256
    assert await count(centre, "audit_detail") < before[1] - 200
    assert await verdict(centre, tmp_path) is Verdict.VALID_PRUNED
    announced = [item for item in await centre.journal("avec") if item["action"] == "log.prune"]
    assert [(item["outcome"], item["entry"]["count"], item["entry"]["actor"]) for item in announced] == [
        ("allowed", 256, None)
    ]
    # Every access since is journaled as before.
    await open_case(await centre.sign_in("avec.social"), "social")
    assert await verdict(centre, tmp_path) is Verdict.VALID_PRUNED


async def test_a_log_with_nothing_old_is_left_as_it_is(centre: Centre, tmp_path: Path) -> None:
    await fill(centre, "avec", 300)
    before = await count(centre, "audit_leaf")
    assert await run(centre) == 0
    assert (await count(centre, "audit_leaf"), await count(centre, "audit_entry")) == (before, before)
    assert await verdict(centre, tmp_path) is Verdict.VALID


async def test_each_organisation_has_its_own_period(centre: Centre) -> None:
    for slug in ("avec", "cidff", "planning"):
        await fill(centre, slug, 260)
    for slug, months in (("cidff", 6), ("planning", 36)):
        await centre.dba(lambda view, s=slug, m=months: set_journal_months(view, centre.org(s), m))
    found = {}
    for days in (200, 370, 1_200):
        centre.clock.offset = timedelta(days=days)
        found[days] = [(await found_in(centre, slug))[1].count for slug in ("cidff", "avec", "planning")]
    assert found == {200: [256, 0, 0], 370: [256, 256, 0], 1_200: [256, 256, 256]}


async def test_looking_changes_nothing(centre: Centre) -> None:
    await fill(centre, "avec", 300)
    centre.clock.offset = YEAR
    before = await count(centre, "audit_leaf")
    _, found = await found_in(centre, "avec")
    assert (found.count, found.was, found.minimum, found.months) == (256, 0, 256, 12)
    await centre.integrate()
    assert (await count(centre, "audit_leaf"), await count(centre, "audit_entry")) == (before, before)


async def test_a_procedure_under_way_keeps_the_journal_of_its_case(centre: Centre) -> None:
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    case = await open_case(await centre.sign_in("avec.social"))
    request = await prepare(await centre.sign_in("avec.supervisor", step_up=True), case)
    until = datetime.now(UTC) + timedelta(days=800)
    body = {"ground": "legal_hold", "until": until.isoformat()}
    await dpo.post(f"/rights-requests/{request}/refusal", body, 200)
    await fill(centre, "avec", 300)
    centre.clock.offset = YEAR
    _, held = await found_in(centre, "avec")
    assert (held.count, held.is_held) == (0, True)
    centre.clock.offset = timedelta(days=801)
    _, free = await found_in(centre, "avec")
    assert (free.count, free.is_held) == (256, False)


async def test_an_emergency_that_nobody_reviewed_is_kept_for_its_review_and_not_for_ever(
    centre: Centre,
) -> None:
    case = await open_case(await centre.sign_in("avec.social"), "social")
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await psychologist.post(f"/cases/{case}/break-glass", {"purpose": "support", "reason": "Elle appelle."})
    await fill(centre, "avec", 300)
    centre.clock.offset = YEAR
    _, kept = await found_in(centre, "avec")
    assert (kept.count, kept.is_unreviewed, kept.is_held) == (0, True, False)
    auditor = await centre.sign_in("avec.auditor")
    (item,) = (await auditor.get("/journal/findings", params={"kind": "emergencies"}))["items"]
    review = {"entry": item["entry"]["id"], "outcome": "justified", "note": "Appel de la brigade."}
    await auditor.post("/journal/reviews", review)
    _, reviewed = await found_in(centre, "avec")
    assert (reviewed.count, reviewed.is_unreviewed) == (256, False)


async def test_an_emergency_that_is_never_reviewed_is_kept_for_the_longest_period_alone(
    centre: Centre,
) -> None:
    case = await open_case(await centre.sign_in("avec.social"), "social")
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await psychologist.post(f"/cases/{case}/break-glass", {"purpose": "support", "reason": "Elle appelle."})
    await fill(centre, "avec", 300)
    centre.clock.offset = timedelta(days=36 * 31)
    _, found = await found_in(centre, "avec")
    assert (found.count, found.is_unreviewed) == (256, True)


async def test_a_journal_that_does_not_verify_is_not_pruned(centre: Centre) -> None:
    """Who rewrites an entry, or makes what is recent look old, does not have the service hide it."""
    await fill(centre, "avec", 300)
    old = int((datetime.now(UTC) - 2 * YEAR).timestamp() * 1_000_000)

    def rewrite(view: Connection) -> None:
        for statement in drop_triggers(view.dialect.name):
            view.exec_driver_sql(statement)
        view.execute(text("UPDATE audit_entry SET time = :old"), {"old": old})

    await centre.dba(rewrite)
    _, found = await found_in(centre, "avec")
    assert (found.refused, found.minimum, found.count) == (Verdict.INCONSISTENT, 256, 0)


@pytest.mark.parametrize("lost", ["announced", "integrated", "begun"])
async def test_a_kill_between_the_steps_is_mended_by_the_next_run(
    centre: Centre, tmp_path: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.pruning.STEP", 256)
    await fill(centre, "avec", 600)
    centre.clock.offset = YEAR
    log, found = await found_in(centre, "avec")
    assert found.count == 512

    class Killed(BaseException):
        pass

    async def die(*_: object) -> int:
        raise Killed

    async def die_after_one(work: Callable[[Connection], int]) -> int:
        async with pruner(centre) as as_pruner:
            await as_pruner(work)
        raise Killed

    if lost == "announced":
        monkeypatch.setattr(retention, "_wait_for_checkpoint", die)
    with pytest.raises(Killed):
        await prune(centre.deployment, log, found, die_after_one if lost == "begun" else die)
    monkeypatch.undo()
    expected = Verdict.VALID_PRUNED if lost == "begun" else Verdict.VALID
    assert await verdict(centre, tmp_path) is expected
    assert await run(centre) == (256 if lost == "begun" else 512)
    assert await verdict(centre, tmp_path) is Verdict.VALID_PRUNED
    announced = [item for item in await centre.journal("avec") if item["action"] == "log.prune"]
    assert [item["entry"]["count"] for item in announced] == [512]
    assert await run(centre) == 0


async def test_two_runs_at_once_while_members_work_lose_nothing(centre: Centre, tmp_path: Path) -> None:
    await fill(centre, "avec", 600)
    centre.clock.offset = YEAR
    social = await centre.sign_in("avec.social")

    async def work() -> None:
        for _ in range(3):
            await open_case(social)

    await asyncio.gather(run(centre), run(centre), work())
    assert await verdict(centre, tmp_path) is Verdict.VALID_PRUNED
    assert await count(centre, "audit_leaf") - await count(centre, "audit_entry") == 512


async def test_nothing_goes_before_a_checkpoint_covers_the_announcement(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(centre, "avec", 300)
    centre.clock.offset = YEAR
    log, found = await found_in(centre, "avec")
    monkeypatch.setattr(retention, "_WAIT_SECONDS", 0)
    async with pruner(centre) as as_pruner:
        with pytest.raises(NotCovered):
            await prune(centre.deployment, log, found, as_pruner)
        with pytest.raises(JournalRefused, match="no entry under a checkpoint"):
            await as_pruner(lambda view: retention.prune_step(view, log.bytes, 512))
    assert await count(centre, "audit_entry") == await count(centre, "audit_leaf")


def test_a_month_has_its_last_day() -> None:
    def back(day: str, months: int) -> str:
        return f"{months_before(datetime.fromisoformat(day), months):%Y-%m-%d}"

    assert back("2026-11-28", 12) == "2025-11-28"
    assert back("2026-08-31", 6) == "2026-02-28"
    assert back("2028-02-29", 36) == "2025-02-28"
