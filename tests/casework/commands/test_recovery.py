"""`casework keys recover`: two shares at two screens, a first holder, new shares; every share that is refused."""

import asyncio
import re
import signal
from dataclasses import replace
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

import pyotp
import pytest
from sqlalchemy import Connection, Executable, Insert, delete, event, insert, select, update

from audit.entry import Outcome
from audit.log import Filters, entries
from audit.tables import DEPLOYMENT_LOG
from casework.anchors import Anchors
from casework.clock import Clock
from casework.column_types import Sealed
from casework.commands import share_desk
from casework.commands.recovery import renewals
from casework.commands.sheets import fingerprint_words
from casework.database import UnitOfWork
from casework.deployment import assemble, dismantle
from casework.identity import sessions
from casework.identity.members import NewAccount, Position, prepare_account
from casework.identity.sessions import SignedIn, Token
from casework.identity.sign_in import give_second_factor, sign_in
from casework.journal import Journal, Who
from casework.organisations.founding import Ground, organisation_slugs
from casework.organisations.holders import verified_directory
from casework.organisations.partners import decode_chain, own_chain
from casework.organisations.recovering import (
    Copies,
    Recovered,
    RecoveryFault,
    RecoveryPlan,
    RecoveryRefused,
    foresee,
    recover,
)
from casework.organisations.tables import kek_recovery, key_directory
from casework.settings import from_environment
from casework.shreds import ShredStore
from crypto.directory_entries import MinimumBody
from crypto.hpke import public_half
from crypto.kek import Kek
from crypto.password import FLOOR_PARAMS
from crypto.pepper import FileKeyProvider
from crypto.recovery import TWO_OF_THREE, join_shares
from crypto.secret import Secret
from policies.engine import Engine
from policies.vocabulary import Profession, Role
from tests.casework.commands.place import NAME, Place, share_of
from tests.casework.commands.screens import desk, hand_over, open_screen, type_share, words_of
from tests.casework.commands.test_organisations import id_of, read

JURIST = {"contact", "identity", "index", "intake", "legal", "safety"}


async def keys_of(place: Place, page: str, login: str) -> tuple[Kek, ...]:
    """Sign the new member in with what was printed, and return the keys that her session holds."""
    password = re.search(r"initial\s*: (\S+)", page)
    secret = re.search(r"\(secret\)\s*: (\S+)", page)
    assert password is not None
    assert secret is not None
    deployment = await assemble(from_environment(place.environment), Clock())
    try:
        who = Who(uuid4())
        begun = await sign_in(deployment, who, login, password[1], None)
        token = Token.of(deployment.pepper, begun.token)
        await give_second_factor(deployment, who, token, pyotp.TOTP(secret[1]).now(), None)

        def find(unit: UnitOfWork) -> SignedIn:
            found = sessions.find(unit, token)
            assert isinstance(found, SignedIn)
            return found

        return (await deployment.database.unit(find)).keys.keks
    finally:
        await dismantle(deployment)


def plan_for(place: Place, slug: str = "cidff", **chosen: object) -> RecoveryPlan:
    plan = RecoveryPlan(
        org_id=id_of(place, slug),
        slug=slug,
        engine=Engine.load(slug, ("avec", "cidff")),
        holders=(f"{slug}.custodian",),
        newcomers=(),
        split=TWO_OF_THREE,
    )
    return replace(plan, **chosen)  # type: ignore[arg-type]


def ground(place: Place, connection: Connection) -> Ground:
    pepper = FileKeyProvider(from_environment(place.environment).pepper_file).pepper()
    return Ground(connection, place.state, pepper, Journal(NAME), Clock().now())


def recovered(place: Place, plan: RecoveryPlan, seed: Secret) -> Recovered:
    """Recover as the command does, without its screens."""
    shreds = ShredStore(from_environment(place.environment).shred_url)

    def work(connection: Connection) -> Recovered:
        seen = foresee(connection, Anchors(place.state), plan)
        return recover(ground(place, connection), plan, seen, seed, renewals(shreds))

    return read(place, work)


def seed_of(place: Place, slug: str, *numbers: int) -> Secret:
    return join_shares([place.share(slug, number) for number in numbers])


def newcomer(login: str, role: Role, *professions: Profession) -> NewAccount:
    return prepare_account(
        login, "un bateau mauve traverse Lisbonne", [Position(role, frozenset(professions))], FLOOR_PARAMS
    )


def holdings(place: Place, slug: str) -> dict[str, int]:
    """How many members the directory certifies to hold each compartment."""

    def look(connection: Connection) -> dict[str, int]:
        org_id = connection_id(connection, slug)
        directory = verified_directory(connection, Anchors(place.state), org_id)
        return {
            group: sum(directory.holds(member, group) for member in directory.members)
            for group in directory.compartments
        }

    return read(place, look)


def connection_id(connection: Connection, slug: str) -> UUID:
    return next(org_id for org_id, known in organisation_slugs(connection).items() if known == slug)


def journaled(place: Place, log: bytes, action: str) -> list[tuple[Outcome, str | None, int | None]]:
    place.integrate()
    found = read(place, lambda connection: entries(connection, log, Filters(action=action)))
    return [(page.entry.outcome, page.entry.reason, page.entry.count) for page in found.entries]


def refused(place: Place, *shares: str, slug: str = "cidff") -> str:
    """Hand shares in at screens of their own; nothing comes of it. Returns what stands on the error stream."""
    before = chain(place, slug)
    folder = place.folder / "new"
    folder.mkdir()
    with desk(place, slug, "--holder", f"{slug}.custodian", "--pages", folder) as waiting:
        for number, share in enumerate(shares):
            hand_over(place, slug, share, f"screen {number}")
        code, err = waiting.end()
    assert code == 1
    assert not list(folder.iterdir())
    assert chain(place, slug) == before
    assert not [three for share in shares for three in in_a_row(share) if three in err]
    return err


def in_a_row(share: str) -> list[str]:
    """Three words in a row, whole and as they are typed: one alone may be a word of a sentence."""
    words = share.split()
    return [
        " ".join(word[:length] for word in words[at : at + 3])
        for at in range(len(words) - 2)
        for length in (4, 8)
    ]


def chain(place: Place, slug: str) -> bytes:
    return read(place, lambda connection: own_chain(connection, connection_id(connection, slug)))


# The whole of it, as two holders and whoever is at the server do it


def test_two_holders_at_two_screens_let_in_a_first_holder_and_are_handed_new_shares(founded: Place) -> None:
    """CIDFF has a custodian and a jurist; the jurist is gone with her password."""
    folder = founded.folder / "new"
    folder.mkdir()
    old = [founded.share("cidff", number) for number in (1, 2, 3)]
    arguments = ("cidff", "--member", "cidff.new:worker:jurist", "--holder", "cidff.custodian")
    with desk(founded, *arguments, "--pages", folder) as waiting:
        assert any(line.startswith("cidff.new recevra") and "legal" in line for line in waiting.lines)
        first = type_share(founded, "cidff", old[2], waiting.code)
        assert "cidff.new recevra" in first.shown
        assert " ".join(words_of(founded, "cidff.custodian")) in first.shown
        assert (first.code, "une autre manque encore" in first.shown) == (0, True), first.shown
        second = type_share(founded, "cidff", old[0], waiting.code)
        assert (second.code, "réunies" in second.shown) == (0, True), second.shown
        code, err = waiting.end()
    assert code == 0, err
    shown = first.shown + second.shown + "".join(waiting.lines) + err
    assert not [three for share in old for three in in_a_row(share) if three in shown]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    names = {f"cidff-part-{number}.{kind}" for number in (1, 2, 3) for kind in ("txt", "pdf")}
    assert {path.name for path in folder.iterdir()} == names | {"acces-cidff.new.txt"}
    page = (folder / "acces-cidff.new.txt").read_text("utf-8")
    keys = asyncio.run(keys_of(founded, page, "cidff.new"))
    assert {kek.group for kek in keys} >= JURIST
    assert not list(founded.state.glob(".recovery-*"))
    new = [share_of((folder / f"cidff-part-{number}.txt").read_text("utf-8")) for number in (1, 2)]
    assert recovered(founded, plan_for(founded), join_shares(new)).shares
    org = id_of(founded, "cidff").bytes
    assert journaled(founded, org, "key.recover")[-1][0] is Outcome.ALLOWED
    assert journaled(founded, org, "member.add") == [(Outcome.ALLOWED, "recovery", None)]
    assert len(journaled(founded, org, "key.grant")) == len(keys)
    assert len(journaled(founded, DEPLOYMENT_LOG, "key.recover")) == 2


def test_a_compartment_without_a_holder_is_granted_the_same_way(founded: Place) -> None:
    """Nobody at CIDFF holds the journal: the custodian and the jurist may not."""
    assert holdings(founded, "cidff")["journal"] == 0
    plan = plan_for(founded, holders=(), newcomers=(newcomer("cidff.dpo", Role.DPO),))
    done = recovered(founded, plan, seed_of(founded, "cidff", 1, 3))
    assert done.compartments == {"cidff.dpo": ("journal",)}
    assert holdings(founded, "cidff")["journal"] == 1


def test_an_existing_member_is_granted_what_her_certified_role_may_hold_and_no_more(founded: Place) -> None:
    plan = plan_for(founded, holders=("cidff.jurist", "cidff.custodian"))
    done = recovered(founded, plan, seed_of(founded, "cidff", 2, 3))
    assert set(done.compartments["cidff.jurist"]) >= JURIST
    assert "health" not in done.compartments["cidff.jurist"]
    assert done.compartments["cidff.custodian"] == ()


def test_every_copy_for_the_old_recovery_key_is_replaced_and_the_anchor_still_fits(founded: Place) -> None:
    def copies(connection: Connection) -> set[bytes]:
        rows = connection.execute(
            select(kek_recovery.c.sealed).where(kek_recovery.c.org_id == id_of_cidff)
        ).scalars()
        return {row.blob for row in rows}

    id_of_cidff = id_of(founded, "cidff")
    before = read(founded, copies)
    done = recovered(founded, plan_for(founded), seed_of(founded, "cidff", 1, 2))
    after = read(founded, copies)
    assert (len(after), after & before) == (len(before), set())
    anchors = Anchors(founded.state)
    anchors.raise_floor(id_of_cidff, done.floor)
    assert anchors.root(id_of_cidff) == done.root_fingerprint
    assert (founded.run("org", "card", "cidff", "--to", founded.folder / "c.json").code) == 0


def test_what_else_is_sealed_to_recovery_is_made_anew_in_the_same_act(founded: Place) -> None:
    """A renewal reads with the old key, seals to the new one, and has the new root certify what names its copy."""

    def renew(copies: Copies) -> None:
        seen.append((copies.before.recovery_public, copies.directory.recovery_public))
        assert public_half(copies.private) == copies.before.recovery_public
        copies.certify(MinimumBody(2, 1))

    seen: list[tuple[bytes, bytes]] = []
    plan, seed = plan_for(founded), seed_of(founded, "cidff", 1, 2)
    anchors = Anchors(founded.state)
    seeing = read(founded, lambda connection: foresee(connection, anchors, plan))
    done = read(founded, lambda connection: recover(ground(founded, connection), plan, seeing, seed, [renew]))
    ((old, new),) = seen
    assert old != new
    directory = read(founded, lambda connection: verified_directory(connection, anchors, plan.org_id))
    assert (directory.floor, directory.case_minimum.made) == (done.floor, 2)


# Wrong shares: each an error in French, and nothing is changed


def test_shares_of_another_organisation_are_refused_and_journaled(founded: Place) -> None:
    err = refused(founded, founded.share("avec", 1), founded.share("avec", 2))
    assert err.startswith("Ces parts ne sont pas celles de cette organisation")
    org = id_of(founded, "cidff").bytes
    assert journaled(founded, org, "key.recover") == [(Outcome.DENIED, "other_shares", None)]
    assert journaled(founded, DEPLOYMENT_LOG, "key.recover") == [(Outcome.DENIED, "other_shares", None)]


def test_old_shares_are_refused_after_a_recovery(founded: Place) -> None:
    recovered(founded, plan_for(founded), seed_of(founded, "cidff", 1, 2))
    err = refused(founded, founded.share("cidff", 1), founded.share("cidff", 3))
    assert "remplacées" in err


def test_the_same_share_twice_or_one_of_another_set_or_from_the_same_screen_is_refused(
    sqlite_original: Place,
) -> None:
    founded = sqlite_original
    one, foreign = founded.share("cidff", 1), founded.share("avec", 2)
    with desk(founded, "cidff", "--holder", "cidff.custodian", "--pages", founded.folder) as waiting:
        assert type_share(founded, "cidff", one, waiting.code).code == 0
        again = type_share(founded, "cidff", one, waiting.code)
        assert (again.code, "déjà été donnée" in again.shown) == (1, True), again.shown
        other = type_share(founded, "cidff", foreign, waiting.code)
        assert (other.code, "pas du même jeu" in other.shown) == (1, True), other.shown
        # It waits on: the right second share would still do.
        assert waiting.process.poll() is None


def test_a_wrong_word_is_asked_for_again_and_a_wrong_share_from_its_first_word(
    sqlite_original: Place,
) -> None:
    founded = sqlite_original
    words = founded.share("cidff", 1).split()
    with desk(founded, "cidff", "--holder", "cidff.custodian", "--pages", founded.folder) as waiting:
        screen = open_screen(founded, "keys", "recover", "share", "cidff")
        screen.wait_for("[o/N]")
        screen.type("o")
        screen.wait_for("[o/N]")
        screen.type("o")
        screen.wait_for("Mot 1 sur")
        screen.type("nonsense")
        screen.wait_for("tapez-le à nouveau")
        screen.wait_for("Mot 1 sur")
        screen.type(" ".join([*words[:-2], words[-1], words[-2]]))
        screen.wait_for("reprenez au premier")
        screen.wait_for("Mot 1 sur")
        screen.type(" ".join(words))
        assert screen.end() == 0
        assert "nonsense" not in screen.shown
        assert waiting.process.poll() is None


def test_a_share_is_not_read_from_a_file_and_not_without_a_recovery(sqlite_original: Place) -> None:
    ran = sqlite_original.run("keys", "recover", "share", "cidff")
    assert (ran.code, "jamais dans un fichier" in ran.err) == (1, True), ran
    screen = open_screen(sqlite_original, "keys", "recover", "share", "cidff")
    assert (screen.end(), "Aucune récupération" in screen.shown) == (1, True), screen.shown


# What is refused before a share is asked for


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cidff",), "--holder"),
        (("nowhere", "--holder", "x"), "n’existe pas"),
        (("cidff", "--holder", "avec.social"), "avec.social"),
        (("cidff", "--holder", "nobody"), "nobody"),
        (("cidff", "--member", "avec.social:dpo"), "avec.social"),
    ],
)
def test_who_cannot_be_let_in_is_said_before_a_share_is_typed(
    sqlite_original: Place, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    ran = sqlite_original.run("keys", "recover", "begin", *arguments, "--pages", tmp_path)
    assert (ran.code, says in ran.err) == (1, True), ran


def test_pages_that_stand_there_are_kept_and_the_set_in_force_is_named(sqlite_original: Place) -> None:
    pages = sqlite_original.pages
    ran = sqlite_original.run(
        "keys", "recover", "begin", "cidff", "--holder", "cidff.jurist", "--pages", pages
    )
    assert (ran.code, ran.err.startswith("--pages")) == (1, True), ran
    mark = re.search(r"en vigueur\s*: ([0-9a-f ]+)", ran.out)
    assert mark is not None
    assert mark[1].strip() in (pages / "cidff-part-1.txt").read_text("utf-8")


def test_a_damaged_or_missing_copy_stops_the_recovery_and_keeps_the_shares(founded: Place) -> None:
    org_id, seed = id_of(founded, "cidff"), seed_of(founded, "cidff", 1, 2)
    mine = (kek_recovery.c.org_id == org_id) & (kek_recovery.c.compartment == "health")

    def swap(connection: Connection) -> None:
        other = connection.execute(
            select(kek_recovery.c.sealed).where(
                kek_recovery.c.org_id == org_id, kek_recovery.c.compartment == "legal"
            )
        ).scalar_one()
        connection.execute(update(kek_recovery).where(mine).values(sealed=Sealed(other.blob)))

    own = read(
        founded, lambda connection: connection.execute(select(kek_recovery).where(mine)).mappings().one()
    )
    for tamper in (swap, lambda connection: connection.execute(delete(kek_recovery).where(mine))):
        read(founded, tamper)
        with pytest.raises(RecoveryRefused) as caught:
            recovered(founded, plan_for(founded), seed)
        assert (caught.value.fault, caught.value.subject) == (RecoveryFault.COPY_DAMAGED, "health")
    read(founded, lambda connection: connection.execute(kek_recovery.insert().values(**own)))
    assert recovered(founded, plan_for(founded), seed)


def test_a_directory_that_moved_meanwhile_is_refused_and_the_shares_stay(founded: Place) -> None:
    """What another committed between the reading and the writing has taken the number."""
    plan, seed = plan_for(founded), seed_of(founded, "cidff", 1, 2)
    before = chain(founded, "cidff")
    rows: list[dict[str, object]] = []

    def moved(connection: Connection, statement: Executable, *_: object) -> None:
        if isinstance(statement, Insert) and statement.table is key_directory and rows:
            row = rows.pop()
            connection.execute(insert(key_directory).values(**row))

    def work(connection: Connection) -> None:
        newest = decode_chain(own_chain(connection, plan.org_id))[-1]
        rows.append({"org_id": plan.org_id, "epoch": newest.epoch + 1, "entry": newest.to_bytes()})
        seeing = foresee(connection, Anchors(founded.state), plan)
        event.listen(connection, "before_execute", moved)
        recover(ground(founded, connection), plan, seeing, seed, [])

    with pytest.raises(RecoveryRefused) as caught:
        read(founded, work)
    assert caught.value.fault is RecoveryFault.DIRECTORY_MOVED
    assert chain(founded, "cidff") == before
    assert recovered(founded, plan, seed)


# Keys that somebody else may have put in the place of hers


def test_keys_whose_words_nobody_heard_are_given_nothing(
    founded: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A custodian alone can certify keys of her own as the jurist's; who is asked for her words has others."""
    before = chain(founded, "cidff")
    hers, another = words_of(founded, "cidff.jurist"), words_of(founded, "cidff.custodian")
    monkeypatch.setattr("sys.stdin", StringIO(f"{' '.join(another)}\n"))
    monkeypatch.setattr(share_desk, "OPEN_FOR_SECONDS", 0.0)
    ran = founded.run("keys", "recover", "begin", "cidff", "--holder", "cidff.jurist", "--pages", tmp_path)
    assert (ran.code, "cidff.jurist" in ran.err, "huit mots" in ran.err) == (1, True, True), ran
    assert " ".join(hers) not in ran.out + ran.err
    assert not list(founded.state.glob(".recovery-*"))
    assert chain(founded, "cidff") == before
    for log in (id_of(founded, "cidff").bytes, DEPLOYMENT_LOG):
        assert journaled(founded, log, "key.recover") == [(Outcome.DENIED, "other_words", None)]


def test_keys_that_were_certified_once_the_words_were_heard_are_given_nothing(founded: Place) -> None:
    plan, seed = plan_for(founded, holders=("cidff.jurist",)), seed_of(founded, "cidff", 1, 2)
    before = chain(founded, "cidff")
    seen = read(founded, lambda connection: foresee(connection, Anchors(founded.state), plan))
    heard = replace(seen.certified["cidff.jurist"], fingerprints=(bytes(32),))
    stale = replace(seen, certified={"cidff.jurist": heard})
    with pytest.raises(RecoveryRefused) as caught:
        read(founded, lambda connection: recover(ground(founded, connection), plan, stale, seed, []))
    assert caught.value.fault is RecoveryFault.DIRECTORY_MOVED
    assert chain(founded, "cidff") == before


# Killed on the way: at each moment some shares are valid

KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool
FOLDER, MOMENT = Path({folder!r}), {moment!r}
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def once_written(*_):
    if len(list(FOLDER.iterdir())) == 6:
        kill()
def opened(name, arguments):
    if name == "open" and str(arguments[0]).endswith("part-2.pdf"):
        kill()
if MOMENT == "writing":
    sys.addaudithook(opened)
else:
    event.listen(*{{"before": (Engine, "commit"), "after": (Pool, "checkin")}}[MOMENT], once_written)
from casework.cli import main
main()
"""


@pytest.mark.parametrize("moment", ["writing", "before", "after"])
def test_a_kill_leaves_the_old_or_the_new_shares_valid_and_never_none(founded: Place, moment: str) -> None:
    folder = founded.folder / "new"
    folder.mkdir()
    command = KILLED.format(folder=str(folder), moment=moment)
    with desk(founded, "cidff", "--holder", "cidff.jurist", "--pages", folder, command=command) as waiting:
        for number in (1, 3):
            hand_over(founded, "cidff", founded.share("cidff", number), f"screen {number}")
        assert waiting.end()[0] == -signal.SIGKILL
    written = sorted(folder.glob("*.txt"))
    assert len(written) == (2 if moment == "writing" else 3)
    old = [founded.share("cidff", number) for number in (1, 2)]
    new = [share_of(path.read_text("utf-8")) for path in written[:2]]
    valid, worthless = (new, old) if moment == "after" else (old, new)
    with pytest.raises(RecoveryRefused) as caught:
        recovered(founded, plan_for(founded), join_shares(worthless))
    fault = RecoveryFault.REPLACED_SHARES if moment == "after" else RecoveryFault.OTHER_SHARES
    assert caught.value.fault is fault
    # What `begin` names as in force stands on the pages that are.
    plan = plan_for(founded)
    mark = read(founded, lambda connection: foresee(connection, Anchors(founded.state), plan)).mark
    assert (fingerprint_words(mark) in written[0].read_text("utf-8")) is (moment == "after")
    assert recovered(founded, plan_for(founded), join_shares(valid))
