"""`casework rights` as it is typed; and an older backup gives back nothing of somebody who was erased since."""

import asyncio
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pyotp
import pytest
from sqlalchemy import Connection, Row, insert, make_url, select

from audit.tables import entry
from audit.tables import metadata as audit_metadata
from casework.database import metadata
from casework.deployment import assemble, dismantle
from casework.identity.tables import membership, renewal
from casework.ids import new_id
from casework.rights.certificate import BASES
from casework.rights.states import Basis
from casework.rights.sweeping import SAFE_AGE, sweep_orphans
from casework.schema import migrate
from casework.settings import from_environment
from casework.shreds import shreds_metadata
from tests.casework.centre import MovableClock
from tests.casework.commands.place import Place, Ran
from tests.casework.commands.test_backup import (
    deployment_key,
    make_key,
    on_sqlite,
    opened,
    programs,
    restore,
    take,
    target,
    wait_a_second,
)
from tests.casework.commands.test_organisations import id_of, read
from tests.casework.commands.test_serving import serving
from tests.thefts.loot import Loot, Rows, keys_in, read_tables
from tests.thefts.opening import plunder

__all__ = ["programs", "target"]

GOES, STAYS = "Canari effacée", "Canari gardée"


def code(place: Place, login: str, steps: int = 0) -> str:
    """A code of the second factor; each is good once, and one of the next half minute is taken too."""
    found = re.search(rf"ACCÈS\s*: {re.escape(login)}\n(?s:.*?)\(secret\)\s*: (\S+)", place.sheet("avec"))
    assert found is not None
    return pyotp.TOTP(found[1]).at(datetime.now(UTC) + timedelta(seconds=30 * steps))


@contextmanager
def signed_in(place: Place, url: str, steps: int = 0) -> Iterator[httpx.Client]:
    """AVEC's social worker at the API."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as http:
        body = {"login": "avec.social", "password": place.password("avec", "avec.social")}
        http.headers["authorization"] = f"Bearer {http.post('/sessions', json=body).json()['token']}"
        factor = http.post(
            "/sessions/current/second-factor", json={"code": code(place, "avec.social", steps)}
        )
        assert factor.status_code == 200, factor.text
        yield http


def begin_renewal(connection: Connection) -> None:
    """A renewal that waits for its member, whose secret she holds."""
    member = connection.execute(select(membership).limit(1)).one()
    now = datetime.now(UTC)
    waiting = {
        "org_id": member.org_id,
        "id": new_id(),
        "account_id": member.account_id,
        "kind": "reset",
        "started_by": member.id,
        "secret_hash": bytes(32),
        "created_at": now,
        "expires_at": now + timedelta(days=1),
    }
    connection.execute(insert(renewal).values(waiting))


def new_cases(http: httpx.Client, *names: str) -> list[str]:
    made = [
        http.post("/cases", json={"public": "seeking", "identity": {"name_in_use": name}}) for name in names
    ]
    return [str(one.json()["id"]) for one in made]


def typed(place: Place, url: str, login: str, *arguments: str, answers: str) -> Ran:
    """A command of `casework rights` in a member's session, with what she is asked for on its input."""
    passwords = place.password_file(login)
    with patch("sys.stdin", StringIO(answers)):
        return place.run("rights", *arguments, "--url", url, "--login", login, "--passwords", passwords)


def erase(place: Place, url: str, case: str, steps: int = 1) -> Ran:
    """Prepared by the social worker, approved by the officer; returns the certificate."""
    answers = f"Elle le demande.\n{code(place, 'avec.social', steps)}\n"
    prepared = typed(place, url, "avec.social", "erase", case, "--basis", "objection", answers=answers)
    assert prepared.code == 0, prepared
    (request,) = re.findall(r"approuver\s*: (\S+)", prepared.out)
    answers = f"{code(place, 'avec.dpo')}\n{case}\n"
    own = typed(place, url, "avec.dpo", "approve", request, "--basis", "unlawful", answers=answers)
    assert (own.code, own.err) == (1, "Certaines informations sont à corriger.\n"), own
    answers = f"{code(place, 'avec.dpo', 1)}\nSoraya\n{case}\n"
    approved = typed(place, url, "avec.dpo", "approve", request, "--basis", "objection", answers=answers)
    assert approved.code == 0, approved
    # What is no number is asked for again, and not shown; nor is the number.
    again = ("tapez-le à nouveau" in approved.out, "Soraya" in approved.out + approved.err)
    assert again == (True, False), approved
    shown = ("Elle le demande." in approved.out, BASES[Basis.OBJECTION] in approved.out, case in approved.out)
    assert shown == (True, True, False), approved
    return approved


@pytest.mark.parametrize(
    ("engine_name", "halves"), [("sqlite", "standing"), ("sqlite", "copied"), ("postgresql", "standing")]
)
def test_last_weeks_backup_restored_after_an_erasure_reads_nothing_of_her_and_all_of_the_others(
    founded: Place, target: Place, halves: str
) -> None:
    shares = make_key(founded)
    with serving(founded) as (process, url):
        with signed_in(founded, url) as http:
            goes, stays = new_cases(http, GOES, STAYS)
        read(founded, begin_renewal)
        manifest = take(founded)
        erase(founded, url, goes)
        wait_a_second()
        newer = take(founded)
        process.terminate()
        process.wait(60)
    more: tuple[str | Path, ...] = ("--shreds", newer)
    if halves == "standing":
        target, more = _with_the_store_of(founded, target), ()
    ran = restore(target, founded, manifest, shares, *more)
    assert (ran.code, "effacés à nouveau" in ran.out) == (0, True), ran
    assert ("refaites chaque effacement" in ran.out) is (halves == "copied")
    # A secret that was used since is good for nothing again.
    assert read(target, lambda connection: connection.execute(select(renewal.c.id)).all()) == []
    # Nothing is there that lacks its half.
    checked = target.run("check")
    assert checked.code == 0, checked
    for name in ("avec.txt", "cidff.txt"):
        shutil.copy(founded.folder / name, target.folder / name)
    with serving(target) as (_, url), signed_in(target, url, 1) as http:
        assert http.get(f"/cases/{goes}").status_code == 404
        assert http.get(f"/cases/{stays}").json()["groups"]["identity"] == {"name_in_use": STAYS}
        assert [item["id"] for item in http.get("/cases").json()["items"]] == [stays]
    replayed = select(entry.c.idx).where(entry.c.action == "erasure.replay")
    assert len(read(target, lambda connection: connection.execute(replayed).all())) == 1


@on_sqlite
def test_pepper_and_passwords_read_nothing_of_her_in_last_weeks_backup_with_newer_halves(
    founded: Place, tmp_path: Path
) -> None:
    shares = make_key(founded)
    with serving(founded) as (_, url):
        with signed_in(founded, url) as http:
            goes, _stays = new_cases(http, GOES, STAYS)
        manifest = take(founded)
        erase(founded, url, goes)
        wait_a_second()
        newer = take(founded)
    pepper = (founded.folder / "secret" / "pepper").read_bytes()
    password = {"avec.social": founded.password("avec", "avec.social")}
    texts = []
    for of_halves in (manifest, newer):
        rows: dict[str, Sequence[Row[Any]]] = {}
        for part, source, tables in (
            ("database", manifest, (metadata, audit_metadata)),
            ("shreds", of_halves, (shreds_metadata,)),
        ):
            path = tmp_path / f"{uuid4().hex}.db"
            path.write_bytes(opened(source, shares, part))
            found: list[Rows] = []
            look = read_tables(*tables)
            url_of = make_url(f"sqlite:///{path}")
            asyncio.run(
                migrate(url_of, lambda connection, look=look, found=found: found.append(look(connection)))
            )
            rows |= found[0]
        haul = plunder(Loot(rows, keys_in(founded.state) | {pepper}, password))
        texts.append(haul.text)
    with_old_halves, with_new_halves = texts
    # A copy of the halves from before is what must be destroyed within thirty days.
    assert GOES in with_old_halves
    assert GOES not in with_new_halves
    assert STAYS in with_new_halves


def test_halves_without_a_case_are_swept_once_they_are_old_and_others_never(founded: Place) -> None:
    org_id = id_of(founded, "avec")

    async def plant() -> tuple[int, int, int]:
        clock = MovableClock()
        deployment = await assemble(from_environment(founded.environment), clock)
        shreds, orphan, stranger = deployment.shreds, new_id(), uuid4()
        for owner, purpose in ((orphan, "pseudonym"), (stranger, "pseudonym"), (new_id(), "other")):
            await deployment.database.unit(
                lambda _, owner=owner, purpose=purpose: shreds.add(org_id, {(owner, purpose): bytes(32)})
            )
        young = await sweep_orphans(deployment, is_dry_run=False)
        clock.offset += SAFE_AGE + timedelta(minutes=1)
        counted = await sweep_orphans(deployment, is_dry_run=True)
        swept = await sweep_orphans(deployment, is_dry_run=False)
        left = await deployment.database.unit(lambda _: shreds.owned(org_id))
        assert (orphan, "pseudonym") not in left
        assert (stranger, "pseudonym") in left
        assert len(left) == 2
        await dismantle(deployment)
        return young, counted, swept

    assert asyncio.run(plant()) == (0, 1, 1)
    ran = founded.run("rights", "sweep", "--dry-run")
    assert (ran.code, "0 (rien n’a été détruit)" in ran.out) == (0, True), ran


@on_sqlite
def test_nothing_is_swept_for_thirty_days_after_a_restore(founded: Place, target: Place) -> None:
    shares = make_key(founded)
    assert restore(target, founded, take(founded), shares).code == 0
    ran = target.run("rights", "sweep")
    assert (ran.code, "trente jours" in ran.err) == (1, True), ran


@on_sqlite
def test_a_backup_whose_halves_are_older_than_thirty_days_fails_its_check(
    founded: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(founded)
    manifest, key = take(founded), deployment_key(founded)
    assert founded.run("check", "--backup", manifest, "--key", key).code == 0
    clock = MovableClock()
    clock.offset = timedelta(days=30, minutes=1)
    monkeypatch.setattr("casework.commands.check.Clock", lambda: clock)
    checked = founded.run("check", "--backup", manifest, "--key", key)
    assert (checked.code, "plus de 30 jours" in checked.out) == (1, True), checked


def _with_the_store_of(founded: Place, target: Place) -> Place:
    if not founded.urls:
        for path in founded.database.parent.glob("shreds.db*"):
            shutil.copy(path, target.database.parent / path.name)
        return target
    return Place(target.folder, {**target.urls, "CASEWORK_SHRED_URL": founded.urls["CASEWORK_SHRED_URL"]})
