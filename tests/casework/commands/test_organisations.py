"""`casework org`: founding, and the cards by which organisations come to know one another."""

import asyncio
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
from sqlalchemy import Connection, func, make_url, select

from audit.entry import Entry
from audit.log import Filters, entries
from audit.tables import DEPLOYMENT_LOG
from casework.anchors import Anchors
from casework.keyring import Directories
from casework.organisations.partners import find_partner
from casework.organisations.tables import key_directory, organisation
from casework.schema import migrate
from crypto.directory import root_fingerprint
from crypto.recovery import join_shares, root_key
from tests.casework.commands.place import AVEC, NAME, Place

T = TypeVar("T")


def read(place: Place, work: Callable[[Connection], T]) -> T:
    """Read the database as its owner."""
    results: list[T] = []
    url = place.urls.get("CASEWORK_OWNER_URL") or make_url(f"sqlite:///{place.database}")
    asyncio.run(migrate(url, lambda connection: results.append(work(connection))))
    return results[0]


def id_of(place: Place, slug: str) -> UUID:
    return read(
        place,
        lambda connection: connection.execute(
            select(organisation.c.id).where(organisation.c.slug == slug)
        ).scalar_one(),
    )


def test_two_shares_of_the_pages_give_the_root_that_the_sheet_names(founded: Place) -> None:
    shares = [founded.share("avec", number) for number in (1, 3)]
    assert [len(share.split()) for share in shares] == [36, 36]
    fingerprint = root_fingerprint(id_of(founded, "avec").bytes, root_key(join_shares(shares)).public)
    assert fingerprint == bytes.fromhex(founded.fingerprint("avec"))


def test_the_sheet_has_a_page_for_each_member_and_no_share_and_is_its_owners_alone(founded: Place) -> None:
    path = founded.folder / "avec.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pages = founded.sheet("avec").split("\f")
    assert len(pages) == 1 + len(AVEC)
    for login in (member.partition(":")[0] for member in AVEC):
        (page,) = [page for page in pages if f": {login}\n" in page]
        assert f"otpauth://totp/{NAME}:{login}?secret=" in page
    assert len({founded.password("avec", member.partition(":")[0]) for member in AVEC}) == len(AVEC)
    assert founded.share("avec", 1).split()[-1] not in founded.sheet("avec")


def test_a_founding_is_in_both_logs_under_one_id(founded: Place) -> None:
    def found_entries(connection: Connection) -> list[list[Entry]]:
        avec = connection.execute(select(organisation.c.id).where(organisation.c.slug == "avec")).scalar_one()
        return [
            [page.entry for page in entries(connection, log, Filters(action="org.create")).entries]
            for log in (avec.bytes, DEPLOYMENT_LOG)
        ]

    own, deployments = read(founded, found_entries)
    assert len(own) == 1
    assert own[0].id in {entry.id for entry in deployments}


@pytest.mark.parametrize(
    ("slug", "members", "says"),
    [
        ("avec", ["a:custodian"], "SLUG"),
        ("planning", ["a:supervisor"], "custodian"),
        ("planning", ["p:custodian", "avec.social:dpo"], "avec.social"),
        ("planning", ["p:custodian"], "--member"),
        ("nowhere", ["a:custodian"], "nowhere"),
    ],
)
def test_a_founding_that_cannot_be_leaves_nothing(
    founded: Place, slug: str, members: list[str], says: str
) -> None:
    to = founded.folder / "sheet"
    chosen = [word for member in members for word in ("--member", member)]
    ran = founded.run("org", "create", slug, "--name", slug, *chosen, "--to", to, "--pages", founded.pages)
    assert (ran.code, says in ran.err) == (1, True), ran
    assert not to.exists()
    assert {page.name.partition("-")[0] for page in founded.pages.iterdir()} == {"avec", "cidff"}
    slugs = read(founded, lambda connection: set(connection.execute(select(organisation.c.slug)).scalars()))
    assert slugs == {"avec", "cidff"}


def test_a_sheet_never_overwrites_a_file_and_nothing_is_founded(founded: Place) -> None:
    to = founded.folder / "sheet"
    to.write_text("kept")
    options = ("--member", "m:custodian", "--pages", founded.pages, "--to", to)
    ran = founded.run("org", "create", "med", "--name", "M", *options)
    assert (ran.code, to.read_text()) == (1, "kept")
    assert founded.run("audit", "checkpoint", "med").code == 1


def test_compartments_with_fewer_than_two_holders_are_said_before_the_founding(place: Place) -> None:
    place.run("init", "--name", NAME)
    members = [
        "--member",
        "c:custodian",
        "--member",
        "d:dpo",
        "--member",
        "a:auditor",
        "--member",
        "r:reception",
    ]
    ran = place.run("org", "create", "med", "--name", "Mission", *members, "--pages", place.pages)
    warned = {line.split("\N{NO-BREAK SPACE}")[2] for line in ran.err.splitlines()}
    assert warned == {"contact", "identity", "index", "intake"}
    assert len(list(place.pages.iterdir())) == 6
    assert place.share("med", 1).split()[-1] not in ran.out


def card_of(place: Place, slug: str) -> Path:
    path = place.folder / f"{slug}.json"
    ran = place.run("org", "card", slug, "--to", path)
    assert ran.code == 0, ran
    assert place.fingerprint(slug) in ran.out
    return path


def test_a_card_whose_root_was_compared_is_stored_and_can_be_renewed(founded: Place) -> None:
    card = card_of(founded, "cidff")
    for days in ("1", "30"):
        ran = founded.run(
            "org", "partner", "avec", card, "--root", founded.fingerprint("cidff"), "--days", days
        )
        assert ran.code == 0, ran
    org_id, in_a_week = id_of(founded, "avec"), datetime.now(UTC) + timedelta(days=7)
    known = Directories(Anchors(founded.state))
    partner = read(founded, lambda connection: find_partner(connection, known, org_id, "cidff", in_a_week))
    assert (partner.id, partner.slug) == (id_of(founded, "cidff"), "cidff")


def test_a_card_is_refused_under_another_fingerprint_or_name(founded: Place) -> None:
    card = card_of(founded, "cidff")
    root = founded.fingerprint("cidff")
    renamed = founded.folder / "renamed.json"
    renamed.write_text(json.dumps({**json.loads(card.read_text()), "slug": "planning"}))
    shortened = founded.folder / "shortened.json"
    shortened.write_text(card.read_text()[:-40])
    for reader, path, fingerprint in (
        ("avec", card, founded.fingerprint("avec")),
        ("avec", renamed, root),
        ("avec", shortened, root),
        ("cidff", card, root),
    ):
        ran = founded.run("org", "partner", reader, path, "--root", fingerprint)
        assert (ran.code, ran.err.startswith("CARDFILE")) == (1, True), ran
    with pytest.raises(Exception, match="bad_input"):
        read(
            founded,
            lambda connection: find_partner(
                connection,
                Directories(Anchors(founded.state)),
                connection.execute(select(organisation.c.id).limit(1)).scalar_one(),
                "cidff",
                datetime.now(UTC),
            ),
        )


def test_a_card_older_than_the_one_accepted_is_refused(founded: Place) -> None:
    older, root = card_of(founded, "cidff"), founded.fingerprint("cidff")
    added = founded.run(
        "member",
        "add",
        "cidff",
        "cidff.new",
        "--role",
        "dpo",
        "--secrecy-basis",
        "mission",
        "--custodian",
        "cidff.custodian",
        "--passwords",
        founded.password_file("cidff.custodian"),
    )
    assert added.code == 0, added
    newer = founded.folder / "newer.json"
    assert founded.run("org", "card", "cidff", "--to", newer).code == 0
    assert founded.run("org", "partner", "avec", newer, "--root", root).code == 0
    assert founded.run("org", "partner", "avec", older, "--root", root).code == 1


def test_an_organisation_that_is_not_there_is_said_so(founded: Place) -> None:
    assert founded.run("org", "card", "planning", "--to", founded.folder / "x").code == 1
    assert not (founded.folder / "x").exists()
    count = read(
        founded, lambda connection: connection.execute(select(func.count(key_directory.c.epoch))).scalar()
    )
    assert count
