"""The certificate of an erasure, in words. It names roles, dates and numbers, and nobody."""

from collections.abc import Mapping
from datetime import datetime
from textwrap import fill
from typing import Final

from casework.rights.schemas import Certificate, Destroyed
from casework.rights.states import Basis
from policies.labels import GROUPS, ROLES
from policies.vocabulary import Group, Role

BASES: Final[Mapping[Basis, str]] = {
    Basis.NOT_NEEDED: "les données ne sont plus nécessaires (RGPD, art. 17 § 1 a)",
    Basis.CONSENT_WITHDRAWN: "l’accord est retiré (RGPD, art. 17 § 1 b)",
    Basis.OBJECTION: "la personne s’y oppose (RGPD, art. 17 § 1 c)",
    Basis.UNLAWFUL: "le traitement n’était pas licite (RGPD, art. 17 § 1 d)",
    Basis.LEGAL_DUTY: "une obligation légale l’impose (RGPD, art. 17 § 1 e)",
    Basis.RETENTION_OVER: "la durée de conservation est écoulée (RGPD, art. 5 § 1 e)",
}
WHAT_STAYS: Final[Mapping[str, str]] = {
    "copies_handed_over": (
        "Ce qui a été transmis à une autre association avec votre accord, et qu’elle a ouvert, est chez elle : "
        "votre demande d’effacement se fait auprès d’elle."
    ),
    "journal": (
        "Le journal des accès garde qui a fait quoi et quand, sous un pseudonyme. Dans la base, plus rien ne le "
        "rattache à vous. Une sauvegarde plus ancienne de la base le peut encore, par les heures et les numéros "
        "qu’elle garde, sans rien ouvrir de votre dossier : jusqu’à ce que la dernière soit effacée."
    ),
    "backups": (
        "Les sauvegardes de la base contiennent encore vos données, scellées. La moitié de leurs clés est "
        "détruite ; il n’en reste que des copies gardées trente jours au plus. Après cette date, plus rien ne les "
        "ouvre."
    ),
}
_COUNTED: Final[Mapping[str, str]] = {
    "groups": "rubriques scellées",
    "follow_ups": "suivis",
    "notes": "notes réservées",
    "drafts": "brouillons",
    "consents": "accords de transmission",
    "handoffs": "relais",
    "unopened_parts": "parties de relais que personne n’avait ouvertes",
    "assignments": "affectations",
    "halves": "moitiés de clés",
}
_WIDTH: Final = 78


def words(certificate: Certificate) -> str:
    """The certificate as a page of plain text, made to be handed over in person."""
    lines = [
        "CERTIFICAT D’EFFACEMENT",
        "",
        f"  Demande      : {certificate.request}",
        f"  Association  : {certificate.organisation}",
        f"  Fondement    : {BASES[certificate.basis]}",
        f"  Préparé par  : {ROLES[Role(certificate.prepared_by)]}, le {_day(certificate.prepared_at)}",
        f"  Approuvé par : {ROLES[Role(certificate.approved_by)]}, le {_day(certificate.approved_at)}",
        "",
        "Ont été détruits :",
        *(f"  {count:>5}  {_COUNTED[name]}" for name, count in _counts(certificate.destroyed)),
        "",
        _text("Rubriques : " + ", ".join(GROUPS[Group(group)] for group in certificate.groups) + "."),
        "",
        _text(f"L’effacement sera complet, sauvegardes comprises, le {_day(certificate.complete_after)}."),
        "",
        "Ce qui reste :",
        *(_text(f"- {sentence}") for sentence in certificate.what_stays.values()),
        "",
        _text(
            f"Ce certificat repose sur l’écriture {certificate.rests_on.entry} du journal "
            f"{certificate.rests_on.log}. Il ne nomme personne. Gardez-le : si la base devait être rétablie et le "
            "magasin d’effacement perdu, il permet de demander que l’effacement soit refait."
        ),
        "",
    ]
    return "\n".join(lines)


def _counts(destroyed: Destroyed) -> list[tuple[str, int]]:
    return [(name, getattr(destroyed, name)) for name in _COUNTED]


def _day(moment: datetime) -> str:
    return f"{moment:%d/%m/%Y}"


def _text(sentence: str) -> str:
    return fill(sentence, _WIDTH, break_long_words=False, break_on_hyphens=False)
