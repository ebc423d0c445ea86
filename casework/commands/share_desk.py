"""Where holders of recovery shares hand them in: one process that waits, and a screen for each of them.

The desk listens on a socket in the state directory, which is the service's account's alone. Its key pair lives in
its memory, for one occasion; a share stays sealed to it until enough are there. A kill leaves nothing behind but
the socket's name, and no share in a file.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec

from casework.commands.opening import CommandRefused
from crypto.errors import SharesRefused
from crypto.handed_share import ShareFacts, open_share
from crypto.hpke import KeyPair, new_key_pair
from crypto.recovery import join_shares
from crypto.secret import Secret

OPEN_FOR_SECONDS = 3_600.0
_PATIENCE_SECONDS = 5.0
_MOST_BYTES = 65_536
_NOBODY = "Aucune récupération n’attend de parts : « casework keys recover begin » la commence."


class Answer(StrEnum):
    """What a holder is told of the share that she handed in."""

    KEPT = "kept"
    COMPLETE = "complete"
    TWICE = "twice"
    OTHER_SET = "other_set"
    SAME_SCREEN = "same_screen"
    NOT_JOINED = "not_joined"


class Gift(msgspec.Struct, frozen=True):
    """The compartments that a login shall be granted, and the eight words of the keys that she has already."""

    compartments: tuple[str, ...]
    words: tuple[str, ...] = ()


class Hello(msgspec.Struct, frozen=True):
    """What the desk says first: for whom it collects, the set that it takes, and its public key (hexadecimal).

    `gifts` are by login: whoever gives her share sees to whom, and compares the words with her.
    """

    org: str
    mark: str
    public: str
    gifts: Mapping[str, Gift]


class Handed(msgspec.Struct, frozen=True):
    """A sealed share (hexadecimal), what it says of itself, and the screen that it was typed at."""

    screen: str
    set_number: int
    number: int
    needed: int
    sealed: str

    @property
    def facts(self) -> ShareFacts:
        return ShareFacts(self.set_number, self.number, self.needed)


class _Replied(msgspec.Struct, frozen=True):
    answer: Answer


class ShareDesk:
    """Collects shares for one organisation until there are as many as they ask for."""

    def __init__(self, listening: socket.socket, org: bytes, mark: bytes, gifts: Mapping[str, Gift]) -> None:
        self._listening = listening
        self._org = org
        self._pair: KeyPair = new_key_pair()
        self._hello = Hello(org.hex(), mark.hex(), self._pair.public.hex(), gifts)
        self._handed: list[Handed] = []

    @property
    def public(self) -> bytes:
        return self._pair.public

    def collect(self, told: Callable[[ShareFacts], None]) -> Secret:
        """Wait for enough shares and return the seed that they give; `told` hears of each.

        Raises:
            SharesRefused: they do not join.
            CommandRefused: they did not come within the hour.

        """
        until = time.monotonic() + OPEN_FOR_SECONDS
        while True:
            self._listening.settimeout(max(0.0, until - time.monotonic()))
            try:
                holder, _ = self._listening.accept()
            except (TimeoutError, BlockingIOError):
                raise CommandRefused("Les parts ne sont pas venues dans l’heure : recommencez.") from None
            with holder:
                holder.settimeout(_PATIENCE_SECONDS)
                try:
                    seed = self._serve(holder, told)
                except (OSError, msgspec.MsgspecError):
                    # Whoever went away, or spoke of something else, can come again.
                    continue
            if seed is not None:
                return seed

    def _serve(self, holder: socket.socket, told: Callable[[ShareFacts], None]) -> Secret | None:
        _send(holder, self._hello)
        line = _receive(holder)
        if not line:
            return None  # She only asked what this desk is.
        handed = msgspec.json.decode(line, type=Handed)
        answer = self._examine(handed)
        if answer is not Answer.KEPT:
            _send(holder, _Replied(answer))
            return None
        self._handed.append(handed)
        told(handed.facts)
        if len(self._handed) < handed.needed:
            _send(holder, _Replied(Answer.KEPT))
            return None
        return self._join(holder)

    def _examine(self, handed: Handed) -> Answer:
        if any(handed.set_number != other.set_number for other in self._handed):
            return Answer.OTHER_SET
        if any(handed.number == other.number for other in self._handed):
            return Answer.TWICE
        if any(handed.screen == other.screen for other in self._handed):
            return Answer.SAME_SCREEN
        return Answer.KEPT

    def _join(self, holder: socket.socket) -> Secret:
        try:
            opened = [
                open_share(self._pair, self._org, bytes.fromhex(handed.sealed)) for handed in self._handed
            ]
            seed = join_shares([share.reveal().decode("ascii") for share in opened])
        except (SharesRefused, ValueError):
            _send(holder, _Replied(Answer.NOT_JOINED))
            raise SharesRefused("the shares do not join") from None
        _send(holder, _Replied(Answer.COMPLETE))
        return seed


@contextmanager
def open_desk(
    state_dir: Path, slug: str, org: bytes, mark: bytes, gifts: Mapping[str, Gift]
) -> Iterator[ShareDesk]:
    """A desk for one organisation, as long as the block runs.

    Raises:
        CommandRefused: one is open already.

    """
    with _in(state_dir) as folder, socket.socket(socket.AF_UNIX) as listening:
        path = folder / _name(slug)
        if _answers(path):
            raise CommandRefused("Une récupération de cette organisation attend déjà ses parts.")
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        try:
            listening.listen()
            yield ShareDesk(listening, org, mark, gifts)
        finally:
            path.unlink(missing_ok=True)


def ask(state_dir: Path, slug: str) -> Hello:
    """What desk is open for the organisation.

    Raises:
        CommandRefused: none is.

    """
    with _call(state_dir, slug) as (_, hello):
        return hello


def hand_in(state_dir: Path, slug: str, expected: Hello, handed: Handed) -> Answer:
    """Hand a sealed share in at the desk that was asked before.

    Raises:
        CommandRefused: it is not open any more, or another one is.

    """
    with _call(state_dir, slug) as (desk, hello):
        if hello != expected:
            raise CommandRefused(_NOBODY)
        _send(desk, handed)
        return msgspec.json.decode(_receive(desk), type=_Replied).answer


@contextmanager
def _call(state_dir: Path, slug: str) -> Iterator[tuple[socket.socket, Hello]]:
    try:
        with _in(state_dir) as folder, socket.socket(socket.AF_UNIX) as desk:
            desk.settimeout(_PATIENCE_SECONDS)
            desk.connect(str(folder / _name(slug)))
            yield desk, msgspec.json.decode(_receive(desk), type=Hello)
    except (OSError, msgspec.MsgspecError):
        raise CommandRefused(_NOBODY) from None


@contextmanager
def _in(state_dir: Path) -> Iterator[Path]:
    """The directory by a short name: a socket's has 107 bytes at most."""
    descriptor = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _name(slug: str) -> str:
    return f".recovery-{slug}"


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(_PATIENCE_SECONDS)
        try:
            caller.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


def _send(to: socket.socket, what: msgspec.Struct) -> None:
    to.sendall(msgspec.json.encode(what) + b"\n")


def _receive(of: socket.socket) -> bytes:
    """One line, or nothing where the other side closed; OSError for one that is too long."""
    line = b""
    while not line.endswith(b"\n"):
        piece = of.recv(_MOST_BYTES)
        if not piece:
            return b""
        line += piece
        if len(line) > _MOST_BYTES:
            raise OSError
    return line
