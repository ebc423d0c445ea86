"""What there is to steal: cases of two organisations, a note that waits for its reader, handoffs on their way."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from tests.casework.centre import CANARY, PASSWORD, Centre, Client
from tests.casework.story import accept, agree, content, draft, hand_over, new_case, note, open_case, told

GROUPS = ("contact", "intake", "safety", "social", "legal", "family")
CIVIL_STATUS = f"{CANARY} Dupont"


@dataclass(frozen=True)
class Stage:
    """A case of AVEC's social worker with its notes; one that a colleague alone is assigned to; one of CIDFF.

    In the first, reception left a danger that nobody has opened; of it, one handoff waits at CIDFF, one was
    accepted and not opened, and one is a draft with its consent.
    """

    centre: Centre
    social: Client
    case: str
    colleagues_case: str
    left: str
    foreign_case: str

    @property
    def avec(self) -> UUID:
        return self.centre.org("avec")

    @property
    def cidff(self) -> UUID:
        return self.centre.org("cidff")


async def prepare(centre: Centre) -> Stage:
    social = await centre.sign_in("avec.social", step_up=True)
    body = new_case(*GROUPS)
    body["identity"]["legal_name"] = CIVIL_STATUS
    case = str((await social.post("/cases", body))["id"])
    await note(social, case, "accompagnement_social", "social", "legal")
    colleague = await centre.sign_in("avec.jurist")
    colleagues_case = await open_case(colleague, "legal")
    await colleague.post("/me/keys", {"password": PASSWORD}, expect=200)
    left = await open_case(social)
    reception = await centre.sign_in("avec.reception")
    await reception.patch(f"/cases/{left}/groups/safety", content("safety"), 0)
    jurist = await centre.sign_in("cidff.jurist")
    foreign_case = await open_case(jurist, "legal")
    accepted, _ = await hand_over(social, case, "identity", "legal")
    await accept(jurist, accepted)
    await hand_over(social, case, "identity", "legal")
    # Who holds no `index` last: her declaration waits.
    for client in (social, await centre.sign_in("avec.custodian")):
        await client.request("PUT", "/me/declaration", 200, json={"family_name": CANARY})
    await agree(social, await draft(social, case, "social"))
    unsaved = {"case_id": case, "content": {"social": told("social")}}
    await social.request("PUT", f"/drafts/{uuid4()}", 200, json=unsaved, headers={"if-none-match": "*"})
    return Stage(centre, social, case, colleagues_case, left, foreign_case)


LEFT = told("safety")
