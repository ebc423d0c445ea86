"""What a demo holds once it is made."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from typing import Any

import msgspec
import pyotp

from casework.demo.directory import DemoDirectory
from casework.demo.filling import plan_cases
from casework.demo.relays import RELAYS, Ending
from casework.demo.staff import HOUSES, SLUGS
from casework.follow_ups.types import HEAD_GROUP
from crypto.directory import verify_directory
from crypto.directory_entries import DirectoryEntry
from crypto.directory_rules import Charter
from policies.engine import Engine
from policies.grants import granted_groups
from policies.vocabulary import Group
from tests.casework.demo.conftest import CASES

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def rows(demo: DemoDirectory, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(demo.path / "data" / "casework.db")) as connection:
        return connection.execute(query).fetchall()


def test_a_demo_is_marked_as_one_when_it_is_made(small_demo: DemoDirectory) -> None:
    assert rows(small_demo, "SELECT is_demo FROM deployment") == [(1,)]


def test_every_organisation_has_cases_follow_ups_and_teams(small_demo: DemoDirectory) -> None:
    for table in ("case_file", "follow_up", "team"):
        query = f"SELECT DISTINCT slug FROM {table} t JOIN organisation o ON o.id = t.org_id"
        assert {slug for (slug,) in rows(small_demo, query)} == set(SLUGS), table


def test_a_demo_holds_the_cases_asked_for_and_one_more_for_each_relay_that_was_accepted(
    small_demo: DemoDirectory,
) -> None:
    accepted = sum(relay.ending in {Ending.ACCEPTED, Ending.SCHEDULED} for relay in RELAYS)
    assert rows(small_demo, "SELECT count(*) FROM case_file") == [(CASES + accepted,)]


def test_relays_stand_in_every_state_that_a_box_may_show(small_demo: DemoDirectory) -> None:
    states = {state for (state,) in rows(small_demo, "SELECT DISTINCT state FROM handoff_side")}
    assert {"draft", "consented", "sent", "accepted", "declined", "scheduled", "withdrawn"} <= states


def test_every_organisation_knows_the_three_others(small_demo: DemoDirectory) -> None:
    known = rows(small_demo, "SELECT count(*) FROM partner GROUP BY org_id")
    assert known == [(len(SLUGS) - 1,)] * len(SLUGS)


def test_everybody_has_accepted_the_charter_and_it_is_said_on_what_her_secrecy_rests(
    small_demo: DemoDirectory,
) -> None:
    assert rows(small_demo, "SELECT count(*) FROM account WHERE secrecy_basis IS NULL") == [(0,)]
    for org, fingerprint, text in rows(
        small_demo, "SELECT id, root_fingerprint, text FROM organisation JOIN charter ON org_id = id"
    ):
        query = f"SELECT entry FROM key_directory WHERE org_id = x'{org.hex()}' ORDER BY epoch"
        entries = [DirectoryEntry.from_bytes(entry) for (entry,) in rows(small_demo, query)]
        directory = verify_directory(org, entries, fingerprint, None)
        assert directory.charter == Charter(1, sha256(text).digest())
        assert all(map(directory.has_accepted, directory.members))


def test_the_list_of_accounts_is_for_its_owners_eyes_alone(small_demo: DemoDirectory) -> None:
    assert small_demo.accounts_file.stat().st_mode & 0o777 == 0o600
    assert small_demo.pepper_file.stat().st_mode & 0o777 == 0o600


def test_the_list_of_accounts_names_everyone_with_what_signs_her_in(small_demo: DemoDirectory) -> None:
    listed = msgspec.json.decode(small_demo.accounts_file.read_bytes())
    staff = {f"{house.slug}.{colleague.name}" for house in HOUSES for colleague in house.staff}
    fields = {"login", "password", "totp_secret", "organisation", "role", "journal_key"}
    assert {account["login"] for account in listed} == staff
    assert all(set(account) == fields for account in listed)
    assert all(pyotp.TOTP(account["totp_secret"]).now() for account in listed)
    assert len({account["password"] for account in listed}) == len(listed)
    keys = {account["organisation"]: account["journal_key"] for account in listed}
    assert all(key.startswith(f"demo.casework.example/{slug}+") for slug, key in keys.items())


def test_no_password_and_no_name_stands_readable_in_the_database(small_demo: DemoDirectory) -> None:
    stored = b"".join(path.read_bytes() for path in (small_demo.path / "data").iterdir())
    for account in small_demo.read_accounts():
        assert account.password.encode() not in stored
        assert account.totp_secret.encode() not in stored
    for planned in plan_cases(Random(63), CASES, NOW):
        for follow_up in planned.content.follow_ups:
            assert all(text.encode() not in stored for text in follow_up["content"].values())


def test_every_compartment_that_anyone_is_granted_has_two_holders() -> None:
    for house in HOUSES:
        engine = Engine.load(house.slug, SLUGS)
        holders: dict[str, int] = {}
        for colleague in house.staff:
            position = colleague.position
            for compartment in granted_groups(engine, position.role, position.professions):
                holders[compartment] = holders.get(compartment, 0) + 1
        assert min(holders.values()) >= 2, (house.slug, holders)


def test_one_seed_tells_the_same_stories() -> None:
    assert plan_cases(Random(1), 60, NOW) == plan_cases(Random(1), 60, NOW)
    assert plan_cases(Random(1), 60, NOW) != plan_cases(Random(2), 60, NOW)


def test_every_follow_up_is_of_the_past_and_told_in_the_group_of_its_type() -> None:
    for planned in plan_cases(Random(3), 200, NOW):
        for follow_up in planned.content.follow_ups:
            assert list(follow_up["content"]) == [HEAD_GROUP[follow_up["type"]]]
            assert datetime.fromisoformat(follow_up["occurred_at"]) < NOW


def test_every_phone_number_is_of_a_range_set_aside_for_fiction() -> None:
    for planned in plan_cases(Random(4), 200, NOW):
        number = planned.content.desk[Group.CONTACT]["phone"]
        assert re.fullmatch(r"(06 39 98|01 99 00) \d\d \d\d", number)
