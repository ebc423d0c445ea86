"""Turns at what is costly: a few at once, and a line that does not grow without end."""

import asyncio
from typing import Self

from casework.errors import Busy


class Turns:
    """`at_once` have their turn, at most `in_line` wait for theirs, and whoever comes then is sent away.

    Raises:
        Busy: the line is full; nothing was begun.

    """

    def __init__(self, at_once: int, in_line: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._in_line = in_line
        self._waiting = 0

    async def __aenter__(self) -> Self:
        if self._waiting >= self._in_line:
            raise Busy
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._free.release()
