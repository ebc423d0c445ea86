"""`/api/v1/drafts`: each points at what is kept about the case by whoever is assigned to it."""

from tests.journeys.matrix.actors import Actor, Things
from tests.journeys.matrix.cells import (
    ANONYMOUS,
    Call,
    LikeAssigned,
    Row,
    Spoils,
    allowed,
    hidden,
    members,
    others,
    withdrawn,
    without_content,
)

# Whoever may list the case, read it or record in it: a draft is its author's alone.
_NOT_HERS = members(hidden("draft.open"))
_HER_OWN = withdrawn(LikeAssigned("the case is her own organisation's, and the draft hers"))


def _save(at: Things) -> Call:
    # Going on with it: who begins one is asked what she may record, as for a follow-up.
    body = {"case_id": at.case, "content": {"text": "La suite."}}
    return Call(f"/api/v1/drafts/{at.draft}", body, headers={"if-match": '"1"'})


def _list(at: Things) -> Call:
    return Call("/api/v1/drafts", params={"case_id": at.case})


def _one(at: Things) -> Call:
    return Call(f"/api/v1/drafts/{at.draft}")


ROWS = (
    Row(
        "PUT",
        "/api/v1/drafts/{draft_id:uuid}",
        _save,
        {**ANONYMOUS, **_NOT_HERS, **_HER_OWN, Actor.ASSIGNED: allowed("draft.save")},
        fields="id version saved_at",
    ),
    Row(
        "GET",
        "/api/v1/drafts",
        _list,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: hidden("case.open"),
            # Her own about the same case; without a content.
            Actor.RECEPTION: allowed("draft.list"),
            # She has none, and sees nobody else's.
            Actor.SUPERVISOR: allowed("draft.list", fields="items"),
            **without_content(hidden("case.open")),
            **others(hidden("case.open")),
            **_HER_OWN,
            Actor.ASSIGNED: allowed("draft.list"),
        },
        fields="items items.id items.version items.saved_at",
    ),
    Row(
        "GET",
        "/api/v1/drafts/{draft_id:uuid}",
        _one,
        {
            **ANONYMOUS,
            **_NOT_HERS,
            **_HER_OWN,
            Actor.ASSIGNED: allowed("draft.open", sees=("target: draft",)),
        },
        fields="id case_id version saved_at content",
    ),
    Row(
        "DELETE",
        "/api/v1/drafts/{draft_id:uuid}",
        _one,
        {**ANONYMOUS, **_NOT_HERS, **_HER_OWN, Actor.ASSIGNED: allowed("draft.delete", status=204)},
        spoils=Spoils.THE_THING,
    ),
)
