"""The real service as a process of its own, on real files or a real server, to be killed and started again."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.forked import Forked

PATIENCE_SECONDS = 60


class Server:
    """`casework serve`. All its starts write to one log file."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith("CASEWORK_")}
        self._environment = {**others, **environment}
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.url = ""

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._starts += 1
        self._process = process = self._begin()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(serving := self.events("serving")) < self._starts:
                assert process.poll() is None, self.log.read_text()[-2_000:]
                await asyncio.sleep(0.02)
        self.url = f"http://127.0.0.1:{serving[-1]['port']}"

    def _begin(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab", buffering=0) as log:
            # A kill may have cut the last line short, and this start's first would be lost in it.
            log.write(b"\n")
            return Forked(
                ["serve", "--port", "0"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ask it to stop; returns its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_SECONDS)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The log's lines of these events; a line that a kill cut short is none."""
        return [line for line in self._lines() if line.get("event") in names]

    def _lines(self) -> Iterator[dict[str, Any]]:
        for raw in self.log.read_bytes().splitlines():
            try:
                yield json.loads(raw)
            except ValueError:
                continue
