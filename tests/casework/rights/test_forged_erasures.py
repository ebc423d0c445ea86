"""Who writes to the main database alone aims no erasure at another case, and forges none."""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import insert, select, update

from casework.cases.tables import case_file
from casework.database import UnitOfWork
from casework.rights.erasing import finish_erasures, renew_proofs, replay
from casework.rights.states import State
from casework.rights.tables import erasure, erasure_owner
from casework.shreds import erased_mark as listed_mark
from casework.shreds import shred
from casework.upkeep import sweep
from crypto.erasure import erased_mark
from crypto.pepper import FileKeyProvider, Peppers
from tests.casework.administrator import Administrator
from tests.casework.centre import Centre
from tests.casework.rights.requests import approval, approve, prepare
from tests.casework.story import denials, entries_of, open_case


async def test_a_request_that_was_aimed_at_another_case_is_refused_and_raises_an_alarm(
    centre: Centre,
) -> None:
    social, dpo = await centre.sign_in("avec.social"), await centre.sign_in("avec.dpo", step_up=True)
    asked, other = [await open_case(social) for _ in range(2)]
    request = await prepare(social, asked)
    await _write(centre, request, case_id=UUID(other))
    path = f"/rights-requests/{request}/approval"
    # The officer says which case she was told of.
    problem = await dpo.refused("POST", path, 422, "bad_input", json=approval(asked))
    assert problem["errors"] == [{"field": "case_id", "code": "not_what_was_prepared"}]
    with structlog.testing.capture_logs() as logs:
        # And if she reads it in the request, the proof says that it is not what was prepared.
        await dpo.refused("POST", path, 409, "not_as_prepared", json=approval(other))
    assert [line["event"] for line in logs if line["log_level"] == "critical"] == ["erasure_altered"]
    assert [await _halves(centre, case) for case in (asked, other)] == [9, 9]
    denied = await denials(centre, "avec", "erasure.approve")
    assert [entry["entry"]["reason"] for entry in denied] == ["not_as_prepared"]


@pytest.mark.parametrize("column", ["prepared_by", "motive", "proof"])
async def test_a_request_of_which_anything_was_exchanged_is_refused(centre: Centre, column: str) -> None:
    social, dpo = await centre.sign_in("avec.social"), await centre.sign_in("avec.dpo", step_up=True)
    case = await open_case(social)
    request, further = await prepare(social, case), await prepare(social, await open_case(social))
    of_another = select(erasure.c[column]).where(erasure.c.id == UUID(further))
    value = await centre.dba(lambda connection: connection.execute(of_another).scalar_one())
    await _write(
        centre, request, **{column: centre.member("avec.jurist") if column == "prepared_by" else value}
    )
    path = f"/rights-requests/{request}/approval"
    await dpo.refused("POST", path, 409, "not_as_prepared", json=approval(case))
    assert await _halves(centre, case) == 9
    # What was altered can be refused, and asked for again.
    await dpo.post(f"/rights-requests/{request}/refusal", {"ground": "not_entitled"}, 200)
    await approve(dpo, await prepare(social, case), case)
    assert await _halves(centre, case) == 0


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_an_erasure_that_nobody_approved_destroys_nothing_and_raises_an_alarm(
    centre: Centre, *, is_deleted: bool
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    await _plant(centre, case)
    if is_deleted:
        # A sound approval asks for more than that the case is gone.
        await centre.dba(lambda connection: connection.exec_driver_sql("DELETE FROM case_file"))
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await sweep(centre.deployment)
    assert await _halves(centre, case) == 9
    assert await _marks(centre) == 0
    # The log says it at each sweep, the journal once.
    assert [line["fault"] for line in logs if line["event"] == "erasure_forged"] == ["not_approved"] * 2
    failed = entries_of(await centre.journal("avec"), "erasure.complete", "failed")
    assert [entry["entry"]["reason"] for entry in failed] == ["not_approved"]


async def test_an_approval_reaches_no_other_owner_and_no_case_that_is_there(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    social, dpo = await centre.sign_in("avec.social"), await centre.sign_in("avec.dpo", step_up=True)
    case, other = [await open_case(social) for _ in range(2)]
    kept = await centre.dba(
        lambda connection: (
            connection.execute(select(case_file).where(case_file.c.id == UUID(case))).one()._asdict()
        )
    )
    request = await prepare(social, case)
    await _half_approve(centre, dpo, request, case, monkeypatch)
    owner = {"org_id": centre.org("avec"), "erasure_id": UUID(request), "owner_id": UUID(other)}
    await centre.dba(lambda connection: connection.execute(insert(erasure_owner).values(owner)))
    await finish_erasures(centre.deployment)
    assert [await _halves(centre, one) for one in (case, other)] == [9, 9]
    await centre.dba(
        lambda connection: connection.execute(
            erasure_owner.delete().where(erasure_owner.c.owner_id == UUID(other))
        )
    )
    await centre.dba(lambda connection: connection.execute(insert(case_file).values(kept)))
    await finish_erasures(centre.deployment)
    assert await _halves(centre, case) == 9
    await centre.dba(
        lambda connection: connection.execute(case_file.delete().where(case_file.c.id == UUID(case)))
    )
    await finish_erasures(centre.deployment)
    assert [await _halves(centre, one) for one in (case, other)] == [0, 9]


async def test_a_list_of_erased_owners_is_replayed_where_it_was_made_under_the_pepper(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    gone, kept = [await open_case(social) for _ in range(2)]
    org, peppers = centre.org("avec"), centre.deployment.peppers
    # Who writes to the shred store alone knows its form, and another organisation's mark of this very case.
    marks = {UUID(kept).bytes * 2, erased_mark(peppers.current, centre.org("cidff").bytes, UUID(kept).bytes)}
    forged = partial(replay, org_id=org, peppers=peppers, marks=marks)
    assert await centre.dba(lambda connection: forged(UnitOfWork(connection, centre.clock.now()))) == 0
    true = partial(
        replay, org_id=org, peppers=peppers, marks={erased_mark(peppers.current, org.bytes, UUID(gone).bytes)}
    )
    assert await centre.dba(lambda connection: true(UnitOfWork(connection, centre.clock.now()))) == 1
    await social.refused("GET", f"/cases/{gone}", 404, "not_found")
    await social.get(f"/cases/{kept}")


async def test_a_rotation_of_the_pepper_keeps_what_was_prepared_and_what_was_approved_and_no_forgery(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    social, dpo = await centre.sign_in("avec.social"), await centre.sign_in("avec.dpo", step_up=True)
    half, asked, forged = [await open_case(social) for _ in range(3)]
    request = await prepare(social, half)
    await _half_approve(centre, dpo, request, half, monkeypatch)
    request = await prepare(social, asked)
    await _plant(centre, forged, proof=bytes(32))
    provider = FileKeyProvider(centre.deployment.settings.pepper_file)
    before, coming = provider.peppers(), provider.begin_rotation()
    both = provider.peppers()
    org = centre.org("avec")
    await centre.dba(lambda connection: renew_proofs(connection, both, coming, org))
    # Nothing needs the older one any more.
    monkeypatch.setattr(centre.deployment, "peppers", Peppers(coming))
    await finish_erasures(centre.deployment)
    assert [await _halves(centre, one) for one in (half, asked, forged)] == [0, 9, 9]
    # Sessions stand under the older one, which is kept beside; proofs under it alone are none of these.
    monkeypatch.setattr(centre.deployment, "peppers", Peppers(before.current, (coming,)))
    await approve(dpo, request, asked)
    assert [await _halves(centre, one) for one in (asked, forged)] == [0, 9]


async def _half_approve(
    centre: Centre, dpo: Any, request: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Approve, and be killed before the halves go."""

    def killed(*_: object) -> int:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(type(centre.deployment.shreds), "erase", killed)
        assert (await approve(dpo, request, case))["state"] == State.ERASED


async def _plant(centre: Centre, case: str, **more: object) -> None:
    """A request that says that this case was erased, and whose halves are to go."""
    request, org = uuid4(), centre.org("avec")
    row = {
        "org_id": org,
        "id": request,
        "case_id": UUID(case),
        "state": State.ERASED,
        "basis": "objection",
        "prepared_by": centre.member("avec.social"),
        "prepared_at": centre.clock.now(),
        **more,
    }
    owner = {"org_id": org, "erasure_id": request, "owner_id": UUID(case)}
    await centre.dba(lambda connection: connection.execute(insert(erasure).values(row)))
    await centre.dba(lambda connection: connection.execute(insert(erasure_owner).values(owner)))


async def _write(centre: Centre, request: str, **values: object) -> None:
    this = update(erasure).where(erasure.c.id == UUID(request)).values(values)
    await centre.dba(lambda connection: connection.execute(this))


async def _halves(centre: Centre, case: str) -> int:
    query = select(shred.c.purpose).where(shred.c.owner_id == UUID(case))
    return len(
        await Administrator(centre.urls.shreds).run(lambda connection: connection.execute(query).all())
    )


async def _marks(centre: Centre) -> int:
    query = select(listed_mark.c.mark)
    return len(
        await Administrator(centre.urls.shreds).run(lambda connection: connection.execute(query).all())
    )
