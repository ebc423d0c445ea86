"""The rounds of this process's integrator, and who waits for the next one."""

import asyncio
from contextlib import suppress

# Between two rounds at least, however many wait: fifty signatures a second and no more.
SHORTEST_SECONDS = 0.02


class Rounds:
    """An integrator goes round on its timer, and sooner where somebody waits for her receipt."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()

    async def next(self) -> None:
        """Ask for a round now and wait until one has ended."""
        ended = self._ended
        self._wanted.set()
        await ended.wait()

    async def pause(self, seconds: float) -> None:
        """Between two rounds: at most so long, and no longer than until somebody waits."""
        await asyncio.sleep(SHORTEST_SECONDS)
        # Not wait_for: where somebody asks for a round at the very moment of a stop, it forgets the stop.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds - SHORTEST_SECONDS):
                await self._wanted.wait()
        self._wanted.clear()

    def end(self) -> None:
        """A round has ended: whoever waits looks whether it was hers."""
        ended, self._ended = self._ended, asyncio.Event()
        ended.set()
