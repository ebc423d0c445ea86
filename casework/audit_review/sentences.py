"""Every entry of the journal as a French sentence, from one catalogue: `sentences.toml` beside this file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from audit.entry import Entry, Outcome
from policies.vocabulary import Action

_FAMILY: Final = ".*"
_PSEUDONYM_SHOWN: Final = 8
_VOWELS: Final = tuple("aeiouyéèêhAEIOUYÉÈÊH")
_GLASS: Final = "en accès d’urgence"
# Of this act it is no ground: it is what she asked for.
_BREAKING: Final = Action.CASE_BREAK_GLASS.value
# Before there is a session nobody knows who it is.
_OF_STRANGERS: Final = ("session.", "renewal.")


class Kind(StrEnum):
    """What an act does with a person's data."""

    READ = "read"
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    SHARE = "share"
    OTHER = "other"


class UnknownAct(Exception):
    """The catalogue has no sentence for an action."""


class _Ground(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    part: str
    words: str


class _Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is read; `actions`: what she did, the infinitive, the kind."""

    roles: dict[str, str]
    actors: dict[str, str]
    organisations: dict[str, str]
    purposes: dict[str, str]
    grounds: tuple[_Ground, ...]
    reasons: dict[str, str]
    rubriques: dict[str, str]
    actions: dict[str, tuple[str, str, Kind]]


@dataclass(frozen=True, slots=True)
class Act:
    """An action in words, with places to be filled in; `rubrique` of a family."""

    did: str
    infinitive: str
    kind: Kind
    rubrique: str = ""


@cache
def _catalogue() -> _Catalogue:
    text = (files(__package__) / "sentences.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Catalogue)


def act_of(action: str) -> Act:
    """The words of an action.

    Raises:
        UnknownAct: the catalogue lacks it.

    """
    catalogue = _catalogue()
    if action in catalogue.actions:
        return Act(*catalogue.actions[action])
    family, _, last = action.rpartition(".")
    if family + _FAMILY in catalogue.actions and last in catalogue.rubriques:
        return Act(*catalogue.actions[family + _FAMILY], catalogue.rubriques[last])
    raise UnknownAct(action)


def role_in_words(role: str) -> str:
    """« Une intervenante »; never who."""
    return _catalogue().roles[role]


def purpose_in_words(purpose: str) -> str:
    return _catalogue().purposes[purpose]


def sentence(entry: Entry, slug: str, name: str) -> str:
    """What the entry says, for the organisation of this slug and name; nobody is named in it.

    An action that the catalogue lacks (of another version of the program) is given by its code.
    """
    try:
        act = act_of(entry.action)
    except UnknownAct:
        act = Act(f"a fait « {entry.action} »", f"faire « {entry.action} »", Kind.OTHER)
    places = _places(entry, act)
    who = _who(entry, slug, name)
    if entry.outcome is Outcome.ALLOWED:
        ground = _ground(entry)
        return f"{who} {act.did.format_map(places)}{' ' + ground if ground else ''}{_why(entry)}."
    infinitive = act.infinitive.format_map(places)
    if entry.outcome is Outcome.DENIED:
        return f"{who} s’est vu refuser {_of(infinitive)}{_why(entry)}."
    return f"{who} n’a pas pu {infinitive}{_why(entry)}."


def did_to_her(entry: Entry) -> str | None:
    """What an allowed act did with a person's file, said to herself; None where it did nothing with her data.

    An act of another version of the program is told by its code: nothing is kept from her.
    """
    try:
        act = act_of(entry.action)
    except UnknownAct:
        return f"a fait « {entry.action} »"
    if act.kind is Kind.OTHER:
        return None
    hers = {"dossier": "votre dossier", "du_dossier": "de votre dossier", "au_dossier": "à votre dossier"}
    said = act.did.format_map({**_places(entry, act), **hers})
    rests_on_glass = entry.basis.glass is not None and entry.action != _BREAKING
    return f"{said} {_GLASS}" if rests_on_glass else said


def _who(entry: Entry, slug: str, name: str) -> str:
    catalogue = _catalogue()
    if entry.role is not None and entry.role in catalogue.roles:
        return f"{catalogue.roles[entry.role]} {catalogue.organisations.get(slug) or _of(name)}"
    if entry.actor is not None:
        return catalogue.actors["member"]
    return catalogue.actors["stranger" if entry.action.startswith(_OF_STRANGERS) else "service"]


def _of(words: str) -> str:
    """« d’ouvrir », « de clore »."""
    return f"d’{words}" if words.startswith(_VOWELS) else f"de {words}"


def _places(entry: Entry, act: Act) -> Mapping[str, str]:
    persons = len(entry.subjects)
    if persons == 1:
        named = f"dossier {entry.subjects[0].p[:_PSEUDONYM_SHOWN]}"
        case, of_case, to_case = f"le {named}", f"du {named}", f"au {named}"
    elif persons:
        case, of_case, to_case = (f"{word}{persons} dossiers" for word in ("", "de ", "à "))
    else:
        case, of_case, to_case = "un dossier", "d’un dossier", "à un dossier"
    return {
        "dossier": case,
        "du_dossier": of_case,
        "au_dossier": to_case,
        "nombre": str(entry.count) if entry.count is not None else "des",
        # French begins the plural at two.
        "s": "" if entry.count in {0, 1} else "s",
        "rubrique": act.rubrique,
    }


def _ground(entry: Entry) -> str:
    basis = entry.basis
    if entry.action == _BREAKING:
        return ""
    if basis.glass is not None:
        return _GLASS
    if basis.consent is not None:
        return "avec l’accord de la personne"
    parts = {part for policy in basis.policies for part in policy.split(".")}
    return next((ground.words for ground in _catalogue().grounds if ground.part in parts), "")


def _why(entry: Entry) -> str:
    if entry.reason is None:
        return ""
    return f" ({_catalogue().reasons.get(entry.reason, entry.reason)})"
