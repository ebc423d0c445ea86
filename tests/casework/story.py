"""What members of the tests' centre do: open a case, note, prepare a handoff, record its consent, send it."""

from typing import Any

from sqlalchemy import Connection, insert

from casework.column_types import Sealed
from casework.identity.members import Position, prepare_account
from casework.identity.tables import membership
from casework.organisations.entries import append_entry
from crypto.directory_entries import EntrySigner
from crypto.password import FLOOR_PARAMS, password_keys, wrap_daily, wrap_signing
from tests.casework.centre import CANARY, PASSWORD, Centre, Client

OCCURRED_AT = "2026-11-20T10:00:00Z"
PASSPHRASE = "un bateau mauve traverse Lisbonne"


def told(group: str) -> str:
    """A text of a group that is found again wherever it leaks."""
    return f"{CANARY}-{group} à l’été"


def content(group: str) -> dict[str, Any]:
    if group == "identity":
        return {"name_in_use": told(group)}
    if group == "contact":
        return {"phone": told(group)}
    return {"summary": told(group)}


def new_case(*groups: str) -> dict[str, Any]:
    return {"public": "seeking", **{group: content(group) for group in ("identity", *groups)}}


def follow_up(kind: str, *groups: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "occurred_at": OCCURRED_AT,
        "channel": "on_site",
        "duration_minutes": 45,
        "content": {group: told(group) for group in groups},
        **more,
    }


async def open_case(client: Client, *groups: str) -> str:
    created = await client.post("/cases", new_case(*groups))
    return str(created["id"])


async def note(client: Client, case: str, kind: str, *groups: str) -> str:
    created = await client.post(f"/cases/{case}/follow-ups", follow_up(kind, *groups))
    return str(created["id"])


def handoff(*groups: str, to: str = "cidff", **more: Any) -> dict[str, Any]:
    return {
        "to": to,
        "kind": "orientation",
        "purpose": "legal_advice",
        "urgency": "normal",
        "service": f"{CANARY}-service",
        "groups": list(groups),
        **more,
    }


def consent(draft: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "content_digest": draft["content_digest"],
        "means": "written",
        "language": "fr",
        "safe_contact_checked": True,
        **more,
    }


async def draft(client: Client, case: str, *groups: str, **more: Any) -> dict[str, Any]:
    drafted: dict[str, Any] = await client.post(f"/cases/{case}/handoffs", handoff(*groups, **more))
    return drafted


async def agree(client: Client, drafted: dict[str, Any], **more: Any) -> str:
    given = await client.post(f"/handoffs/{drafted['id']}/consent", consent(drafted, **more))
    return str(given["consent_id"])


async def send(client: Client, drafted: dict[str, Any]) -> str:
    await client.post(f"/handoffs/{drafted['id']}/sending", expect=200)
    return str(drafted["id"])


async def hand_over(client: Client, case: str, *groups: str, **more: Any) -> tuple[str, str]:
    """Draft, consent and send; returns the handoff's id and the consent's."""
    drafted = await draft(client, case, *groups, **more)
    given = await agree(client, drafted)
    return await send(client, drafted), given


async def accept(client: Client, handoff_id: str, *logins: str) -> str:
    """Accept for these members, or for herself; returns the new case."""
    members = {"members": [str(client.centre.member(login)) for login in logins]} if logins else {}
    accepted = await client.post(f"/handoffs/{handoff_id}/acceptance", members, expect=200)
    return str(accepted["case_id"])


def done(answer: dict[str, Any]) -> dict[str, Any]:
    """What a high-value act answers beside its receipt, which it has."""
    assert answer["receipt"]["proof"] is not None
    return {name: value for name, value in answer.items() if name != "receipt"}


def entries_of(items: list[dict[str, Any]], action: str, outcome: str | None = None) -> list[dict[str, Any]]:
    """The entries of an action, newest first."""
    return [item for item in items if item["action"] == action and outcome in {None, item["outcome"]}]


async def denials(centre: Centre, slug: str, action: str) -> list[dict[str, Any]]:
    """What was refused in an organisation, as its auditor reads it."""
    return await centre.journal(slug, action=action, outcome="denied")


async def begin_renewal(centre: Centre, custodian: Client, login: str, kind: str = "reset") -> str:
    """The secret that the custodian hands over."""
    path, body = f"/members/{centre.member(login)}/renewal", {"kind": kind, "reason": told("renewal")}
    return str((await custodian.post(path, body))["secret"])


async def take_up(centre: Centre, secret: str, login: str) -> list[str]:
    """The words that the member sees once she has set another password."""
    body = {"login": login, "secret": secret, "new_password": PASSPHRASE}
    answer = await centre.http.post("/api/v1/renewals", json=body)
    assert answer.status_code == 200, answer.text
    words: list[str] = answer.json()["words"]
    return words


async def renew_own_keys(centre: Centre, login: str) -> Client:
    """She makes new keys, the custodian confirms them and `avec.double` grants what she held."""
    member = await centre.sign_in(login, step_up=True)
    words = " ".join((await member.post("/me/keys", {"password": PASSWORD}, expect=200))["words"])
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    path, body = f"/members/{centre.member(login)}", {"words": words}
    await custodian.request("POST", f"{path}/renewal/confirmation", 200, json=body)
    double = await centre.sign_in("avec.double", step_up=True, role="worker")
    await double.request("POST", f"{path}/grants", 200, json=body)
    return await centre.sign_in(login, step_up=True)


async def add_role(centre: Centre, login: str, position: Position) -> None:
    """Give somebody of AVEC one role more with her login, certified by the custodian."""
    account, org = centre.accounts[login], centre.org("avec")
    (new,) = prepare_account(login, PASSWORD, [position], FLOOR_PARAMS).memberships
    custodian = centre.accounts["avec.custodian"].memberships[0]
    keys = password_keys(centre.deployment.pepper, new.id.bytes, account.password.secret)
    params = account.password.params

    def add(connection: Connection) -> None:
        directory = centre.directory(connection, "avec")
        daily = wrap_daily(keys, new.id.bytes, params, new.daily_private, directory.floor)
        connection.execute(
            insert(membership).values(
                org_id=org,
                id=new.id,
                account_id=account.id,
                role=position.role,
                professions=",".join(sorted(position.professions)),
                active=True,
                daily_key=Sealed(daily),
                signing_key=Sealed(wrap_signing(keys, new.id.bytes, params, new.signing)),
                created_at=centre.clock.now(),
            )
        )
        signer = EntrySigner(custodian.id.bytes, custodian.signing)
        append_entry(connection, org, directory.next_entry(new.body, signer))

    await centre.dba(add)
