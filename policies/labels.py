"""The French words for roles, professions, purposes, groups and acts, as the matrix writes them."""

from policies.vocabulary import Action, Group, Profession, Purpose, Role

ROLES = {
    Role.RECEPTION: "accueil",
    Role.WORKER: "intervenante",
    Role.SUPERVISOR: "encadrement",
    Role.CUSTODIAN: "gestion des clés",
    Role.AUDITOR: "audit",
    Role.DPO: "DPO",
}

PROFESSIONS = {
    Profession.SOCIAL: "sociale",
    Profession.JURIST: "juriste",
    Profession.PSYCHOLOGIST: "psychologue",
    Profession.HEALTH: "santé",
}

PURPOSES = {
    Purpose.SUPPORT: "accompagnement",
    Purpose.LEGAL_ADVICE: "conseil juridique",
    Purpose.CARE: "soins",
    Purpose.ADMIN: "administration",
    Purpose.AUDIT: "audit",
    Purpose.RIGHTS_REQUEST: "demande de droits",
}

GROUPS = {
    Group.IDENTITY: "identité",
    Group.CONTACT: "contact",
    Group.INTAKE: "demande",
    Group.SAFETY: "danger",
    Group.SOCIAL: "social",
    Group.LEGAL: "juridique",
    Group.HEALTH: "santé",
    Group.FAMILY: "famille",
}

_BY_GROUP = {"read": "lire", "record": "écrire", "amend": "corriger"}

ACTIONS = {
    **{
        Action(f"case.{verb}.{group}"): f"{french} : {GROUPS[group]}"
        for verb, french in _BY_GROUP.items()
        for group in Group
    },
    Action.CASE_CREATE: "ouvrir un dossier",
    Action.CASE_LIST: "voir dans sa liste",
    Action.CASE_READ_LEGAL_NAME: "lire : état civil",
    Action.CASE_CLOSE: "clore",
    Action.CASE_REOPEN: "rouvrir",
    Action.CASE_ASSIGN: "affecter",
    Action.CASE_RESTRICT: "restreindre",
    Action.CASE_BREAK_GLASS: "demander un accès d’urgence",
    Action.CASE_EXPORT_PREPARE: "préparer une copie",
    Action.CASE_EXPORT_APPROVE: "approuver une copie",
    Action.CASE_ERASURE_PREPARE: "préparer un effacement",
    Action.CONSENT_RECORD: "recueillir un accord",
    Action.CONSENT_WITHDRAW: "enregistrer un retrait d’accord",
    Action.HANDOFF_DRAFT: "préparer un relais",
    Action.HANDOFF_SEND: "envoyer un relais",
    Action.HANDOFF_CANCEL: "annuler un relais",
    Action.HANDOFF_READ: "voir un relais",
    Action.HANDOFF_ACCEPT: "accepter un relais",
    Action.HANDOFF_DECLINE: "refuser un relais",
    Action.HANDOFF_OPEN: "ouvrir le contenu d’un relais",
    Action.HANDOFF_OUTCOME: "donner la suite d’un relais",
    Action.CASE_SEARCH: "chercher une personne",
    Action.ORG_STATS: "voir les statistiques",
    Action.JOURNAL_READ: "lire le journal",
    Action.JOURNAL_VERIFY: "vérifier le journal",
    Action.JOURNAL_DETAIL: "lire les motifs du journal",
    Action.JOURNAL_REVIEW: "revoir les accès",
    Action.MEMBER_MANAGE: "gérer les comptes",
    Action.KEY_GRANT: "remettre une clé",
    Action.KEY_ROTATE: "renouveler les clés",
    Action.KEY_RECOVER: "récupérer des clés",
    Action.POLICY_PROPOSE: "proposer des règles",
    Action.POLICY_APPROVE: "approuver des règles",
    Action.ERASURE_READ: "suivre les effacements",
    Action.ERASURE_APPROVE: "approuver un effacement",
    Action.KEY_RECOVER_APPROVE: "approuver une récupération de clés",
}
