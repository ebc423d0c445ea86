"""What a command says when it refuses: one French sentence that names the setting or field and the rule."""

from collections.abc import Callable
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from audit.errors import JournalRefused, NothingPublished, StateRefused
from casework.anchors import AnchorMissing
from casework.backups import BackupRefused
from casework.commands.opening import CommandRefused
from casework.database import UnsafeDatabase
from casework.deployment import NotPrepared
from casework.dumps import DumpFailed
from casework.identity.strength import PasswordTooWeak
from casework.imports.errors import ImportRefused
from casework.organisations.cards import CardFault, CardRefused
from casework.organisations.key_acts import KeyActFault, KeyActRefused
from casework.organisations.recovering import RecoveryFault, RecoveryRefused
from casework.outages import CommitFailed
from casework.rules import RulesNotLoaded
from casework.settings import SettingRefused
from casework.shreds import UnsafeShredStore
from casework.signers import SigningKeyRefused
from crypto.errors import (
    DirectoryRefused,
    GrantRefused,
    PasswordRefused,
    PepperRefused,
    SealBroken,
    SharesRefused,
)
from policies.lint import PolicyRefused
from policies.sources import NotAnOrganisation

_SETTINGS = {
    "is not set": "n’est pas défini",
    "is not a directory": "n’est pas un répertoire",
    "is not a list of networks": "n’est pas une liste de réseaux",
    "is not a list of addresses, each with its key": (
        "n’est pas une liste d’adresses de témoins, chacune suivie de sa clé"
    ),
    "must be https://": "doit commencer par https:// (sauf un témoin de cette machine)",
    "is not a database URL": "n’est pas une adresse de base de données",
    "must be sqlite:/// or postgresql+asyncpg://": "doit commencer par sqlite:/// ou postgresql+asyncpg://",
    "must be postgresql+asyncpg://": "doit commencer par postgresql+asyncpg://",
    "must be sqlite:/// and the absolute path of a file": (
        "doit être sqlite:/// suivi du chemin absolu d’un fichier"
    ),
    "must hold no password: PGPASSFILE names the file that does": (
        "ne doit pas contenir de mot de passe : PGPASSFILE désigne le fichier qui le contient"
    ),
    "must be another database than CASEWORK_DATABASE_URL": (
        "doit désigner une autre base que CASEWORK_DATABASE_URL"
    ),
    "must not be inside CASEWORK_DATA_DIR": "ne doit pas se trouver dans CASEWORK_DATA_DIR",
    "must not be inside CASEWORK_STATE_DIR": "ne doit pas se trouver dans CASEWORK_STATE_DIR",
    "is not a readable file": "n’est pas un fichier lisible",
    "is not TOML": "n’est pas du TOML",
    "is not what docs/how-to/alerts.md asks for there": "n’est pas ce qui est attendu là (docs/how-to/alerts.md)",
    "needs a table smtp": "demande une table « smtp »",
    "is not a URL": "n’est pas une adresse",
    "must be https": "doit commencer par https",
    "must be whsec_ and 24 to 64 bytes in base64": "doit être whsec_ suivi de 24 à 64 octets en base64",
    "must be its owner's alone (mode 0600)": "doit être à son seul propriétaire (mode 0600)",
    "must hold one line": "doit contenir une ligne",
    "none is for this machine alone": "« none » n’est admis que vers cette machine",
    "goes with password_file": "va avec « password_file »",
    "names one that this deployment does not have": "nomme une organisation que ce déploiement n’a pas",
}
_PEPPER = {
    "no readable pepper file": "aucun fichier lisible à cet endroit",
    "the pepper is not a regular file": "ce n’est pas un fichier ordinaire",
    "others than its owner may use the pepper file": "d’autres que son propriétaire peuvent s’en servir",
    "the pepper file is not 32 bytes long": "le fichier ne fait pas 32 octets",
    "the pepper file cannot be created": "le fichier ne peut pas être créé",
    "sealed under another pepper": "ce n’est pas le secret sous lequel la base a été scellée",
}
_DATABASE = {
    "postgresql setting fsync is off": "le réglage fsync est désactivé",
    "postgresql setting full_page_writes is off": "le réglage full_page_writes est désactivé",
    "postgresql setting synchronous_commit is off": "le réglage synchronous_commit est désactivé",
    "the service's database role escapes row-level security": (
        "le rôle du service échappe à la sécurité par ligne"
    ),
}
_KEY_ACTS = {
    KeyActFault.UNKNOWN_LOGIN: "aucun compte actif de l’organisation ne porte cet identifiant",
    KeyActFault.LOGIN_TAKEN: "cet identifiant est déjà pris",
    KeyActFault.WRONG_PASSWORD: "le mot de passe n’est pas le bon",
    KeyActFault.MAY_NOT_CERTIFY: "cette personne n’est pas gestionnaire des clés",
    KeyActFault.MAY_NOT_GRANT: "les règles ne lui permettent pas de remettre une clé",
    KeyActFault.MAY_NOT_ORDER: "cette personne ne peut pas ordonner un renouvellement de clés",
    KeyActFault.HERSELF: "nul ne se retire soi-même : une autre gestionnaire le fait",
    KeyActFault.ROWS_DAMAGED: (
        "des clés de dossiers sont abîmées : l’ancienne clé est gardée, lancez « casework check »"
    ),
    KeyActFault.CHARTER_NOT_ACCEPTED: "cette personne n’a pas accepté la charte en vigueur",
    KeyActFault.CHARTER_IN_FORCE: "ce texte est déjà celui de la charte en vigueur",
    KeyActFault.ON_LEAVE: "cette personne est en congé",
    KeyActFault.SEVERAL_ROLES: "cette personne a plusieurs rôles : la gestionnaire le fait dans sa propre session",
    KeyActFault.MAY_NOT_PROPOSE: "les règles ne lui permettent pas de proposer des règles",
    KeyActFault.MAY_NOT_APPROVE: "cette personne n’approuve pas de règles, ou a proposé celles-ci",
    KeyActFault.APPROVED_ALREADY: "cette personne les a déjà approuvées, sous l’un de ses rôles",
    KeyActFault.NOT_PROPOSED: "aucune proposition n’a ce numéro et cette empreinte",
    KeyActFault.RULES_IN_FORCE: "ce sont les règles en vigueur",
    KeyActFault.DIRECTORY_MOVED: "l’annuaire a changé entre-temps, recommencez",
}
_RECOVERY = {
    RecoveryFault.UNKNOWN_LOGIN: "aucun membre actif et certifié de l’organisation ne porte cet identifiant",
    RecoveryFault.LOGIN_TAKEN: "cet identifiant est déjà pris",
    RecoveryFault.REPLACED_SHARES: "ces parts ont été remplacées par celles d’une récupération plus récente",
    RecoveryFault.OTHER_SHARES: "ces parts ne sont pas celles de cette organisation",
    RecoveryFault.OTHER_WORDS: (
        "ces huit mots ne sont pas ceux de ses clés ; rappelez-la ; s’ils diffèrent encore, ne lui remettez rien"
    ),
    RecoveryFault.COPY_DAMAGED: (
        "la copie de la clé de ce compartiment manque ou est abîmée ; les parts restent valables, rétablissez une"
        " sauvegarde"
    ),
    RecoveryFault.RESTRICTED_CASES: (
        "d’un dossier restreint il reste moins de deux membres nommés qui aient leurs clés ; les parts restent"
        " valables, recommencez avec au moins deux personnes à qui le confier"
    ),
    RecoveryFault.DIRECTORY_MOVED: "l’annuaire a changé entre-temps, les parts restent valables, recommencez",
}
_CARDS = {
    CardFault.MALFORMED: "ce n’est pas la carte d’une organisation",
    CardFault.OTHER_ROOT: "l’empreinte de la carte n’est pas celle que vous avez donnée",
    CardFault.OTHER_ORGANISATION: "la carte donne à une organisation le nom d’une autre",
    CardFault.OWN: "c’est la carte de l’organisation elle-même",
    CardFault.ROLLED_BACK: "la carte est plus ancienne que celle qui a déjà été acceptée",
}
_PLAIN: dict[type[BaseException], str] = {
    NotPrepared: "La base n’est pas préparée : lancez « casework init ».",
    AnchorMissing: "CASEWORK_STATE_DIR : ce répertoire d’état ne connaît pas l’organisation.",
    SigningKeyRefused: "CASEWORK_STATE_DIR : une clé de signature du journal manque, est abîmée ou trop ouverte.",
    StateRefused: "CASEWORK_STATE_DIR : l’état du signataire du journal est illisible.",
    NothingPublished: "Le journal n’a pas encore de point de contrôle : le service doit avoir tourné.",
    JournalRefused: "Le journal n’est pas tel qu’il a été laissé : rien n’est signé.",
    DirectoryRefused: "L’annuaire des clés ne mène pas à sa racine, ou a été ramené en arrière.",
    GrantRefused: "Une clé remise n’est pas celle que l’annuaire certifie.",
    SharesRefused: "Ces parts ne vont pas ensemble, ou un mot y est faux.",
    SealBroken: "Ces parts n’ouvrent pas cette sauvegarde.",
    PasswordRefused: "Un mot de passe est vide, trop long ou contient un caractère de commande.",
    CommitFailed: "La base n’a pas confirmé l’écriture : rien n’a été enregistré.",
}


def sentence(error: BaseException) -> str | None:
    """What to say of an error that was foreseen; None of one that was not."""
    for kind, say in _SPOKEN.items():
        if isinstance(error, kind):
            return say(error)
    return next((words for kind, words in _PLAIN.items() if isinstance(error, kind)), None)


def unsafe_words(error: UnsafeDatabase) -> str:
    """The French for a durability setting that is off."""
    return _DATABASE.get(str(error), f"un réglage de durabilité n’est pas en vigueur ({error})")


def usage_sentence(error: click.ClickException) -> str:
    """What to say of arguments that were not understood."""
    match error:
        case click.NoSuchOption():
            return f"Option inconnue : {error.option_name}."
        case click.MissingParameter():
            return f"{_parameter(error)} : il faut une valeur."
        case click.BadParameter():
            return f"{_parameter(error)} : {_rule(error)}."
        case click.UsageError() if error.ctx is not None and isinstance(error.ctx.command, click.Group):
            return f"Commande inconnue ou incomplète : voyez « {error.ctx.command_path} --help »."
        case click.UsageError() if error.ctx is not None:
            return f"Arguments inattendus ou incomplets : voyez « {error.ctx.command_path} --help »."
    return f"Commande refusée : {error.format_message()}"


def _parameter(error: click.BadParameter) -> str:
    parameter = error.param
    if parameter is None:
        return "Argument"
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.make_metavar(error.ctx)  # type: ignore[arg-type]


def _rule(error: click.BadParameter) -> str:
    """Our own types speak French already; of click's, the type says the rule."""
    match error.param.type if error.param is not None else None:
        case click.Choice() as choice:
            return f"valeurs admises : {', '.join(map(str, choice.choices))}"
        case click.IntRange():
            return "un nombre entier dans les bornes est attendu"
        case click.Path():
            return "il faut un fichier qui existe et que vous pouvez lire"
        case _:
            return error.message.rstrip(".")


def _code(error: BaseException) -> str:
    """The type and the SQLSTATE: an exception's text may show rows or addresses."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return type(error).__name__ + (f" {state}" if state else "")


def _setting(error: SettingRefused) -> str:
    place, found, rule = str(error).removeprefix(f"{error.name}: ").rpartition(": ")
    if found and rule in _SETTINGS:
        # A field of the file that the setting names.
        return f"{error.name} : {place} : {_SETTINGS[rule]}."
    return f"{error.name} : {_SETTINGS.get(place + found + rule, 'la valeur est refusée')}."


def _recovery(error: RecoveryRefused) -> str:
    words = _RECOVERY[error.fault]
    return f"{error.subject} : {words}." if error.subject else f"{words[0].upper()}{words[1:]}."


def _policies(error: PolicyRefused) -> str:
    return "Règles refusées :\n" + "\n".join(f"  {finding}" for finding in error.findings)


def _unanswered(error: BaseException) -> str:
    return f"CASEWORK_DATABASE_URL : la base de données ne répond pas ou refuse ({_code(error)})."


_SPOKEN: dict[type[BaseException], Callable[[Any], str]] = {
    CommandRefused: str,
    ImportRefused: str,
    BackupRefused: str,
    DumpFailed: lambda error: f"« {error} » manque ou n’a pas abouti : rien n’a été gardé.",
    SettingRefused: _setting,
    PepperRefused: lambda error: (
        f"CASEWORK_PEPPER_FILE : {_PEPPER.get(str(error), 'le fichier est refusé')}."
    ),
    UnsafeShredStore: lambda error: f"CASEWORK_SHRED_URL : {unsafe_words(error)}.",
    UnsafeDatabase: lambda error: f"CASEWORK_DATABASE_URL : {unsafe_words(error)}.",
    PolicyRefused: _policies,
    RulesNotLoaded: lambda error: (
        f"Les règles en vigueur de l’organisation ne se chargent pas ({error.fault})."
    ),
    NotAnOrganisation: lambda error: f"Aucune règle n’existe pour « {error.slug} » (policies/orgs).",
    KeyActRefused: lambda error: f"{error.login} : {_KEY_ACTS[error.fault]}.",
    PasswordTooWeak: lambda error: error.title,
    RecoveryRefused: _recovery,
    CardRefused: lambda error: f"CARDFILE : {_CARDS[error.fault]}.",
    SQLAlchemyError: _unanswered,
    ConnectionError: _unanswered,
}
