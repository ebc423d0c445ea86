"""`/api/v1/journal`. Those of other organisations are auditors here: each reads one journal, her own."""

from collections.abc import Callable

from tests.casework.centre import CANARY
from tests.journeys.matrix.actors import Actor, Things
from tests.journeys.matrix.cells import (
    ANONYMOUS,
    Call,
    LikeAssigned,
    Row,
    allowed,
    each,
    forbidden,
    hidden,
    withdrawn,
)

_AUDITORS = {Actor.FOREIGN: "planning.auditor", Actor.PARTNER: "cidff.auditor"}
_NO_MATTER = LikeAssigned("who reads a journal is no matter of a consent")
_STAFF = (Actor.UNASSIGNED, Actor.RECEPTION, Actor.SUPERVISOR, Actor.CUSTODIAN)
_NO_NAME = "a checkpoint and a proof are hashes: they say nothing of anybody"


def _entries(at: Things) -> Call:
    return Call("/api/v1/journal/entries", params={"case": at.case})


# The ledger is for a rights request; to the officer, who opens no case, it is part of answering one.
_FOR_HER = {"Casework-Purpose": "rights_request"}
_LEDGER = {
    **ANONYMOUS,
    Actor.RECEPTION: forbidden("case.export_prepare"),
    Actor.DPO: allowed("case.ledger"),
    **each(
        hidden("case.ledger"), Actor.UNASSIGNED, Actor.AUDITOR, Actor.CUSTODIAN, Actor.FOREIGN, Actor.PARTNER
    ),
    Actor.SUPERVISOR: forbidden("case.export_prepare"),
    **each(allowed("case.ledger"), Actor.WITHDRAWN_SENDER, Actor.WITHDRAWN_UNOPENED, Actor.WITHDRAWN_OPENED),
    Actor.ASSIGNED: allowed("case.ledger"),
}


def _ledger(ending: str) -> Callable[[Things], Call]:
    return lambda at: Call(f"/api/v1/cases/{at.case}/ledger{ending}", headers=_FOR_HER)


def _proof(at: Things) -> Call:
    return Call(f"/api/v1/journal/entries/{at.entry}/proof")


def _review(at: Things) -> Call:
    body = {"entry": at.entry, "outcome": "justified", "note": f"{CANARY}-{at.tag}-review"}
    return Call("/api/v1/journal/reviews", body)


ROWS = (
    Row(
        "GET",
        "/api/v1/journal/entries",
        _entries,
        {
            **ANONYMOUS,
            **each(forbidden("journal.read"), *_STAFF),
            # The details are sealed to them: why a follow-up was corrected, and nothing of its texts.
            **each(allowed("journal.read", sees=("target: reason",)), Actor.AUDITOR, Actor.DPO),
            # Her own journal knows nothing of a case that is not her organisation's.
            **each(allowed("journal.read", fields="items next"), Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.read"),
        },
        fields=(
            "items next items.index items.id items.time items.action items.outcome items.sentence items.grounds"
            " items.entry items.detail items.relations"
        ),
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/unexplained",
        lambda _: Call("/api/v1/journal/unexplained"),
        {
            **ANONYMOUS,
            **each(forbidden("journal.read"), *_STAFF),
            # In the story everything is explained.
            **each(allowed("journal.read"), Actor.AUDITOR, Actor.DPO, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.read"),
        },
        fields="items next count",
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/findings",
        lambda _: Call("/api/v1/journal/findings", params={"kind": "emergencies"}),
        {
            **ANONYMOUS,
            **each(forbidden("journal.read"), *_STAFF),
            **each(allowed("journal.read"), Actor.AUDITOR, Actor.DPO, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.read"),
        },
        fields="items next count",
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/coverage",
        lambda _: Call("/api/v1/journal/coverage"),
        {
            **ANONYMOUS,
            **each(forbidden("journal.read"), *_STAFF),
            **each(allowed("journal.read"), Actor.AUDITOR, Actor.DPO, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.read"),
        },
        fields="items items.kind items.found items.reviewed items.overdue",
        cast=_AUDITORS,
    ),
    Row(
        "POST",
        "/api/v1/journal/reviews",
        _review,
        {
            **ANONYMOUS,
            **each(forbidden("journal.review"), *_STAFF),
            **each(allowed("journal.review", status=201, sees=("target: review",)), Actor.AUDITOR, Actor.DPO),
            # An entry of another organisation's log is as absent to her as one that there is none of.
            **each(hidden("journal.review"), Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.review"),
        },
        fields="id entry outcome reviewed_by reviewed_at note",
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/reviews",
        lambda _: Call("/api/v1/journal/reviews"),
        {
            **ANONYMOUS,
            **each(forbidden("journal.read"), *_STAFF),
            **each(allowed("journal.read"), Actor.AUDITOR, Actor.DPO, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.read"),
        },
        fields="items next",
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/checkpoint",
        lambda _: Call("/api/v1/journal/checkpoint"),
        {
            **ANONYMOUS,
            **each(forbidden("journal.verify"), *_STAFF),
            **each(allowed(because=_NO_NAME), Actor.AUDITOR, Actor.DPO, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.verify"),
        },
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/entries/{entry_id:uuid}/proof",
        _proof,
        {
            **ANONYMOUS,
            **each(forbidden("journal.verify"), *_STAFF),
            **each(allowed(because=_NO_NAME), Actor.AUDITOR, Actor.DPO),
            **each(hidden("journal.proof"), Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.verify"),
        },
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/bundle",
        lambda _: Call("/api/v1/journal/bundle"),
        {
            **ANONYMOUS,
            **each(forbidden("journal.verify"), *_STAFF),
            **each(allowed("journal.export"), Actor.AUDITOR, Actor.DPO, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.verify"),
        },
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/journal/export",
        lambda at: Call("/api/v1/journal/export", params={"format": "csv", "case": at.case}),
        {
            **ANONYMOUS,
            **each(forbidden("journal.read"), *_STAFF),
            **each(allowed("journal.export"), Actor.AUDITOR, Actor.DPO, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("journal.read"),
        },
        cast=_AUDITORS,
    ),
    Row(
        "GET",
        "/api/v1/cases/{case_id:uuid}/ledger",
        _ledger(""),
        _LEDGER,
        # Nothing is integrated here: what its lines are of stands in the tests of the ledger.
        fields="case_id organisation made_at kept_months warning lines",
    ),
    Row("GET", "/api/v1/cases/{case_id:uuid}/ledger.pdf", _ledger(".pdf"), _LEDGER),
)
