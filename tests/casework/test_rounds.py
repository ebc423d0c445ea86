"""The rounds that somebody waits for: none is missed, and a stop is not forgotten over it."""

import asyncio

import pytest

from casework.rounds import Rounds


async def _go_round(rounds: Rounds) -> None:
    while True:
        await rounds.pause(60)
        rounds.end()


async def test_a_round_that_is_asked_for_comes_before_its_time() -> None:
    rounds = Rounds()
    task = asyncio.create_task(_go_round(rounds))
    async with asyncio.timeout(30):
        await rounds.next()
        await rounds.next()
    task.cancel()


async def test_a_stop_at_the_moment_somebody_asks_for_a_round_is_not_forgotten() -> None:
    rounds = Rounds()
    task = asyncio.create_task(_go_round(rounds))
    await asyncio.sleep(0.05)
    asks = asyncio.create_task(rounds.next())
    # One turn of the loop: she has asked, and the pause has not heard it yet.
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(30):
            await task
    asks.cancel()
