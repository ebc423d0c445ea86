"""Opening hours, closed days and managed networks of an organisation: what the policies are told of a request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from casework.facts import PARIS
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import open_case

PATH = "/organisation/settings"
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def settings(version: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "version": version,
        "opening_hours": {},
        "closed_on": [],
        "managed_networks": [],
        "reason": f"{CANARY} rentrée",
        **changed,
    }


async def custodian(centre: Centre, slug: str = "avec") -> Client:
    return await centre.sign_in(f"{slug}.custodian", step_up=True)


async def change(centre: Centre, version: int = 0, **changed: Any) -> Any:
    answer = await (await custodian(centre)).request("PUT", PATH, 200, json=settings(version, **changed))
    return answer.json()


def move_to(centre: Centre, weekday: int, hour: int, minute: int = 0) -> datetime:
    """Move the clock on to a weekday (Monday is 0) and a time of day in Paris; returns that moment."""
    there = centre.clock.now().astimezone(PARIS)
    days = (weekday - there.weekday()) % 7 or 7
    wanted = (there + timedelta(days=days)).replace(hour=hour, minute=minute, second=1)
    centre.clock.offset += wanted - there
    return wanted


async def is_let_in(centre: Centre, login: str = "avec.reception") -> bool:
    """Whether the front desk opens a case at this moment."""
    client = await centre.sign_in(login)
    answer = await client.request(
        "POST", "/cases", json={"public": "seeking", "identity": {"name_in_use": "Mimosa"}}
    )
    assert answer.status_code in {201, 403}, answer.text
    return answer.status_code == 201


@asynccontextmanager
async def from_address(centre: Centre, address: str) -> AsyncIterator[None]:
    """What is asked inside comes from this address."""
    here = centre.http
    transport = httpx.ASGITransport(centre.app, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as elsewhere:
        centre.http = elsewhere
        yield
    centre.http = here


async def test_without_settings_it_is_always_open_and_the_deployments_networks_count(centre: Centre) -> None:
    viewed = await (await custodian(centre)).get(PATH)
    assert viewed == {"version": 0, "opening_hours": {}, "closed_on": [], "managed_networks": []}
    assert await is_let_in(centre)
    async with from_address(centre, "198.51.100.7"):
        assert not await is_let_in(centre)
    move_to(centre, 6, 3)
    assert await is_let_in(centre)


async def test_the_front_desk_is_let_in_while_it_is_open_and_not_a_minute_longer(centre: Centre) -> None:
    hours = {"monday": [{"from": "09:00", "to": "12:30"}, {"from": "13:30", "to": "24:00"}]}
    changed = await change(centre, opening_hours=hours)
    assert (changed["version"], changed["opening_hours"]) == (1, hours)
    told = {}
    for hour, minute in ((8, 59), (9, 0), (12, 29), (12, 30), (13, 29), (13, 30), (23, 59)):
        move_to(centre, 0, hour, minute)
        told[hour, minute] = await is_let_in(centre)
    assert [moment for moment, let_in in told.items() if let_in] == [(9, 0), (12, 29), (13, 30), (23, 59)]
    move_to(centre, 1, 10)
    assert not await is_let_in(centre)
    # A worker is bound by no hours in these policies.
    assert await is_let_in(centre, "avec.social")


async def test_a_closed_day_is_closed_whatever_the_hours_and_an_organisation_without_hours_closes_too(
    centre: Centre,
) -> None:
    day = (centre.clock.now().astimezone(PARIS) + timedelta(days=3)).date()
    await change(centre, closed_on=[day.isoformat(), day.isoformat()])
    assert await is_let_in(centre)
    move_to(centre, day.weekday(), 10)
    assert centre.clock.now().astimezone(PARIS).date() == day
    assert not await is_let_in(centre)
    every = {weekday: [{"from": "00:00", "to": "24:00"}] for weekday in WEEK}
    await change(centre, 1, opening_hours=every, closed_on=[day.isoformat()])
    assert not await is_let_in(centre)
    await change(centre, 2, opening_hours=every)
    assert await is_let_in(centre)


async def test_hours_are_those_of_the_door_in_summer_and_in_winter(centre: Centre) -> None:
    """Nine o'clock in Paris is eight in UTC in winter and seven in summer."""
    await change(centre, opening_hours={weekday: [{"from": "09:00", "to": "10:00"}] for weekday in WEEK})
    year = centre.clock.now().year + 1
    for month in (1, 7):
        there = datetime(year, month, 15, 9, 30, tzinfo=PARIS)
        centre.clock.offset += there - centre.clock.now()
        assert await is_let_in(centre)
        centre.clock.offset += timedelta(hours=1)
        assert not await is_let_in(centre)


async def test_an_organisations_own_networks_take_the_place_of_the_deployments(centre: Centre) -> None:
    await change(centre, managed_networks=["192.0.2.0/25", "2001:db8:7::/48"])
    told = {}
    for address in ("127.0.0.1", "192.0.2.0", "192.0.2.127", "192.0.2.128", "::ffff:192.0.2.9", "2001:db8:7::9", "2001:db8:8::9", "-"):  # fmt: skip  # noqa: E501
        async with from_address(centre, address):
            told[address] = await is_let_in(centre)
    let_in = [address for address, is_in in told.items() if is_in]
    assert let_in == ["192.0.2.0", "192.0.2.127", "::ffff:192.0.2.9", "2001:db8:7::9"]
    # Another organisation's desk is where it was.
    assert await is_let_in(centre, "med.reception")
    viewed = await (await custodian(centre)).get(PATH)
    assert viewed["managed_networks"] == ["192.0.2.0/25", "2001:db8:7::/48"]


async def test_a_contact_is_withheld_outside_the_organisations_networks(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "contact")
    assert "contact" in (await social.get(f"/cases/{case}"))["groups"]
    await change(centre, managed_networks=["192.0.2.0/24"])
    assert "contact" in (await social.get(f"/cases/{case}"))["withheld"]


async def test_a_change_is_refused_without_role_step_up_or_reason_and_is_journaled(centre: Centre) -> None:
    for login in ("avec.supervisor", "avec.social", "avec.dpo", "avec.auditor"):
        client = await centre.sign_in(login, step_up=True)
        await client.refused("PUT", PATH, 403, "forbidden", json=settings())
        await client.refused("GET", PATH, 403, "forbidden")
    without = await centre.sign_in("avec.custodian")
    await without.refused("PUT", PATH, 403, "step_up_needed", json=settings())
    stepped = await custodian(centre)
    await stepped.refused("PUT", PATH, 422, "bad_input", json=settings(reason=" "))
    networks = ["192.0.2.0/24"]
    await change(centre, managed_networks=networks)
    await change(centre, 1)
    *_, entry = await centre.journal("avec", action="settings.change", outcome="allowed")
    same: dict[str, Any] = {"opening_hours": {}, "closed_on": []}
    assert entry["detail"] == {
        "reason": f"{CANARY} rentrée",
        "before": {**same, "managed_networks": []},
        "after": {**same, "managed_networks": networks},
    }
    denied = await centre.journal("avec", action="member.manage", outcome="denied")
    assert len(denied) == 9


async def test_of_two_who_change_them_at_once_the_second_is_told(centre: Centre) -> None:
    await change(centre, managed_networks=["127.0.0.0/8"])
    client = await custodian(centre)
    await client.refused("PUT", PATH, 409, "settings_moved", json=settings(0))
    assert (await client.get(PATH))["managed_networks"] == ["127.0.0.0/8"]
    elsewhere = await (await custodian(centre, "cidff")).get(PATH)
    assert elsewhere["version"] == 0


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        (
            {"opening_hours": {"monday": [{"from": "12:00", "to": "12:00"}]}},
            "opening_hours",
            "ends_before_it_begins",
        ),
        (
            {
                "opening_hours": {
                    "monday": [{"from": "13:00", "to": "15:00"}, {"from": "09:00", "to": "13:01"}]
                }
            },
            "opening_hours",
            "overlapping",
        ),
        ({"managed_networks": ["192.0.2.1/24"]}, "managed_networks", "not_a_network"),
        ({"managed_networks": ["chez nous"]}, "managed_networks", "not_a_network"),
        # A length that was mistyped would make every machine a managed one.
        ({"managed_networks": ["0.0.0.0/0"]}, "managed_networks", "network_too_wide"),
        ({"managed_networks": ["::/0"]}, "managed_networks", "network_too_wide"),
    ],
)
async def test_what_is_no_hour_or_network_is_refused(
    centre: Centre, changed: dict[str, Any], field: str, code: str
) -> None:
    client = await custodian(centre)
    problem = await client.refused("PUT", PATH, 422, "bad_input", json=settings(**changed))
    assert problem["errors"] == [{"field": field, "code": code}]
    assert (await client.get(PATH))["version"] == 0
