"""Every route of the service and who may use it. A new one needs a line here, beside its own mark."""

from typing import Final

from policies.vocabulary import AMEND, READ, RECORD, Action

# Anyone: it shows and changes nothing of a person.
PUBLIC: Final = "public"
# Every member who is signed in: it shows her own things alone.
SIGNED_IN: Final = "signed_in"

_ANY_READING: Final = frozenset({Action.CASE_LIST, *READ.values()})
_ANY_RECORDING: Final = frozenset(RECORD.values())
_ANY_AMENDING: Final = frozenset(AMEND.values())

_LEDGER = frozenset({Action.CASE_EXPORT_PREPARE, Action.CASE_EXPORT_APPROVE})
ROUTES: Final[dict[tuple[str, str], str | frozenset[Action]]] = {
    ("POST", "/api/v1/sessions"): PUBLIC,
    ("POST", "/api/v1/sessions/current/second-factor"): PUBLIC,
    ("POST", "/api/v1/sessions/current/step-up"): SIGNED_IN,
    ("DELETE", "/api/v1/sessions/current"): SIGNED_IN,
    ("GET", "/api/v1/me"): SIGNED_IN,
    ("POST", "/api/v1/me/password"): SIGNED_IN,
    ("POST", "/api/v1/me/keys"): SIGNED_IN,
    ("GET", "/api/v1/me/words"): SIGNED_IN,
    ("PUT", "/api/v1/me/declaration"): SIGNED_IN,
    ("GET", "/api/v1/me/declaration"): SIGNED_IN,
    ("POST", "/api/v1/me/conflicts"): frozenset({Action.CASE_LIST}),
    ("GET", "/api/v1/me/conflicts"): SIGNED_IN,
    ("POST", "/api/v1/me/conflicts/{conflict_id:uuid}/withdrawal"): frozenset({Action.CASE_LIST}),
    ("POST", "/api/v1/renewals"): PUBLIC,
    ("GET", "/api/v1/members"): frozenset({Action.CASE_ASSIGN, Action.MEMBER_MANAGE}),
    ("POST", "/api/v1/members/{member_id:uuid}/unlocking"): frozenset({Action.MEMBER_MANAGE}),
    ("POST", "/api/v1/members/{member_id:uuid}/renewal"): frozenset({Action.MEMBER_MANAGE}),
    ("POST", "/api/v1/members/{member_id:uuid}/renewal/confirmation"): frozenset(
        {Action.MEMBER_MANAGE, Action.KEY_GRANT}
    ),
    ("POST", "/api/v1/members/{member_id:uuid}/grants"): frozenset({Action.KEY_GRANT}),
    ("PUT", "/api/v1/members/{member_id:uuid}/position"): frozenset({Action.MEMBER_MANAGE}),
    ("PUT", "/api/v1/members/{member_id:uuid}/leave"): frozenset({Action.MEMBER_MANAGE}),
    ("POST", "/api/v1/members/{member_id:uuid}/return"): frozenset({Action.MEMBER_MANAGE}),
    ("GET", "/api/v1/teams"): frozenset({Action.CASE_ASSIGN}),
    ("POST", "/api/v1/teams"): frozenset({Action.CASE_ASSIGN}),
    ("PUT", "/api/v1/teams/{team_id:uuid}"): frozenset({Action.CASE_ASSIGN}),
    ("POST", "/api/v1/teams/{team_id:uuid}/closure"): frozenset({Action.CASE_ASSIGN}),
    ("GET", "/api/v1/reassignments"): frozenset({Action.CASE_ASSIGN}),
    ("GET", "/api/v1/charter"): SIGNED_IN,
    ("POST", "/api/v1/charter"): frozenset({Action.MEMBER_MANAGE}),
    ("POST", "/api/v1/charter/acceptance"): SIGNED_IN,
    ("GET", "/api/v1/organisation/settings"): frozenset({Action.MEMBER_MANAGE}),
    ("PUT", "/api/v1/organisation/settings"): frozenset({Action.MEMBER_MANAGE}),
    ("GET", "/api/v1/compartments"): frozenset({Action.KEY_RECOVER}),
    ("POST", "/api/v1/cases"): frozenset({Action.CASE_CREATE}),
    ("GET", "/api/v1/cases"): frozenset({Action.CASE_LIST}),
    ("GET", "/api/v1/cases/{case_id:uuid}"): _ANY_READING,
    ("PATCH", "/api/v1/cases/{case_id:uuid}/groups/{group:str}"): _ANY_RECORDING,
    ("GET", "/api/v1/cases/{case_id:uuid}/assignments"): frozenset({Action.CASE_LIST}),
    ("POST", "/api/v1/reassignments"): frozenset({Action.CASE_ASSIGN}),
    ("PUT", "/api/v1/cases/{case_id:uuid}/assignments"): frozenset({Action.CASE_ASSIGN}),
    ("POST", "/api/v1/cases/{case_id:uuid}/restriction"): frozenset({Action.CASE_RESTRICT}),
    ("GET", "/api/v1/cases/{case_id:uuid}/restriction"): frozenset({Action.CASE_LIST}),
    ("PUT", "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}"): frozenset(
        {Action.CASE_ASSIGN}
    ),
    ("DELETE", "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}"): frozenset(
        {Action.CASE_ASSIGN}
    ),
    ("POST", "/api/v1/cases/{case_id:uuid}/restriction/lifting"): frozenset({Action.CASE_RESTRICT}),
    ("POST", "/api/v1/cases/{case_id:uuid}/notes"): _ANY_RECORDING,
    ("GET", "/api/v1/cases/{case_id:uuid}/notes"): _ANY_READING,
    ("POST", "/api/v1/cases/{case_id:uuid}/closure"): frozenset({Action.CASE_CLOSE}),
    ("POST", "/api/v1/cases/{case_id:uuid}/reopening"): frozenset({Action.CASE_REOPEN}),
    ("POST", "/api/v1/cases/{case_id:uuid}/keys"): frozenset({Action.CASE_RESTRICT}),
    ("POST", "/api/v1/cases/{case_id:uuid}/break-glass"): frozenset({Action.CASE_BREAK_GLASS}),
    ("POST", "/api/v1/cases/{case_id:uuid}/follow-ups"): _ANY_RECORDING,
    ("GET", "/api/v1/cases/{case_id:uuid}/follow-ups"): _ANY_READING,
    ("POST", "/api/v1/follow-ups/{follow_up_id:uuid}/corrections"): _ANY_AMENDING,
    ("GET", "/api/v1/follow-ups/{follow_up_id:uuid}/versions"): _ANY_READING,
    ("PUT", "/api/v1/drafts/{draft_id:uuid}"): _ANY_RECORDING | {Action.CASE_LIST},
    ("GET", "/api/v1/drafts"): frozenset({Action.CASE_LIST}),
    ("GET", "/api/v1/drafts/{draft_id:uuid}"): frozenset({Action.CASE_LIST}),
    ("DELETE", "/api/v1/drafts/{draft_id:uuid}"): frozenset({Action.CASE_LIST}),
    ("POST", "/api/v1/search"): frozenset({Action.CASE_SEARCH, Action.CASE_LIST}),
    ("POST", "/api/v1/cases/{case_id:uuid}/handoffs"): frozenset({Action.HANDOFF_DRAFT}),
    ("GET", "/api/v1/handoffs"): frozenset({Action.HANDOFF_READ}),
    ("GET", "/api/v1/handoffs/{handoff_id:uuid}/preview"): frozenset({Action.HANDOFF_DRAFT}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/consent"): frozenset({Action.CONSENT_RECORD}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/sending"): frozenset({Action.HANDOFF_SEND}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/acknowledgement"): frozenset({Action.HANDOFF_DECLINE}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/question"): frozenset({Action.HANDOFF_DECLINE}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/acceptance"): frozenset({Action.HANDOFF_ACCEPT}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/refusal"): frozenset({Action.HANDOFF_DECLINE}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/outcome"): frozenset({Action.HANDOFF_OUTCOME}),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/cancellation"): frozenset({Action.HANDOFF_CANCEL}),
    ("POST", "/api/v1/consents/{consent_id:uuid}/withdrawal"): frozenset({Action.CONSENT_WITHDRAW}),
    ("POST", "/api/v1/rights-requests"): frozenset({Action.CASE_ERASURE_PREPARE}),
    ("GET", "/api/v1/rights-requests"): frozenset({Action.ERASURE_READ}),
    ("GET", "/api/v1/rights-requests/{request_id:uuid}"): frozenset({Action.ERASURE_READ}),
    ("POST", "/api/v1/rights-requests/{request_id:uuid}/approval"): frozenset({Action.ERASURE_APPROVE}),
    ("POST", "/api/v1/rights-requests/{request_id:uuid}/refusal"): frozenset({Action.ERASURE_APPROVE}),
    ("GET", "/api/v1/rights-requests/{request_id:uuid}/certificate"): frozenset(
        {Action.ERASURE_READ, Action.JOURNAL_DETAIL}
    ),
    ("GET", "/api/v1/journal/entries"): frozenset({Action.JOURNAL_READ}),
    ("GET", "/api/v1/journal/unexplained"): frozenset({Action.JOURNAL_READ}),
    ("GET", "/api/v1/journal/findings"): frozenset({Action.JOURNAL_READ}),
    ("GET", "/api/v1/journal/coverage"): frozenset({Action.JOURNAL_READ}),
    ("GET", "/api/v1/journal/reviews"): frozenset({Action.JOURNAL_READ}),
    ("POST", "/api/v1/journal/reviews"): frozenset({Action.JOURNAL_REVIEW}),
    ("GET", "/api/v1/journal/checkpoint"): frozenset({Action.JOURNAL_VERIFY}),
    ("GET", "/api/v1/journal/entries/{entry_id:uuid}/proof"): frozenset({Action.JOURNAL_VERIFY}),
    ("GET", "/api/v1/journal/bundle"): frozenset({Action.JOURNAL_VERIFY, Action.JOURNAL_DETAIL}),
    ("GET", "/api/v1/journal/export"): frozenset({Action.JOURNAL_READ}),
    ("GET", "/api/v1/cases/{case_id:uuid}/ledger"): _LEDGER,
    ("GET", "/api/v1/cases/{case_id:uuid}/ledger.pdf"): _LEDGER,
    ("GET", "/static/{path:path}"): PUBLIC,
    ("GET", "/health/live"): PUBLIC,
    ("GET", "/health/ready"): PUBLIC,
}

# The framework's own, without a mark: the OpenAPI document, the page that shows it, and what is not found there.
UNMARKED: Final = {("GET", "/api"), ("GET", "/api/openapi.json"), ("GET", "/api/{path:str}")}
