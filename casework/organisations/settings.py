"""An organisation's own settings: when it is open, on which days it is not, and which networks are its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from casework.act import Act
from casework.errors import NotNow, bad_field
from casework.journal import Deed
from casework.networks import Network, NetworkRefused, ends_of, network_between, parse_network
from casework.organisations.schemas import NewOrgSettings, OpenFrom, OrgSettings, Weekday
from casework.organisations.tables import closed_day, managed_network, opening_hours, org_settings
from policies.vocabulary import Action

CHANGE = "settings.change"
_WEEKDAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class _Rows:
    hours: list[dict[str, Any]]
    days: list[dict[str, Any]]
    networks: list[dict[str, Any]]


def view_settings(act: Act) -> OrgSettings:
    """The settings in force. Without opening hours the organisation is always open, but on its closed days.

    Raises:
        Forbidden: she does not manage the organisation's accounts.

    """
    act.require_if_stepped_up(Action.MEMBER_MANAGE)
    return _read(act)


def change_settings(act: Act, wanted: NewOrgSettings) -> OrgSettings:
    """Replace the settings by these, with a reason and a step-up; they hold from the next request on.

    Raises:
        Forbidden: she does not manage the organisation's accounts, or has not stepped up.
        NotNow: somebody changed them since `version`.
        BadInput: hours that end before they begin or overlap, a network that is none.

    """
    decision = act.require_org(Action.MEMBER_MANAGE, reason=True)
    rows = _rows(act, wanted)
    _take_version(act, wanted.version)
    before = _read(act)
    for table, new in (
        (opening_hours, rows.hours),
        (closed_day, rows.days),
        (managed_network, rows.networks),
    ):
        _replace(act, table, new)
    after = _read(act)
    act.record(
        Deed(
            CHANGE,
            policies=decision.policies,
            detail={"reason": wanted.reason.strip(), "before": _told(before), "after": _told(after)},
        )
    )
    return after


def _take_version(act: Act, version: int) -> None:
    connection, here = act.unit.connection, org_settings.c.org_id == act.org_id
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    first = dialect.insert(org_settings).values(org_id=act.org_id, version=0)
    connection.execute(first.on_conflict_do_nothing())
    found = connection.execute(select(org_settings.c.version).where(here).with_for_update()).scalar_one()
    if found != version:
        title = "Les réglages ont été modifiés entre-temps. Relisez-les."
        raise NotNow(CHANGE, "settings_moved", title, tried={})
    connection.execute(update(org_settings).where(here).values(version=version + 1))


def _replace(act: Act, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    act.unit.connection.execute(delete(table).where(table.c.org_id == act.org_id))
    if rows:
        act.unit.connection.execute(insert(table), list(rows))


def _read(act: Act) -> OrgSettings:
    connection, org_id = act.unit.connection, act.org_id
    hours = connection.execute(
        select(opening_hours)
        .where(opening_hours.c.org_id == org_id)
        .order_by(opening_hours.c.weekday, opening_hours.c.opens)
    ).all()
    days = connection.execute(
        select(closed_day.c.day).where(closed_day.c.org_id == org_id).order_by(closed_day.c.day)
    )
    networks = connection.execute(
        select(managed_network.c.first, managed_network.c.last)
        .where(managed_network.c.org_id == org_id)
        .order_by(managed_network.c.first, managed_network.c.last)
    )
    version = connection.execute(
        select(org_settings.c.version).where(org_settings.c.org_id == org_id)
    ).scalar_one_or_none()
    return OrgSettings(
        version=version or 0,
        opening_hours={
            weekday: [OpenFrom(_time(row.opens), _time(row.closes)) for row in hours if row.weekday == number]
            for number, weekday in enumerate(_WEEKDAYS)
            if any(row.weekday == number for row in hours)
        },
        closed_on=list(days.scalars()),
        managed_networks=[str(network_between(bytes(row.first), bytes(row.last))) for row in networks],
    )


def _rows(act: Act, wanted: NewOrgSettings) -> _Rows:
    org = {"org_id": act.org_id}
    hours = []
    for number, weekday in enumerate(_WEEKDAYS):
        spans = sorted(
            (_minute(span.from_), _minute(span.to)) for span in wanted.opening_hours.get(weekday, [])
        )
        if any(opens >= closes for opens, closes in spans):
            raise bad_field("opening_hours", "ends_before_it_begins")
        if any(one[1] > other[0] for one, other in pairwise(spans)):
            raise bad_field("opening_hours", "overlapping")
        hours += [org | {"weekday": number, "opens": opens, "closes": closes} for opens, closes in spans]
    ends = sorted({ends_of(_network(text)) for text in wanted.managed_networks})
    return _Rows(
        hours,
        [org | {"day": day} for day in sorted(set(wanted.closed_on))],
        [org | {"first": first, "last": last} for first, last in ends],
    )


def _network(text: str) -> Network:
    try:
        return parse_network(text)
    except NetworkRefused as error:
        raise bad_field("managed_networks", error.code) from None


def _minute(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _told(settings: OrgSettings) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(settings)
    return {name: value for name, value in told.items() if name != "version"}
