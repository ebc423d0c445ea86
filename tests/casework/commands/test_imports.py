"""`casework import` as it is typed: what it checks alone, what it says, and what a kill in the middle leaves."""

import re
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE, Popen

import httpx
import pyotp
import pytest

from casework.identity.totp import STEP_SECONDS
from casework.imports.progress_file import SUFFIX
from tests.casework.commands.place import Place, Ran, run, start
from tests.casework.commands.test_serving import serving
from tests.casework.imports.sheets import PERSON, sheet

CANARY = "canari"
LOGIN = "avec.social"
# Who looks at what came: a code is good once, and the worker has used the two that she has in half a minute.
READER = "avec.supervisor"
MADE = b'"Made"'


def write(folder: Path, *rows: Mapping[str, str]) -> Path:
    path = folder / "personnes.csv"
    path.write_bytes(sheet(*rows))
    return path


def persons(count: int) -> list[dict[str, str]]:
    return [
        PERSON | {"prénom d’usage": f"{CANARY} {number}", "notes sociales": f"{CANARY}\nsocial"}
        for number in range(count)
    ]


def check(file: Path) -> Ran:
    """A dry run, on a machine that has no setting of the service."""
    return run("import", "cases", file, "--dry-run", environment={})


class Codes:
    """A member's second factor: a code of its own for each sign-in, however quickly they follow."""

    def __init__(self, place: Place, login: str) -> None:
        found = re.search(rf"ACCÈS\s*: {login}\n(?s:.*?)\(secret\)\s*: (\S+)", place.sheet("avec"))
        assert found is not None
        self._totp = pyotp.TOTP(found[1])
        self._last = 0

    def next(self) -> str:
        step = self._last = max(self._last + 1, self._now())
        # The service takes the code of one step ahead.
        while step > self._now() + 1:
            time.sleep(0.5)
        return self._totp.generate_otp(step)

    @staticmethod
    def _now() -> int:
        return int(time.time()) // STEP_SECONDS


def importing(place: Place, url: str, file: Path, totp: str) -> Popen[str]:
    """Import in a process of its own, which has no setting but the worker's password and code."""
    process = start(
        *("import", "cases", file, "--url", url, "--login", LOGIN, "--passwords", place.password_file(LOGIN)),
        environment={},
        stdin=PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(f"{totp}\n")
    process.stdin.flush()
    return process


def names(place: Place, url: str, totp: str) -> Counter[str]:
    """Everybody in the reader's list, through the API."""
    found: Counter[str] = Counter()
    with httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as http:
        credentials = {"login": READER, "password": place.password("avec", READER)}
        http.headers["authorization"] = f"Bearer {http.post('/sessions', json=credentials).json()['token']}"
        assert http.post("/sessions/current/second-factor", json={"code": totp}).status_code == 200
        cursor: dict[str, str] = {}
        while True:
            page = http.get("/cases", params={"limit": "100", **cursor}).json()
            found.update(item["identity"]["name_in_use"] for item in page["items"])
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}


def test_a_dry_run_needs_no_service_and_leaves_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, *persons(3))
    ran = check(file)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("3 lignes ; UTF-8, séparateur : point-virgule.\nAucune erreur.")
    assert list(tmp_path.iterdir()) == [file]
    assert CANARY not in ran.out


def test_every_fault_is_said_by_row_and_column_and_no_cell_is_shown(tmp_path: Path) -> None:
    wrong = {"public": CANARY}, {"date de naissance": f"31/02/{CANARY}"}, {"anonyme": CANARY}
    ran = check(write(tmp_path, PERSON, *(PERSON | cell for cell in wrong)))
    assert (ran.code, ran.err) == (1, "3 erreurs : rien n’a été importé.\n")
    assert re.findall(r"^Ligne (\d), ([^:]+?)\s:", ran.out, re.MULTILINE) == [
        ("3", "public"),
        ("4", "date de naissance"),
        ("5", "anonyme"),
    ]
    assert CANARY not in ran.out + ran.err


def test_with_one_fault_nothing_of_the_file_is_sent(tmp_path: Path) -> None:
    file = write(tmp_path, PERSON, PERSON | {"anonyme": "?"})
    # Nothing listens there, and nobody is asked for a password.
    ran = run("import", "cases", file, "--url", "http://127.0.0.1:1", environment={})
    assert (ran.code, "rien n’a été importé" in ran.err) == (1, True)
    assert list(tmp_path.iterdir()) == [file]


def test_rows_that_seem_to_be_one_person_are_pointed_out(tmp_path: Path) -> None:
    twin = PERSON | {"prénom d’usage": CANARY, "nom": "Exemple"}
    ran = check(write(tmp_path, twin, PERSON, twin))
    assert (ran.code, "les lignes 2, 4 semblent" in ran.out, CANARY in ran.out) == (0, True, False)


@pytest.mark.parametrize(
    ("url", "words"), [("http://casework.example", "https://"), ("http://127.0.0.1:1", "ne répond pas")]
)
def test_an_address_that_must_not_or_does_not_answer_is_said(tmp_path: Path, url: str, words: str) -> None:
    file, passwords = write(tmp_path, PERSON), tmp_path / "passwords"
    passwords.write_text(f"{LOGIN}\t{CANARY}\n")
    passwords.chmod(0o600)
    ran = run(
        *("import", "cases", file, "--url", url, "--login", LOGIN, "--passwords", passwords), environment={}
    )
    assert (ran.code, words in ran.err, CANARY in ran.out + ran.err) == (1, True, False)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for file in (Path("/dev/null"), write(tmp_path)):
        ran = check(file)
        assert (ran.code, len(ran.err.splitlines())) == (1, 1), ran


def test_the_template_can_be_imported_as_it_is(tmp_path: Path) -> None:
    shown = run("import", "template", environment={})
    assert (shown.code, shown.err) == (0, "")
    file = tmp_path / "modele.csv"
    file.write_text(shown.out, encoding="utf-8-sig")
    assert check(file).code == 0


def wait_for_cases(process: Popen[str], beside: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while not beside.exists() or beside.read_bytes().count(MADE) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("killed", ["import", "service"])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(founded: Place, killed: str) -> None:
    wanted, codes = 40, Codes(founded, LOGIN)
    file = write(founded.folder, *persons(wanted))
    beside = file.with_name(file.name + SUFFIX)
    with serving(founded) as (service, url):
        process = importing(founded, url, file, codes.next())
        wait_for_cases(process, beside, 8)
        (process if killed == "import" else service).kill()
        out, err = process.communicate(timeout=60)
    assert CANARY not in out + err
    if killed == "service":
        assert process.returncode == 1
        assert re.search(r"^Ligne \d+\s: le service n’a pas répondu .* relancez la même commande", err)
    known = beside.read_bytes().count(MADE)
    assert known < wanted
    with serving(founded) as (_, url):
        process = importing(founded, url, file, codes.next())
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert f"{wanted - known} dossiers créés, {known} déjà importés." in out
        assert "en clair" in out
        assert CANARY not in out + err + beside.read_text()
        expected = Counter(f"{CANARY} {number}" for number in range(wanted))
        assert names(founded, url, Codes(founded, READER).next()) == expected
