"""A small HTTP/1.1 client on kept connections: it must never be what is measured."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httptools
import msgspec


class ConnectionLost(Exception):
    """The server closed the connection before it had answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Connection(asyncio.Protocol):
    """One kept connection. Not for two requests at once."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._body: list[bytes] = []
        self._waiting: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        _, made = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request and wait for its whole answer.

        Raises:
            ConnectionLost: the server went away.

        """
        assert self._transport is not None
        content = msgspec.json.encode(body) if body is not None else b""
        lines = [f"{method} /api/v1{path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if content:
            lines.append("Content-Type: application/json")
        if method == "POST":
            lines.append(f"Content-Length: {len(content)}")
        self._waiting = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + content)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLost())

    def on_body(self, body: bytes) -> None:
        """Part of the answer, from the parser."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The end of the answer, from the parser."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Answer(self._parser.get_status_code(), b"".join(self._body)))
