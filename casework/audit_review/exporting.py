"""The journal for another program: decided and journaled first, then written from one consistent view."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from audit.log import Filters, count_entries, entries
from casework.act import Act
from casework.audit_review.formats import Format, render
from casework.audit_review.service import Search, filters_of, tried
from casework.errors import AuthenticationStepNeeded, Conflict
from casework.journal import Deed
from casework.organisations.founding import organisation_name
from policies.vocabulary import Action, Advice

# What one file may hold: some 20 MB, put together in memory.
MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be exported: the entries that match below the index `below`."""

    org_id: UUID
    slug: str
    name: str
    filters: Filters
    below: int


def record_export(act: Act, search: Search) -> Chosen:
    """Decide and journal the export of what matches. It asks for a step-up, whatever the policies say of reading.

    Raises:
        AuthenticationStepNeeded: her password was not confirmed in the last five minutes.
        Conflict: more entries match than one file holds.

    """
    decision = act.require_org(Action.JOURNAL_READ)
    if not act.context.step_up:
        raise AuthenticationStepNeeded(
            Action.JOURNAL_READ, reason="step_up", extra={"advice": [Advice.STEP_UP]}
        )
    filters = filters_of(act, search)
    connection = act.unit.connection
    count, below = count_entries(connection, act.org_id.bytes, filters, most=MOST + 1)
    if count > MOST:
        raise Conflict("too_many_entries", f"Plus de {MOST} écritures : resserrez la période ou les filtres.")
    act.record(Deed("journal.export", policies=decision.policies, count=count, detail=tried(search)))
    return Chosen(act.org_id, act.identity.slug, organisation_name(connection, act.org_id), filters, below)


def write_export(view: Connection, chosen: Chosen, found: Format) -> bytes:
    """The file, oldest entry first."""
    page = entries(view, chosen.org_id.bytes, chosen.filters, cursor=chosen.below, limit=MOST)
    return render(found, reversed(page.entries), chosen.slug, chosen.name)
