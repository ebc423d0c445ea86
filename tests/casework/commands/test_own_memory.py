"""What a command holds in memory stays there: no core dump, and no reading by another process of the same user."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import casework
from casework.commands.memory_inspection import inspect_memory
from casework.own_memory import MemoryFault
from tests.casework.commands.place import COMMAND, Place
from tests.casework.commands.test_serving import serving

# What cannot run as root, who reads everything, runs as this user.
NOBODY = 65_534
SECRET = "canary-in-memory-" + "7f" * 8
# Lines that a child prints: its own view, then it waits for its end of input.
HOLDS_A_SECRET = """
import ctypes, os, sys
from casework.own_memory import close_own_memory, open_memory
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({nobody})
    os.setuid({nobody})
# What changing the user took away is given back, so that the test shows what `close_own_memory` does.
ctypes.CDLL(None).prctl(4, ctypes.c_ulong(1), 0, 0, 0)
if {closes}:
    close_own_memory()
secret = ctypes.create_string_buffer(bytes.fromhex("{secret}"))
print(ctypes.addressof(secret), *open_memory(), flush=True)
sys.stdin.read()
"""
READS_IT = """
import os, sys
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({nobody})
    os.setuid({nobody})
try:
    with open("/proc/{pid}/mem", "rb") as memory:
        memory.seek({address})
        print(memory.read({size}).hex())
except OSError as error:
    print(type(error).__name__)
"""
ATTACHES = """
import ctypes, os
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({nobody})
    os.setuid({nobody})
print(ctypes.CDLL(None, use_errno=True).ptrace(16, {pid}, 0, 0))  # PTRACE_ATTACH
"""


@contextmanager
def holding(*, closes: bool) -> Iterator[tuple[int, int, list[str]]]:
    """A process with a secret in its memory: its id, where the secret lies, what it finds open."""
    code = HOLDS_A_SECRET.format(nobody=NOBODY, closes=closes, secret=SECRET.encode().hex())
    environment = {**os.environ, "PYTHONPATH": str(Path(casework.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        address, *faults = process.stdout.readline().split()
        yield process.pid, int(address), faults
    finally:
        process.kill()
        process.communicate()


def told_by(code: str, **values: int) -> str:
    """What another process of the same user prints."""
    code = code.format(nobody=NOBODY, **values)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()


def test_another_process_of_the_same_user_cannot_read_the_memory() -> None:
    with holding(closes=False) as (pid, address, faults):
        read = told_by(READS_IT, pid=pid, address=address, size=len(SECRET))
    assert MemoryFault.DUMPABLE in faults
    if read != SECRET.encode().hex():
        pytest.skip("here no process reads another's memory anyway")
    with holding(closes=True) as (pid, address, faults):
        assert faults == []
        assert told_by(READS_IT, pid=pid, address=address, size=len(SECRET)) == "PermissionError"
        assert told_by(ATTACHES, pid=pid) == "-1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "walk"),
        ("org", "create", "avec", "--name", "AVEC"),
        ("restore",),
    ],
)
def test_every_command_closes_its_memory_before_it_reads_an_argument(arguments: tuple[str, ...]) -> None:
    """The entry point is one for all of them; what it closed is read where the command would have ended."""
    code = (
        "import atexit, json, resource, sys\n"
        "from casework.own_memory import open_memory\n"
        "atexit.register(lambda: print(json.dumps("
        "{'open': open_memory(), 'core': resource.getrlimit(resource.RLIMIT_CORE)})))\n" + COMMAND
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("CASEWORK_")},
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == {"open": [], "core": [0, 0]}, ran


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_served_process_leaves_no_core_dump(founded: Place) -> None:
    with serving(founded) as (process, _):
        assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)


def test_what_is_open_is_named_with_how_to_mend_it() -> None:
    code = "import json; from casework.commands.memory_inspection import inspect_memory; "
    code += "print(json.dumps([str(finding) for finding in inspect_memory()]))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    named = json.loads(ran.stdout)
    assert any("mémoire de celui-ci" in line and "prctl" in line for line in named)
    assert named == [str(finding) for finding in inspect_memory()]
