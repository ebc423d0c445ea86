"""Commands as processes of their own that need not import the service first: one that has done so forks them.

A start costs some 1.5 s of imports, a fork some milliseconds; what runs, is signalled and is killed is as real.
The parent is begun once by a process that tests, clean: it has no thread, no event loop and no database when it
forks. A command becomes a child of whoever tests (Linux hands orphans to the nearest "subreaper"), which waits for
it and kills it as any other. Where the start itself is what is tested, Python is started: `place.COMMAND`.
"""

import atexit
import ctypes
import json
import os
import random
import socket
import subprocess
import sys
import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

# <linux/prctl.h>
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_REQUEST = 100_000
_STREAMS = 3


class Forked(subprocess.Popen[Any]):
    """A `Popen` of the command line with these arguments; all of stdin, stdout and stderr must be given.

    With `terminal=True` stdin is a terminal that the command gets for its own.
    """

    def __init__(self, arguments: list[str], *, terminal: bool = False, **given: Any) -> None:
        self._terminal = terminal
        super().__init__(arguments, **given)

    def _execute_child(self, *given: Any) -> None:
        arguments, cwd, environment = given[0], given[5], given[6]
        pipes = given[10:16]
        request = {
            "arguments": arguments,
            "environment": environment,
            "cwd": str(cwd or Path.cwd()),
            "terminal": self._terminal,
        }
        parent = _parent()
        socket.send_fds(parent, [json.dumps(request).encode()], [pipes[0], pipes[3], pipes[5]])
        self.pid = int(parent.recv(32))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


@cache
def _parent() -> socket.socket:
    """The socket of the process that forks, begun for the first command."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    begun = [sys.executable, "-W", "error", "-m", "tests.forked", str(its.fileno())]
    process = subprocess.Popen(begun, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def main(asked: socket.socket) -> None:
    """Fork for each request, until whoever tests is gone."""
    _import_the_service()
    while True:
        request, streams, _, _ = socket.recv_fds(asked, _LONGEST_REQUEST, _STREAMS)
        if not request:
            return
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child == 0:
                for number in (reading, writing, asked.detach()):
                    os.close(number)
                _become(json.loads(request), streams)
            os.write(writing, str(child).encode())
            os._exit(0)
        # Only then has the command lost its parent, and become the child of whoever tests.
        os.waitpid(between, 0)
        asked.send(os.read(reading, 32))
        for number in (reading, writing, *streams):
            os.close(number)


def _import_the_service() -> None:
    from casework import cli, deployment
    from policies.engine import Engine
    from tests.casework.centre import SLUGS

    for place in cli._PLACES.values():
        import_module(place.partition(":")[0])
    # What a server and its databases import once they are in use.
    for name in ("asyncpg", "httptools", "uvicorn.lifespan.on", "uvicorn.protocols.http.httptools_impl"):
        import_module(name)
    import_module("sqlalchemy.dialects.postgresql.asyncpg")
    # A command has the policies of the centre from here, as it has its imports.
    load, orgs = Engine.load, frozenset(SLUGS)
    loaded = {slug: load(slug, orgs, alarm=deployment._alarm) for slug in SLUGS}

    def known(slug: str, others: Any, **more: Any) -> Engine:
        if slug in loaded and frozenset(others) == orgs:
            return loaded[slug]
        return load(slug, others, **more)

    Engine.load = known  # type: ignore[method-assign, assignment]


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Run the command, as `casework` does, and end."""
    from casework.cli import main as run_command

    if request["terminal"]:
        for number in streams[1:]:
            os.close(number)
        os.login_tty(streams[0])
    else:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    random.seed()
    sys.argv = ["casework", *request["arguments"]]
    is_unbuffered = bool(request["environment"].get("PYTHONUNBUFFERED"))
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(write_through=is_unbuffered)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr.reconfigure(line_buffering=True)
    try:
        run_command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    else:
        code = 0
    # Its threads and what it has registered end as ever; to take all modules apart would take longer than it lived.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for written in (sys.stdout, sys.stderr):
        written.flush()
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked_here:
        main(asked_here)
