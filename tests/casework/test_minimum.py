"""An organisation's minimum, held by the service: what is older is refused, and nothing rolls it back."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, insert, select
from structlog.testing import capture_logs

from casework.cases.tables import case_group
from casework.minimum import MinimumFault, MinimumRefused, raise_minimum
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.organisations.tables import key_directory
from crypto.algorithms import Algorithm, CaseMinimum
from crypto.directory_entries import EntrySigner, MinimumBody
from crypto.errors import DirectoryFault, DirectoryRefused
from tests.casework.centre import PASSWORD, Centre
from tests.casework.story import open_case

GCM, SIV = Algorithm.AES_256_GCM, Algorithm.AES_256_GCM_SIV
DAMAGED = "sealed_data_damaged"


async def raise_to(centre: Centre, body: MinimumBody) -> int:
    """Append the custodian's signed entry, as her command does; returns its epoch."""
    org_id = centre.org("avec")
    (custodian,) = centre.accounts["avec.custodian"].memberships

    def append(connection: Connection) -> int:
        directory = centre.directory(connection, "avec")
        entry = directory.next_entry(body, EntrySigner(custodian.id.bytes, custodian.signing))
        connection.execute(
            insert(key_directory).values(org_id=org_id, epoch=entry.epoch, entry=entry.to_bytes())
        )
        return entry.epoch

    epoch = await centre.dba(append)
    await centre.learn("avec")
    return epoch


async def algorithms_of(centre: Centre, case: str) -> set[int]:
    def read(connection: Connection) -> set[int]:
        rows: Any = connection.execute(
            select(case_group.c.dek).where(case_group.c.case_id == UUID(case))
        ).scalars()
        return {row.blob[1] for row in rows}

    return await centre.dba(read)


async def test_a_case_below_the_minimum_is_refused_on_opening_and_new_ones_are_made_above_it(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    old = await open_case(social, "contact")
    await raise_to(centre, MinimumBody(SIV, GCM))
    made = await open_case(social, "contact")
    assert (await algorithms_of(centre, old), await algorithms_of(centre, made)) == ({1}, {2})
    for case in (old, made):
        assert (await social.get(f"/cases/{case}"))["groups"]["identity"]
    await raise_to(centre, MinimumBody(SIV, SIV))
    with capture_logs() as logs:
        await social.refused("GET", f"/cases/{old}", 500, DAMAGED)
        listed = {item["id"]: item for item in (await social.get("/cases"))["items"]}
    assert {line["event"] for line in logs if line["log_level"] == "critical"} == {DAMAGED}
    assert (listed[old]["identity"], listed[old]["problem"]) == (None, DAMAGED)
    assert listed[made]["identity"] == (await social.get(f"/cases/{made}"))["groups"]["identity"]
    assert [item["outcome"] for item in await centre.journal("avec", action="seal.broken")] == ["failed"] * 2


async def test_a_minimum_whose_row_was_taken_away_is_a_directory_that_was_rolled_back(centre: Centre) -> None:
    epoch = await raise_to(centre, MinimumBody(SIV, SIV))
    await centre.dba(
        lambda connection: connection.execute(
            delete(key_directory).where(
                key_directory.c.org_id == centre.org("avec"), key_directory.c.epoch == epoch
            )
        )
    )

    with pytest.raises(DirectoryRefused) as refused:
        # As a process does that starts now.
        await centre.dba(lambda connection: centre.directory(connection, "avec"))
    assert refused.value.fault is DirectoryFault.ROLLED_BACK


async def test_a_minimum_that_somebody_else_signed_is_refused(centre: Centre) -> None:
    (social,) = centre.accounts["avec.social"].memberships

    def forge(connection: Connection) -> None:
        directory = centre.directory(connection, "avec")
        directory.next_entry(MinimumBody(SIV, SIV), EntrySigner(social.id.bytes, social.signing))

    with pytest.raises(DirectoryRefused) as refused:
        await centre.dba(forge)
    assert refused.value.fault is DirectoryFault.NOT_ENTITLED


async def test_the_custodian_raises_it_by_her_password_and_it_is_journaled(centre: Centre) -> None:
    org_id, custodian = centre.org("avec"), Credentials("avec.custodian", PASSWORD)
    await raise_minimum(centre.deployment, org_id, custodian, CaseMinimum(SIV, GCM))
    social = await centre.sign_in("avec.social")
    assert await algorithms_of(centre, await open_case(social)) == {2}
    await raise_minimum(centre.deployment, org_id, custodian, CaseMinimum(SIV, SIV))
    raised = await centre.journal("avec", action="key.minimum")
    assert [item["detail"] for item in raised] == [{"made": 2, "accepted": 2}, {"made": 2, "accepted": 1}]


@pytest.mark.parametrize(
    ("login", "password", "fault"),
    [
        ("avec.social", PASSWORD, KeyActFault.MAY_NOT_CERTIFY),
        ("avec.custodian", "another password", KeyActFault.WRONG_PASSWORD),
        ("cidff.custodian", PASSWORD, KeyActFault.UNKNOWN_LOGIN),
    ],
)
async def test_nobody_else_raises_it_and_the_attempt_is_journaled(
    centre: Centre, login: str, password: str, fault: KeyActFault
) -> None:
    with pytest.raises(KeyActRefused) as refused:
        await raise_minimum(
            centre.deployment, centre.org("avec"), Credentials(login, password), CaseMinimum(SIV, GCM)
        )
    assert refused.value.fault is fault
    (denied,) = await centre.journal("avec", action="key.minimum")
    assert (denied["outcome"], denied["entry"]["reason"]) == ("denied", fault)


async def test_it_is_not_lowered_and_not_raised_over_keys_that_stand_yet(centre: Centre) -> None:
    org_id, custodian = centre.org("avec"), Credentials("avec.custodian", PASSWORD)
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    for wanted, fault, count in (
        (CaseMinimum(SIV, SIV), MinimumFault.OLDER_KEYS, 8),
        (CaseMinimum(GCM, GCM), MinimumFault.NOT_HIGHER, 0),
    ):
        with pytest.raises(MinimumRefused) as refused:
            await raise_minimum(centre.deployment, org_id, custodian, wanted)
        assert (refused.value.fault, refused.value.count) == (fault, count)
    await raise_minimum(centre.deployment, org_id, custodian, CaseMinimum(SIV, GCM))
    with pytest.raises(MinimumRefused) as refused:
        await raise_minimum(centre.deployment, org_id, custodian, CaseMinimum(GCM, GCM))
    assert refused.value.fault is MinimumFault.NOT_HIGHER
    await social.get(f"/cases/{case}")
