"""`casework demo`, `demo accounts` and `demo walk` as they are typed."""

import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from casework.demo.commands import demo
from casework.demo.directory import DemoDirectory, DemoRefused, existing_directory
from casework.demo.serving import listen
from casework.demo.staff import SLUGS

RUN = "from casework.demo.commands import demo; demo()"


def test_accounts_as_json_are_exactly_the_list_of_the_demo(small_demo: DemoDirectory) -> None:
    result = CliRunner().invoke(demo, ["accounts", "--json", "--directory", str(small_demo.path)])
    assert result.exit_code == 0
    assert msgspec.json.decode(result.stdout) == msgspec.json.decode(small_demo.accounts_file.read_bytes())


def test_accounts_as_a_table_show_whole_passwords_in_the_narrowest_terminal(
    small_demo: DemoDirectory,
) -> None:
    result = CliRunner(env={"COLUMNS": "40"}).invoke(demo, ["--directory", str(small_demo.path), "accounts"])
    assert result.exit_code == 0
    for account in small_demo.read_accounts():
        assert account.password in result.stdout
        assert account.totp_secret in result.stdout


@pytest.mark.parametrize("command", ["accounts", "walk"])
def test_a_directory_that_is_no_demo_is_refused(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(demo, [command, "--directory", str(tmp_path)])
    assert result.exit_code == 1
    assert isinstance(result.exception, DemoRefused)


def test_a_walk_that_fails_exits_1_and_says_why(small_demo: DemoDirectory) -> None:
    with listen(0) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = CliRunner().invoke(demo, ["walk", "--url", url, "--directory", str(small_demo.path)])
    assert result.exit_code == 1
    assert "ne répond pas" in result.stderr


def test_a_port_that_is_taken_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(demo, ["--port", str(port), "--directory", str(tmp_path / "demo")])
    assert isinstance(result.exception, DemoRefused)
    assert not (tmp_path / "demo").exists()


def test_the_demo_is_built_served_on_loopback_and_stopped_without_losing_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "demo"
    command = [sys.executable, "-c", RUN, "--port", "0", "--directory", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = list(takewhile(lambda line: "Ctrl+C" not in line, running.stdout))
        running.send_signal(signal.SIGTERM)
        last, _ = running.communicate()
    assert running.returncode == 0
    assert any("http://127.0.0.1:" in line for line in said)
    assert "arrêtée" in last
    demonstration = existing_directory(path)
    assert {account.organisation for account in demonstration.read_accounts()} == set(SLUGS)
    with closing(sqlite3.connect(path / "data" / "casework.db")) as connection:
        assert connection.execute("SELECT count(*) FROM case_file").fetchone()[0] >= 200
        assert connection.execute("SELECT count(*) FROM audit_inbox").fetchone() == (0,)
