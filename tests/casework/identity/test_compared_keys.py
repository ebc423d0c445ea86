"""After eight words were compared, and before what they allow, somebody commits: what was compared is used.

On PostgreSQL alone: on SQLite nobody else writes until the unit ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, update
from sqlalchemy.util import await_only

from casework.identity.tables import renewed_key
from casework.organisations import renewing
from casework.organisations.entries import append_entry
from crypto.directory import Directory
from crypto.directory_entries import EntrySigner
from crypto.hpke import new_key_pair
from crypto.signing import SigningKey
from crypto.words import words_match
from tests.casework.administrator import Administrator
from tests.casework.centre import Centre
from tests.casework.story import begin_renewal, take_up

LOGIN = "avec.social"


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


def commit_in_between(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, change: Callable[[Connection], Any]
) -> None:
    """From now on the database's administrator commits this at the very moment when the words were compared."""

    def compare(expected: Sequence[str], heard: str) -> bool:
        is_match = words_match(expected, heard)
        await_only(Administrator(centre.urls.owner).run(change))
        return is_match

    monkeypatch.setattr(renewing, "words_match", compare)


async def directory_of(centre: Centre) -> Directory:
    return await centre.dba(lambda connection: centre.directory(connection, "avec"))


async def say(centre: Centre, by: str, act: str, words: Sequence[str]) -> Any:
    asker = await centre.sign_in(by, step_up=True, role="worker" if by == "avec.double" else None)
    path = f"/members/{centre.member(LOGIN)}/{act}"
    return await asker.request("POST", path, json={"words": " ".join(words)})


async def test_keys_that_are_put_in_after_the_words_were_compared_are_not_certified(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    words = await take_up(centre, await begin_renewal(centre, custodian, LOGIN), LOGIN)
    hers = centre.member(LOGIN)
    planted = new_key_pair().public
    swap = update(renewed_key).where(renewed_key.c.member_id == hers).values(daily_public=planted)
    commit_in_between(centre, monkeypatch, lambda connection: connection.execute(swap))
    assert (await say(centre, "avec.custodian", "renewal/confirmation", words)).status_code == 200
    assert (await directory_of(centre)).members[hers.bytes].daily_public != planted
    monkeypatch.undo()
    assert (await say(centre, "avec.double", "grants", words)).status_code == 200


async def test_keys_that_are_certified_after_the_words_were_compared_are_granted_nothing(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (await (await centre.sign_in(LOGIN)).get("/me/words"))["words"]
    (member,) = centre.accounts[LOGIN].memberships
    (custodian,) = centre.accounts["avec.custodian"].memberships
    planted = replace(member.body, daily_public=new_key_pair().public, signing_public=SigningKey.new().public)

    def certify(connection: Connection) -> None:
        directory = centre.directory(connection, "avec")
        signer = EntrySigner(custodian.id.bytes, custodian.signing)
        append_entry(connection, centre.org("avec"), directory.next_entry(planted, signer))

    commit_in_between(centre, monkeypatch, certify)
    await say(centre, "avec.double", "grants", words)
    directory = await directory_of(centre)
    assert directory.members[member.id.bytes].daily_public == planted.daily_public
    assert directory.grants_of(member.id.bytes) == ()
