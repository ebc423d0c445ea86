"""What members of the tests' centre do with restricted cases and member-only notes."""

from typing import Any

from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import note, open_case

REASON = f"{CANARY} un collègue la connaît"
GROUPS = ("contact", "intake", "safety", "social", "legal", "family")


def ids(centre: Centre, *logins: str) -> list[str]:
    return [str(centre.member(login)) for login in logins]


async def restrict(by: Client, case: str, *logins: str, expect: int = 201, **more: Any) -> Any:
    """Name these members; whoever acts must have stepped up."""
    body = {"members": ids(by.centre, *logins), "reason": REASON}
    return await by.post(f"/cases/{case}/restriction", body, expect, **more)


async def name(by: Client, case: str, login: str, expect: int = 200) -> Any:
    path = f"/cases/{case}/restriction/members/{by.centre.member(login)}"
    return (await by.request("PUT", path, expect)).json()


async def unname(by: Client, case: str, login: str, expect: int = 200) -> Any:
    path = f"/cases/{case}/restriction/members/{by.centre.member(login)}"
    return (await by.request("DELETE", path, expect)).json()


async def lift(by: Client, case: str, expect: int = 200) -> Any:
    return await by.post(f"/cases/{case}/restriction/lifting", {"reason": REASON}, expect)


async def write_note(by: Client, case: str, group: str, *readers: str, expect: int = 201) -> Any:
    body = {"group": group, "text": f"{CANARY}-note {group}", "readers": ids(by.centre, *readers)}
    return await by.post(f"/cases/{case}/notes", body, expect)


async def restricted_case(centre: Centre, *logins: str) -> tuple[str, Client, Client]:
    """A case with a text in every group, health by the psychologist, restricted by the supervisor to these members.

    Returns it with the social worker, who opened it, and the supervisor; both have stepped up.
    """
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await open_case(social, *GROUPS)
    await note(social, case, "accompagnement_social", "social", "legal")
    both = {"members": ids(centre, "avec.social", "avec.psychologist")}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=both)
    psychologist = await centre.sign_in("avec.psychologist")
    await psychologist.patch(f"/cases/{case}/groups/health", {"summary": f"{CANARY}-health"}, 0)
    await note(psychologist, case, "suivi_psychologique", "health")
    await restrict(supervisor, case, *logins)
    return case, social, supervisor
