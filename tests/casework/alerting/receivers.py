"""Who receives alerts in the tests: a real SMTP server that insists on TLS, and a real webhook's receiver."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "casework", "un mot de passe de courrier"


class Mailbox:
    """Takes what comes; `is_away` answers that it cannot now (RFC 5321: 451)."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.is_away = False
        self.was_encrypted: list[bool] = []
        self.greeted_as: list[str] = []
        self.port = 0

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.is_away:
            return "451 later"
        content = envelope.content
        assert isinstance(content, bytes)
        message = BytesParser(policy=default).parsebytes(content)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.recipients.append(envelope.rcpt_tos)
        self.was_encrypted.append(session.ssl is not None)
        self.greeted_as.append(str(session.host_name))
        return "250 taken"


def _authenticate(*arguments: Any) -> AuthResult:
    given = arguments[-1]
    return AuthResult(success=(given.login, given.password) == (USER.encode(), PASSWORD.encode()))


@asynccontextmanager
async def mail_server(folder: Path | None, name: str = "localhost") -> AsyncIterator[Mailbox]:
    """A server with STARTTLS and a certificate for `name` in `folder`; without a folder one that has no TLS."""
    mailbox = Mailbox()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if folder is not None else None
    if context is not None and folder is not None:
        context.load_cert_chain(*certificate(folder, name))

    def serve() -> SMTP:
        return SMTP(
            mailbox,
            tls_context=context,
            require_starttls=context is not None,
            authenticator=_authenticate if context is not None else None,
            auth_require_tls=True,
            # Else it asks for the machine's own name, which may take longer than the client waits.
            hostname="localhost",
        )

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "certificate.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, private


class Receiver:
    """A webhook's receiver: keeps (headers, body) of each request, and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.arrivals: asyncio.Queue[bytes] = asyncio.Queue()
        self.answer = "204 No Content"
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        self.arrivals.put_nowait(body)
        writer.write(f"HTTP/1.1 {self.answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


class Chatterer:
    """A receiver that means harm: `answer`, then `piece` again and again, `pieces` of them at most."""

    def __init__(self, answer: bytes, piece: bytes, pieces: int, pause: float = 0) -> None:
        self.sent = 0
        self.ended = asyncio.Event()
        self._answer, self._piece, self._pieces, self._pause = answer, piece, pieces, pause

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            writer.write(self._answer)
            for _ in range(self._pieces):
                writer.write(self._piece)
                await writer.drain()
                self.sent += len(self._piece)
                await asyncio.sleep(self._pause)
            writer.write(b"\r\n\r\n")
            await writer.drain()
        writer.transport.abort()
        self.ended.set()


@asynccontextmanager
async def chattering(chatterer: Chatterer) -> AsyncIterator[str]:
    """Its address, as long as it listens."""
    server = await asyncio.start_server(chatterer.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alerts"
    finally:
        await chatterer.ended.wait()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alerts"
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()
