"""An organisation that joins with a file of its own, works, and changes its rules; all from the command line."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from casework.app import create_app
from casework.deployment import assemble, dismantle
from casework.settings import from_environment
from crypto.password import FLOOR_PARAMS
from policies.phrases import phrases_text
from policies.sources import org_source
from tests.casework.centre import Centre, Client, MovableClock
from tests.casework.commands.place import Place, Ran
from tests.casework.story import hand_over, note, open_case

# What stands in the files does not depend on the engine.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"])

EMMAUS = tuple(
    f"emmaus.{one}"
    for one in (
        "custodian:custodian",
        "social:worker:social",
        "second:worker:social",
        "supervisor:supervisor",
        "dpo:dpo",
        "auditor:auditor",
        "reception:reception",
    )
)
RULES = org_source("avec").text.replace("avec", "emmaus")
PHRASES = phrases_text("avec").replace('"avec', '"emmaus')
NO_SEARCH = """
@id("emmaus.no_search") @title("Personne ne cherche")
forbid (principal in Org::"emmaus", action == Action::"case.search", resource in Org::"emmaus");
"""


def create(place: Place, rules: str, phrases: str = PHRASES) -> Ran:
    files = place.folder / "emmaus.cedar", place.folder / "emmaus.toml"
    for file, text in zip(files, (rules, phrases), strict=True):
        file.write_text(text, "utf-8")
    members = [word for member in EMMAUS for word in ("--member", member)]
    to = ("--to", place.folder / "emmaus.txt", "--pages", place.pages)
    given = ("--policy", files[0], "--phrases", files[1])
    return place.run("org", "create", "emmaus", "--name", "Emmaüs", *members, *given, *to)


def introduce(place: Place) -> None:
    """Emmaüs and AVEC compare their cards."""
    for card, reader in (("avec", "emmaus"), ("emmaus", "avec")):
        path = place.folder / f"{card}.json"
        assert place.run("org", "card", card, "--to", path).code == 0
        fingerprint = place.fingerprint(card)
        assert place.run("org", "partner", reader, path, "--root", fingerprint).code == 0


@asynccontextmanager
async def serving(place: Place) -> AsyncIterator[Centre]:
    """The service of a place, for its members' clients."""
    clock = MovableClock()
    deployment = await assemble(from_environment(place.environment), clock, FLOOR_PARAMS)
    app = create_app(deployment)
    accounts: Any = {
        login: SimpleNamespace(totp_seed=seed)
        for slug in ("avec", "emmaus")
        for login, seed in re.findall(
            r"ACCÈS\s*: (\S+)\n(?s:.*?)Second facteur \(secret\)\s*: (\S+)", place.sheet(slug)
        )
    }
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
        yield Centre(deployment, app, clock, {}, accounts, http, SimpleNamespace())  # type: ignore[arg-type]
    await dismantle(deployment)


async def sign_in(centre: Centre, place: Place, login: str) -> Client:
    password = place.password(login.partition(".")[0], login)
    return await centre.sign_in(login, step_up=True, password=password)


async def work(place: Place) -> None:
    """A worker of Emmaüs opens a case, notes what was done, and hands it over to AVEC."""
    async with serving(place) as centre:
        social = await sign_in(centre, place, "emmaus.social")
        case = await open_case(social, "social")
        await note(social, case, "accompagnement_social", "social")
        handoff, _ = await hand_over(social, case, "identity", "contact", to="avec")
        receiver = await sign_in(centre, place, "avec.supervisor")
        (waiting,) = (await receiver.get("/handoffs?box=received"))["items"]
        assert (waiting["id"], waiting["from"]) == (handoff, "emmaus")
        # What its file permits nobody of another role does, and nobody of another organisation.
        auditor = await sign_in(centre, place, "emmaus.auditor")
        for other in (auditor, receiver):
            await other.refused("GET", f"/cases/{case}", 404, "not_found")


def test_a_fifth_organisation_joins_with_a_file_of_its_own_and_works(founded: Place) -> None:
    ran = create(founded, RULES)
    assert ran.code == 0, ran
    introduce(founded)
    with patch.dict(os.environ, founded.environment):
        asyncio.run(work(founded))


def test_rules_that_do_not_pass_the_checks_found_nobody(founded: Place) -> None:
    for rules, phrases, says in (
        (RULES + "permit (principal", PHRASES, "règles"),
        (RULES.replace('Org::"emmaus"', 'Org::"avec"'), PHRASES, "n’est pas limité"),
        (RULES + NO_SEARCH, PHRASES, "emmaus.no_search"),
    ):
        ran = create(founded, rules, phrases)
        assert (ran.code, ran.out, says in ran.err) == (1, "", True), ran
        assert not (founded.folder / "emmaus.txt").exists()
    ran = founded.run(
        "org", "create", "emmaus", "--name", "E", "--member", EMMAUS[0], "--pages", founded.pages
    )
    assert (ran.code, "Aucune règle n’existe" in ran.err) == (1, True), ran


def test_its_rules_are_changed_by_one_who_proposes_and_two_who_sign(founded: Place) -> None:
    assert create(founded, RULES).code == 0
    file = founded.folder / "next.cedar"
    file.write_text(RULES + NO_SEARCH, "utf-8")
    digest = sha256(file.read_bytes()).hexdigest()
    signing = founded.password_file("emmaus.custodian", "emmaus.supervisor", "emmaus.dpo")

    def signs(*command: str | Path, **who: str) -> Ran:
        (option, login) = next(iter(who.items()))
        return founded.run("policy", *command, f"--{option}", login, "--passwords", signing)

    # A sentence that the organisation keeps is dropped by a file that lacks it, and not by silence.
    ran = signs("propose", "emmaus", file, custodian="emmaus.custodian")
    assert (ran.code, "emmaus.no_search" in ran.err) == (1, True), ran
    phrases = founded.folder / "next.toml"
    phrases.write_text("", "utf-8")
    ran = signs("propose", "emmaus", file, "--phrases", phrases, custodian="emmaus.custodian")
    assert (ran.code, "PERD chercher" in ran.out, f"numéro 2, empreinte {digest}" in ran.out) == (
        0,
        True,
        True,
    ), ran
    assert ("les 90 derniers jours du journal" in ran.out, "Décisions rejouées : 0." in ran.out) == (
        True,
        True,
    )
    ran = signs("approve", "emmaus", "2", "00" * 32, member="emmaus.dpo")
    assert (ran.code, "aucune proposition" in ran.err) == (1, True), ran
    ran = signs("approve", "emmaus", "2", digest, member="emmaus.custodian")
    assert (ran.code, "a proposé celles-ci" in ran.err) == (1, True), ran
    ran = signs("approve", "emmaus", "2", digest, member="emmaus.supervisor")
    assert (ran.code, "seconde personne" in ran.out) == (0, True), ran
    ran = signs("approve", "emmaus", "2", digest, member="emmaus.dpo")
    assert (ran.code, "approuvées" in ran.out) == (0, True), ran
    listed = founded.run("policy", "sets", "emmaus").out.splitlines()
    assert [(line.split()[0], line.split(maxsplit=2)[2]) for line in listed] == [
        ("2", "en vigueur"),
        ("1", "passé"),
    ]
    ran = founded.run("policy", "text", "emmaus", "2", "--to", founded.folder / "kept.cedar")
    assert (ran.code, ran.out) == (0, f"{digest}  en vigueur\n"), ran
    assert (founded.folder / "kept.cedar").read_bytes() == file.read_bytes()
    assert founded.run("policy", "text", "emmaus", "9", "--to", founded.folder / "none.cedar").code == 1
    ran = founded.run("policy", "export", "emmaus", "--to", founded.folder / "emmaus.json")
    told = json.loads((founded.folder / "emmaus.json").read_text("utf-8"))["sets"]
    assert [(one["number"], len(one["approved_by"])) for one in told] == [(1, 1), (2, 2)]
    assert (told[0]["approved_by"], told[1]["sha256"]) == (["root"], digest)
    # What does not pass the checks is not proposed, and the fault is named.
    file.write_text(RULES + NO_SEARCH.replace('@title("Personne ne cherche")', ""), "utf-8")
    ran = signs("propose", "emmaus", file, custodian="emmaus.custodian")
    line = len(RULES.splitlines()) + 2
    assert (ran.code, f"ligne {line}" in ran.err, "@title" in ran.err) == (1, True, True), ran
