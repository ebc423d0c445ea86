"""The organisations of the tests, and a working day's requests."""

from dataclasses import replace
from functools import cache

from policies.engine import Engine
from policies.facts import Asker, ConsentFacts, Context, HandoffFacts
from policies.vocabulary import Group, Profession, Purpose, Role, Stage

ORGS = ("avec", "cidff", "planning", "med")

WORKING_DAY = Context(
    mfa=True,
    step_up=False,
    reason=False,
    device=True,
    hours=True,
    self_target=False,
    purpose=Purpose.SUPPORT,
)
# Everything that a request can satisfy is satisfied.
AT_BEST = replace(WORKING_DAY, step_up=True, reason=True)
# Off hours, on her own telephone, no password again, no reason: only the second factor is there.
AT_WORST = replace(WORKING_DAY, device=False, hours=False, self_target=True)

MEMBERS = (
    (Role.RECEPTION, frozenset[Profession]()),
    *((Role.WORKER, frozenset({profession})) for profession in Profession),
    (Role.WORKER, frozenset[Profession]()),
    (Role.SUPERVISOR, frozenset[Profession]()),
    (Role.CUSTODIAN, frozenset[Profession]()),
    (Role.AUDITOR, frozenset[Profession]()),
    (Role.DPO, frozenset[Profession]()),
)


@cache
def engine_of(org: str) -> Engine:
    """The engine of an organisation's committed files; its memo is shared by the tests."""
    return Engine.load(org, ORGS)


def member(org: str, role: Role, *professions: Profession, active: bool = True) -> Asker:
    return Asker(org=org, role=role, professions=frozenset(professions), active=active)


def handoff(
    stage: Stage,
    *,
    from_: str = "avec",
    to: str = "cidff",
    groups: frozenset[Group] = frozenset({Group.IDENTITY, Group.CONTACT, Group.INTAKE}),
    mine: bool = False,
) -> HandoffFacts:
    """A handoff, at a stage, with a live consent to exactly it."""
    consent = ConsentFacts(live=True, same_content=True, to=to, groups=groups)
    return HandoffFacts(
        from_=from_, to=to, groups=groups, stage=stage, mine=mine, conflict=False, consent=consent
    )
