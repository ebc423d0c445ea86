"""The desk at which shares are handed in: what it takes, what it refuses, and that it waits on meanwhile."""

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from casework.commands import share_desk
from casework.commands.opening import CommandRefused
from casework.commands.share_desk import Answer, Gift, Handed, ask, hand_in, open_desk
from crypto.errors import SharesRefused
from crypto.handed_share import ShareFacts, read_share, seal_share
from crypto.recovery import Split, split_seed
from crypto.secret import Secret

ORG, MARK = b"O" * 16, b"mark"
GIFTS = {"avec.social": Gift(("identity", "social"), ("soleil", "bateau")), "avec.new": Gift(("legal",))}
SEED = Secret.random()
SHARES = [Secret(share.encode()) for share in split_seed(SEED, Split(3, 4))]
OTHERS = [Secret(share.encode()) for share in split_seed(Secret.random(), Split(3, 4))]


@dataclass
class Waiting:
    folder: Path
    seed: "Future[Secret]"
    told: list[int]

    def hand(self, share: Secret, screen: str, facts: ShareFacts | None = None) -> Answer:
        hello = ask(self.folder, "avec")
        said = facts or read_share(share)
        sealed = seal_share(bytes.fromhex(hello.public), ORG, share).hex()
        return hand_in(
            self.folder, "avec", hello, Handed(screen, said.set_number, said.number, said.needed, sealed)
        )


@contextmanager
def waiting(folder: Path) -> Iterator[Waiting]:
    told: list[int] = []
    with ThreadPoolExecutor(1) as thread, open_desk(folder, "avec", ORG, MARK, GIFTS) as desk:
        here = Waiting(folder, thread.submit(desk.collect, lambda facts: told.append(facts.number)), told)
        try:
            yield here
        finally:
            if not here.seed.done():
                # Ended by a share that says it is enough, and is not.
                number = next(number for number in range(1, 17) if number not in told)
                ours = read_share(SHARES[0]).set_number
                here.hand(OTHERS[0], "the last", ShareFacts(ours, number, 1))


def test_as_many_as_the_shares_ask_for_give_the_seed(tmp_path: Path) -> None:
    with waiting(tmp_path) as desk:
        answers = [desk.hand(SHARES[at], f"screen {at}") for at in (3, 0, 2)]
        assert answers == [Answer.KEPT, Answer.KEPT, Answer.COMPLETE]
        assert desk.seed.result(10) == SEED
        assert desk.told == [4, 1, 3]
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_is_not_kept(tmp_path: Path) -> None:
    with waiting(tmp_path) as desk:
        desk.hand(SHARES[0], "one")
        assert desk.hand(SHARES[0], "two") is Answer.TWICE
        assert desk.hand(OTHERS[1], "two") is Answer.OTHER_SET
        assert desk.hand(SHARES[1], "one") is Answer.SAME_SCREEN
        assert desk.told == [1]
        assert [desk.hand(SHARES[at], f"screen {at}") for at in (1, 2)] == [Answer.KEPT, Answer.COMPLETE]
        assert desk.seed.result(10) == SEED


def test_shares_that_lie_of_themselves_do_not_join(tmp_path: Path) -> None:
    with waiting(tmp_path) as desk:
        ours = read_share(SHARES[0]).set_number
        desk.hand(SHARES[0], "one")
        desk.hand(SHARES[1], "two")
        assert desk.hand(OTHERS[2], "three", ShareFacts(ours, 3, 3)) is Answer.NOT_JOINED
        with pytest.raises(SharesRefused):
            desk.seed.result(10)


@pytest.mark.parametrize("said", [b"", b"not json\n", b"{}\n", b"x" * 70_000])
def test_who_speaks_of_something_else_is_sent_away_and_the_desk_waits_on(tmp_path: Path, said: bytes) -> None:
    with waiting(tmp_path) as desk:
        with share_desk._in(tmp_path) as folder, socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(folder / ".recovery-avec"))
            stranger.settimeout(10)
            assert stranger.recv(70_000)
            try:
                stranger.sendall(said)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(70_000) == b""
            except OSError:  # sent away before all of it was said
                pass
        assert [desk.hand(SHARES[at], f"screen {at}") for at in (0, 1, 2)][-1] is Answer.COMPLETE
        assert desk.seed.result(10) == SEED


def test_a_second_desk_of_an_organisation_is_refused_and_one_left_by_a_kill_is_not(tmp_path: Path) -> None:
    with (
        waiting(tmp_path),
        pytest.raises(CommandRefused, match="déjà"),
        open_desk(tmp_path, "avec", ORG, MARK, GIFTS),
    ):
        pass
    with share_desk._in(tmp_path) as folder, socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / ".recovery-avec"))
    with open_desk(tmp_path, "avec", ORG, MARK, GIFTS) as desk:
        assert ask_beside(tmp_path, desk).gifts == GIFTS


def ask_beside(folder: Path, desk: share_desk.ShareDesk) -> share_desk.Hello:
    """Ask a desk that nobody keeps: it answers once, and goes on waiting in vain."""
    with ThreadPoolExecutor(2) as threads:
        asked = threads.submit(ask, folder, "avec")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(share_desk, "OPEN_FOR_SECONDS", 1.0)
            with pytest.raises(CommandRefused, match="dans l’heure"):
                desk.collect(lambda _: None)
        return asked.result(10)


def test_a_share_is_not_handed_to_another_desk_than_the_one_that_was_asked(tmp_path: Path) -> None:
    with waiting(tmp_path):
        before = ask(tmp_path, "avec")
    with waiting(tmp_path) as desk:
        handed = Handed("one", 1, 1, 2, "00")
        with pytest.raises(CommandRefused):
            hand_in(tmp_path, "avec", before, handed)
        assert desk.told == []


def test_where_nobody_waits_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandRefused, match="begin"):
        ask(tmp_path, "avec")
