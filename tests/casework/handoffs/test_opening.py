"""Opening what a handoff brought: while its consent is live, if it is what was consented to, and once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import Connection, func, select, update

from casework.column_types import Sealed
from casework.follow_ups.tables import follow_up_frame
from casework.handoffs.tables import handoff_part, handoff_side
from casework.organisations.partners import decode_chain, encode_chain
from crypto.directory_entries import MemberBody
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import (
    accept,
    agree,
    content,
    done,
    draft,
    entries_of,
    hand_over,
    note,
    open_case,
    send,
    told,
)


async def _count(centre: Centre, table: Any, org: str) -> int:
    query = select(func.count()).select_from(table).where(table.c.org_id == centre.org(org))
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def _nothing_opened(client: Client, case: str) -> None:
    opened = await client.request("GET", f"/cases/{case}", 200)
    assert CANARY not in opened.text
    assert {str(fields) for fields in opened.json()["groups"].values()} == {"{}"}
    timeline = await client.request("GET", f"/cases/{case}/follow-ups", 200)
    assert timeline.json()["items"] == []
    assert await _count(client.centre, follow_up_frame, "cidff") == 0


async def _denied_openings(centre: Centre) -> list[tuple[str, str]]:
    items = entries_of(await centre.journal("cidff"), "handoff.open", "denied")
    return [(item["entry"]["reason"], item["entry"]["basis"]["handoff"]) for item in items]


async def test_what_was_withdrawn_after_acceptance_and_before_opening_is_not_opened(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    chosen = await note(social, case, "accompagnement_social", "legal")
    handoff_id, given = await hand_over(social, case, "identity", "legal", follow_ups=[chosen])
    supervisor, jurist = await centre.sign_in("cidff.supervisor"), await centre.sign_in("cidff.jurist")
    received = await accept(supervisor, handoff_id, "cidff.jurist")
    withdrawn = await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert withdrawn["effects"][:2] == ["unopened_parts_destroyed", "receiver_told"]
    assert await _count(centre, handoff_part, "cidff") == 0
    await _nothing_opened(jurist, received)
    denied = await _denied_openings(centre)
    assert set(denied) == {("consent_not_live", handoff_id)}
    # Each part was tried once; a second reading finds nothing that waits.
    await _nothing_opened(jurist, received)
    assert await _denied_openings(centre) == denied
    again, _ = await hand_over(social, case, "identity", "legal")
    opened = await jurist.get(f"/cases/{await accept(jurist, again)}")
    assert opened["groups"]["legal"] == content("legal")


async def test_what_was_withdrawn_after_completion_is_not_opened_either(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    handoff_id, given = await hand_over(social, case, "identity", "legal")
    supervisor, jurist = await centre.sign_in("cidff.supervisor"), await centre.sign_in("cidff.jurist")
    received = await accept(supervisor, handoff_id, "cidff.jurist")
    await supervisor.post(f"/handoffs/{handoff_id}/outcome", {"state": "completed"}, expect=200)
    await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert await _count(centre, handoff_part, "cidff") == 0
    await _nothing_opened(jurist, received)


async def test_what_was_opened_before_the_withdrawal_is_said_to_have_been_read(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    handoff_id, given = await hand_over(social, case, "identity", "legal")
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, handoff_id)
    await jurist.get(f"/cases/{received}")
    withdrawn = await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert "what_was_read_cannot_be_unread" in withdrawn["effects"]
    again = await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert done(again) == {"effects": ["already_ended"]}
    assert entries_of(await centre.journal("cidff"), "handoff.withdrawn")


async def test_a_consent_that_expired_before_opening_opens_nothing(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    await agree(social, drafted, expires_at=(centre.clock.now() + timedelta(minutes=10)).isoformat())
    handoff_id = await send(social, drafted)
    supervisor = await centre.sign_in("cidff.supervisor")
    received = await accept(supervisor, handoff_id, "cidff.jurist")
    centre.clock.offset += timedelta(minutes=11)
    jurist = await centre.sign_in("cidff.jurist")
    await _nothing_opened(jurist, received)
    assert set(await _denied_openings(centre)) == {("consent_not_live", handoff_id)}
    assert await _count(centre, handoff_part, "cidff") == 0


async def test_what_was_opened_while_the_consent_was_live_stays_readable(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    await agree(social, drafted, expires_at=(centre.clock.now() + timedelta(minutes=10)).isoformat())
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, await send(social, drafted))
    await jurist.get(f"/cases/{received}")
    centre.clock.offset += timedelta(minutes=11)
    assert (await jurist.get(f"/cases/{received}"))["groups"]["legal"] == content("legal")
    opens = entries_of(await centre.journal("cidff"), "handoff.open")
    assert {item["outcome"] for item in opens} == {"allowed"}


async def test_a_colleague_who_only_covers_leaves_the_parts_for_the_assigned_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    handoff_id, _ = await hand_over(social, case, "identity", "legal")
    supervisor, jurist = await centre.sign_in("cidff.supervisor"), await centre.sign_in("cidff.jurist")
    received = await accept(supervisor, handoff_id, "cidff.jurist")
    parts = await _count(centre, handoff_part, "cidff")
    answer = await supervisor.request("GET", f"/cases/{received}", 200)
    assert CANARY not in answer.text
    assert await _count(centre, handoff_part, "cidff") == parts
    assert (await jurist.get(f"/cases/{received}"))["groups"]["legal"] == content("legal")
    assert (await supervisor.get(f"/cases/{received}"))["groups"]["legal"] == content("legal")


async def test_a_part_opened_later_is_opened_with_a_chain_older_than_the_newest_seen(centre: Centre) -> None:
    """Two handoffs wait; the later one carries what the sender's directory has become meanwhile."""
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    jurist = await centre.sign_in("cidff.jurist")
    first, _ = await hand_over(social, case, "identity", "legal")
    received = await accept(jurist, first)

    def shorten(connection: Connection) -> None:
        """The chain as it was some entries ago: those that grant keys come last."""
        row = connection.execute(select(handoff_side.c.chain).where(_received(first))).one()
        older = decode_chain(bytes(row.chain))[:-2]
        statement = update(handoff_side).where(_received(first)).values(chain=encode_chain(older))
        connection.execute(statement)

    await centre.dba(shorten)
    assert (await jurist.get(f"/cases/{received}"))["groups"]["legal"] == content("legal")


# ── What somebody with the database's tools can do to a packet ──────────────────────────────────────────────


def _received(handoff_id: str) -> Any:
    return (handoff_side.c.id == UUID(handoff_id)) & (handoff_side.c.side == "receiver")


def _part(handoff_id: str, group: str) -> Any:
    return (handoff_part.c.handoff_id == UUID(handoff_id)) & (handoff_part.c.compartment == group)


class Packets:
    """Two handoffs of one case that CIDFF has received, and whom it could be made to believe."""

    def __init__(self, connection: Connection, centre: Centre, tampered: str, other: str) -> None:
        self.connection = connection
        self.tampered = tampered
        self.other = other
        self.colleague = centre.member("avec.supervisor")

    def blob(self, handoff_id: str, group: str) -> bytes:
        query = select(handoff_part.c.part).where(_part(handoff_id, group))
        return bytes(self.connection.execute(query).scalar_one().blob)

    def put(self, group: str, blob: bytes) -> None:
        statement = update(handoff_part).where(_part(self.tampered, group)).values(part=Sealed(blob))
        self.connection.execute(statement)

    def side(self, **values: Any) -> None:
        self.connection.execute(update(handoff_side).where(_received(self.tampered)).values(values))

    def other_side(self, name: str) -> Any:
        query = select(handoff_side.c[name]).where(_received(self.other))
        return self.connection.execute(query).scalar_one()

    @property
    def chain(self) -> bytes:
        return bytes(self.other_side("chain"))


def _flip(position: int) -> Callable[[Packets], None]:
    def flip(packets: Packets) -> None:
        for group in ("identity", "legal"):
            blob = bytearray(packets.blob(packets.tampered, group))
            blob[position] ^= 1
            packets.put(group, bytes(blob))

    return flip


def _swap_groups(packets: Packets) -> None:
    identity, legal = (packets.blob(packets.tampered, group) for group in ("identity", "legal"))
    packets.put("identity", legal)
    packets.put("legal", identity)


def _take_the_other_handoffs_parts(packets: Packets) -> None:
    for group in ("identity", "legal"):
        packets.put(group, packets.blob(packets.other, group))


def _empty_parts(packets: Packets) -> None:
    for group in ("identity", "legal"):
        packets.put(group, b"")


def _chain_without_the_signer(packets: Packets) -> None:
    chain = decode_chain(packets.chain)
    first_member = next(n for n, entry in enumerate(chain) if isinstance(entry.body, MemberBody))
    packets.side(chain=encode_chain(chain[:first_member]))


def _chain_with_a_gap(packets: Packets) -> None:
    chain = decode_chain(packets.chain)
    packets.side(chain=encode_chain(chain[:5] + chain[6:]))


def _chain_with_an_altered_byte(packets: Packets) -> None:
    raw = bytearray(packets.chain)
    raw[len(raw) // 2] ^= 1
    packets.side(chain=bytes(raw))


TAMPERINGS: dict[str, Callable[[Packets], None]] = {
    "first byte of the header": _flip(0),
    "algorithm": _flip(1),
    "key number": _flip(5),
    "key number out of range": _flip(2),
    "encapsulated key": _flip(10),
    "ciphertext": _flip(100),
    "last byte": _flip(-1),
    "groups swapped": _swap_groups,
    "parts of another handoff": _take_the_other_handoffs_parts,
    "parts emptied": _empty_parts,
    "signer replaced by a colleague": lambda packets: packets.side(signer_id=packets.colleague),
    "signer unknown": lambda packets: packets.side(signer_id=uuid4()),
    "signer taken away": lambda packets: packets.side(signer_id=None),
    "chain cut in the middle of an entry": lambda packets: packets.side(chain=packets.chain[:-40]),
    "chain that ends before the signer": _chain_without_the_signer,
    "chain with a gap": _chain_with_a_gap,
    "chain altered": _chain_with_an_altered_byte,
    "chain empty": lambda packets: packets.side(chain=msgspec.msgpack.encode([])),
    "chain taken away": lambda packets: packets.side(chain=None),
    "digest of another handoff": lambda packets: packets.side(
        content_digest=packets.other_side("content_digest")
    ),
    "another consent": lambda packets: packets.side(consent_id=packets.other_side("consent_id")),
    "another sender": lambda packets: packets.side(partner_id=uuid4()),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_a_part_that_is_not_what_was_sent_is_refused_and_nothing_is_written(
    centre: Centre, tampering: str
) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    jurist = await centre.sign_in("cidff.jurist")
    tampered, _ = await hand_over(social, case, "identity", "legal")
    other, _ = await hand_over(social, case, "identity", "legal")
    received, sound = await accept(jurist, tampered), await accept(jurist, other)
    await centre.dba(lambda connection: TAMPERINGS[tampering](Packets(connection, centre, tampered, other)))
    await _nothing_opened(jurist, received)
    denied = await _denied_openings(centre)
    assert set(denied) == {("part_refused", tampered)}
    assert len(denied) >= 2
    opened = await jurist.get(f"/cases/{sound}")
    assert opened["groups"]["legal"] == content("legal")
    # It was tried once, and nothing of it was journaled as opened: the others were.
    assert await _denied_openings(centre) == denied
    allowed = entries_of(await centre.journal("cidff"), "handoff.open", "allowed")
    about = [item for item in allowed if item["entry"]["basis"]["handoff"] == tampered]
    assert not [item for item in about if item["detail"]["groups"][0] in {"identity", "legal"}]


async def test_a_sound_part_opens_beside_a_tampered_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "legal")
    handoff_id, _ = await hand_over(social, case, "identity", "legal")
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, handoff_id)

    def tamper(connection: Connection) -> None:
        packets = Packets(connection, centre, handoff_id, handoff_id)
        packets.put("legal", packets.blob(handoff_id, "identity"))

    await centre.dba(tamper)
    groups = (await jurist.get(f"/cases/{received}"))["groups"]
    assert (groups["identity"], groups["legal"]) == (content("identity"), {})
    assert await _denied_openings(centre) == [("part_refused", handoff_id)]


async def test_unchosen_groups_arrive_empty_and_open_as_such(centre: Centre) -> None:
    """Every group that somebody there holds gets a part, so that no row tells what was sent."""
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "contact", "social", "legal")
    handoff_id, _ = await hand_over(social, case, "identity")
    jurist = await centre.sign_in("cidff.jurist")
    received = await accept(jurist, handoff_id)
    sizes = await centre.dba(lambda connection: _sizes(connection, handoff_id))
    assert set(sizes) == {"identity", "contact", "intake", "safety", "social", "legal", "family"}
    assert len({size for group, size in sizes.items() if group != "identity"}) == 1
    groups = (await jurist.get(f"/cases/{received}"))["groups"]
    assert {group for group, fields in groups.items() if fields} == {"identity"}
    assert await _count(centre, handoff_part, "cidff") == 0
    assert await _denied_openings(centre) == []
    assert told("contact") not in str(groups)


def _sizes(connection: Connection, handoff_id: str) -> dict[str, int]:
    query = select(handoff_part.c.compartment, handoff_part.c.part).where(
        handoff_part.c.handoff_id == UUID(handoff_id)
    )
    return {group: len(part.blob) for group, part in connection.execute(query)}
