"""A deployment that tests command: its directories, its settings, and what its founding printed."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import URL

from casework.cli import run as run_command
from casework.clock import Clock
from casework.deployment import assemble, dismantle
from casework.integration import Integration
from casework.settings import from_environment
from policies.engine import Engine
from tests.casework.centre import known_engine
from tests.conftest import RunningCluster
from tests.forked import Forked

NAME = "centre.example.org"
AVEC = (
    "avec.custodian:custodian",
    "avec.social:worker:social",
    "avec.health:worker:health",
    "avec.psychologist:worker:psychologist",
    "avec.supervisor:supervisor",
    "avec.auditor:auditor",
    "avec.dpo:dpo",
)
CIDFF = ("cidff.custodian:custodian", "cidff.jurist:worker:jurist")
COMMAND = "from casework.cli import main; main()"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Place:
    """Where a deployment stands; `run` runs the real command line with its settings."""

    folder: Path
    urls: Mapping[str, URL] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CASEWORK_DATA_DIR": str(self.folder / "data"),
            "CASEWORK_STATE_DIR": str(self.folder / "state"),
            "CASEWORK_PEPPER_FILE": str(self.folder / "secret" / "pepper"),
            **{name: url.render_as_string(hide_password=False) for name, url in self.urls.items()},
        }

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "data" / "casework.db"

    def run(self, *arguments: str | Path, **changed: str) -> Ran:
        """Run a command with this deployment's settings; `changed` overrides them, an empty value unsets one."""
        return run(*arguments, environment={**self.environment, **changed})

    def integrate(self) -> None:
        """Put everything that waits into the logs, as the service does while it runs."""

        async def rounds() -> None:
            deployment = await assemble(from_environment(self.environment), Clock())
            integration = Integration(deployment)
            while await integration.round():
                pass
            await dismantle(deployment)

        asyncio.run(rounds())

    def found(self, slug: str, members: tuple[str, ...]) -> Ran:
        chosen = [word for member in members for word in ("--member", member)]
        to = ("--to", self.folder / f"{slug}.txt", "--pages", self.pages)
        return self.run("org", "create", slug, "--name", slug.upper(), *chosen, *to)

    @property
    def pages(self) -> Path:
        """Where the pages of recovery shares are written."""
        folder = self.folder / "pages"
        folder.mkdir(exist_ok=True)
        return folder

    def share(self, slug: str, number: int) -> str:
        """The words of a share, from its page."""
        return share_of((self.pages / f"{slug}-part-{number}.txt").read_text("utf-8"))

    def sheet(self, slug: str) -> str:
        return (self.folder / f"{slug}.txt").read_text("utf-8")

    def key(self, slug: str) -> str:
        return _one(rf"({re.escape(NAME)}/{slug}\+\S+)", self.sheet(slug))

    def fingerprint(self, slug: str) -> str:
        return _one(r"Empreinte de la racine\s*: ([0-9a-f ]+)", self.sheet(slug))

    def password(self, slug: str, login: str) -> str:
        return _one(rf"ACCÈS\s*: {re.escape(login)}\n(?s:.*?)initial\s*: (\S+)", self.sheet(slug))

    def password_file(self, *logins: str, **wrong: str) -> Path:
        path = self.folder / "passwords"
        path.write_text(
            "".join(
                f"{login}\t{wrong.get(login.partition('.')[2]) or self.password(login.partition('.')[0], login)}\n"
                for login in logins
            )
        )
        path.chmod(0o600)
        return path


def share_of(page: str) -> str:
    """The words that stand on the text of a share's page."""
    return " ".join(re.findall(r"\d+\. ([a-z]+)", page))


def run(*arguments: str | Path, environment: Mapping[str, str]) -> Ran:
    """Run the command line with these `CASEWORK_*` settings alone."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("CASEWORK_")}
    out, err = StringIO(), StringIO()
    with (
        patch.dict(os.environ, {**others, **environment}, clear=True),
        patch.object(Engine, "of_text", known_engine),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = run_command([str(argument) for argument in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


def start(
    *arguments: str | Path,
    environment: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    command: str = COMMAND,
) -> subprocess.Popen[str]:
    """Start the command line in a process of its own; with another `command`, that program."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("CASEWORK_")}
    words = [str(argument) for argument in arguments]
    streams = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if command == COMMAND:
        return Forked(words, env={**others, **environment}, text=True, **streams)
    program = [sys.executable, "-W", "error", "-c", command, *words]
    return subprocess.Popen(program, env={**others, **environment}, text=True, **streams)


def server_urls(cluster: RunningCluster, database: str, shreds: str) -> dict[str, URL]:
    return {
        "CASEWORK_DATABASE_URL": cluster.url(database),
        "CASEWORK_INTEGRATOR_URL": cluster.url(database, "casework_integrator"),
        "CASEWORK_OWNER_URL": cluster.url(database, "casework_owner"),
        "CASEWORK_PRUNER_URL": cluster.url(database, "casework_pruner"),
        "CASEWORK_SHRED_URL": cluster.url(shreds),
    }


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, (pattern, text)
    return found[1].strip()
