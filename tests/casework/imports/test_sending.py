"""Rows become cases through the API, once each, whatever is lost in between; on both engines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from casework.imports import sending
from casework.imports.checking import Line, check
from casework.imports.errors import ImportRefused
from casework.imports.progress_file import Begun, Made, ProgressFile, Sent, progress_file
from casework.imports.reading import read_sheet
from casework.imports.sending import Outcome
from casework.imports.session import Asker, Session, session
from tests.casework.centre import CANARY, PASSWORD, Centre
from tests.casework.imports.sheets import sheet
from tests.casework.story import denials


def persons(count: int, **more: str) -> bytes:
    rows = [
        {"public": "en recherche", "prénom d’usage": f"{CANARY} {number}", **more} for number in range(count)
    ]
    return sheet(*rows)


@dataclass
class Import:
    """An import of one file by one member, to be run again and again."""

    centre: Centre
    path: Path
    content: bytes
    login: str = "avec.social"
    asked: list[int] = field(default_factory=list)
    is_there: bool = False

    @property
    def lines(self) -> tuple[Line, ...]:
        found = check(read_sheet(self.content))
        assert not found.faults
        return found.lines

    @property
    def digest(self) -> str:
        return read_sheet(self.content).digest

    def settle(self, row: int, at: datetime) -> bool:
        self.asked.append(row)
        return self.is_there

    @asynccontextmanager
    async def signed_in(self, http: httpx.AsyncClient | None = None) -> AsyncIterator[Session]:
        asker = Asker(self.login, PASSWORD, lambda: self.centre.code(self.login), lambda roles: roles[0])
        async with session(http or self.centre.http, asker) as signed_in:
            yield signed_in

    async def run(self, http: httpx.AsyncClient | None = None) -> Outcome:
        with progress_file(self.path, self.digest) as progress:
            async with self.signed_in(http) as signed_in:
                return await self.send(signed_in, progress)

    async def send(self, signed_in: Session, progress: ProgressFile) -> Outcome:
        clock = self.centre.clock
        sending.begin(signed_in, self.digest, self.lines, progress)
        sending.settle(self.lines, progress, clock.now(), self.settle)
        return await sending.send(signed_in, self.lines, progress, clock, lambda done, total: None)

    async def names(self) -> list[str]:
        """What the worker finds in her list afterwards, oldest first."""
        client = await self.centre.sign_in(self.login)
        items = (await client.get("/cases", params={"limit": 100}))["items"]
        return [item["identity"]["name_in_use"] for item in reversed(items)]


@pytest.fixture
def imported(centre: Centre, tmp_path: Path) -> Import:
    return Import(centre, tmp_path / "personnes.csv", persons(6))


NAMES = [f"{CANARY} {number}" for number in range(6)]


class Cut(httpx.AsyncBaseTransport):
    """A network that loses the n-th request for a new case, or its answer."""

    def __init__(self, centre: Centre, number: int, *, answer: bool) -> None:
        self._inner = httpx.ASGITransport(centre.app, client=("127.0.0.1", 50_000))
        self._left = number
        self._loses_answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_new_case = request.method == "POST" and request.url.path == "/api/v1/cases"
        self._left -= is_new_case
        if is_new_case and self._left == 0:
            if self._loses_answer:
                await self._inner.handle_async_request(request)
            raise httpx.ReadTimeout("cut")
        return await self._inner.handle_async_request(request)


def cut(centre: Centre, number: int, *, answer: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Cut(centre, number, answer=answer), base_url="http://centre")


async def test_each_row_becomes_a_case_of_whoever_imports_and_is_journaled_as_hers(imported: Import) -> None:
    assert await imported.run() == Outcome(6, 0, None)
    assert await imported.names() == NAMES
    made = await imported.centre.journal("avec", action="case.create")
    member = str(imported.centre.member("avec.social"))
    assert [item["entry"]["actor"] for item in made] == [member] * 6
    assert [item["entry"]["action"] for item in await imported.centre.journal("avec", action="session.end")]
    assert await imported.run() == Outcome(0, 6, None)
    assert await imported.names() == NAMES


async def test_another_organisation_sees_none_of_it(imported: Import) -> None:
    await imported.run()
    jurist = await imported.centre.sign_in("cidff.jurist")
    assert (await jurist.get("/cases"))["items"] == []


@pytest.mark.parametrize("answer", [True, False], ids=["answer lost", "request lost"])
async def test_what_was_lost_on_the_way_is_neither_doubled_nor_missing(
    imported: Import, answer: bool
) -> None:
    async with cut(imported.centre, 3, answer=answer) as http:
        outcome = await imported.run(http)
    assert (outcome.created, outcome.already) == (2, 0)
    assert outcome.stopped is not None
    assert outcome.stopped.startswith("Ligne 4")
    assert CANARY not in outcome.stopped
    assert len(await imported.names()) == (3 if answer else 2)
    assert await imported.run() == Outcome(4, 2, None)
    assert (await imported.names(), imported.asked) == (NAMES, [])


@pytest.mark.parametrize("answer", [True, False], ids=["answer lost", "request lost"])
async def test_once_the_key_is_forgotten_a_person_is_asked_and_nothing_is_guessed(
    imported: Import, answer: bool
) -> None:
    async with cut(imported.centre, 3, answer=answer) as http:
        await imported.run(http)
    imported.centre.clock.offset += timedelta(hours=23, minutes=1)
    imported.is_there = answer
    assert await imported.run() == (Outcome(3, 3, None) if answer else Outcome(4, 2, None))
    assert imported.asked == [4]
    assert sorted(await imported.names()) == NAMES
    assert await imported.run() == Outcome(0, 6, None)
    assert imported.asked == [4]


async def test_a_clock_that_was_set_back_is_not_trusted(imported: Import) -> None:
    async with cut(imported.centre, 3, answer=True) as http:
        await imported.run(http)
    with progress_file(imported.path, imported.digest) as progress:
        state = progress.state(4)
        assert isinstance(state, Sent)
        sending.settle(imported.lines, progress, state.at - timedelta(minutes=1), imported.settle)
    assert imported.asked == [4]


async def test_a_lost_progress_file_doubles_nothing_while_the_keys_are_known(imported: Import) -> None:
    async with cut(imported.centre, 5, answer=True) as http:
        await imported.run(http)
    imported.path.with_name("personnes.csv.progress").unlink()
    assert await imported.run() == Outcome(6, 0, None)
    assert await imported.names() == NAMES


async def test_a_session_that_ends_in_the_middle_stops_and_the_next_goes_on(imported: Import) -> None:
    with progress_file(imported.path, imported.digest) as progress:
        async with imported.signed_in() as signed_in:
            sending.begin(signed_in, imported.digest, imported.lines, progress)

            def end(done: int, total: int) -> None:
                if done == 2:
                    imported.centre.clock.offset += timedelta(minutes=31)

            outcome = await sending.send(signed_in, imported.lines, progress, imported.centre.clock, end)
        assert (outcome.created, progress.state(4)) == (2, None)
    assert outcome.stopped is not None
    assert "Ligne 4" in outcome.stopped
    assert "not_signed_in" in outcome.stopped
    assert await imported.run() == Outcome(4, 2, None)
    assert await imported.names() == NAMES


async def test_rights_are_seen_to_before_the_first_case(centre: Centre, tmp_path: Path) -> None:
    """The front desk may open a case and not note on health: not even the first row is imported."""
    content = sheet(
        {"public": "en recherche", "prénom d’usage": "Mimosa"},
        {"public": "en recherche", "prénom d’usage": "Iris", "notes santé": f"{CANARY} santé"},
    )
    imported = Import(centre, tmp_path / "personnes.csv", content, "avec.reception")
    with pytest.raises(ImportRefused, match="santé") as refused:
        await imported.run()
    assert CANARY not in str(refused.value)
    assert await imported.names() == []
    with progress_file(imported.path, imported.digest) as progress:
        assert progress.begun is None


async def test_who_may_open_no_case_imports_none(centre: Centre, tmp_path: Path) -> None:
    imported = Import(centre, tmp_path / "personnes.csv", persons(1), "avec.auditor")
    with pytest.raises(ImportRefused, match="identité"):
        await imported.run()


@pytest.mark.parametrize("login", ["avec.psychologist", "cidff.jurist"])
async def test_an_import_is_gone_on_with_by_whoever_began_it_alone(imported: Import, login: str) -> None:
    async with cut(imported.centre, 3, answer=True) as http:
        await imported.run(http)
    other = Import(imported.centre, imported.path, imported.content, login)
    with pytest.raises(ImportRefused, match="autre compte"):
        await other.run()
    assert await other.names() == []


async def test_a_refusal_by_the_service_leaves_the_row_to_be_sent_anew(imported: Import) -> None:
    """What `me` promised can be taken back; the denial is journaled, and the row is not in doubt."""
    reception = Import(
        imported.centre, imported.path, persons(1, **{"notes santé": CANARY}), "avec.reception"
    )
    with progress_file(reception.path, reception.digest) as progress:
        async with reception.signed_in() as signed_in:
            progress.write(Begun(reception.digest, "avec", signed_in.me.member_id))
            outcome = await sending.send(
                signed_in, reception.lines, progress, reception.centre.clock, lambda done, total: None
            )
        assert outcome.stopped is not None
        assert "403, forbidden" in outcome.stopped
        assert progress.state(2) is None
    assert (await denials(imported.centre, "avec", "case.record.health"))[0]["entry"]["reason"] == "policy"


class Answering(httpx.AsyncBaseTransport):
    """The service behind something that answers for it when a case is sent."""

    def __init__(self, centre: Centre, answer: httpx.Response) -> None:
        self._inner = httpx.ASGITransport(centre.app, client=("127.0.0.1", 50_000))
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path == "/api/v1/cases":
            return self._answer
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text=CANARY),
        httpx.Response(500, json={"code": "internal"}, headers={"content-type": "application/problem+json"}),
        httpx.Response(201, text=CANARY),
    ],
    ids=lambda answer: str(answer.status_code),
)
async def test_what_the_service_itself_did_not_refuse_stays_in_doubt(
    imported: Import, answer: httpx.Response
) -> None:
    async with httpx.AsyncClient(
        transport=Answering(imported.centre, answer), base_url="http://centre"
    ) as http:
        outcome = await imported.run(http)
    assert outcome.stopped is not None
    assert str(answer.status_code) in outcome.stopped
    assert CANARY not in outcome.stopped
    with progress_file(imported.path, imported.digest) as progress:
        assert isinstance(progress.state(2), Sent)
    assert await imported.run() == Outcome(6, 0, None)
    assert await imported.names() == NAMES


async def test_of_several_roles_one_is_chosen_with_the_same_code(centre: Centre, tmp_path: Path) -> None:
    imported = Import(centre, tmp_path / "personnes.csv", persons(1), "avec.double")
    asked: list[Any] = []

    def choose(roles: Any) -> str:
        asked.append(sorted(roles))
        return "supervisor"

    asker = Asker(imported.login, PASSWORD, lambda: centre.code(imported.login), choose)
    async with session(centre.http, asker) as signed_in:
        assert (signed_in.me.role, signed_in.me.organisation) == ("supervisor", "avec")
    assert asked == [["supervisor", "worker"]]


@pytest.mark.parametrize(
    ("password", "code", "words"),
    [
        ("wrong", "000000", "incorrect"),
        (PASSWORD, "000000", "incorrect"),
        (PASSWORD, "12 34", "le code a six chiffres"),
    ],
)
async def test_a_refused_sign_in_says_so_and_echoes_nothing(
    centre: Centre, password: str, code: str, words: str
) -> None:
    asker = Asker("avec.social", password, lambda: code, lambda roles: roles[0])
    with pytest.raises(ImportRefused, match=words) as refused:
        async with session(centre.http, asker):
            pass
    assert password not in str(refused.value)


async def test_nothing_but_row_numbers_and_ids_stands_in_the_progress_file(imported: Import) -> None:
    await imported.run()
    text = imported.path.with_name("personnes.csv.progress").read_text()
    assert CANARY not in text
    assert PASSWORD not in text
    with progress_file(imported.path, imported.digest) as progress:
        assert all(isinstance(progress.state(row), Made) for row in range(2, 8))
