"""`casework member add`: who certifies, who grants, and what is refused."""

import asyncio
import re
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Select, select

from audit.entry import Outcome
from audit.log import Filters, entries
from casework.anchors import Anchors
from casework.cli import cli
from casework.clock import Clock
from casework.deployment import Deployment, assemble, dismantle
from casework.errors import Problem, SignInRefused, TooManyRequests
from casework.identity.members import Position, prepare_account
from casework.identity.sign_in import sign_in
from casework.identity.tables import account
from casework.journal import Who
from casework.organisations.holders import verified_directory
from casework.organisations.joining import Joined, join
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.settings import from_environment
from crypto.password import FLOOR_PARAMS
from policies.vocabulary import Role
from tests.casework.commands.place import AVEC, Place, Ran
from tests.casework.commands.test_organisations import id_of, read


def add(place: Place, *arguments: str, login: str = "avec.new", org: str = "avec", **wrong: str) -> Ran:
    """Add a member; passwords are those of the sheet unless `wrong` gives another by the login's second part."""
    named = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--custodian"]
    passwords = place.password_file(*dict.fromkeys(named), **wrong)
    basis = ("--secrecy-basis", "mission")
    return place.run("member", "add", org, login, *arguments, *basis, "--passwords", passwords)


def held(place: Place, login: str) -> set[str]:
    """The compartments that the directory certifies a member to hold."""

    def look(connection: Connection) -> set[str]:
        org_id = id_of_login(connection, login)
        directory = verified_directory(connection, Anchors(place.state), org_id)
        newest = list(directory.members)[-1]
        return {group for group in directory.compartments if directory.holds(newest, group)}

    return read(place, look)


def id_of_login(connection: Connection, login: str) -> UUID:
    found: UUID = connection.execute(select(account.c.org_id).where(account.c.login == login)).scalar_one()
    return found


def journaled(place: Place, action: str) -> list[tuple[Outcome, str | None, str | None]]:
    place.integrate()
    org = id_of(place, "avec").bytes
    found = read(place, lambda connection: entries(connection, org, Filters(action=action)))
    return [(page.entry.outcome, page.entry.role, page.entry.reason) for page in found.entries]


def test_a_new_member_is_handed_a_secret_and_no_password_and_holds_nothing(founded: Place) -> None:
    ran = add(founded, *("--role", "worker", "--profession", "health", "--custodian", "avec.custodian"))
    assert ran.code == 0, ran
    assert re.search(r"sept jours\s*: \w{4}(-\w{4}){4}\n", ran.out)
    assert "initial" not in ran.out
    assert held(founded, "avec.new") == set()


def test_compartments_that_no_holder_gave_wait_and_are_listed(founded: Place) -> None:
    ran = add(founded, *("--role", "worker", "--profession", "health", "--custodian", "avec.custodian"))
    expected = ["contact", "family", "health", "identity", "index", "intake", "safety", "social"]
    assert ran.out.splitlines()[-1].endswith(f": {', '.join(expected)}.")


def test_joining_is_journaled_by_its_custodian(founded: Place) -> None:
    add(founded, "--role", "auditor", "--custodian", "avec.custodian")
    assert journaled(founded, "member.add") == [(Outcome.ALLOWED, "custodian", None)]


def test_who_may_not_certify_adds_nobody(founded: Place) -> None:
    ran = add(founded, "--role", "reception", "--custodian", "avec.supervisor")
    assert (ran.code, ran.out) == (1, "")
    assert not read(founded, lambda connection: connection.execute(taken("avec.new")).first())
    assert journaled(founded, "member.add") == [(Outcome.DENIED, None, "may_not_certify")]


def taken(login: str) -> Select[tuple[UUID]]:
    return select(account.c.id).where(account.c.login == login)


def test_a_wrong_password_adds_nobody_and_is_journaled(founded: Place) -> None:
    ran = add(founded, "--role", "reception", "--custodian", "avec.custodian", custodian="not the password")
    assert (ran.code, ran.err.startswith("avec.custodian")) == (1, True), ran
    assert "not the password" not in ran.err
    assert journaled(founded, "member.add") == [(Outcome.DENIED, None, "wrong_password")]


@pytest.mark.parametrize("login", ["avec.social", "cidff.jurist"])
def test_a_login_is_of_one_person_alone(founded: Place, login: str) -> None:
    ran = add(founded, "--role", "reception", "--custodian", "avec.custodian", login=login)
    assert (ran.code, ran.err.startswith(login)) == (1, True), ran


def test_of_two_joinings_at_once_each_is_whole_or_not_at_all(founded: Place) -> None:
    async def both() -> list[Joined | BaseException]:
        deployment = await assemble(from_environment(founded.environment), Clock())
        custodian = Credentials("avec.custodian", founded.password("avec", "avec.custodian"))
        news = [
            prepare_account(
                f"avec.new{number}",
                "un bateau mauve traverse Lisbonne",
                [Position(Role.RECEPTION)],
                FLOOR_PARAMS,
            )
            for number in range(2)
        ]
        try:
            return await asyncio.gather(
                *(join(deployment, "avec", new, custodian) for new in news), return_exceptions=True
            )
        finally:
            await dismantle(deployment)

    outcomes = asyncio.run(both())
    joined = [outcome for outcome in outcomes if isinstance(outcome, Joined)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, KeyActRefused)]
    assert joined
    assert len(joined) + len(refused) == 2, outcomes
    assert {outcome.fault for outcome in refused} <= {KeyActFault.DIRECTORY_MOVED}
    for outcome in joined:
        assert outcome.waiting == ("contact", "identity", "index", "intake")
    org_id = id_of(founded, "avec")
    directory = read(
        founded, lambda connection: verified_directory(connection, Anchors(founded.state), org_id)
    )
    assert len(directory.members) == len(AVEC) + len(joined)


def test_a_custodian_of_another_organisation_is_unknown(founded: Place) -> None:
    ran = add(founded, "--role", "reception", "--custodian", "cidff.custodian")
    assert (ran.code, ran.err.startswith("cidff.custodian")) == (1, True), ran


def test_passwords_are_not_read_from_a_file_that_others_may_read(founded: Place) -> None:
    path = founded.password_file("avec.custodian")
    path.chmod(0o640)
    ran = founded.run(
        *("member", "add", "avec", "avec.new", "--role", "dpo", "--custodian", "avec.custodian"),
        *("--secrecy-basis", "mission", "--passwords", path),
    )
    assert (ran.code, "0600" in ran.err) == (1, True)


@pytest.mark.parametrize("content", ["avec.custodian password\n", "\tpassword\n", "avec.dpo\tpassword\n"])
def test_a_password_file_has_one_login_and_password_a_line(founded: Place, content: str) -> None:
    path = founded.password_file()
    path.write_text(content)
    ran = founded.run(
        *("member", "add", "avec", "avec.new", "--role", "dpo", "--custodian", "avec.custodian"),
        *("--secrecy-basis", "mission", "--passwords", path),
    )
    assert (ran.code, ran.err.startswith("--passwords")) == (1, True)
    assert "password" not in ran.err.removeprefix("--passwords")


def test_without_a_file_each_password_is_asked_for_unseen(
    sqlite_original: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sqlite_original.environment.items():
        monkeypatch.setenv(name, value)
    arguments = ["member", "add", "nowhere", "avec.new", "--role", "dpo", "--custodian", "avec.custodian"]
    arguments += ["--secrecy-basis", "mission"]
    answered = CliRunner().invoke(cli, arguments, input="unseen words\n")
    assert "avec.custodian" in answered.output
    assert "unseen words" not in answered.output
    assert answered.exit_code == 1


def test_the_operator_unlocks_a_login_and_the_journal_says_so(founded: Place) -> None:
    async def tries(password: str, times: int) -> list[type[Problem] | None]:
        deployment = await assemble(from_environment(founded.environment), Clock())
        try:
            return [await attempted(deployment, password) for _ in range(times)]
        finally:
            await dismantle(deployment)

    async def attempted(deployment: Deployment, password: str) -> type[Problem] | None:
        try:
            await sign_in(deployment, Who(uuid4()), "avec.social", password, None)
        except Problem as refused:
            return type(refused)
        return None

    right = founded.password("avec", "avec.social")
    assert asyncio.run(tries("wrong", 5)) == [SignInRefused] * 5
    assert asyncio.run(tries(right, 1)) == [TooManyRequests]
    ran = founded.run("member", "unlock", "avec.social")
    assert (ran.code, ran.err) == (0, ""), ran
    assert asyncio.run(tries(right, 1)) == [None]
    assert journaled(founded, "member.unlock") == [(Outcome.ALLOWED, None, "operator")]


def test_a_login_that_nobody_has_is_not_unlocked(founded: Place) -> None:
    ran = founded.run("member", "unlock", "avec.nobody")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("LOGIN : ")
    assert journaled(founded, "member.unlock") == []


def test_another_role_is_signed_and_the_keys_that_are_no_longer_hers_are_renewed(founded: Place) -> None:
    passwords = founded.password_file("avec.custodian", "avec.health", "avec.social", "avec.supervisor")
    change = ("member", "change", "avec", "avec.psychologist", "--role", "reception")
    signing = ("--secrecy-basis", "mission", "--custodian", "avec.custodian", "--passwords", passwords)
    holders = [word for name in ("health", "social") for word in ("--holder", f"avec.{name}")]
    ran = founded.run(*change, *signing, *holders)
    assert ran.code == 0, ran
    waiting, ended, renewed, *_ = ran.out.splitlines()
    assert waiting.endswith(": aucune clé.")
    assert {"health", "social"} <= set(ended.rpartition(": ")[2].strip(".").split(", "))
    assert {"health", "social"} <= set(renewed.rpartition(": ")[2].strip(".").split(", "))
    assert journaled(founded, "member.change") == [(Outcome.ALLOWED, "custodian", None)]
    again = founded.run(*change, *signing)
    assert (again.code, "Clés renouvelées" in again.out) == (0, False), again


def test_a_charter_is_put_in_force_at_the_terminal(founded: Place) -> None:
    text, passwords = founded.folder / "charter.txt", founded.password_file("avec.custodian")
    charter = ("member", "charter", "avec", text, "--custodian", "avec.custodian", "--passwords", passwords)
    for wrong in (b"", b" \n", b"\xff", b"x" * 50_001):
        text.write_bytes(wrong)
        ran = founded.run(*charter)
        assert (ran.code, ran.out, ran.err.startswith("TEXTFILE")) == (1, "", True), ran
    text.write_text("Accueillir sans condition.\n", "utf-8")
    ran = founded.run(*charter)
    assert (ran.code, "version 1 en vigueur" in ran.out) == (0, True), ran
    ran = founded.run(*charter)
    assert (ran.code, ran.err.startswith("avec.custodian")) == (1, True), ran
    assert journaled(founded, "charter.publish") == [
        (Outcome.DENIED, None, "charter_not_accepted"),
        (Outcome.ALLOWED, "custodian", None),
    ]


def test_on_what_a_new_members_secrecy_rests_is_asked_for_and_kept(founded: Place) -> None:
    arguments = ("member", "add", "avec", "avec.new", "--role", "dpo", "--custodian", "avec.custodian")
    ran = founded.run(*arguments)
    assert (ran.code, ran.err) == (2, "--secrecy-basis\u00a0: il faut une valeur.\n")
    add(founded, "--role", "reception", "--custodian", "avec.custodian")
    recorded = select(account.c.secrecy_basis).where(account.c.login == "avec.new")
    assert read(founded, lambda connection: connection.execute(recorded).scalar_one()) == "mission"
