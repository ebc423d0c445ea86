"""What happens to cases in their lives, over HTTP at a real service, with a canary wherever somebody may type."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pyotp
from msgspec import Struct

from casework.cases.schemas import (
    CONTENT,
    CaseMove,
    Emergency,
    NewCase,
)
from casework.consents.schemas import NewConsent
from casework.follow_ups.schemas import Correction, NewFollowUp
from casework.handoffs.schemas import NewHandoff
from casework.identity.schemas import Unlocking
from casework.organisations.schemas import NewRenewal
from casework.routing import COOKIE
from policies.vocabulary import Group
from tests.casework.centre import PASSWORD, all_accounts
from tests.casework.story import OCCURRED_AT
from tests.crashes.ground import Ground
from tests.crashes.serving import Server
from tests.journeys.canaries import Canaries, filled

# AVEC's social worker writes all but health, its psychologist all but what is legal.
SOCIAL = [group for group in Group if group is not Group.HEALTH]
HEALTH = [Group.IDENTITY, Group.SAFETY, Group.HEALTH]
# What runs when the service is killed: some of these are answered, others never.
SAVES = 40


@dataclass
class Life:
    """The service, who is signed in to it, and what they did."""

    ground: Ground
    server: Server
    canaries: Canaries
    http: httpx.Client
    # (method, path) of what was done.
    done: set[tuple[str, str]] = field(default_factory=set)
    _members: dict[str, "Member"] = field(default_factory=dict)

    def member(self, login: str, *, step_up: bool = False) -> "Member":
        """Somebody who signed in, once in this life."""
        member = self._members.get(login)
        if member is None:
            begun = self.ask("POST", "/sessions", 201, json={"login": login, "password": PASSWORD})
            member = self._members[login] = Member(self, login, begun["token"])
            code = {"code": pyotp.TOTP(all_accounts()[login].totp_seed).now()}
            member.ask("POST", "/sessions/current/second-factor", 200, json=code)
        if step_up:
            member.ask("POST", "/sessions/current/step-up", 204, json={"password": PASSWORD})
        return member

    def paths(self) -> dict[str, Any]:
        """The routes of the service that runs, as it describes them itself."""
        document: dict[str, Any] = self.http.get(f"{self.server.url}/api/openapi.json").json()
        paths: dict[str, Any] = document["paths"]
        return paths

    def id_of(self, login: str) -> UUID:
        return all_accounts()[login].memberships[0].id

    def url(self, path: str) -> str:
        return f"{self.server.url}/api/v1{path}"

    def ask(self, method: str, path: str, expect: int, **more: Any) -> Any:
        answer = self.http.request(method, self.url(path), **more)
        assert answer.status_code == expect, (method, path, answer.status_code, answer.text)
        if answer.is_success:
            self.done.add((method, f"/api/v1{path}"))
        # A 412 shows both versions to whoever may read them.
        elif expect != 412:
            said = answer.content + str(answer.headers.multi_items()).encode()
            assert self.canaries.found_in(said) == [], (method, path)
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.content


@dataclass
class Member:
    life: Life
    login: str
    token: str

    def ask(
        self, method: str, path: str, expect: int, json: Any = None, version: object = None, **more: Any
    ) -> Any:
        headers = {"authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        if version is not None:
            headers["if-match"] = f'"{version}"'
        return self.life.ask(method, path, expect, json=json, headers=headers, **more)

    def post(self, path: str, json: Any = None, expect: int = 201, **more: Any) -> Any:
        return self.ask("POST", path, expect, json, **more)

    def get(self, path: str, expect: int = 200, **more: Any) -> Any:
        return self.ask("GET", path, expect, **more)


def new_case(canaries: Canaries, groups: Iterable[Group]) -> dict[str, Any]:
    """A body with a text in every field of these groups."""
    body = filled(NewCase, canaries, public="seeking")
    return {name: value for name, value in body.items() if name == "public" or name in {*groups}}


def follow_up(canaries: Canaries, kind: str, groups: Iterable[Group]) -> dict[str, Any]:
    return filled(
        NewFollowUp,
        canaries,
        type=kind,
        occurred_at=OCCURRED_AT,
        channel="phone",
        duration_minutes=5,
        content={group: canaries.text() for group in groups},
    )


def live_with_cases(life: Life) -> None:
    """Opened, listed, changed, repeated, in conflict: the health of one, everything else of another."""
    for login, groups, kind in (
        ("avec.social", SOCIAL, "accompagnement_social"),
        ("avec.psychologist", HEALTH, "suivi_psychologique"),
    ):
        member, body = life.member(login), new_case(life.canaries, groups)
        once = {"idempotency-key": life.canaries.word()}
        case = member.post("/cases", body, headers=once)["id"]
        assert member.post("/cases", body, headers=once)["id"] == case
        member.post("/cases", new_case(life.canaries, groups), 422, headers=once)
        assert life.canaries.found_in(str(member.get(f"/cases/{case}")["groups"]).encode())
        member.get("/cases")
        for group in groups:
            path = f"/cases/{case}/groups/{group}"
            given = filled(CONTENT[group], life.canaries)
            member.ask("PATCH", path, 200, given, 1)
            # Somebody else saved first: both are shown, and neither is written anywhere.
            shown = member.ask("PATCH", path, 412, filled(CONTENT[group], life.canaries), 1)
            assert life.canaries.found_in(str(shown["current"]).encode())
        _live_with_follow_ups(life, member, case, kind, groups)
        _close_and_reopen(life, member, case)


def _live_with_follow_ups(life: Life, member: Member, case: str, kind: str, groups: Iterable[Group]) -> None:
    body, once = follow_up(life.canaries, kind, groups), {"idempotency-key": life.canaries.word()}
    path = f"/cases/{case}/follow-ups"
    noted = member.post(path, body, headers=once)["id"]
    assert member.post(path, body, headers=once)["id"] == noted
    member.post(path, body | {"content": {Group.SAFETY: life.canaries.text()}}, 422, headers=once)
    for version, status in ((1, 201), (1, 412), (2, 201)):
        corrected = filled(
            Correction, life.canaries, content={group: life.canaries.text() for group in groups}
        )
        member.post(f"/follow-ups/{noted}/corrections", corrected, status, version=version)
    assert len(member.get(f"/follow-ups/{noted}/versions")["items"]) == 3
    assert member.get(path)["items"]


def _close_and_reopen(life: Life, member: Member, case: str) -> None:
    supervisor = life.member("avec.supervisor")
    member.post(f"/cases/{case}/closure", filled(CaseMove, life.canaries), 200)
    member.post(f"/cases/{case}/closure", filled(CaseMove, life.canaries), 409)
    member.post(f"/cases/{case}/follow-ups", follow_up(life.canaries, "evvi", [Group.SAFETY]), 403)
    supervisor.post(f"/cases/{case}/reopening", filled(CaseMove, life.canaries), 200)


def search_and_draft(life: Life) -> list[str]:
    """Look for somebody, and begin a text that is not saved; returns the routes that this service has not."""
    social, paths = life.member("avec.social"), life.paths()
    search, drafts = "/api/v1/search", "/api/v1/drafts/{draft_id}"
    # Of one who holds the key of tokens, and of one whose declaration waits for her.
    for member in (life.member("avec.custodian"), social):
        names = {"first_name": life.canaries.text(), "family_name": life.canaries.text()}
        address = {"address": f"12 rue {life.canaries.word()} 63000"}
        member.ask("PUT", "/me/declaration", 200, {**names, **address, "birth_date": "1988-04-12"})
        member.ask("PUT", "/me/declaration", 422, {"phones": [life.canaries.word()]})
    if search in paths:
        social.post("/search", {"name": life.canaries.text(100)}, 200)
        # What is no number is refused, and stands nowhere either.
        social.post("/search", {"phone": life.canaries.word()}, 422)
    if drafts in paths:
        case = social.post("/cases", new_case(life.canaries, SOCIAL))["id"]
        body = {"case_id": case, "content": {life.canaries.word(): life.canaries.text()}}
        draft = f"/drafts/{uuid4()}"
        social.ask("PUT", draft, 200, body, headers={"if-none-match": "*"})
        assert life.canaries.found_in(str(social.get(draft)).encode())
    return [path for path in (search, drafts) if path not in paths]


def live_through_emergencies(life: Life) -> None:
    """Read by somebody who is not assigned, who says why; refused to others; a login unlocked, with a reason."""
    case = life.member("avec.social").post("/cases", new_case(life.canaries, SOCIAL))["id"]
    reader, emergency = life.member("avec.psychologist"), filled(Emergency, life.canaries, purpose="support")
    reader.post(f"/cases/{case}/break-glass", emergency, 403)
    life.member("avec.psychologist", step_up=True).post(f"/cases/{case}/break-glass", emergency)
    assert life.canaries.found_in(str(reader.get(f"/cases/{case}")).encode())
    for login in ("avec.auditor", "avec.custodian", "cidff.supervisor"):
        status = 404 if login.startswith("cidff") else 403
        life.member(login, step_up=True).post(f"/cases/{case}/break-glass", emergency, status)
    custodian, locked = life.member("avec.custodian"), life.id_of("avec.reception")
    custodian.post(f"/members/{locked}/unlocking", filled(Unlocking, life.canaries), 200)
    reader.post(f"/members/{locked}/unlocking", filled(Unlocking, life.canaries), 403)
    renewal = filled(NewRenewal, life.canaries, kind="reset")
    life.member("avec.custodian", step_up=True).post(f"/members/{locked}/renewal", renewal)
    reader.post(f"/members/{locked}/renewal", renewal, 403)


def live_through_handoffs(life: Life) -> None:
    """Drafted, consented, sent, accepted, opened and changed there; taken back, refused, withdrawn."""
    social = life.member("avec.social", step_up=True)
    case = social.post("/cases", new_case(life.canaries, SOCIAL))["id"]
    noted = social.post(
        f"/cases/{case}/follow-ups", follow_up(life.canaries, "accompagnement_social", SOCIAL)
    )["id"]
    jurist = life.member("cidff.jurist")
    drafted = _draft(life, social, case, "cidff", SOCIAL, [noted])
    social.post(f"/handoffs/{drafted['id']}/cancellation", None, 200)
    refused, _ = _hand_over(life, social, case, SOCIAL, [noted])
    jurist.post(f"/handoffs/{refused}/refusal", {"reason_code": "no_capacity", "next_step": "call_us"}, 200)
    _, consent = _hand_over(life, social, case, SOCIAL, [noted])
    social.post(f"/consents/{consent}/withdrawal", {"means": "oral"}, 200)
    accepted, consent = _hand_over(life, social, case, SOCIAL, [noted])
    assert life.canaries.found_in(str(jurist.get("/handoffs?box=received")).encode())
    arrived = jurist.post(f"/handoffs/{accepted}/acceptance", {}, 200)["case_id"]
    _live_at_the_receiver(life, jurist, arrived)
    jurist.post(f"/handoffs/{accepted}/outcome", {"state": "scheduled"}, 200)
    social.post(f"/consents/{consent}/withdrawal", {"means": "written"}, 200)
    jurist.get(f"/cases/{arrived}")
    _hand_health_over(life)


def _live_at_the_receiver(life: Life, jurist: Member, case: str) -> None:
    opened = jurist.get(f"/cases/{case}")
    assert life.canaries.found_in(str(opened["groups"]["legal"]).encode())
    version = opened["versions"]["legal"]
    changed = filled(CONTENT[Group.LEGAL], life.canaries)
    jurist.ask("PATCH", f"/cases/{case}/groups/legal", 200, changed, version)
    (item,) = jurist.get(f"/cases/{case}/follow-ups")["items"]
    corrected = filled(Correction, life.canaries, content={Group.LEGAL: life.canaries.text()})
    jurist.post(f"/follow-ups/{item['id']}/corrections", corrected, version=item["version"])


def _hand_health_over(life: Life) -> None:
    psychologist = life.member("avec.psychologist", step_up=True)
    case = psychologist.post("/cases", new_case(life.canaries, HEALTH))["id"]
    noted = psychologist.post(
        f"/cases/{case}/follow-ups", follow_up(life.canaries, "suivi_psychologique", HEALTH)
    )["id"]
    sent, _ = _hand_over(life, psychologist, case, HEALTH, [noted], to="planning")
    taken = {"members": [str(life.id_of("planning.health"))]}
    arrived = life.member("planning.supervisor").post(f"/handoffs/{sent}/acceptance", taken, 200)["case_id"]
    opened = life.member("planning.health").get(f"/cases/{arrived}")
    assert life.canaries.found_in(str(opened["groups"]["health"]).encode())


def _draft(
    life: Life, member: Member, case: str, to: str, groups: Iterable[Group], noted: list[str]
) -> dict[str, Any]:
    body = filled(
        NewHandoff,
        life.canaries,
        to=to,
        kind="orientation",
        purpose="support",
        urgency="normal",
        groups=list(groups),
        follow_ups=noted,
        excluded=[],
    )
    member.post(f"/cases/{case}/handoffs", body | {"excluded": [life.canaries.text()]}, 422)
    member.post(f"/cases/{case}/handoffs", body | {"to": life.canaries.text(40)}, 422)
    drafted: dict[str, Any] = member.post(f"/cases/{case}/handoffs", body)
    member.get(f"/handoffs/{drafted['id']}/preview")
    return drafted


def _hand_over(
    life: Life, member: Member, case: str, groups: Iterable[Group], noted: list[str], to: str = "cidff"
) -> tuple[str, str]:
    """Draft, consent and send, and each of them wrongly; returns the handoff's id and the consent's."""
    drafted = _draft(life, member, case, to, groups, noted)
    path = f"/handoffs/{drafted['id']}"
    agreed = filled(
        NewConsent,
        life.canaries,
        content_digest=drafted["content_digest"],
        means="oral",
        safe_contact_checked=True,
    )
    member.post(f"{path}/sending", None, 409)
    member.post(f"{path}/consent", agreed | {"content_digest": "0" * 64}, 409)
    member.post(f"{path}/consent", agreed | {"safe_contact_checked": False}, 422)
    given = member.post(f"{path}/consent", agreed)["consent_id"]
    member.post(f"{path}/consent", agreed, 409)
    member.post(f"{path}/sending", None, 200)
    return str(drafted["id"]), str(given)


def live_through_refusals(life: Life) -> None:
    """Bad bodies, headers, paths and queries, and what others try: no answer and no trace repeats any of it."""
    canaries, social = life.canaries, life.member("avec.social")
    case = social.post("/cases", new_case(canaries, SOCIAL))["id"]
    _send_bad_bodies(life, social, case)
    _send_bad_headers(life, social, case)
    for path in (f"/cases/{canaries.text()}", f"/{canaries.text()}", f"/handoffs/{canaries.word()}/preview"):
        social.get(path, 404)
    for path in ("/cases", "/handoffs", f"/cases/{case}/follow-ups"):
        for name in ("cursor", "limit", "status", "box"):
            answer = life.http.get(
                life.url(path),
                params={name: canaries.text(), canaries.word(): canaries.text()},
                headers={"authorization": f"Bearer {social.token}"},
            )
            assert answer.status_code < 500
    auditor = life.member("avec.auditor")
    for name in ("action", "outcome", "from", "case"):
        auditor.get("/journal/entries", 422, params={name: canaries.text()})
    opened = journals(life, ["avec"], lambda item: item["action"] == "case.create")
    entry = next(item["id"] for item in opened if item["action"] == "case.create")
    auditor.post("/journal/reviews", {"entry": entry, "outcome": "justified", "note": canaries.text()})
    for login in ("cidff.jurist", "avec.auditor", "avec.psychologist"):
        other = life.member(login)
        path, noted = f"/cases/{case}", follow_up(canaries, "evvi", [Group.SAFETY])
        other.get(path, 404)
        other.post(f"{path}/follow-ups", noted, 404)
        other.ask("PATCH", f"{path}/groups/social", 404, filled(CONTENT[Group.SOCIAL], canaries), 1)
        other.post(f"{path}/closure", filled(CaseMove, canaries), 404)
        missing = filled(Correction, canaries, content={Group.SAFETY: canaries.text()})
        other.post(f"/follow-ups/{uuid4()}/corrections", missing, 404, version=1)
    _fail_to_sign_in(life, social)
    _send_no_http(life)


def _send_bad_bodies(life: Life, social: Member, case: str) -> None:
    canaries = life.canaries
    paths: dict[str, type[Struct]] = {
        "/cases": NewCase,
        f"/cases/{case}/follow-ups": NewFollowUp,
        f"/cases/{case}/handoffs": NewHandoff,
        f"/cases/{case}/closure": CaseMove,
        f"/cases/{case}/break-glass": Emergency,
    }
    for path, kind in paths.items():
        whole = filled(kind, canaries)
        for body in (
            {canaries.word(): canaries.text()},
            {name: [canaries.text()] for name in whole},
            whole | {"public": canaries.text(), "purpose": canaries.text(), "type": canaries.text()},
            whole | {canaries.text(): {canaries.text(): canaries.text()}},
            [canaries.text()],
            canaries.text(),
        ):
            social.post(path, body, 422)
        content = canaries.text().encode()
        for media_type, status in (("application/json", 400), ("text/plain", 415)):
            social.post(path, None, status, content=content, headers={"content-type": media_type})
        huge = (canaries.text() * 20_000).encode()
        social.post(path, None, 413, content=huge, headers={"content-type": "application/json"})
    for kind_of_follow_up in (canaries.word(), canaries.text(40)):
        social.post(f"/cases/{case}/follow-ups", follow_up(canaries, kind_of_follow_up, [Group.SOCIAL]), 422)


def _send_bad_headers(life: Life, social: Member, case: str) -> None:
    word, body = life.canaries.word, filled(CONTENT[Group.SOCIAL], life.canaries)
    path = f"/cases/{case}/groups/social"
    social.ask("PATCH", path, 422, body, word())
    for header in ("casework-purpose", "idempotency-key"):
        social.post("/cases", new_case(life.canaries, SOCIAL), 422, headers={header: word() * 20})
    social.get(f"/cases/{case}", 422, headers={"casework-purpose": word()})
    for name in (
        "user-agent",
        "referer",
        "origin",
        "x-forwarded-for",
        "forwarded",
        "accept-language",
        "cookie",
    ):
        social.get("/me", headers={name: word()})
    for headers in (
        {"authorization": f"Bearer {word()}"},
        {"cookie": f"{COOKIE}={word()}"},
        {"host": word()},
    ):
        life.ask("GET", "/me", 401, headers=headers)
    life.ask(word(), "/me", 400, headers={"authorization": f"Bearer {social.token}"})


def _fail_to_sign_in(life: Life, social: Member) -> None:
    """A password that was typed into the field of the login is the usual slip."""
    canaries = life.canaries
    life.ask("POST", "/sessions", 401, json={"login": canaries.text(100), "password": canaries.text()})
    life.ask("POST", "/sessions", 401, json={"login": "avec.social", "password": canaries.text()})
    life.ask("POST", "/sessions", 422, json={"login": canaries.text(100), "password": "", "role": "worker"})
    life.ask("POST", "/sessions", 422, json={"login": "x", "password": "x", "role": canaries.word()})
    social.post("/sessions/current/second-factor", {"code": canaries.word()}, 422)
    social.post("/sessions/current/step-up", {"password": canaries.text()}, 401)


def _send_no_http(life: Life) -> None:
    """What the web server itself refuses, before the application is asked."""
    word, address = life.canaries.word, httpx.URL(life.server.url)
    upgrade = (
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n"
    )
    for sent in (
        f"{word()} {word()} {word()}\r\n{word()}: {word()}\r\n\r\n",
        f"GET /{word()} HTTP/1.1\r\nhost: {word()}\r\n{word()}\r\n\r\n",
        f"GET /{word()}?{word()} HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n",
        f"POST /api/v1/cases HTTP/1.1\r\nhost: x\r\ncontent-length: {word()}\r\n\r\n{word()}",
        f"POST /api/v1/cases HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{word()}",
    ):
        with socket.create_connection((address.host, address.port), 10) as connection:
            connection.sendall(sent.encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass


def fail_to_commit(life: Life) -> None:
    """The database refuses a save at its commit: the error, the log and the server's log hold nothing of it."""
    social = life.member("avec.social")
    case = social.post("/cases", new_case(life.canaries, SOCIAL))["id"]
    body = follow_up(life.canaries, "accompagnement_social", SOCIAL)
    asyncio.run(life.ground.administrator.set_trap("follow_up_frame"))
    social.post(f"/cases/{case}/follow-ups", body, 500)
    asyncio.run(life.ground.administrator.lift_trap("follow_up_frame"))
    social.post(f"/cases/{case}/follow-ups", body)


def be_killed(life: Life) -> None:
    """Kill -9 while saves are under way."""
    social = life.member("avec.social")
    case = social.post("/cases", new_case(life.canaries, SOCIAL))["id"]
    bodies = [follow_up(life.canaries, "accompagnement_social", SOCIAL) for _ in range(SAVES)]
    answered = threading.Semaphore(0)

    def save(body: dict[str, Any]) -> None:
        with httpx.Client(timeout=60, trust_env=False) as http:
            headers = {"authorization": f"Bearer {social.token}"}
            with suppress(httpx.TransportError):
                http.post(life.url(f"/cases/{case}/follow-ups"), json=body, headers=headers)
        answered.release()

    threads = [threading.Thread(target=save, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for _ in range(SAVES // 4):
        assert answered.acquire(timeout=60)
    life.server.kill()
    for thread in threads:
        thread.join()


def journals(
    life: Life, slugs: Iterable[str], until: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """Every entry of these organisations as their auditors read them, once one of them is as `until` says."""
    for _ in range(100):
        items = [item for slug in slugs for item in _journal(life.member(f"{slug}.auditor"))]
        if any(map(until, items)):
            return items
    raise AssertionError


def _journal(auditor: Member) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = auditor.get("/journal/entries", params={"limit": "200", **cursor})
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}


def was_done(life: Life, method: str, template: str) -> bool:
    """Whether something of this route was done, with a canary in each field of its body."""
    path = re.compile(re.sub(r"\{[^}]+\}", "[^/?]+", template) + r"(\?.*)?")
    return any(method == done and path.fullmatch(asked) for done, asked in life.done)
