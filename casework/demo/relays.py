"""The relays of the demo: each of another kind or in another state, so that every box has something in it."""

from dataclasses import dataclass
from enum import StrEnum

from casework.handoffs.schemas import Kind, NextStep, RefusalReason, Urgency
from policies.vocabulary import Group, Purpose


class Ending(StrEnum):
    """How far a relay has come."""

    DRAFTED = "drafted"
    CONSENTED = "consented"
    SENT = "sent"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Who sends what to whom. `answers` is the login that accepts or declines, `keeps` the one it is given to."""

    sender: str
    to: str
    service: str
    ending: Ending
    groups: tuple[Group, ...]
    kind: Kind = Kind.ORIENTATION
    purpose: Purpose = Purpose.SUPPORT
    urgency: Urgency = Urgency.NORMAL
    answers: str | None = None
    keeps: str | None = None
    refusal: tuple[RefusalReason, NextStep] = (RefusalReason.NO_CAPACITY, NextStep.TRY_LATER)


_WHO = (Group.IDENTITY, Group.CONTACT)
_DESK = (*_WHO, Group.INTAKE)

RELAYS = (
    Relay(
        sender="avec.social",
        to="cidff",
        service="acces_au_droit",
        kind=Kind.TRANSFER,
        purpose=Purpose.LEGAL_ADVICE,
        groups=(*_WHO, Group.SOCIAL, Group.LEGAL),
        ending=Ending.ACCEPTED,
        answers="cidff.jurist",
        keeps="cidff.jurist",
    ),
    Relay(
        sender="avec.social", to="cidff", service="emploi", groups=(*_WHO, Group.SOCIAL), ending=Ending.SENT
    ),
    Relay(sender="avec.social-2", to="planning", service="consultation", groups=_DESK, ending=Ending.DRAFTED),
    Relay(
        sender="avec.jurist",
        to="cidff",
        service="acces_au_droit",
        purpose=Purpose.LEGAL_ADVICE,
        groups=(*_WHO, Group.LEGAL),
        ending=Ending.SCHEDULED,
        answers="cidff.jurist-2",
        keeps="cidff.jurist-2",
    ),
    Relay(
        sender="avec.psychologist",
        to="planning",
        service="entretien_de_conseil",
        groups=_DESK,
        urgency=Urgency.SOON,
        ending=Ending.SENT,
    ),
    Relay(
        sender="cidff.jurist",
        to="avec",
        service="accompagnement_social",
        urgency=Urgency.DANGER,
        groups=_DESK,
        ending=Ending.SENT,
    ),
    Relay(
        sender="cidff.jurist-2",
        to="avec",
        service="accompagnement_social",
        kind=Kind.TRANSFER,
        groups=(*_DESK, Group.LEGAL),
        ending=Ending.ACCEPTED,
        answers="avec.supervisor",
        keeps="avec.social",
    ),
    Relay(
        sender="cidff.social",
        to="planning",
        service="entretien_de_conseil",
        groups=_DESK,
        ending=Ending.DECLINED,
        answers="planning.supervisor",
    ),
    Relay(
        sender="cidff.social-2",
        to="avec",
        service="accueil_de_jour",
        groups=(*_WHO, Group.SOCIAL),
        ending=Ending.DRAFTED,
    ),
    Relay(
        sender="planning.social",
        to="avec",
        service="accompagnement_social",
        urgency=Urgency.SOON,
        groups=(*_DESK, Group.SOCIAL),
        ending=Ending.ACCEPTED,
        answers="avec.supervisor",
        keeps="avec.social-2",
    ),
    Relay(
        sender="planning.social-2",
        to="cidff",
        service="acces_au_droit",
        groups=_DESK,
        ending=Ending.CANCELLED,
    ),
    Relay(
        sender="planning.health",
        to="avec",
        service="suivi_psychologique",
        purpose=Purpose.CARE,
        groups=_DESK,
        ending=Ending.CONSENTED,
    ),
    Relay(sender="med.reception", to="avec", service="accueil_de_jour", groups=_DESK, ending=Ending.SENT),
    Relay(
        sender="med.reception-2",
        to="cidff",
        service="acces_au_droit",
        groups=_DESK,
        ending=Ending.ACCEPTED,
        answers="cidff.jurist",
        keeps="cidff.jurist",
    ),
    Relay(
        sender="med.reception",
        to="planning",
        service="consultation",
        groups=_DESK,
        ending=Ending.DECLINED,
        answers="planning.supervisor",
        refusal=(RefusalReason.OUT_OF_SCOPE, NextStep.TRY_ANOTHER_SERVICE),
    ),
    Relay(sender="med.reception-2", to="cidff", service="numerique", groups=_DESK, ending=Ending.WITHDRAWN),
)
