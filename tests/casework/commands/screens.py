"""A holder's screen: a pseudo-terminal of its own, on which a command runs and somebody types."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from casework.anchors import Anchors
from casework.commands.share_desk import Answer, Handed, ask, hand_in
from casework.identity.members import accounts_of_members, colleagues
from casework.organisations.founding import organisation_slugs
from casework.organisations.holders import verified_directory
from crypto.handed_share import read_share, seal_share
from crypto.secret import Secret
from crypto.words import verification_words
from tests.casework.commands.place import COMMAND, Place, start
from tests.casework.commands.test_organisations import read
from tests.forked import Forked

_PATIENCE = 60.0


@dataclass
class Screen:
    """`shown` is everything that stood on it."""

    process: subprocess.Popen[bytes]
    terminal: int
    shown: str = ""
    code: int | None = None
    # Where what was waited for last ended: what follows may have been read with it.
    _waited_to: int = 0

    def wait_for(self, words: str) -> None:
        """Read until these words stand on the screen, after what was waited for before."""
        until = time.monotonic() + _PATIENCE
        while (found := self.shown.find(words, self._waited_to)) < 0:
            assert self._read(until), self.shown
        self._waited_to = found + len(words)

    def type(self, line: str) -> None:
        os.write(self.terminal, line.encode() + b"\n")

    def end(self) -> int:
        """The exit code, once everything was read."""
        if self.code is None:
            until = time.monotonic() + _PATIENCE
            while self._read(until):
                pass
            self.code = self.process.wait()
            os.close(self.terminal)
        return self.code

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self.terminal], [], [], max(0.0, until - time.monotonic()))
        try:
            piece = os.read(self.terminal, 4_096) if ready else b""
        except OSError:  # EIO: the command has ended
            piece = b""
        self.shown += piece.decode("utf-8", "replace")
        return bool(piece)


def open_screen(place: Place, *arguments: str) -> Screen:
    """Run a command on a new screen."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("CASEWORK_")}
    environment = {**others, **place.environment}
    terminal, its = pty.openpty()
    streams = {"stdin": its, "stdout": its, "stderr": its}
    process = Forked(list(arguments), terminal=True, env=environment, **streams)
    os.close(its)
    return Screen(process, terminal)


def type_share(place: Place, slug: str, share: str, code: str) -> Screen:
    """A holder compares the code and types her share, with its first four letters of each word."""
    screen = open_screen(place, "keys", "recover", "share", slug)
    screen.wait_for("[o/N]")
    assert code in screen.shown
    screen.type("o")
    screen.wait_for("[o/N]")
    screen.type("o")
    screen.wait_for("Mot 1 sur")
    screen.type(" ".join(word[:4] for word in share.split()))
    screen.end()
    return screen


def hand_over(place: Place, slug: str, share: str, screen: str) -> Answer:
    """Hand a share in as the command does once it was typed, without a screen."""
    words = Secret(share.encode())
    facts, hello = read_share(words), ask(place.state, slug)
    sealed = seal_share(bytes.fromhex(hello.public), bytes.fromhex(hello.org), words).hex()
    handed = Handed(screen, facts.set_number, facts.number, facts.needed, sealed)
    return hand_in(place.state, slug, hello, handed)


def words_of(place: Place, login: str) -> tuple[str, ...]:
    """The eight words that a member sees at her own screen."""

    def work(connection: Connection) -> tuple[UUID, UUID, list[bytes]]:
        org_id = next(
            found for found, slug in organisation_slugs(connection).items() if slug == login.partition(".")[0]
        )
        members = [one.id for one in colleagues(connection, org_id) if one.login == login]
        certified = verified_directory(connection, Anchors(place.state), org_id).members
        account = accounts_of_members(connection, org_id)[members[0]]
        return org_id, account, [certified[member.bytes].fingerprint for member in members]

    org_id, account, fingerprints = read(place, work)
    return verification_words(org_id.bytes, account.bytes, fingerprints)


@dataclass
class Desk:
    """The process that waits for shares; `lines` are what it has said."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The code that the screens compare."""
        # What is typed at a screen ends the question's line; words from a pipe do not.
        (line,) = [line for line in self.lines if "Code de cette récupération" in line]
        return line.rpartition(": ")[2].strip()

    def read_to(self, beginning: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(beginning):
                return
        raise AssertionError(self.lines)

    def end(self) -> tuple[int, str]:
        """The exit code, and what went to the error stream."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        out, err = self.process.communicate(timeout=_PATIENCE)
        self.lines += out.splitlines(keepends=True)
        return self.process.returncode, err


@contextmanager
def desk(place: Place, *arguments: str | Path, command: str = COMMAND) -> Iterator[Desk]:
    """`keys recover begin`, up to where it waits for shares; `command` is the program that runs it.

    Each `--holder` reads her words.
    """
    environment = {**place.environment, "PYTHONUNBUFFERED": "1"}
    process = start(
        "keys",
        "recover",
        "begin",
        *arguments,
        environment=environment,
        command=command,
        stdin=subprocess.PIPE,
    )
    logins = [str(after) for option, after in pairwise(arguments) if option == "--holder"]
    assert process.stdin is not None
    process.stdin.write("".join(f"{' '.join(words_of(place, login))}\n" for login in logins))
    process.stdin.close()
    process.stdin = None
    waiting = Desk(process)
    try:
        waiting.read_to("Chaque personne")
        yield waiting
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        # What a kill leaves; it would be in every copy of the place.
        (place.state / f".recovery-{arguments[0]}").unlink(missing_ok=True)
