"""What may follow an answer: the links of the OpenAPI document, by the operation whose answer they start from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_ID: Final = "$response.body#/id"
_FIRST: Final = "$response.body#/items/0/id"
_THIRD: Final = "$response.body#/items/2/id"
_ENTRY: Final = "$response.body#/receipt/entry"
_MATCHING: Final = '"{$response.body#/version}"'
_CASE: Final = "$request.path.case_id"
_HANDOFF: Final = "$request.path.handoff_id"


@dataclass(frozen=True, slots=True)
class Link:
    """Leads to the operation `to`; `parameters` and `body` hold runtime expressions (OpenAPI 3.1, 4.8.20)."""

    to: str
    parameters: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"operationId": self.to, "parameters": dict(self.parameters)}
        return shown | ({"requestBody": dict(self.body)} if self.body else {})


def _of_a_case(case: str, *operations: str) -> tuple[Link, ...]:
    return tuple(Link(name, {"case_id": case}) for name in operations)


def _of_a_handoff(handoff: str, *operations: str) -> tuple[Link, ...]:
    return tuple(Link(name, {"handoff_id": handoff}) for name in operations)


def _of_a_request(request: str, *operations: str) -> tuple[Link, ...]:
    return tuple(Link(name, {"request_id": request}) for name in operations)


def _of_a_finding() -> tuple[Link, ...]:
    entry = "$response.body#/items/0/entry/id"
    return (
        Link("read_proof", {"entry_id": entry}),
        Link("record_review", {}, {"entry": entry, "outcome": "justified", "note": "Vu avec elle."}),
    )


LINKS: Final[dict[str, tuple[Link, ...]]] = {
    "list_members": (
        *(
            Link(name, {"member_id": _FIRST})
            for name in ("unlock_member", "begin_renewal", "confirm_renewal", "grant_keys")
        ),
        # Of somebody else than the first: these end her sessions.
        *(Link(name, {"member_id": _THIRD}) for name in ("change_position", "grant_leave", "end_leave")),
    ),
    "view_settings": (Link("change_settings", {}, {"version": "$response.body#/version"}),),
    "change_settings": (Link("change_settings", {}, {"version": "$response.body#/version"}),),
    "create_case": (
        *_of_a_case(
            _ID,
            "view_case",
            "record_follow_up",
            "list_follow_ups",
            "view_assignments",
            "set_assignments",
            "draft_handoff",
            "close_case",
            "break_glass",
            "restrict_case",
            "renew_keys",
            "write_note",
            "list_notes",
            "view_ledger",
            "print_ledger",
        ),
        Link("prepare_erasure", {}, {"kind": "erasure", "case_id": _ID}),
    ),
    "create_team": tuple(Link(name, {"team_id": _ID}) for name in ("change_team", "close_team")),
    "list_teams": tuple(Link(name, {"team_id": _FIRST}) for name in ("change_team", "close_team")),
    "declare_conflict": (Link("withdraw_conflict", {"conflict_id": _ID}),),
    "list_conflicts": (Link("withdraw_conflict", {"conflict_id": _FIRST}),),
    "list_cases": _of_a_case(_FIRST, "view_case", "list_follow_ups", "break_glass"),
    "view_case": (
        Link(
            "change_group",
            {"case_id": _CASE, "group": "identity", "If-Match": '"{$response.body#/versions/identity}"'},
            {"name_in_use": "$response.body#/groups/identity/name_in_use"},
        ),
    ),
    "break_glass": _of_a_case(_CASE, "view_case", "list_follow_ups"),
    "restrict_case": (
        *_of_a_case(_CASE, "view_restriction", "lift_restriction", "view_case"),
        Link("unname_member", {"case_id": _CASE, "member_id": "$response.body#/members/0"}),
    ),
    "view_restriction": (Link("name_member", {"case_id": _CASE, "member_id": "$response.body#/members/0"}),),
    "name_member": _of_a_case(_CASE, "view_restriction"),
    "lift_restriction": _of_a_case(_CASE, "view_case", "restrict_case"),
    "write_note": _of_a_case(_CASE, "list_notes"),
    "renew_keys": _of_a_case(_CASE, "view_case"),
    "close_case": _of_a_case(_CASE, "reopen_case"),
    "reopen_case": _of_a_case(_CASE, "view_case", "close_case"),
    "record_follow_up": (
        Link("view_versions", {"follow_up_id": _ID}),
        Link("correct_follow_up", {"follow_up_id": _ID, "If-Match": _MATCHING}),
    ),
    "list_follow_ups": (
        Link(
            "correct_follow_up",
            {"follow_up_id": _FIRST, "If-Match": '"{$response.body#/items/0/version}"'},
        ),
    ),
    "correct_follow_up": (
        Link("view_versions", {"follow_up_id": _ID}),
        Link("correct_follow_up", {"follow_up_id": _ID, "If-Match": _MATCHING}),
    ),
    "search_cases": _of_a_case("$response.body#/items/0/case_id", "view_case", "list_follow_ups"),
    "save_draft": (
        Link("view_draft", {"draft_id": _ID}),
        Link("delete_draft", {"draft_id": _ID}),
    ),
    "view_draft": (
        Link(
            "save_draft",
            {"draft_id": _ID, "If-Match": _MATCHING},
            {"case_id": "$response.body#/case_id", "content": "$response.body#/content"},
        ),
    ),
    "list_drafts": (Link("view_draft", {"draft_id": _FIRST}),),
    "draft_handoff": (
        Link("review_draft", {"handoff_id": _ID}),
        Link("give_consent", {"handoff_id": _ID}, {"content_digest": "$response.body#/content_digest"}),
        Link("cancel", {"handoff_id": _ID}),
    ),
    "give_consent": (
        *_of_a_handoff(_HANDOFF, "send", "cancel"),
        Link("withdraw", {"consent_id": "$response.body#/consent_id"}),
    ),
    "send": (
        *_of_a_handoff(_HANDOFF, "acknowledge", "ask", "accept", "refuse", "cancel"),
        Link("read_proof", {"entry_id": _ENTRY}),
    ),
    "accept": (
        *_of_a_case("$response.body#/case_id", "view_case", "list_follow_ups", "record_follow_up"),
        *_of_a_handoff(_HANDOFF, "report_outcome"),
        Link("read_proof", {"entry_id": _ENTRY}),
    ),
    "report_outcome": _of_a_handoff(_HANDOFF, "report_outcome"),
    "prepare_erasure": _of_a_request(_ID, "view_request", "approve_erasure", "refuse_erasure"),
    "list_requests": _of_a_request(_FIRST, "view_request", "view_certificate"),
    "approve_erasure": _of_a_request(_ID, "view_request", "view_certificate"),
    "refuse_erasure": _of_a_request(_ID, "view_request"),
    "read_entries": (Link("read_proof", {"entry_id": _FIRST}),),
    "list_unexplained": _of_a_finding(),
    "list_findings": _of_a_finding(),
    "record_review": (Link("list_reviews", {"entry": "$response.body#/entry"}),),
}


def links_of(operation: str) -> dict[str, Any]:
    """The links of an operation's successful answer, each under the name of where it leads."""
    return {link.to: link.described() for link in LINKS.get(operation, ())}
