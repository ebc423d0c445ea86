"""The person's own ledger: when, in which role and for what purpose her file was read, changed or handed over.

GDPR art. 15; roles and dates, never names. It is made for whoever answers her request, and handed over in person.
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Final
from uuid import UUID

import typst
from msgspec import Struct

from audit.entry import Entry, Outcome
from audit.log import Filters, entries
from casework.access import Access
from casework.act import Act, refusal
from casework.audit_review.sentences import did_to_her, purpose_in_words, role_in_words
from casework.errors import NotFound
from casework.journal import Deed, Touched
from casework.organisations.founding import organisation_name
from casework.organisations.periods import journal_months
from policies.engine import Decision
from policies.vocabulary import Action

ACTION: Final = "case.ledger"
WARNING: Final = (
    "Attention : ce relevé montre que vous êtes suivie ici. Si quelqu’un qui vous fait peur peut le trouver chez "
    "vous, dans votre sac ou dans votre téléphone, ne l’emportez pas : lisez-le sur place, ou demandez que "
    "l’association le garde pour vous."
)
# No case has as many; one statement reads them.
_ALL: Final = 1_000_000


class LedgerLine(Struct, frozen=True):
    """What one role did on one day for one purpose, and how many times."""

    day: date
    role: str
    what: str
    purpose: str | None
    times: int


class Ledger(Struct, frozen=True):
    """The ledger, newest day first. `warning` is to be read to her before she takes anything along."""

    case_id: UUID
    organisation: str
    made_at: datetime
    kept_months: int
    warning: str
    lines: list[LedgerLine]


def make_ledger(act: Act, case_id: UUID) -> Ledger:
    """Put the ledger of a case together, and journal that.

    For whoever may prepare the copy of the file, or approve it: with a step-up, for a rights request.

    Raises:
        NotFound: absent, or not hers to know of.
        Forbidden: she may know of it, and may not do this.

    """
    decision = _decide(act, case_id)
    (person,) = Access(act).pseudonyms_of([case_id])
    found = entries(
        act.unit.connection,
        act.org_id.bytes,
        Filters(subjects=frozenset({person}), outcome=Outcome.ALLOWED),
        limit=_ALL,
    )
    act.unit.touched()
    act.record(Deed(ACTION, touched=(Touched(person),), policies=decision.policies, count=len(found.entries)))
    return Ledger(
        case_id=case_id,
        organisation=organisation_name(act.unit.connection, act.org_id),
        made_at=act.unit.now,
        kept_months=journal_months(act.unit.connection, act.org_id),
        warning=WARNING,
        lines=_lines(one.entry for one in found.entries),
    )


def to_pdf(ledger: Ledger) -> bytes:
    """The ledger as tagged PDF (PDF/UA-1), the warning first. It holds no number of the case."""
    page = {
        "title": "Relevé des consultations de votre dossier",
        "warning": ledger.warning,
        "facts": [
            f"Association : {ledger.organisation}",
            f"Établi le {_day(ledger.made_at.astimezone().date())}",
            f"Le journal est conservé {ledger.kept_months} mois : ce qui est plus ancien n’y est plus.",
            "Ce relevé dit le rôle des personnes, jamais leur nom. Vous pouvez demander la rectification ou"
            " l’effacement de vos données, et saisir la CNIL (www.cnil.fr).",
        ],
        "heading": "Qui a lu, modifié ou transmis vos données",
        "nothing": "Rien n’est inscrit au journal.",
        "columns": ["Jour", "Rôle", "Ce qui a été fait", "Finalité"],
        "lines": [
            [
                _day(line.day),
                line.role,
                line.what + (f" ({line.times} fois)" if line.times > 1 else ""),
                line.purpose or "–",
            ]
            for line in ledger.lines
        ],
    }
    template = (files(__package__) / "ledger.typ").read_bytes()
    return bytes(
        typst.compile(
            template,
            format="pdf",
            sys_inputs={"page": json.dumps(page)},
            pdf_standards="ua-1",
            ignore_system_fonts=True,
            timestamp=ledger.made_at.replace(microsecond=0),
        )
    )


def _decide(act: Act, case_id: UUID) -> Decision:
    facts = Access(act).facts_of(case_id)
    if facts is None:
        raise NotFound(ACTION, reason="not_found", tried={"case": str(case_id)})
    # That it is for her request is the reason: the purpose says so.
    wanted = (Action.CASE_EXPORT_PREPARE, Action.CASE_EXPORT_APPROVE)
    decisions = [act.decide_case(action, facts, reason=True) for action in wanted]
    allowed = next((decision for decision in decisions if decision.allowed), None)
    if allowed is not None:
        return allowed
    # With a step-up she might: that is told to whoever may know of the case.
    denied = next((decision for decision in decisions if decision.advice), decisions[0])
    if denied.advice or act.decide_case(Action.CASE_LIST, facts).allowed:
        raise refusal(wanted[decisions.index(denied)], denied, hidden=False, tried={"case": str(case_id)})
    raise NotFound(ACTION, reason="not_found", tried={"case": str(case_id)})


def _lines(found: Iterable[Entry]) -> list[LedgerLine]:
    """One line for what the same role did on the same day, as the server's clock has it, for the same purpose."""
    counted: Counter[tuple[date, str, str, str | None]] = Counter()
    for entry in found:
        act = did_to_her(entry)
        if act is None or entry.role is None:
            continue
        day = datetime.fromtimestamp(entry.time / 1_000_000, UTC).astimezone().date()
        purpose = purpose_in_words(entry.purpose) if entry.purpose is not None else None
        counted[day, role_in_words(entry.role), act, purpose] += 1
    lines = [LedgerLine(*key, times) for key, times in counted.items()]
    return sorted(lines, key=lambda line: (-line.day.toordinal(), line.role, line.what, line.purpose or ""))


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"
