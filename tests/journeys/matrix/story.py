"""What happened in the centre before anybody tries anything; told once for each engine, then copied."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from tests.casework.centre import CANARY, PASSWORD, Centre, Client
from tests.casework.rights.requests import approve
from tests.casework.story import accept, agree, draft, follow_up, send
from tests.journeys.matrix.actors import CAST, LOGINS, Actor, Side, Stage, Things

# The case that is tried, and the one whose handoffs were withdrawn: both opened by the same worker.
TARGET = "shared"
RECALLED = "recalled"
# One more case of that worker, which she has closed.
CLOSED = "closed"
# And one that the supervisor has restricted to her and the psychologist.
RESTRICTED = "restricted"
_GROUPS = ("identity", "contact", "intake", "safety", "social", "legal", "family")
_HANDED_OVER = ("identity", "legal")
# What the others hold: whoever is refused has records of her own.
_OWN = {
    "avec.jurist": ("identity", "social", "legal"),
    "planning.health": ("identity", "contact", "health"),
    "cidff.jurist": ("identity", "legal"),
    "cidff.social": ("identity", "social"),
}


@dataclass(frozen=True)
class Relay:
    """A handoff with what belongs to it; `case` is the receiver's own, once she has taken it on."""

    handoff: str
    consent: str
    digest: str
    case: str = ""


@dataclass(frozen=True)
class Asked:
    """A request for the erasure of a case."""

    request: str
    case: str


@dataclass(frozen=True)
class Told:
    """The ids of the story, everybody's session, and the moment at which it ends."""

    moment: datetime
    tokens: Mapping[str, str]
    pending: Mapping[Actor, str]
    steps: Mapping[str, int]
    cases: Mapping[str, str]
    follow_ups: Mapping[str, str]
    drafts: Mapping[str, str]
    relays: Mapping[str, Relay]
    requests: Mapping[Stage, Asked]
    entry: str

    def things(self, centre: Centre, actor: Actor, login: str | None, stage: Stage) -> Things:
        """What the actor points at: of the withdrawn handoffs if she stands after a withdrawal, else the target."""
        case, relay = self._pointed_at(actor, stage)
        asked = self.requests.get(stage, Asked(str(uuid4()), str(uuid4())))
        is_senders = case in self.cases.values()
        is_recalled = actor in {Actor.WITHDRAWN_SENDER, Actor.WITHDRAWN_UNOPENED, Actor.WITHDRAWN_OPENED}
        return Things(
            login=login or "nobody.known",
            member=str(centre.member(login)) if login else str(uuid4()),
            worker=str(centre.member("avec.social" if is_senders else "cidff.jurist")),
            colleague=str(centre.member("avec.psychologist" if is_senders else "cidff.social")),
            case=case,
            follow_up=self.follow_ups.get(case, str(uuid4())),
            draft=self.drafts.get(case, str(uuid4())),
            handoff=relay.handoff,
            consent=relay.consent,
            request=asked.request,
            asked=asked.case,
            digest=relay.digest,
            entry=self.entry,
            tag=RECALLED if is_recalled else TARGET,
            version=1 if is_senders else 0,
            # Hers was corrected once; what was handed over begins anew.
            noted=2 if is_senders else 1,
            pending=self.pending.get(actor, secrets.token_hex(32)),
            code=lambda: centre.code(login) if login else "000000",
        )

    def _pointed_at(self, actor: Actor, stage: Stage) -> tuple[str, Relay]:
        # A handoff that was only offered was withdrawn before anybody took it on.
        unopened = self.relays["untaken" if stage is Stage.SENT else "unopened"]
        match actor:
            case Actor.WITHDRAWN_SENDER:
                return self.cases[RECALLED], unopened
            case Actor.WITHDRAWN_UNOPENED:
                return self.relays["unopened"].case, unopened
            case Actor.WITHDRAWN_OPENED:
                return self.relays["opened"].case, self.relays["opened"]
        if stage is Stage.CLOSED:
            return self.cases[CLOSED], self.relays[Stage.LIVE]
        if stage is Stage.RESTRICTED:
            return self.cases[RESTRICTED], self.relays[Stage.LIVE]
        return self.cases[TARGET], self.relays.get(stage, self.relays[Stage.LIVE])


async def tell(centre: Centre) -> Told:
    """Everybody signs in and works; one case is handed over, the other's handoffs are withdrawn."""
    clients = {login: await centre.sign_in(login, step_up=True) for login in LOGINS}
    social, jurist = clients["avec.social"], clients["cidff.jurist"]
    for login, groups in _OWN.items():
        own = await _open_case(clients[login], login.replace(".", "_"), groups)
        await _keep_draft(clients[login], own, login.replace(".", "_"))
    cases = {tag: await _open_case(social, tag, _GROUPS) for tag in (TARGET, RECALLED)}
    await _add_health(centre, clients, cases[TARGET])
    await _write_note(centre, social, cases[TARGET])
    noted = {tag: await _note(social, case, tag) for tag, case in cases.items()}
    relays = {
        "draft": await _draft(social, cases[TARGET], TARGET, noted[TARGET]),
        "consented": await _consented(social, cases[TARGET], TARGET, noted[TARGET]),
        "sent": await _sent(social, cases[TARGET], TARGET, noted[TARGET]),
        "live": await _taken(social, jurist, cases[TARGET], TARGET, noted[TARGET]),
        "untaken": await _sent(social, cases[RECALLED], RECALLED, noted[RECALLED]),
        "unopened": await _taken(social, jurist, cases[RECALLED], RECALLED, noted[RECALLED]),
        "opened": await _taken(social, jurist, cases[RECALLED], RECALLED, noted[RECALLED]),
    }
    follow_ups = {cases[tag]: noted[tag] for tag in cases}
    for name in ("live", "opened"):
        page = await jurist.get(f"/cases/{relays[name].case}/follow-ups")
        follow_ups[relays[name].case] = page["items"][0]["id"]
    drafts = {cases[tag]: await _keep_draft(social, cases[tag], tag) for tag in (TARGET, RECALLED)}
    for name in ("unopened", "opened"):
        drafts[relays[name].case] = await _keep_draft(jurist, relays[name].case, RECALLED)
    # Beside hers, about the same case: nobody's list or key reaches the other one.
    await _keep_draft(clients["avec.reception"], cases[TARGET], "desk")
    for name in ("untaken", "unopened", "opened"):
        await social.post(f"/consents/{relays[name].consent}/withdrawal", {"means": "oral"}, 200)
    cases[CLOSED] = await _open_case(social, CLOSED, ("identity",))
    await social.post(f"/cases/{cases[CLOSED]}/closure", {"reason": "Suivi terminé."}, 200)
    cases[RESTRICTED] = await _restricted(centre, clients)
    requests = await _ask_for_erasures(clients)
    await centre.integrate()
    page = await clients["avec.auditor"].get("/journal/entries?action=case.create&limit=1")
    pending = {actor: await _begin(centre, login) for actor, login in CAST[Side.SENDER].items()}
    await centre.integrate()
    return Told(
        moment=centre.clock.now(),
        tokens={login: client.token for login, client in clients.items()},
        pending=pending,
        steps=dict(centre._steps),
        cases=cases,
        follow_ups=follow_ups,
        drafts=drafts,
        relays=relays,
        requests=requests,
        entry=page["items"][0]["id"],
    )


async def _ask_for_erasures(clients: Mapping[str, Client]) -> dict[Stage, Asked]:
    """Of two more cases of the same worker, under no name: one waits for an approval, the other is gone."""
    requests = {}
    for stage in (Stage.ERASURE_PREPARED, Stage.ERASED):
        opened = {"public": "seeking", "identity": {"name_in_use": "Sans nom", "anonymous": True}}
        case = (await clients["avec.social"].post("/cases", opened))["id"]
        wanted = {
            "kind": "erasure",
            "case_id": case,
            "basis": "objection",
            "reason": text_of(TARGET, "motive"),
        }
        asked = await clients["avec.social"].post("/rights-requests", wanted)
        requests[stage] = Asked(asked["id"], case)
    gone = requests[Stage.ERASED]
    await approve(clients["avec.dpo"], gone.request, gone.case)
    return requests


def text_of(tag: str, group: str) -> str:
    """A text that says wherever it turns up whose it is and of which group."""
    return f"{CANARY}-{tag}-{group}"


def content(tag: str, group: str) -> dict[str, Any]:
    name = {"identity": "name_in_use", "contact": "phone"}.get(group, "summary")
    return {name: text_of(tag, group)}


async def _open_case(client: Client, tag: str, groups: tuple[str, ...]) -> str:
    created = await client.post(
        "/cases", {"public": "seeking", **{group: content(tag, group) for group in groups}}
    )
    return str(created["id"])


async def _add_health(centre: Centre, clients: Mapping[str, Client], case: str) -> None:
    """A psychologist follows the same person: her notes are withheld from the social worker."""
    psychologist = await centre.sign_in("avec.psychologist")
    members = [str(centre.member(login)) for login in ("avec.social", "avec.psychologist")]
    await clients["avec.supervisor"].request(
        "PUT", f"/cases/{case}/assignments", 200, json={"members": members}
    )
    await psychologist.patch(f"/cases/{case}/groups/health", content(TARGET, "health"), version=0)


async def _note(client: Client, case: str, tag: str) -> str:
    texts = {group: text_of(tag, group) for group in ("social", "legal")}
    created = await client.post(f"/cases/{case}/follow-ups", follow_up("entretien_juridique", content=texts))
    corrected = {"content": {"legal": texts["legal"]}, "reason": text_of(tag, "reason")}
    headers = {"if-match": f'"{created["version"]}"'}
    await client.post(f"/follow-ups/{created['id']}/corrections", corrected, headers=headers)
    return str(created["id"])


async def _write_note(centre: Centre, client: Client, case: str) -> None:
    """For the social worker and the jurist, who is not assigned: nobody else reads it."""
    readers = [str(centre.member("avec.jurist"))]
    body = {"group": "legal", "text": text_of(TARGET, "note"), "readers": readers}
    await client.post(f"/cases/{case}/notes", body)


async def _restricted(centre: Centre, clients: Mapping[str, Client]) -> str:
    case = await _open_case(clients["avec.social"], RESTRICTED, ("identity", "social", "legal"))
    members = [str(centre.member(login)) for login in ("avec.social", "avec.psychologist")]
    body = {"members": members, "reason": text_of(RESTRICTED, "reason")}
    await clients["avec.supervisor"].post(f"/cases/{case}/restriction", body)
    return case


async def _keep_draft(client: Client, case: str, tag: str) -> str:
    draft_id = str(uuid4())
    body = {"case_id": case, "content": {"text": text_of(tag, "draft")}}
    await client.request("PUT", f"/drafts/{draft_id}", 200, json=body, headers={"if-none-match": "*"})
    return draft_id


async def _draft(client: Client, case: str, tag: str, noted: str) -> Relay:
    more = {"service": text_of(tag, "service"), "follow_ups": [noted]}
    drafted = await draft(client, case, *_HANDED_OVER, **more)
    return Relay(drafted["id"], str(uuid4()), drafted["content_digest"])


async def _consented(client: Client, case: str, tag: str, noted: str) -> Relay:
    relay = await _draft(client, case, tag, noted)
    given = await agree(client, {"id": relay.handoff, "content_digest": relay.digest})
    return Relay(relay.handoff, given, relay.digest)


async def _sent(client: Client, case: str, tag: str, noted: str) -> Relay:
    relay = await _consented(client, case, tag, noted)
    await send(client, {"id": relay.handoff})
    return relay


async def _taken(client: Client, receiver: Client, case: str, tag: str, noted: str) -> Relay:
    relay = await _sent(client, case, tag, noted)
    return Relay(relay.handoff, relay.consent, relay.digest, await accept(receiver, relay.handoff))


async def _begin(centre: Centre, login: str) -> str:
    """A session that waits for its second factor."""
    begun = await centre.http.post("/api/v1/sessions", json={"login": login, "password": PASSWORD})
    assert begun.status_code == 201, begun.text
    return str(begun.json()["token"])
