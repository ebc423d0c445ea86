"""`casework audit rotate-key` and `retire-key`, killed at each step and taken up again."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

import casework.commands.log_keys as commands
from audit import tables
from audit.signing_keys import RETIRED_ACTION, ROTATED_ACTION
from casework.signers import log_signers
from tests.casework.commands.place import NAME, Place
from tests.casework.commands.test_organisations import id_of, read


class Killed(Exception):
    """The command ends here."""


def _before(*_: object, **__: object) -> Any:
    raise Killed


def _after(work: Callable[..., Any]) -> Callable[..., Any]:
    def then_killed(*arguments: Any, **named: Any) -> Any:
        work(*arguments, **named)
        raise Killed

    return then_killed


def signers(place: Place, slug: str) -> list[str]:
    log = id_of(place, slug).bytes
    return [str(signer.key) for signer in log_signers(place.state, log, f"{NAME}/{slug}")]


def announced(place: Place, action: str) -> int:
    """How often the logs say it."""
    query = select(func.count()).where(tables.entry.c.action == action)
    return read(place, lambda connection: int(connection.execute(query).scalar_one()))


# Where the kill comes: the function of the command, and whether its work was done by then.
STEPS: list[tuple[str, bool]] = [
    ("begin_succession", True),
    ("_record", False),
    ("integrate", False),
    ("integrate", True),
    ("says", False),
]


@pytest.mark.parametrize(("step", "done"), STEPS)
def test_a_rotation_that_is_killed_is_taken_up_and_announces_one_key_once(
    founded: Place, monkeypatch: pytest.MonkeyPatch, step: str, *, done: bool
) -> None:
    first = founded.key("avec")
    with monkeypatch.context() as patched:
        patched.setattr(commands, step, _after(getattr(commands, step)) if done else _before)
        assert founded.run("audit", "rotate-key", "avec").code == 1
    ran = founded.run("audit", "rotate-key", "avec")
    assert ran.code == 0, ran
    new = re.findall(r"avec\+\S+", ran.out)[0]
    assert signers(founded, "avec")[0] == first
    assert signers(founded, "avec")[1].endswith(new.partition("+")[2])
    assert announced(founded, ROTATED_ACTION) == 1
    with monkeypatch.context() as patched:
        if step in {"begin_succession", "_record"}:
            patched.setattr(commands, "end_succession", _before)
        elif not done:
            patched.setattr(commands, step, _before)
        else:
            patched.setattr(commands, step, _after(getattr(commands, step)))
        assert founded.run("audit", "retire-key", "avec").code == 1
    ran = founded.run("audit", "retire-key", "avec")
    assert ran.code == 0, ran
    assert announced(founded, RETIRED_ACTION) == 1
    (left,) = signers(founded, "avec")
    assert left.endswith(new.partition("+")[2])
    founded.integrate()
    for key in (first, left):
        verified = founded.run("audit", "verify", "--database", "avec", "--key", key)
        assert verified.code == 0, verified
    assert "✗" not in founded.run("check").out
    assert "signature" not in founded.run("doctor").out


def test_nothing_is_retired_that_no_new_key_was_announced_for(founded: Place) -> None:
    ran = founded.run("audit", "retire-key", "avec")
    assert (ran.code, "rotate-key" in ran.err) == (1, True)
    assert len(signers(founded, "avec")) == 1
