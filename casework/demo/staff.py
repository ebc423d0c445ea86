"""The four organisations of the demo and who works there: logins are `<slug>.<name>`."""

from dataclasses import dataclass

from casework.identity.members import Position, SecrecyBasis
from policies.vocabulary import Profession, Role


@dataclass(frozen=True, slots=True)
class Colleague:
    """One account: its name in the organisation, and its one position."""

    name: str
    position: Position

    @property
    def secrecy_basis(self) -> SecrecyBasis:
        """Made up, as she is: whose profession is bound by law, and who is bound by what she does here."""
        bound = {Profession.HEALTH, Profession.SOCIAL, Profession.PSYCHOLOGIST}
        return SecrecyBasis.PROFESSION if self.position.professions & bound else SecrecyBasis.MISSION


@dataclass(frozen=True, slots=True)
class House:
    """An organisation: its staff, and its teams by name with the colleagues in each."""

    slug: str
    name: str
    staff: tuple[Colleague, ...]
    teams: dict[str, tuple[str, ...]]

    def team_of(self, colleague: str) -> str | None:
        return next((team for team, members in self.teams.items() if colleague in members), None)


def _worker(profession: Profession, number: int = 1) -> Colleague:
    name = str(profession) if number == 1 else f"{profession}-{number}"
    return Colleague(name, Position(Role.WORKER, frozenset({profession})))


def _holder(role: Role, number: int = 1) -> Colleague:
    return Colleague(str(role) if number == 1 else f"{role}-{number}", Position(role))


_OFFICE = (
    _holder(Role.SUPERVISOR),
    _holder(Role.RECEPTION),
    _holder(Role.AUDITOR),
    _holder(Role.CUSTODIAN),
    _holder(Role.DPO),
)

# Every compartment that the policies give to anyone has two holders: a key with one holder is half lost.
HOUSES = (
    House(
        "avec",
        "AVEC France-Victimes 63",
        (
            _worker(Profession.SOCIAL),
            _worker(Profession.SOCIAL, 2),
            _worker(Profession.JURIST),
            _worker(Profession.PSYCHOLOGIST),
            _worker(Profession.PSYCHOLOGIST, 2),
            *_OFFICE,
        ),
        {
            "Accompagnement": ("social", "social-2", "jurist"),
            "Psychologues": ("psychologist", "psychologist-2"),
        },
    ),
    House(
        "cidff",
        "CIDFF 63",
        (
            _worker(Profession.JURIST),
            _worker(Profession.JURIST, 2),
            _worker(Profession.SOCIAL),
            _worker(Profession.SOCIAL, 2),
            *_OFFICE,
        ),
        {"Juristes": ("jurist", "jurist-2"), "Emploi et insertion": ("social", "social-2")},
    ),
    House(
        "planning",
        "Planning Familial 63",
        (
            _worker(Profession.HEALTH),
            _worker(Profession.HEALTH, 2),
            _worker(Profession.SOCIAL),
            _worker(Profession.SOCIAL, 2),
            *_OFFICE,
        ),
        {"Soins": ("health", "health-2"), "Conseil": ("social", "social-2")},
    ),
    House(
        "med",
        "Mission Égalité des Droits",
        (_holder(Role.RECEPTION, 2), *_OFFICE),
        {"Accueil commun": ("reception", "reception-2")},
    ),
)
SLUGS = tuple(house.slug for house in HOUSES)
BY_SLUG = {house.slug: house for house in HOUSES}
