"""The types of follow-up, and under which group the head of each (type, action, channel) is sealed.

A front desk that sees a timeline must not learn from a type what kind of care it was.
"""

from policies.vocabulary import Group

HEAD_GROUP: dict[str, Group] = {
    "accueil": Group.INTAKE,
    "qualification": Group.INTAKE,
    "orientation": Group.INTAKE,
    "accueil_de_jour": Group.SOCIAL,
    "accompagnement_social": Group.SOCIAL,
    "emploi": Group.SOCIAL,
    "veuvage": Group.SOCIAL,
    "art_therapie": Group.SOCIAL,
    "numerique": Group.SOCIAL,
    "entretien_de_conseil": Group.SOCIAL,
    "entretien_juridique": Group.LEGAL,
    "acces_au_droit": Group.LEGAL,
    "evvi": Group.SAFETY,
    "tgd": Group.SAFETY,
    "preparation_depart": Group.SAFETY,
    "suivi_psychologique": Group.HEALTH,
    "suivi_psychologique_enfant": Group.HEALTH,
    "consultation": Group.HEALTH,
    "contraception": Group.HEALTH,
    "ivg_pre": Group.HEALTH,
    "ivg_post": Group.HEALTH,
    "transition": Group.HEALTH,
    "depistage": Group.HEALTH,
}
