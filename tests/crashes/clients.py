"""Clients that never give up: each act has one Idempotency-Key, and is asked until it is acknowledged."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pyotp

from tests.casework import story
from tests.casework.centre import PASSWORD, all_accounts
from tests.crashes.serving import Server

# One act may be cut off many times over on a busy machine.
ACT_SECONDS = 300
# Between two tries: 32 clients that knock all the time would keep a starting service from its core.
NOT_ANSWERED_SECONDS = 0.2
# How often a client asks again for what was acknowledged: it must be the same.
ASKED_AGAIN = 0.2
UNANSWERED = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)


@dataclass
class Traffic:
    """What all clients share: where the service is, and what became of their requests."""

    server: Server
    http: httpx.AsyncClient
    random: Random
    # The clock of a real process cannot be moved on to the next code: the account forgets the last one instead.
    forget_codes: Callable[[], Awaitable[None]]
    stopping: bool = False
    # How many acts on follow-ups and on handoffs were acknowledged.
    acknowledged: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)


@dataclass
class Member:
    """One person; her clients share her session."""

    traffic: Traffic
    login: str
    _token: str = "none"
    _steps_up: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def act(self, method: str, path: str, json: Any = None) -> Any:
        """Do it once, however often it must be asked; returns the answer's body."""
        headers = {"idempotency-key": uuid4().hex} if method == "POST" else {}
        body = await self._until_acknowledged(method, path, json, headers)
        if method == "POST" and self.traffic.random.random() < ASKED_AGAIN:
            again = await self._until_acknowledged(method, path, json, headers)
            assert _what_was_made(again) == _what_was_made(body), path
            self.traffic.answers["asked again"] += 1
        return body

    async def _until_acknowledged(self, method: str, path: str, json: Any, headers: dict[str, str]) -> Any:
        async with asyncio.timeout(ACT_SECONDS):
            while True:
                token, steps = self._token, self._steps_up
                answer = await self._ask(method, path, json, {**headers, "authorization": f"Bearer {token}"})
                if answer is None or answer.status_code >= 500:
                    await asyncio.sleep(NOT_ANSWERED_SECONDS)
                elif answer.status_code == 401:
                    await self._sign_in(instead_of=token)
                elif answer.status_code == 403 and answer.json()["code"] == "step_up_needed":
                    await self._step_up(token, since=steps)
                else:
                    assert answer.is_success, (method, path, answer.text)
                    self.traffic.acknowledged["handoff" if "handoff" in path else "follow-up"] += 1
                    return answer.json()

    async def _ask(self, method: str, path: str, json: Any, headers: dict[str, str]) -> httpx.Response | None:
        """One try; None where no answer came."""
        url = f"{self.traffic.server.url}/api/v1{path}"
        try:
            answer = await self.traffic.http.request(method, url, json=json, headers=headers)
        except UNANSWERED:
            self.traffic.answers["lost"] += 1
            return None
        said = answer.json()["code"] if answer.is_error else ""
        self.traffic.answers[f"{answer.status_code} {said}".strip()] += 1
        return answer

    async def _sign_in(self, *, instead_of: str) -> None:
        async with self._turn:
            while self._token == instead_of:
                begun = await self._ask("POST", "/sessions", {"login": self.login, "password": PASSWORD}, {})
                if begun is None or not begun.is_success:
                    await asyncio.sleep(NOT_ANSWERED_SECONDS)
                    continue
                token = begun.json()["token"]
                headers = {"authorization": f"Bearer {token}"}
                code = pyotp.TOTP(all_accounts()[self.login].totp_seed).now()
                given = await self._ask("POST", "/sessions/current/second-factor", {"code": code}, headers)
                if given is not None and given.is_success:
                    self._token = token
                elif given is not None and given.status_code == 401:
                    await self.traffic.forget_codes()

    async def _step_up(self, token: str, *, since: int) -> None:
        async with self._turn:
            if self._steps_up > since:
                return
            headers = {"authorization": f"Bearer {token}"}
            answer = await self._ask("POST", "/sessions/current/step-up", {"password": PASSWORD}, headers)
            if answer is not None and answer.is_success:
                self._steps_up += 1


@dataclass
class Writer:
    """Records follow-ups in a case of its own; `saved` holds text → id of what was acknowledged."""

    member: Member
    name: str
    case: str = ""
    saved: dict[str, str] = field(default_factory=dict)

    async def work(self) -> None:
        self.case = (await self.member.act("POST", "/cases", story.new_case()))["id"]
        while not self.member.traffic.stopping:
            text = f"{story.told('social')} {self.name} {len(self.saved)}"
            sent = story.follow_up("accompagnement_social") | {"content": {"social": text}}
            recorded = await self.member.act("POST", f"/cases/{self.case}/follow-ups", sent)
            self.saved[text] = recorded["id"]

    async def require_everything_once(self) -> None:
        """Each acknowledged follow-up stands in the case once, under its id, and nothing else does."""
        found: list[tuple[str, str]] = []
        path = f"/cases/{self.case}/follow-ups"
        page = await self.member.act("GET", path)
        while True:
            found += [(item["content"]["social"], item["id"]) for item in page["items"]]
            if page["next"] is None:
                break
            cursor = httpx.QueryParams(cursor=page["next"])
            page = await self.member.act("GET", f"{path}?{cursor}")
        assert sorted(found) == sorted(self.saved.items())


@dataclass
class Sender:
    """Hands one case over, again and again, and has it accepted; `arrived` holds handoff → the new case."""

    sender: Member
    receiver: Member
    case: str = ""
    arrived: dict[str, str] = field(default_factory=dict)

    async def work(self) -> None:
        self.case = (await self.sender.act("POST", "/cases", story.new_case("social", "legal")))["id"]
        while not self.sender.traffic.stopping:
            path = f"/cases/{self.case}/handoffs"
            drafted = await self.sender.act("POST", path, story.handoff("identity", "legal"))
            handoff = drafted["id"]
            await self.sender.act("POST", f"/handoffs/{handoff}/consent", story.consent(drafted))
            await self.sender.act("POST", f"/handoffs/{handoff}/sending")
            accepted = await self.receiver.act("POST", f"/handoffs/{handoff}/acceptance", {})
            self.arrived[handoff] = accepted["case_id"]
            opened = await self.receiver.act("GET", f"/cases/{accepted['case_id']}")
            assert opened["groups"]["legal"] == story.content("legal"), opened


def _what_was_made(body: dict[str, Any]) -> Any:
    """What a replay repeats of an answer: receipts are of each entry, and a request goes on meanwhile."""
    made = {name: value for name, value in body.items() if name in {"id", "consent_id"}}
    return made or body.get("case_id")
