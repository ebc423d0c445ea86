"""What each kind of alert says, in French: what happened, and what to do. No name, no organisation, no content."""

from collections.abc import Mapping
from dataclasses import dataclass

from casework.alerts import AlertKind


@dataclass(frozen=True, slots=True)
class Words:
    """`title` is a mail's subject behind the deployment's name."""

    title: str
    sentence: str
    advice: str


_ADVICE_JOURNAL = (
    "Ne redémarrez rien et n’effacez rien. Comparez le journal avec un point de contrôle gardé ailleurs"
    " (« casework audit verify --database … --trusted … »)."
)
_ADVICE_REVIEW = "Ouvrez la revue du journal."

WORDS: Mapping[AlertKind, Words] = {
    AlertKind.JOURNAL_REFUSED: Words(
        "Le journal n’est plus celui qui a été publié",
        "Le journal de la base contredit le dernier point de contrôle publié : il n’est plus signé.",
        _ADVICE_JOURNAL,
    ),
    AlertKind.ENTRY_REMOVED: Words(
        "Une écriture du journal a disparu",
        "Une écriture validée a disparu avant d’être intégrée au journal : le service ne répond plus.",
        _ADVICE_JOURNAL,
    ),
    AlertKind.ENTRY_ALTERED: Words(
        "Une écriture du journal a été changée",
        "Une écriture validée n’est plus celle qui avait été écrite : le service ne répond plus.",
        _ADVICE_JOURNAL,
    ),
    AlertKind.CHECKPOINT_STALE: Words(
        "Le journal n’est plus intégré",
        "Des écritures attendent depuis plus de trente secondes le point de contrôle qui les couvre.",
        "Voyez dans les logs du service ce qui retient l’intégrateur.",
    ),
    AlertKind.WITNESS_CONTRADICTS: Words(
        "Un témoin a vu un autre journal",
        "Le témoin d’un partenaire refuse le récapitulatif des journaux : il en a signé une autre histoire.",
        _ADVICE_JOURNAL,
    ),
    AlertKind.CLOCK_STEPPED: Words(
        "L’horloge du serveur a été déplacée",
        "L’horloge a sauté de plus de cinq secondes : les heures du journal en dépendent.",
        "Vérifiez la synchronisation de l’heure et qui a pu la régler.",
    ),
    AlertKind.DURABILITY_LOST: Words(
        "La base ne garde plus ce qu’elle confirme",
        "Un réglage sans lequel une écriture confirmée peut se perdre, ou un déclencheur du journal, a été changé.",
        "Lancez « casework doctor » et « casework check », et remettez ce qu’ils nomment.",
    ),
    AlertKind.RESTORED: Words(
        "Une sauvegarde a été remise en place",
        "La base a été restaurée : des écritures du journal peuvent manquer.",
        "Si personne n’a annoncé cette restauration, comparez le journal avec un point de contrôle gardé ailleurs.",
    ),
    AlertKind.SEALED_DATA_DAMAGED: Words(
        "Une donnée protégée est abîmée",
        "Une donnée protégée ne s’ouvre pas à sa place : abîmée, déplacée ou privée d’une moitié de sa clé.",
        "Lancez « casework check », et cherchez qui a pu écrire dans la base.",
    ),
    AlertKind.ERASURE_FORGED: Words(
        "Un effacement que personne n’a décidé",
        "Une demande d’effacement de la base ne porte pas la preuve du service : rien n’a été effacé d’après elle.",
        "Cherchez qui a pu écrire dans la base.",
    ),
    AlertKind.ERASURE_ALTERED: Words(
        "Une demande d’effacement a été changée",
        "Une demande d’effacement n’est plus celle qui a été préparée : elle ne peut pas être approuvée.",
        "Cherchez qui a pu écrire dans la base.",
    ),
    AlertKind.HONEYTOKEN_OPENED: Words(
        "Un dossier que personne n’a de raison d’ouvrir a été ouvert",
        "Un dossier placé pour cela a été ouvert ou modifié.",
        "Ouvrez la revue du journal et cherchez « honeytoken.opened ».",
    ),
    AlertKind.BULK_READING: Words(
        "Beaucoup de dossiers ouverts en une heure",
        "Un membre a ouvert en une heure bien plus de dossiers qu’une journée de travail n’en demande.",
        _ADVICE_REVIEW,
    ),
    AlertKind.DENIAL_RUN: Words(
        "Une suite de refus",
        "Un membre s’est vu refuser de nombreuses demandes en une heure.",
        _ADVICE_REVIEW,
    ),
    AlertKind.EMERGENCY_UNREVIEWED: Words(
        "Un accès d’urgence attend sa revue",
        "Un accès d’urgence n’a pas été revu dans les trois jours.",
        _ADVICE_REVIEW,
    ),
    AlertKind.MASS_AUDITING: Words(
        "Une lecture massive du journal",
        "Un membre a lu ou emporté en une heure une très grande part du journal.",
        _ADVICE_REVIEW,
    ),
    AlertKind.POLICY_NOT_LOADED: Words(
        "Des règles approuvées ne sont pas en vigueur",
        "Les règles que deux membres ont approuvées ne se chargent pas : leur texte manque, a été changé ou n’est"
        " plus admis. Celles d’avant restent ; après un redémarrage, les règles communes seules.",
        "Lancez « casework doctor », et cherchez qui a pu écrire dans la base.",
    ),
    AlertKind.FLOOR_NOT_RAISED: Words(
        "L’annuaire des clés n’a pas pu être mémorisé",
        "Le dernier état de l’annuaire des clés n’a pas pu être écrit hors de la base.",
        "Vérifiez la place et les droits du dossier d’état.",
    ),
    AlertKind.TEST: Words(
        "Essai des alertes",
        "Quelqu’un qui administre le service essaie si les alertes arrivent.",
        "Rien d’autre à faire.",
    ),
}
