"""Bodies to try the API with, by operation. Every person, number and date in them is made up."""

from typing import Any, Final

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "create_session": {"example": {"login": "avec.social", "password": "phrase de passe inventée"}},
    "give_second_factor": {
        "one_role": {"code": "492817"},
        "several_roles": {"code": "492817", "role": "worker"},
    },
    "step_up": {"example": {"password": "phrase de passe inventée"}},
    "change_password": {
        "example": {
            "password": "phrase de passe inventée",
            "new_password": "un bateau mauve traverse Lisbonne",
        }
    },
    "unlock_member": {"example": {"reason": "A saisi plusieurs fois son ancien mot de passe."}},
    "begin_renewal": {
        "lost_password": {"kind": "reset", "reason": "A perdu son mot de passe, vue ce matin au bureau."},
        "lost_device": {"kind": "factor", "reason": "Son téléphone est tombé en panne."},
    },
    "take_up_renewal": {
        "lost_password": {
            "login": "avec.social",
            "secret": "k7pm-x2qv-d9wa-tr4e-m8nc",
            "new_password": "un bateau mauve traverse Lisbonne",
        },
        "lost_device": {
            "login": "avec.social",
            "secret": "k7pm-x2qv-d9wa-tr4e-m8nc",
            "password": "phrase de passe inventée",
        },
    },
    "confirm_renewal": {
        "example": {"words": "voyage noirceur genou régulier draper crevette zénith laisser"}
    },
    "grant_keys": {"example": {"words": "voyage noirceur genou régulier draper crevette zénith laisser"}},
    "declare_oneself": {
        "example": {
            "first_name": "Inès",
            "family_name": "Exemple-Autre",
            "former_names": ["Ancien"],
            "birth_date": "1988-04-12",
            "phones": ["01 99 00 12 34"],
            "address": "12 bis, rue des Exemples, 63000 Clermont-Ferrand",
        }
    },
    "change_position": {
        "example": {
            "role": "worker",
            "professions": ["social"],
            "secrecy_basis": "profession",
            "reason": "Prend le poste d’intervenante sociale.",
        }
    },
    "grant_leave": {
        "example": {
            "from": "2026-12-21T00:00:00+01:00",
            "until": "2027-01-04T00:00:00+01:00",
            "reason": "Congés d’hiver.",
        }
    },
    "end_leave": {"example": {"reason": "Revenue plus tôt."}},
    "publish_charter": {
        "example": {
            "text": "Charte d’accueil.\n1. Accueillir sans condition.\n2. Garder le secret.",
            "reason": "Première version, adoptée par le groupe restreint.",
        }
    },
    "accept_charter": {"example": {"version": 1}},
    "declare_conflict": {
        "example": {
            "first_name": "Paul",
            "family_name": "Exemple-Ancien",
            "birth_date": "1985-09-30",
            "phones": ["01 99 00 56 78"],
        }
    },
    "withdraw_conflict": {"example": {"reason": "Homonyme : ce n’est pas la personne que je connais."}},
    "change_settings": {
        "example": {
            "version": 0,
            "opening_hours": {
                "monday": [{"from": "09:00", "to": "12:30"}, {"from": "13:30", "to": "18:00"}],
                "friday": [{"from": "09:00", "to": "17:00"}],
            },
            "closed_on": ["2026-12-25", "2027-01-01"],
            "managed_networks": ["127.0.0.0/8", "192.0.2.0/24"],
            "reason": "Nouveaux horaires de la rentrée.",
        }
    },
    "rotate_own_keys": {"example": {"password": "phrase de passe inventée"}},
    "create_case": {
        "pseudonym": {"public": "seeking", "identity": {"name_in_use": "Mimosa", "anonymous": True}},
        "named": {
            "public": "referred",
            "identity": {"name_in_use": "Inès", "family_name": "Exemple", "birth_date": "1988-04-12"},
            "contact": {
                "phone": "01 99 00 12 34",
                "safe_contact": {
                    "confirmed_on": "2026-11-02",
                    "may_call": True,
                    "days_and_hours": "lundi et jeudi, de 10 h à 12 h",
                    "agreed_word": "Je vous rappelle pour la bibliothèque.",
                },
            },
            "social": {"summary": "Cherche un logement pour elle et son fils."},
        },
    },
    "change_group": {
        "identity": {"name_in_use": "Inès", "family_name": "Exemple"},
        "contact": {"phone": "01 99 00 12 34"},
        "intake": {"public": "known_need", "needs": ["logement"], "language": "pt", "interpreter": True},
        "social": {"summary": "Dossier de logement déposé.", "fields": {"bailleur": "Habitat Fictif"}},
    },
    "set_assignments": {"example": {"members": ["01936c00-0000-7000-8000-000000000001"], "teams": []}},
    "create_team": {
        "example": {
            "name": "Permanence du soir",
            "members": ["01936c00-0000-7000-8000-000000000001"],
            "reason": "Nouvelle permanence le jeudi soir.",
        }
    },
    "change_team": {
        "example": {
            "name": "Permanence du soir",
            "members": ["01936c00-0000-7000-8000-000000000001"],
            "reason": "Une collègue rejoint la permanence.",
        }
    },
    "close_team": {"example": {"reason": "La permanence n’a plus lieu."}},
    "reassign": {
        "example": {
            "from": "01936c00-0000-7000-8000-000000000001",
            "to": ["01936c00-0000-7000-8000-000000000002"],
            "teams": [],
        }
    },
    "restrict_case": {
        "example": {
            "members": ["01936c00-0000-7000-8000-000000000001", "01936c00-0000-7000-8000-000000000002"],
            "reason": "Une collègue est sa voisine.",
        }
    },
    "lift_restriction": {"example": {"reason": "La collègue est partie."}},
    "write_note": {
        "example": {
            "group": "social",
            "text": "Ne pas l’appeler avant vendredi : il est chez elle.",
            "readers": ["01936c00-0000-7000-8000-000000000002"],
        }
    },
    "renew_keys": {"example": {"reason": "Un poste de travail a été volé, session ouverte."}},
    "close_case": {"example": {"reason": "Relogée, suivi terminé à sa demande."}},
    "reopen_case": {"example": {"reason": "Elle est revenue."}},
    "break_glass": {
        "example": {"purpose": "support", "reason": "Elle appelle, en danger ; sa référente est absente."}
    },
    "search_cases": {
        "by_name": {"name": "Exemple Inès"},
        "by_name_and_birth_date": {"name": "Ines Exemple", "birth_date": "1988-04-12"},
        "by_phone": {"phone": "01 99 00 12 34"},
    },
    "record_follow_up": {
        "example": {
            "type": "accompagnement_social",
            "occurred_at": "2026-11-20T10:00:00Z",
            "channel": "on_site",
            "duration_minutes": 45,
            "content": {
                "social": "Point sur la demande de logement.",
                "legal": "Souhaite connaître ses droits sur le bail.",
            },
            "next_step": "Rendez-vous avec la juriste.",
        }
    },
    "correct_follow_up": {
        "example": {
            "reason": "Date de l’audience recopiée de travers.",
            "content": {"legal": "Audience le 12 mars. Souhaite connaître ses droits sur le bail."},
        }
    },
    "save_draft": {
        "example": {
            "case_id": "01936c00-0000-7000-8000-000000000003",
            "content": {"type": "accompagnement_social", "social": "À reprendre après le rendez-vous."},
        }
    },
    "draft_handoff": {
        "example": {
            "to": "cidff",
            "kind": "orientation",
            "service": "acces_au_droit",
            "purpose": "legal_advice",
            "urgency": "soon",
            "groups": ["identity", "contact", "legal"],
        }
    },
    "give_consent": {
        "oral": {
            "content_digest": "0f" * 32,
            "means": "oral",
            "oral_reason": "Elle ne souhaite rien signer.",
            "witness": "Une collègue de l’accueil",
            "language": "fr",
            "safe_contact_checked": True,
        },
        "written": {
            "content_digest": "0f" * 32,
            "means": "written",
            "language": "fr",
            "safe_contact_checked": True,
            "copy_given": True,
        },
    },
    "ask": {"example": {"question": "how_to_reach_her"}},
    "accept": {
        "by_whoever_accepts": {},
        "for_a_colleague": {"members": ["01936c00-0000-7000-8000-000000000002"]},
    },
    "prepare_erasure": {
        "example": {
            "kind": "erasure",
            "case_id": "01936c00-0000-7000-8000-000000000001",
            "basis": "objection",
            "reason": "Demande écrite, remise en main propre ; identité vérifiée.",
        }
    },
    "approve_erasure": {"example": {"case_id": "01936c00-0000-7000-8000-000000000001", "basis": "objection"}},
    "refuse_erasure": {
        "there_is_no_right": {"ground": "not_entitled"},
        "it_must_be_kept": {"ground": "legal_hold", "until": "2027-06-30T00:00:00Z"},
    },
    "record_review": {
        "justified": {
            "entry": "01936c00-0000-4000-8000-000000000004",
            "outcome": "justified",
            "note": "Remplaçait sa collègue absente ; l’équipe le confirme.",
        },
        "suspected": {
            "entry": "01936c00-0000-4000-8000-000000000004",
            "outcome": "misuse_suspected",
            "note": "Aucun lien avec cette personne ; à voir avec la déléguée.",
        },
    },
    "refuse": {"example": {"reason_code": "no_capacity", "next_step": "try_another_service"}},
    "report_outcome": {"example": {"state": "attended"}},
    "withdraw": {"example": {"means": "oral"}},
}
