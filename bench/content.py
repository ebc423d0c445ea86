"""Fictional people and what is noted about them: the same for every contestant, from one seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

SEED = 63
GROUPS = ("identity", "contact", "intake", "safety", "social", "legal", "health", "family")
FOLLOW_UP_TYPE = "accompagnement_social"

_FIRST = (
    "Aïcha Amélie Anaïs Béatrice Camille Cécile Chloé Clémence Djamila Élise Élodie Émilie Estelle Fatima Fatou "
    "Françoise Gaëlle Hélène Inès Jeanne Joëlle Josiane Khadija Laetitia Léa Leïla Lucie Maëlle Manon Marguerite "
    "Mélanie Nadège Noémie Océane Pauline Raphaëlle Samira Solène Sylvie Thérèse Valérie Yasmine Zoé"
).split()
_FAMILY = (
    "Arnaud Aubert Barbier Belhadj Benoît Bérard Besson Blanchet Boucher Bréchet Chevalier Colin Cordier Delorme "
    "Deschamps Diallo Dupré Étienne Faure Ferrand Gaillard Gauthier Gérard Haddad Hébert Jacquet Joly Keïta "
    "Lefèvre Lemaître Mallet Maréchal Mercier Meunier Moulin Nguyen Ouedraogo Pécheux Perrier Poulain Rémy Renard "
    "Rivière Rousset Sauvage Séguin Tessier Traoré Vasseur Vidal Weber Zidane"
).split()
_WORDS = (
    "elle souhaite avancer calmement démarche logement école dossier préparé ensemble rendez-vous demandé "
    "préfecture attestation aide alimentaire ordonnance audience avocate enfants garde transport semaine prochaine "
    "téléphone accueil médecin fatigue sommeil budget compte bancaire emploi formation entretien hébergement "
    "association relais orientation accord plainte main courante droit séparation jugement pension mesure urgence"
).split()


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of one person: fields by group, and follow-ups as a client sends them."""

    name: str
    contents: dict[str, dict[str, Any]]
    follow_ups: tuple[dict[str, Any], ...]


def text(random: Random, words: int) -> str:
    return " ".join(random.choices(_WORDS, k=words)).capitalize() + "."


def day(random: Random, first_year: int, last_year: int) -> str:
    return f"{random.randint(first_year, last_year)}-{random.randint(1, 9):02}-{random.randint(1, 28):02}"


def follow_up(random: Random) -> dict[str, Any]:
    """A follow-up of about 900 characters; one of three has a legal part too."""
    content = {"social": text(random, 110)}
    if random.randrange(3) == 0:
        content["legal"] = text(random, 40)
    return {
        "type": FOLLOW_UP_TYPE,
        "occurred_at": f"{day(random, 2026, 2026)}T10:{random.randint(0, 59):02}:00Z",
        "channel": "on_site",
        "duration_minutes": 45,
        "content": content,
    }


def people(count: int, follow_ups: int) -> Iterator[Person]:
    """People with every group that a social worker reads, and so many follow-ups; 0 gives names alone."""
    random = Random(f"{SEED}/{count}/{follow_ups}")
    for _ in range(count):
        first, family = random.choice(_FIRST), f"{random.choice(_FAMILY)}-{random.choice(_FAMILY)}"
        contents: dict[str, dict[str, Any]] = {
            "identity": {
                "name_in_use": f"{first} {family}",
                "family_name": family,
                "birth_date": day(random, 1950, 2005),
            },
            "intake": {"public": "seeking"},
        }
        if follow_ups:
            contents |= {
                "contact": {"phone": f"06 39 98 {random.randint(10, 99)} {random.randint(10, 99)}"},
                "safety": {"summary": text(random, 30)},
                "social": {"summary": text(random, 90)},
                "legal": {"summary": text(random, 40)},
                "family": {"summary": text(random, 25)},
            }
        yield Person(f"{first} {family}", contents, tuple(follow_up(random) for _ in range(follow_ups)))
