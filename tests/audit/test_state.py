"""The signer's memory outside the database."""

import stat
from pathlib import Path

import pytest

from audit.checkpoint import Checkpoint
from audit.errors import StateRefused
from audit.state import FILE_NAME, SignerState

HEAD = Checkpoint("casework.test/a", 7, bytes(range(32)))
OTHER = Checkpoint("casework.test/b", 3, bytes(32))


def test_what_was_published_is_remembered_across_a_start(tmp_path: Path) -> None:
    state = SignerState(tmp_path)
    assert not state.knows(HEAD.origin)
    assert state.last(HEAD.origin) is None
    state.publish([HEAD, OTHER])
    again = SignerState(tmp_path)
    assert (again.last(HEAD.origin), again.last(OTHER.origin)) == (HEAD, OTHER)


def test_a_log_that_began_is_known_with_nothing_published(tmp_path: Path) -> None:
    state = SignerState(tmp_path)
    state.begin(HEAD.origin)
    assert state.knows(HEAD.origin)
    assert state.last(HEAD.origin) is None
    state.publish([HEAD])
    state.begin(HEAD.origin)
    assert state.last(HEAD.origin) == HEAD


def test_a_smaller_head_never_replaces_a_larger_one(tmp_path: Path) -> None:
    state = SignerState(tmp_path)
    state.publish([HEAD])
    state.publish([Checkpoint(HEAD.origin, 6, bytes(32)), Checkpoint(HEAD.origin, 7, bytes(32))])
    assert state.last(HEAD.origin) == HEAD


def test_the_file_is_for_its_owner_and_replaced_whole(tmp_path: Path) -> None:
    state = SignerState(tmp_path)
    state.publish([HEAD])
    path = tmp_path / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.open("rb")
    state.publish([OTHER])
    with before:
        assert OTHER.origin.encode() not in before.read()
    assert not path.with_suffix(".new").exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b'{"logs":{},"v":2}',
        b'{"logs":{"a":{"root":"00","size":1}},"v":1}',
        b'{"logs":{},"v":1,"x":1}',
    ],
)
def test_an_unreadable_state_is_refused_and_left_alone(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(raw)
    state = SignerState(tmp_path)
    for act in (
        lambda: state.last("a"),
        lambda: state.knows("a"),
        lambda: state.begin("a"),
        lambda: state.publish([]),
    ):
        with pytest.raises(StateRefused):
            act()
    assert path.read_bytes() == raw
