"""Grants that whoever writes to the database puts there: none gives a key that a holder did not give.

Signatures are made with the members' own keys where it says so: what is refused is refused for its rule alone.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, insert, select, update
from structlog.testing import capture_logs

from casework.column_types import Sealed
from casework.keyring import open_grants
from casework.organisations.partners import decode_chain, own_chain
from casework.organisations.tables import key_directory, key_grant
from crypto.directory import Directory
from crypto.directory_entries import DirectoryEntry, EntrySigner, GrantBody, MemberRemovedBody, sign_entry
from crypto.grant import make_grant
from crypto.kek import Kek
from crypto.session import SessionKeys
from tests.casework.centre import PASSWORD, Centre, Client, assert_problem

LOGIN, HOLDER = "avec.social", "avec.psychologist"


class Forger:
    """Who writes to AVEC's key tables, and knows what the members' own machines know."""

    def __init__(self, centre: Centre, connection: Connection) -> None:
        self.centre = centre
        self.connection = connection
        self.org: UUID = centre.org("avec")
        self.directory: Directory = centre.directory(connection, "avec")

    def signer(self, login: str) -> EntrySigner:
        (member,) = self.centre.accounts[login].memberships
        return EntrySigner(member.id.bytes, member.signing)

    def health(self) -> Kek:
        (holder,) = self.centre.accounts[HOLDER].memberships
        keys = SessionKeys(self.org.bytes, holder.id.bytes, holder.daily_private, ())
        return next(
            kek for kek in open_grants(self.connection, self.directory, keys) if kek.group == "health"
        )

    def granted(self) -> tuple[DirectoryEntry, bytes]:
        """The psychologist's health key for the social worker, signed and sealed as it should be."""
        return make_grant(self.directory, self.health(), self.centre.member(LOGIN).bytes, self.signer(HOLDER))

    def put(self, entry: DirectoryEntry, sealed: bytes | None = None) -> None:
        row = {"org_id": self.org, "epoch": entry.epoch, "entry": entry.to_bytes()}
        self.connection.execute(insert(key_directory).values(row))
        if sealed is not None:
            body = entry.body
            assert isinstance(body, GrantBody)
            self.connection.execute(
                insert(key_grant).values(
                    org_id=self.org,
                    epoch=entry.epoch,
                    member_id=UUID(bytes=body.member),
                    compartment=body.group,
                    kek_no=body.kek_no,
                    sealed=Sealed(sealed),
                )
            )


async def _is_refused(centre: Centre, error: str) -> None:
    """Both factors are right; an alarm, and no session."""
    begun = await centre.http.post("/api/v1/sessions", json={"login": LOGIN, "password": PASSWORD})
    waiting = Client(centre, begun.json()["token"])
    with capture_logs() as logs:
        answer = await waiting.request(
            "POST", "/sessions/current/second-factor", json={"code": centre.code(LOGIN)}
        )
    assert_problem(answer, 500, "sealed_data_damaged")
    assert error in [line.get("error") for line in logs if line["log_level"] in {"error", "critical"}]
    await waiting.refused("GET", "/me", 401, "not_signed_in")


async def _holds_health(centre: Centre) -> bool:
    client = await centre.sign_in(LOGIN)
    return "health" in (await client.get("/me"))["compartments"]


def _unsigned(forger: Forger) -> None:
    entry, sealed = forger.granted()
    forger.put(replace(entry, signature=bytes(64)), sealed)


def _replayed_entry(forger: Forger) -> None:
    """An entry that once stood, put in again as the next."""
    entries = decode_chain(own_chain(forger.connection, forger.org))
    older = next(entry for entry in entries if isinstance(entry.body, GrantBody))
    forger.put(replace(older, epoch=forger.directory.epoch + 1))


def _by_a_removed_granter(forger: Forger) -> None:
    """The custodian removed the psychologist, whose key would still sign."""
    _, sealed = forger.granted()
    body = forger.granted()[0].body
    removal = forger.directory.next_entry(
        MemberRemovedBody(forger.centre.member(HOLDER).bytes), forger.signer("avec.custodian")
    )
    forger.put(removal)
    entry = sign_entry(forger.org.bytes, removal.epoch + 1, removal.hash, body, forger.signer(HOLDER))
    forger.put(entry, sealed)


def _by_a_granter_without_the_key(forger: Forger) -> None:
    entry, sealed = forger.granted()
    forger.put(
        sign_entry(
            forger.org.bytes, entry.epoch, entry.previous, entry.body, forger.signer("avec.supervisor")
        ),
        sealed,
    )


def _out_of_the_chain(forger: Forger) -> None:
    """Signed by a true holder, on another past than the one that stands."""
    entry, sealed = forger.granted()
    earlier = forger.directory.heads[-2]
    forger.put(sign_entry(forger.org.bytes, entry.epoch, earlier, entry.body, forger.signer(HOLDER)), sealed)


def _after_a_gap(forger: Forger) -> None:
    entry, sealed = forger.granted()
    forger.put(
        sign_entry(forger.org.bytes, entry.epoch + 1, entry.previous, entry.body, forger.signer(HOLDER)),
        sealed,
    )


def _of_another_organisations_chain(forger: Forger) -> None:
    entry, sealed = forger.granted()
    other = forger.centre.org("cidff").bytes
    forger.put(sign_entry(other, entry.epoch, entry.previous, entry.body, forger.signer(HOLDER)), sealed)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(_unsigned, id="unsigned"),
        pytest.param(_replayed_entry, id="replayed"),
        pytest.param(_by_a_removed_granter, id="by_a_removed_granter"),
        pytest.param(_by_a_granter_without_the_key, id="by_a_granter_without_the_key"),
        pytest.param(_out_of_the_chain, id="out_of_the_chain"),
        pytest.param(_after_a_gap, id="after_a_gap"),
        pytest.param(_of_another_organisations_chain, id="of_another_organisations_chain"),
    ],
)
async def test_a_grant_that_no_entitled_holder_appended_is_refused(
    centre: Centre, forge: Callable[[Forger], None]
) -> None:
    epoch = (await centre.dba(lambda connection: Forger(centre, connection).directory)).epoch
    await centre.dba(lambda connection: forge(Forger(centre, connection)))
    await _is_refused(centre, "DirectoryRefused")

    def undo(connection: Connection) -> None:
        for table in (key_grant, key_directory):
            connection.execute(
                delete(table).where(table.c.org_id == centre.org("avec"), table.c.epoch > epoch)
            )

    await centre.dba(undo)
    assert not await _holds_health(centre)


async def test_the_same_grant_is_taken_where_a_holder_appended_it(centre: Centre) -> None:
    """The other side of every refusal above."""
    assert not await _holds_health(centre)

    def grant(connection: Connection) -> None:
        forger = Forger(centre, connection)
        forger.put(*forger.granted())

    await centre.dba(grant)
    assert await _holds_health(centre)


async def test_a_grant_for_another_member_is_refused(centre: Centre) -> None:
    """Her colleague's row is made hers: its entry names another member, and it is no grant of hers."""

    def steal(connection: Connection) -> None:
        connection.execute(
            update(key_grant)
            .where(key_grant.c.member_id == centre.member(HOLDER), key_grant.c.compartment == "health")
            .values(member_id=centre.member(LOGIN))
        )

    await centre.dba(steal)
    assert not await _holds_health(centre)


async def test_a_replayed_grant_is_refused(centre: Centre) -> None:
    """What an earlier entry certified stands under the entry that replaced it."""

    def regrant(connection: Connection) -> None:
        forger = Forger(centre, connection)
        forger.put(*forger.granted())
        forger = Forger(centre, connection)
        first = connection.execute(
            select(key_grant.c.sealed).where(
                key_grant.c.member_id == centre.member(LOGIN), key_grant.c.compartment == "health"
            )
        ).scalar_one()
        entry, sealed = forger.granted()
        forger.put(entry, first.blob)
        own.append((entry.epoch, sealed))

    own: list[tuple[int, bytes]] = []
    await centre.dba(regrant)
    await _is_refused(centre, "GrantRefused")
    ((epoch, sealed),) = own

    def mend(connection: Connection) -> None:
        this = (key_grant.c.org_id == centre.org("avec")) & (key_grant.c.epoch == epoch)
        connection.execute(update(key_grant).where(this).values(sealed=Sealed(sealed)))

    await centre.dba(mend)
    assert await _holds_health(centre)
