"""Whatever somebody types is in no file, log, dump, backup, entry or output, in each state of its life.

A real service on real files or a real server is given another text in every field, header, path and query; then
every byte that it leaves anywhere is read. On PostgreSQL the server logs all it can, values included.
"""

import asyncio
import csv
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from subprocess import PIPE
from typing import Any
from uuid import UUID

import httpx
import pyotp
import pytest

from casework.imports.columns import COLUMNS
from tests.casework.centre import PASSWORD, SLUGS, all_accounts
from tests.casework.commands.place import start
from tests.conftest import NOT_TRIED
from tests.crashes.ground import Ground
from tests.crashes.serving import Server
from tests.journeys import closing_lives, lives, member_lives
from tests.journeys.canaries import ACCENTED, Canaries, forms
from tests.journeys.everywhere import (
    Named,
    commands_of,
    dumps_of,
    everything_of,
    files_below,
    make_talkative,
    names_with,
    opened_backup,
)
from tests.journeys.lives import Life

# What a journal's detail may hold, sealed to the auditor: why it was done.
WHY = {"case.close", "case.reopen", "case.break_glass", "follow_up.correct", "member.unlock"}
WHY |= {
    "case.renew_keys",
    "case.restrict",
    "case.unrestrict",
    "conflict.withdraw",
    "settings.change",
    "team.create",
    "team.change",
    "team.close",
    "renewal.begin",
    "charter.publish",
    "member.change",
    "member.leave",
    "member.return",
}
# Or what was looked for.
LOOKED_FOR = {"case.search"}


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pg_dump` and `pg_restore` of the very server under test."""
    binaries = os.environ.get("CASEWORK_TEST_PG_BINARIES", "")
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")


@pytest.fixture
def life(ground: Ground) -> Iterator[Life]:
    seed = int(os.environ.get("CASEWORK_TEST_CANARY_SEED") or secrets.randbelow(2**32))
    sys.stdout.write(f"CASEWORK_TEST_CANARY_SEED={seed}\n")
    if ground.cluster is not None:
        make_talkative(ground.cluster)
    (ground.folder / "temporary").mkdir()
    temporary = dict.fromkeys(("TMPDIR", "SQLITE_TMPDIR"), str(ground.folder / "temporary"))
    server = Server(ground.environment | temporary, ground.folder / "server.log")
    asyncio.run(server.start())
    try:
        with httpx.Client(timeout=60, trust_env=False) as http:
            yield Life(ground, server, Canaries(Random(seed)), http)
    finally:
        server.kill()


def require_nothing(canaries: Canaries, places: Iterable[Named]) -> int:
    """Read it all; returns how many bytes that was."""
    read, leaks = 0, []
    for name, content in places:
        read += len(content)
        leaks += [f"{name}: {found}" for found in canaries.found_in(content)]
    assert not leaks, "\n".join(leaks)
    return read


def test_what_was_typed_stands_in_clear_nowhere(
    life: Life,
    ground: Ground,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    for path in lives.search_and_draft(life):
        record_property(NOT_TRIED, f"{path} is not a route of this service yet")
    for state in (
        lives.live_with_cases,
        lives.live_through_emergencies,
        member_lives.live_through_a_charter,
        member_lives.live_through_a_leave,
        closing_lives.live_through_restrictions,
        closing_lives.live_with_conflicts,
        closing_lives.live_by_the_hours,
        closing_lives.live_in_a_team,
        closing_lives.live_until_erased,
        lives.live_through_handoffs,
        lives.live_through_refusals,
        lives.fail_to_commit,
    ):
        state(life)
    require_nothing(life.canaries, everything_of(ground))
    lives.be_killed(life)
    require_nothing(life.canaries, everything_of(ground))
    asyncio.run(life.server.start())
    require_nothing(life.canaries, _import(life, tmp_path_factory.mktemp("import")))
    _require_every_route_that_takes_text(life)
    _require_clear_journals(life)
    case = UUID(life.member("avec.social").get("/cases")["items"][0]["id"])
    assert life.server.stop() == 0
    printed = list(commands_of(ground))
    inside = [*opened_backup(ground), *dumps_of(ground)]
    require_nothing(life.canaries, printed)
    require_nothing(life.canaries, inside)
    read = require_nothing(life.canaries, everything_of(ground))
    sys.stdout.write(f"{read / 1e6:.0f} MB read in the end\n")
    _require_that_this_was_the_right_place(ground, case, inside)


def _import(life: Life, folder: Path) -> Iterator[Named]:
    """What an import prints and leaves beside the file: of a sound one, a faulty one, one without a heading."""
    canaries = life.canaries
    texts = {
        "public": "en recherche",
        "date de naissance": "12/04/1988",
        "anonyme": "non",
        "interprète": "oui",
    }
    sound = [
        texts.get(column.heading) or canaries.text(200) for column in COLUMNS if column.group != "health"
    ]
    headings = [column.heading for column in COLUMNS if column.group != "health"]
    faulty = [canaries.text() for _ in headings]
    passwords = folder / "passwords"
    passwords.write_text(f"avec.social\t{PASSWORD}\n")
    passwords.chmod(0o600)
    for name, rows, code in (
        ("sound", [headings, sound], 0),
        ("faulty", [headings, sound, faulty], 1),
        ("bare", [sound, faulty], 1),
    ):
        file = folder / f"{name}.csv"
        with file.open("w", encoding="utf-8", newline="") as written:
            csv.writer(written, delimiter=";").writerows(rows)
        signs_in = ("--login", "avec.social", "--passwords", passwords)
        asyncio.run(life.ground.administrator.sql("UPDATE account SET totp_step = 0"))
        process = start(
            "import", "cases", file, "--url", life.server.url, *signs_in, environment={}, stdin=PIPE
        )
        out, err = process.communicate(pyotp.TOTP(all_accounts()["avec.social"].totp_seed).now() + "\n", 60)
        assert process.returncode == code, err
        yield f"casework import: {name}", (out + err).encode()
        file.unlink()
    assert (folder / "sound.csv.progress").exists()
    yield from files_below(folder)


# What is typed there is a password, a secret that is good once or words of a fingerprint: nothing about anybody.
# tests/conventions/test_key_holders.py holds that no output shows one.
_SECRETS = {
    ("post", "/api/v1/me/password"),
    ("post", "/api/v1/me/keys"),
    ("post", "/api/v1/renewals"),
    ("post", "/api/v1/members/{member_id}/renewal/confirmation"),
    ("post", "/api/v1/members/{member_id}/grants"),
}


def _require_every_route_that_takes_text(life: Life) -> None:
    """A route whose body takes free text, and that nobody in these lives used, is a hole in this test."""
    document = life.http.get(f"{life.server.url}/api/openapi.json").json()
    unused = [
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if (method, path) not in _SECRETS
        and _takes_text(document, operation.get("requestBody", {}))
        and not lives.was_done(life, method.upper(), path)
    ]
    assert unused == []


def _takes_text(document: dict[str, Any], part: Any) -> bool:
    if isinstance(part, list):
        return any(_takes_text(document, one) for one in part)
    if not isinstance(part, dict):
        return False
    if "$ref" in part:
        return _takes_text(document, document["components"]["schemas"][part["$ref"].rpartition("/")[2]])
    if part.get("type") == "string":
        return not part.keys() & {"enum", "const", "format"} and bool(
            re.search(part.get("pattern", ""), "mot")
        )
    return any(
        _takes_text(document, one) for name, one in part.items() if name not in {"example", "examples"}
    )


def _require_clear_journals(life: Life) -> None:
    """No entry holds a text; a detail that does was opened for the auditor, and says why something was done."""
    items = lives.journals(life, SLUGS, lambda item: item["action"] == "member.unlock")
    for item in items:
        assert life.canaries.found_in(json.dumps(item["entry"]).encode()) == []
    told = {item["action"] for item in items if life.canaries.found_in(json.dumps(item["detail"]).encode())}
    # Those that must be there are: what was read is the journal of these lives.
    assert WHY <= told <= WHY | LOOKED_FOR


def _require_that_this_was_the_right_place(ground: Ground, case: UUID, inside: list[Named]) -> None:
    """What stands in clear is found where it must stand; and so is a text as soon as somebody leaks it."""
    login = b"avec.social"
    raw, written = case.bytes, str(case).encode()
    names = names_with(raw, everything_of(ground))
    places = "\n".join(names)
    if ground.cluster is None:
        assert ("casework.db" in places, "shreds.db" in places) == (True, True), places
        assert len(names_with(raw, inside)) >= 2
    else:
        assert ("/base/" in places, "/pg_wal/" in places) == (True, True), places
        # The values of a statement are in the server's log.
        assert names_with(b"= '" + written, everything_of(ground)) == [str(ground.cluster.directory / "log")]
        assert {"dump: centre", "dump: shreds"} < {*names_with(written, inside)}
    assert len([name for name in names_with(login, inside) if name.startswith("backup: database")]) >= 1
    assert any(
        name.endswith("server.log") for name in names_with(b"/api/v1/cases/{case_id", everything_of(ground))
    )
    assert any("avec.zip: " in name for name in names_with(b"member.unlock", everything_of(ground)))
    leaked = Canaries(Random(0))
    asyncio.run(
        ground.administrator.sql("CREATE TABLE leak (t TEXT)", f"INSERT INTO leak VALUES ('{leaked.word()}')")
    )
    places = "\n".join(name for name, found in everything_of(ground) if leaked.found_in(found))
    expected = (
        ["casework.db"] if ground.cluster is None else ["/pg_wal/", str(ground.cluster.directory / "log")]
    )
    assert [name for name in expected if name not in places] == []
    assert [name for name, found in dumps_of(ground) if leaked.found_in(found)] != []


@pytest.mark.parametrize("seed", range(20))
def test_a_text_is_found_in_whatever_form_it_was_written(seed: int) -> None:
    canaries = Canaries(Random(seed))
    text = canaries.text()
    written = [
        text.encode(),
        text.upper().encode("utf-16-le"),
        text.encode("utf-16-be"),
        json.dumps({"a": text}).encode(),
        text.encode().hex().encode(),
        repr(text.encode()).encode(),
        str(httpx.QueryParams(q=text)).encode(),
    ]
    for content in written:
        assert canaries.found_in(b"\0before " + content + b" after\0")
    assert canaries.found_in(b"nothing " * 1_000) == []
    assert set(forms(canaries.plain)).isdisjoint(forms(canaries.accented))
    assert len(set(canaries.accented)) == len(ACCENTED)
