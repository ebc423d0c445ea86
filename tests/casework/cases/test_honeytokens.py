"""A honeytoken is a case like any other to whoever finds and opens it; the log and the auditor know."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from casework.cases.tables import case_file, case_group
from casework.database import metadata
from tests.casework.centre import Centre, Client
from tests.casework.story import new_case

ALARM = "honeytoken_opened"


async def plant(client: Client) -> str:
    created = await client.post("/cases", new_case("contact") | {"honeytoken": True})
    return str(created["id"])


async def ordinary(client: Client) -> str:
    created = await client.post("/cases", new_case("contact"))
    return str(created["id"])


def alarms(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == ALARM]


async def test_opening_a_honeytoken_raises_an_alarm_that_holds_no_content(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    honey, other = await plant(social), await ordinary(social)
    with capture_logs() as logs:
        await social.get(f"/cases/{other}")
        assert alarms(logs) == []
        await social.get(f"/cases/{honey}")
        await social.patch(f"/cases/{honey}/groups/contact", {"phone": "+33612345678"}, 1)
    raised = alarms(logs)
    assert [set(line) for line in raised] == [{"event", "log_level", "organisation", "request"}] * 2
    assert (raised[0]["log_level"], raised[0]["organisation"]) == ("critical", "avec")
    found = [item for item in await centre.journal("avec") if item["action"] == "honeytoken.opened"]
    assert [item["detail"] for item in found] == [{"case": honey}] * 2
    assert {item["entry"].get("actor") for item in found} == {str(centre.member("avec.social"))}
    assert [item["entry"]["request"] for item in found][::-1] == [line["request"] for line in raised]
    # The entry itself names no person; the one of the opening, of the same request, does as always.
    assert all(not item["entry"].get("subjects") for item in found)


async def test_the_auditor_sees_who_planted_it_and_a_reader_of_the_entries_does_not(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await plant(social)
    await ordinary(social)
    plain, honey = [item for item in await centre.journal("avec") if item["action"] == "case.create"]
    assert (honey["detail"]["honeytoken"], plain["detail"]["honeytoken"]) == (1, 0)
    same = ("action", "actor", "auth", "basis", "count", "outcome", "purpose", "reason", "role", "source")
    assert [honey["entry"].get(name) for name in same] == [plain["entry"].get(name) for name in same]


async def test_to_whoever_opens_it_it_is_a_case_like_any_other(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    honey, other = await plant(social), await ordinary(social)

    def without_ids(value: Any, case: str) -> Any:
        if isinstance(value, dict):
            return {key: without_ids(one, case) for key, one in value.items() if key not in {"id", "case_id"}}
        if isinstance(value, list):
            return [without_ids(one, case) for one in value]
        return value

    seen = [
        [
            await social.request("GET", f"/cases/{case}"),
            await social.request("GET", f"/cases/{case}/follow-ups"),
            await social.request(
                "PATCH", f"/cases/{case}/groups/contact", json={}, headers={"if-match": '"9"'}
            ),
        ]
        for case in (honey, other)
    ]
    for ours, theirs in zip(*seen, strict=True):
        assert (ours.status_code, set(ours.headers)) == (theirs.status_code, set(theirs.headers))
        assert without_ids(ours.json(), honey) == without_ids(theirs.json(), other)
    page = await social.get("/cases")
    listed = {item["id"]: item for item in page["items"]}
    assert without_ids(listed[honey], honey) == without_ids(listed[other], other)
    found = await social.post("/search", {"name": listed[honey]["identity"]["name_in_use"]}, 200)
    by_case = {item["case_id"]: item for item in found["items"]}
    assert without_ids(by_case[honey], honey) == without_ids(by_case[other], other)


async def test_a_refused_opening_raises_no_alarm(centre: Centre) -> None:
    """It would tell apart, to whoever reads the log, what the answer does not."""
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("cidff.jurist")
    honey = await plant(social)
    with capture_logs() as logs:
        await jurist.refused("GET", f"/cases/{honey}", 404, "not_found")
    assert alarms(logs) == []


async def test_nothing_in_the_database_tells_a_honeytoken(centre: Centre) -> None:
    """Every column of its rows has the form and the size of an ordinary case's; what differs is random."""
    social = await centre.sign_in("avec.social")
    honey, other = await plant(social), await ordinary(social)

    def rows(connection: Connection) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for case in (honey, other):
            head = connection.execute(select(case_file).where(case_file.c.id == UUID(case))).mappings().one()
            groups = connection.execute(
                select(case_group)
                .where(case_group.c.case_id == UUID(case))
                .order_by(case_group.c.compartment)
            ).mappings()
            found[case] = [dict(head), *map(dict, groups)]
        return found

    stored = await centre.dba(rows)
    for ours, theirs in zip(stored[honey], stored[other], strict=True):
        for name, value in ours.items():
            like = theirs[name]
            assert type(value) is type(like), name
            blob, other_blob = getattr(value, "blob", value), getattr(like, "blob", like)
            if isinstance(blob, bytes):
                assert len(blob) == len(other_blob), name
            elif name not in {"id", "case_id"} and not name.endswith("_at"):
                assert value == like, name
    assert not any("honey" in column.name for table in metadata.sorted_tables for column in table.c)
