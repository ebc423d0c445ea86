"""Taking a part into the receiver's case: once, whole, and never into another case's follow-ups."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from casework import packets
from casework.access import Access, _case_key
from casework.act import Act
from casework.follow_ups.tables import follow_up
from casework.handoffs import drafting
from policies.vocabulary import Group
from tests.casework.centre import Centre
from tests.casework.story import accept, content, entries_of, hand_over, note, open_case, told


async def _follow_ups(centre: Centre, case: str) -> int:
    query = select(func.count()).select_from(follow_up).where(follow_up.c.case_id == UUID(case))
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def test_a_follow_up_that_comes_in_two_parts_is_one_follow_up(centre: Centre) -> None:
    social, jurist = await centre.sign_in("avec.social", step_up=True), await centre.sign_in("cidff.jurist")
    case = await open_case(social, "social", "legal")
    chosen = await note(social, case, "accompagnement_social", "social", "legal")
    handoff_id, _ = await hand_over(social, case, "social", "legal", follow_ups=[chosen])
    received = await accept(jurist, handoff_id)
    (item,) = (await jurist.get(f"/cases/{received}/follow-ups"))["items"]
    assert item["content"] == {group: told(group) for group in ("social", "legal")}
    assert await _follow_ups(centre, received) == 1


async def test_an_item_of_another_case_is_not_taken_into_it(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids of a packet's items are the sender's to choose: hers must not touch what another handoff brought."""
    social, jurist = await centre.sign_in("avec.social", step_up=True), await centre.sign_in("cidff.jurist")
    received = []
    same = uuid4()
    for _ in range(2):
        case = await open_case(social, "legal")
        chosen = await note(social, case, "entretien_juridique", "legal")
        # First the packet's id of the item, then the handoff's.
        ids = iter([same, uuid4()])
        monkeypatch.setattr(drafting, "uuid4", lambda ids=ids: next(ids))
        handoff_id, _ = await hand_over(social, case, "identity", "legal", follow_ups=[chosen])
        monkeypatch.undo()
        received.append(await accept(jurist, handoff_id))
        await jurist.get(f"/cases/{received[-1]}")
    first, second = received
    assert [await _follow_ups(centre, one) for one in received] == [1, 0]
    assert (await jurist.get(f"/cases/{first}"))["groups"]["legal"] == content("legal")
    assert (await jurist.get(f"/cases/{second}"))["groups"]["legal"] == {}
    denied = entries_of(await centre.journal("cidff"), "handoff.open", "denied")
    assert [item["entry"]["reason"] for item in denied] == ["part_refused"]


async def test_the_second_of_two_who_open_at_once_finds_it_taken_in(centre: Centre) -> None:
    social, jurist = await centre.sign_in("avec.social", step_up=True), await centre.sign_in("cidff.jurist")
    case = await open_case(social, "legal")
    handoff_id, _ = await hand_over(social, case, "identity", "legal")
    received = UUID(await accept(jurist, handoff_id))

    def read_before_the_other(act: Act) -> Any:
        stale = Access(act)._load(received)
        Access(act).open_case(received)
        key = _case_key(act, stale, Group.LEGAL)
        assert key is not None
        packets.take_in(act, stale, Group.LEGAL, key)
        return Access(act).open_case(received).groups[Group.LEGAL]

    assert await centre.act(jurist, read_before_the_other) == content("legal")
    opens = entries_of(await centre.journal("cidff"), "handoff.open")
    assert {item["outcome"] for item in opens} == {"allowed"}
