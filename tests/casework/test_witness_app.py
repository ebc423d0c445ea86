"""`casework audit witness` over HTTP: each status of C2SP tlog-witness, kills, and two that ask at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from audit.checkpoint import NoteSigner, parse_checkpoint, verify_cosignature
from audit.heads import HeadsFile
from audit.witness import FILE_NAME, AddCheckpoint
from tests.audit.journal import Key, verify
from tests.audit.test_witness import FORK, LOG, ORIGIN, TREE
from tests.casework.commands.place import run
from tests.casework.watching import DIES_BEFORE_IT_ANSWERS, NAME, watching


def ask(url: str, body: bytes) -> httpx.Response:
    return httpx.post(f"{url}/add-checkpoint", content=body, timeout=30, trust_env=False)


def test_every_status_of_the_protocol(tmp_path: Path) -> None:
    with watching(tmp_path, [LOG.key]) as witness:
        signed = ask(witness.url, TREE.asked(0, 5))
        assert signed.status_code == 200
        note = parse_checkpoint(AddCheckpoint.parse(TREE.asked(0, 5)).note + signed.text)
        assert verify_cosignature(note, witness.key, verify) > 1_700_000_000
        assert signed.text == f"— {NAME} {signed.text.split()[-1]}\n"
        foreign = TREE.asked(5, 6, signer=NoteSigner(ORIGIN, Key(9)))
        unknown = TREE.asked(5, 6).replace(ORIGIN.encode(), b"other.test/rollup")
        for body, status in (
            (TREE.asked(5, 9), 200),
            (TREE.asked(9, 9), 200),
            (b"", 400),
            (b"old 10" + TREE.asked(9, 9)[5:], 400),
            (foreign, 403),
            (unknown, 404),
            (FORK.asked(9, 12), 422),
            (b"x" * 100_000, 413),
        ):
            answer = ask(witness.url, body)
            assert (answer.status_code, bool(answer.content)) == (status, status == 200), body
        for body in (TREE.asked(5, 12), FORK.asked(9, 9), TREE.asked(0, 3)):
            conflict = ask(witness.url, body)
            assert (conflict.status_code, conflict.text) == (409, "9\n")
            assert conflict.headers["content-type"] == "text/x.tlog.size"
        assert httpx.get(f"{witness.url}/add-checkpoint", trust_env=False).status_code == 405
        (tmp_path / FILE_NAME).unlink()
        assert ask(witness.url, TREE.asked(0, 3)).status_code == 500


def test_a_witness_that_is_killed_before_it_answers_is_bound_by_what_it_remembered(tmp_path: Path) -> None:
    with (
        watching(tmp_path, [LOG.key], DIES_BEFORE_IT_ANSWERS) as witness,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        ask(witness.url, TREE.asked(0, 5))
    remembered = HeadsFile(tmp_path / FILE_NAME).read()[ORIGIN]
    assert remembered is not None
    assert (remembered.size, remembered.root) == (5, TREE.roots[5])
    with watching(tmp_path, [LOG.key]) as again:
        assert again.key == witness.key
        for body in (FORK.asked(0, 5), FORK.asked(5, 5)):
            assert ask(again.url, body).status_code == 409
        assert ask(again.url, FORK.asked(5, 8)).status_code == 422
        # The log, which never saw an answer, asks for it again.
        assert ask(again.url, TREE.asked(5, 5)).status_code == 200
        bodies = [FORK.asked(5, 7), TREE.asked(5, 7), TREE.asked(5, 9), TREE.asked(5, 6)] * 4
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: ask(again.url, body).status_code, bodies))
        # One is taken; whoever comes later asks from a size that is no longer the last, or shows it once more.
        assert set(answers) <= {200, 409, 422}
        taken = {body for body, status in zip(bodies, answers, strict=True) if status == 200}
        assert len(taken) == 1


@pytest.mark.parametrize("gone", ["witness.key", FILE_NAME])
def test_a_witness_that_lost_its_key_or_its_memory_does_not_begin_anew(tmp_path: Path, gone: str) -> None:
    with watching(tmp_path, [LOG.key]) as witness:
        ask(witness.url, TREE.asked(0, 5))
    (tmp_path / gone).unlink()
    chosen = ("--name", NAME, "--state", tmp_path, "--log", str(LOG.key))
    ran = run("audit", "witness", *chosen, environment={})
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)


@pytest.mark.parametrize("name", ["", "a b", "a+b"])
def test_a_name_that_no_note_can_carry_is_refused(tmp_path: Path, name: str) -> None:
    ran = run("audit", "witness", "--name", name, "--state", tmp_path, "--log", str(LOG.key), environment={})
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
