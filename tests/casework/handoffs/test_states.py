"""Any moves of both sides, in any order, at any time: what a handoff may never become.

On SQLite's own statements; tests/casework/test_walls.py holds PostgreSQL's function to the same table.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine, insert, select

from casework.column_types import Sealed
from casework.database import UnitOfWork, metadata
from casework.handoffs.moves import Delivery, Move, Part, apply_move
from casework.handoffs.states import END_THE_CONSENT, MOVES, NEED_LIVE_CONSENT, Side
from casework.handoffs.tables import handoff, handoff_part, handoff_side
from policies.vocabulary import Stage

ORGS = {Side.SENDER: UUID(int=1), Side.RECEIVER: UUID(int=2)}
HANDOFF = UUID(int=3)
LASTS = timedelta(hours=3)
DELIVERY = Delivery(UUID(int=4), UUID(int=5), b"envelope", b"chain", (Part("social", 1, b"part"),))


class TwoSides(RuleBasedStateMachine):
    """A handoff that both sides pull at; `ended` once its consent was ended, for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = create_engine("sqlite://").connect()
        # SQLite looks for no other table as long as foreign keys are off.
        metadata.create_all(self.connection, [handoff, handoff_side, handoff_part])
        self.now = datetime(2026, 11, 20, tzinfo=UTC)
        self.expires_at = self.now
        self.ended = False
        ids = {"from_org": ORGS[Side.SENDER], "to_org": ORGS[Side.RECEIVER]}
        self.connection.execute(
            insert(handoff).values(id=HANDOFF, state=Stage.DRAFT, consent_is_live=False, **ids)
        )
        self.connection.execute(
            insert(handoff_side).values(
                org_id=ORGS[Side.SENDER],
                id=HANDOFF,
                side=Side.SENDER,
                partner_id=ORGS[Side.RECEIVER],
                kind="orientation",
                urgency="normal",
                state=Stage.DRAFT,
                created_at=self.now,
                moved_at=self.now,
                content_digest=bytes(32),
                envelope=Sealed(b"own"),
            )
        )

    def teardown(self) -> None:
        self.connection.close()
        self.connection.engine.dispose()

    @initialize(steps=st.integers(0, 3))
    def some_way_has_been_gone(self, steps: int) -> None:
        for stage, side in (
            (Stage.CONSENTED, Side.SENDER),
            (Stage.SENT, Side.SENDER),
            (Stage.ACCEPTED, Side.RECEIVER),
        )[:steps]:
            self._move(side, stage)

    @rule()
    def an_hour_passes(self) -> None:
        self.now += timedelta(hours=1)

    @rule()
    def the_consent_lapses(self) -> None:
        self.now = max(self.now, self.expires_at)

    @rule(data=st.data())
    def whose_turn_it_is_moves_on(self, data: Any) -> None:
        state = self._neutral().state
        onwards = sorted(stage for stage, (follows, _) in MOVES.items() if state in follows)
        if onwards:
            stage = data.draw(st.sampled_from(onwards))
            self._move(MOVES[stage][1] or data.draw(st.sampled_from(Side)), stage)

    @rule(side=st.sampled_from(Side), stage=st.sampled_from(sorted(MOVES)))
    def anybody_moves_anything(self, side: Side, stage: Stage) -> None:
        self._move(side, stage)

    def _move(self, side: Side, stage: Stage) -> None:
        before, live = self._neutral(), self._is_live()
        move = Move(
            stage,
            consent_expires_at=self.now + LASTS if stage is Stage.CONSENTED else None,
            delivery=DELIVERY if stage is Stage.SENT else None,
        )
        unit = UnitOfWork(self.connection, self.now)
        assert apply_move(unit, UUID(int=9), HANDOFF, move) is None, "a stranger moved it"
        moved = apply_move(unit, ORGS[side], HANDOFF, move)
        assert moved is not None
        follows, mover = MOVES[stage]
        in_time = live if stage in NEED_LIVE_CONSENT else not (live and stage is Stage.EXPIRED)
        allowed = mover in {side, None} and before.state in follows and in_time
        assert moved.moved is allowed
        assert moved.was == before.state
        assert self._neutral().state == (stage if allowed else before.state)
        if allowed and stage is Stage.CONSENTED:
            self.expires_at = self.now + LASTS
        self.ended = self.ended or (allowed and stage in END_THE_CONSENT)

    @invariant()
    def both_sides_say_the_same(self) -> None:
        state = self._neutral().state
        assert {row.state for row in self._sides()} == {state}

    @invariant()
    def the_receiver_knows_of_it_once_it_was_sent(self) -> None:
        was_sent = any(row.sent_at is not None for row in self._sides())
        assert len(self._sides()) == (2 if was_sent else 1)
        assert was_sent or self._neutral().state in {
            Stage.DRAFT,
            Stage.CONSENTED,
            Stage.CANCELLED,
            Stage.WITHDRAWN,
            Stage.EXPIRED,
        }

    @invariant()
    def an_ended_consent_never_comes_back_and_leaves_no_part(self) -> None:
        if self.ended:
            assert not self._neutral().consent_is_live
            assert self._neutral().state in END_THE_CONSENT
            assert self.connection.execute(select(handoff_part)).all() == []

    def _neutral(self) -> Any:
        return self.connection.execute(select(handoff)).one()

    def _sides(self) -> Any:
        return self.connection.execute(select(handoff_side)).all()

    def _is_live(self) -> bool:
        return self._neutral().consent_is_live and self.now < self.expires_at


TestTwoSides = TwoSides.TestCase
TestTwoSides.settings = settings(max_examples=100, stateful_step_count=12, deadline=None)
