"""What a decision depends on. Values only: ``casework/facts.py`` says how each is read from its tables."""

from dataclasses import dataclass, field
from typing import ClassVar, Self

from policies.vocabulary import ChangeKind, Fact, Group, Profession, Purpose, Role, Stage, Status

CASE_STATES = 96

_ROLE_NUMBER = {role: number for number, role in enumerate(Role)}
_PROFESSION_BIT = {profession: 1 << number for number, profession in enumerate(Profession)}
_PURPOSE_NUMBER = {purpose: number for number, purpose in enumerate(Purpose)}
_STATUS_NUMBER = {status: number for number, status in enumerate(Status)}
_STATUSES = tuple(Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A membership as the policies see it. ``bits`` numbers it within its organisation (0 to 191)."""

    org: str
    role: Role
    professions: frozenset[Profession]
    active: bool
    bits: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        professions = sum(_PROFESSION_BIT[profession] for profession in self.professions)
        object.__setattr__(self, "bits", (_ROLE_NUMBER[self.role] << 5) | (professions << 1) | self.active)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the request itself says; nothing has a default, so that nothing is favourable by omission.

    ``hours``: inside the organisation's opening hours. ``device``: a managed device or the centre's network.
    ``self_target``: the act is about the asker's own rights, or approves what she prepared.
    ``bits`` numbers it (0 to 383).
    """

    mfa: bool
    step_up: bool
    reason: bool
    device: bool
    hours: bool
    self_target: bool
    purpose: Purpose
    bits: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bits = (
            self.mfa
            | self.step_up << 1
            | self.reason << 2
            | self.device << 3
            | self.hours << 4
            | self.self_target << 5
            | _PURPOSE_NUMBER[self.purpose] << 6
        )
        object.__setattr__(self, "bits", bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """One of the 96 states a case can be in for the asker.

    ``bits`` packs it: mine 1, my_team 2, restricted 4, conflict 8, glass 16, status 32 × (open 0, closed 1,
    archived 2). A new case is judged with ``CaseFacts.of_a_new_case``.
    """

    mine: bool
    my_team: bool
    restricted: bool
    conflict: bool
    glass: bool
    status: Status
    bits: int = field(init=False, repr=False, compare=False)

    WEIGHTS: ClassVar[dict[Fact, int]] = {fact: 1 << number for number, fact in enumerate(Fact)}

    def __post_init__(self) -> None:
        bits = (
            self.mine
            | self.my_team << 1
            | self.restricted << 2
            | self.conflict << 3
            | self.glass << 4
            | _STATUS_NUMBER[self.status] << 5
        )
        object.__setattr__(self, "bits", bits)

    @classmethod
    def from_bits(cls, bits: int) -> Self:
        """Unpack ``bits``; a number outside 0 to 95 is a ``ValueError``."""
        if not 0 <= bits < CASE_STATES:
            raise ValueError(bits)
        return cls(
            mine=bool(bits & 1),
            my_team=bool(bits & 2),
            restricted=bool(bits & 4),
            conflict=bool(bits & 8),
            glass=bool(bits & 16),
            status=_STATUSES[bits >> 5],
        )

    @classmethod
    def of_a_new_case(cls) -> Self:
        """What ``case.create`` and the first records of a case are judged with: hers, open, nothing else."""
        return cls.from_bits(cls.WEIGHTS[Fact.MINE])

    @classmethod
    def of_an_ordinary_case(cls) -> Self:
        """An open case that the asker is in no way near: no fact holds."""
        return cls.from_bits(0)


ALL_CASE_FACTS: tuple[CaseFacts, ...] = tuple(CaseFacts.from_bits(bits) for bits in range(CASE_STATES))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFacts:
    """The consent given for a handoff, as seen now.

    ``live``: given, not expired, not withdrawn. ``same_content``: its digest is that of what is to be sent.
    """

    live: bool
    same_content: bool
    to: str
    groups: frozenset[Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffFacts:
    """A handoff for the asker; ``mine``: she is assigned to the case on her organisation's side of it.

    ``conflict``: the case is closed to her, by a conflict or because it is restricted and she is not named.
    """

    from_: str
    to: str
    groups: frozenset[Group]
    stage: Stage
    mine: bool
    conflict: bool
    consent: ConsentFacts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFacts:
    """A proposed change of the asker's organisation; ``mine``: she proposed it."""

    kind: ChangeKind
    mine: bool
