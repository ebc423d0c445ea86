"""A diff's changes as French sentences: « l’accueil GAGNE lire le contact hors poste géré »; and a replay's:
« 12 lectures de la santé par l’accueil seraient refusées hors poste géré ».
"""

from collections.abc import Iterator

from policies.diff import Change, Cube, KeyChange
from policies.labels import ACTIONS, GROUPS, PROFESSIONS, PURPOSES
from policies.replay import Drift, Replay, TurnedOver, Unreplayable
from policies.truth import OTHER_GROUP, PARTNER, SENT
from policies.vocabulary import (
    CHANGE_ACTIONS,
    Action,
    ChangeKind,
    Group,
    Profession,
    Purpose,
    Role,
    Stage,
    Status,
)

_ROLES = {
    Role.RECEPTION: "l’accueil",
    Role.WORKER: "l’intervenante",
    Role.SUPERVISOR: "l’encadrement",
    Role.CUSTODIAN: "la gestion des clés",
    Role.AUDITOR: "l’audit",
    Role.DPO: "le DPO",
}
_GROUPS = {
    Group.IDENTITY: "l’identité",
    Group.CONTACT: "le contact",
    Group.INTAKE: "la demande",
    Group.SAFETY: "le danger",
    Group.SOCIAL: "le social",
    Group.LEGAL: "le juridique",
    Group.HEALTH: "la santé",
    Group.FAMILY: "la famille",
}

# What is said where the variable holds, and where it does not.
_EITHER = {
    "mine": ("quand le dossier lui est affecté", "quand le dossier ne lui est pas affecté"),
    "my_team": ("dans son équipe", "hors de son équipe"),
    "restricted": ("sur un dossier restreint", "sur un dossier non restreint"),
    "conflict": ("malgré un conflit d’intérêts", "sans conflit d’intérêts"),
    "glass": ("en accès d’urgence", "hors accès d’urgence"),
    "mfa": ("avec la seconde authentification", "sans la seconde authentification"),
    "step_up": ("en se réidentifiant", "sans se réidentifier"),
    "reason": ("avec un motif", "sans motif"),
    "device": ("sur poste géré", "hors poste géré"),
    "hours": ("aux heures d’ouverture", "hors des heures d’ouverture"),
    "self_target": ("pour elle-même", "pour autrui"),
    SENT: ("pour un relais émis", "pour un relais reçu"),
    OTHER_GROUP: ("avec d’autres compartiments", "sans autre compartiment"),
    **{f"group:{group}": (f"avec {_GROUPS[group]}", f"sans {_GROUPS[group]}") for group in Group},
}
_PROPOSED = ("sur sa propre demande", "sur la demande d’une autre")
_STATUSES = {Status.OPEN: "ouvert", Status.CLOSED: "clos", Status.ARCHIVED: "archivé"}
_STAGES = {
    Stage.DRAFT: "préparé",
    Stage.CONSENTED: "consenti",
    Stage.SENT: "envoyé",
    Stage.RECEIVED: "reçu",
    Stage.ACCEPTED: "accepté",
    Stage.DECLINED: "refusé",
    Stage.NEEDS_INFO: "à compléter",
    Stage.SCHEDULED: "rendez-vous pris",
    Stage.ATTENDED: "personne venue",
    Stage.NO_SHOW: "personne non venue",
    Stage.COMPLETED: "terminé",
    Stage.EXPIRED: "expiré",
    Stage.WITHDRAWN: "accord retiré",
    Stage.CANCELLED: "annulé",
}
_CONSENTS = {
    "live": "accord en cours",
    "withdrawn": "accord retiré ou expiré",
    "other_content": "accord à un autre contenu",
    "identity_only": "accord à moins",
    "none": "aucun accord",
}
_KINDS = {
    ChangeKind.POLICY: "règles",
    ChangeKind.ERASURE: "effacement",
    ChangeKind.KEY_RECOVERY: "récupération de clés",
}
# Of each variable with several values: what leads in, and the word of each value.
_SEVERAL = {
    "purpose": ("pour", {str(purpose): PURPOSES[purpose] for purpose in Purpose}),
    "status": ("dossier", {str(status): word for status, word in _STATUSES.items()}),
    "stage": ("à l’état", {str(stage): f"« {word} »" for stage, word in _STAGES.items()}),
    "consent": ("avec", _CONSENTS),
    "kind": ("pour", {str(kind): word for kind, word in _KINDS.items()}),
}
# Of acts that are counted as things: what one is, and what several are.
_COUNTED = {
    "lire": ("lecture", "lectures"),
    "écrire": ("écriture", "écritures"),
    "corriger": ("correction", "corrections"),
}
_UNREPLAYABLE = {
    Unreplayable.NOT_NOTED: "le journal n’en note pas la situation",
    Unreplayable.HANDOFF: "le journal ne dit pas quels compartiments porte un relais",
    Unreplayable.HIDDEN: "dossier absent ou refusé, le journal ne dit pas lequel",
    Unreplayable.FAILED: "les règles n’avaient pas répondu",
    Unreplayable.UNKNOWN: "un mot n’est plus du vocabulaire",
}


def sentence(change: Change) -> str:
    """What one change says, in French."""
    verb = "GAGNE" if change.gains else "PERD"
    return " ".join([_whom(change), verb, act_words(change.action), *_conditions(change)])


def replayed(replay: Replay) -> list[str]:
    """What a replay found, in French sentences that name nobody: what would change, then what cannot be told."""
    lines = [_turned_over(found) for found in replay.turned_over]
    if not lines:
        lines.append("Aucune décision rejouée ne changerait.")
    lines.append(f"Décisions rejouées : {replay.decisions}.")
    lines += [_drifted(drift) for drift in replay.drift]
    lines += [
        f"ATTENTION, non rejouées : {times} ({_UNREPLAYABLE[why]})."
        for why, times in replay.unreplayable.items()
    ]
    return lines


def _turned_over(found: TurnedOver) -> str:
    change = found.change
    said = _would_be(found.times, change.action, _whom(change), is_allowed=change.gains)
    return " ".join([said, *_conditions(change)])


def _drifted(drift: Drift) -> str:
    was = "permis" if drift.was_allowed else "refusé"
    said = _would_be(drift.times, drift.action, _ROLES[drift.role], is_allowed=not drift.was_allowed)
    if drift.same_rules:
        return f"ATTENTION, écart : {said} par les règles en vigueur, qui l’avaient {was}."
    return f"Sous des règles antérieures : {said} par celles en vigueur ; c’était {was}."


def _would_be(times: int, action: Action, whom: str, *, is_allowed: bool) -> str:
    """« 12 lectures de la santé par l’accueil seraient refusées »."""
    verb, named = _act_words(action)
    several = times > 1
    if verb not in _COUNTED:
        verdict = "permis" if is_allowed else "refusé"
        return f"{times} fois, « {act_words(action)} » par {whom} serait {verdict}"
    what, verdict = _COUNTED[verb][several], ("permise" if is_allowed else "refusée") + "s" * several
    return f"{times} {what} {_of(named)} par {whom} {'seraient' if several else 'serait'} {verdict}"


def _of(named: str) -> str:
    return f"du {named.removeprefix('le ')}" if named.startswith("le ") else f"de {named}"


def key_sentence(change: KeyChange) -> str:
    """What is to be done about a compartment's key, in French."""
    profession = [PROFESSIONS[change.profession]] if change.profession else []
    whom = " ".join([_ROLES[change.role], *profession])
    if change.gains:
        return f"clé « {change.compartment} » : à remettre ({whom} y gagne droit)"
    return f"clé « {change.compartment} » : à renouveler ({whom} n’y a plus droit)"


def act_words(action: Action) -> str:
    """The act, as what somebody does: « lire le contact »."""
    return " ".join(filter(None, _act_words(action)))


def _act_words(action: Action) -> tuple[str, str]:
    """What is done, and to which part of a case: nothing where it is the whole."""
    verb, _, rest = ACTIONS[action].partition(" : ")
    named = next((_GROUPS[group] for group in Group if GROUPS[group] == rest), rest and f"l’{rest}")
    return verb, named


def _whom(change: Change) -> str:
    return " ".join([_ROLES[change.role], *_professions(change.cube)])


def _professions(cube: Cube) -> Iterator[str]:
    for profession in Profession:
        values = cube.get(f"profession:{profession}")
        if values is not None:
            yield PROFESSIONS[profession] if values == (True,) else f"non {PROFESSIONS[profession]}"


def _conditions(change: Change) -> Iterator[str]:
    for name, values in change.cube.items():
        if name == PARTNER:
            yield f"avec {' ou '.join(map(str, values))}"
        elif name in _SEVERAL:
            lead, words = _SEVERAL[name]
            yield f"{lead} {' ou '.join(words[str(value)] for value in values)}"
        elif name == "mine" and change.action in CHANGE_ACTIONS:
            yield _PROPOSED[values != (True,)]
        elif name in _EITHER:
            yield _EITHER[name][values != (True,)]
