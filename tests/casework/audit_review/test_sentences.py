"""Every entry has its French sentence, and no action of the program is left without."""

import ast
import re
from typing import Any

import pytest

from audit.entry import Basis, Outcome, Subject
from casework.audit_review.sentences import (
    Kind,
    UnknownAct,
    act_of,
    purpose_in_words,
    role_in_words,
    sentence,
)
from policies.vocabulary import Action, Purpose, Role
from tests.audit.journal import make_entry
from tests.conventions.project import python_files, tree

_CODE = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
# What is built of one of these is journaled, or names what will be.
_MAKERS = {"Deed", "NotFound", "NotNow", "refusal", "record", "_record", "Limit", "_growing"}
# How dotted constants end that are no actions.
_NO_ACTIONS = (".example", ".json", ".lock", ".db", ".txt", ".key")


def _literals(node: ast.AST) -> set[str]:
    found = {
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
    return {value for value in found if _CODE.fullmatch(value)}


def recorded_actions() -> set[str]:
    """What stands in the code as the action of an entry or of a refusal."""
    found = {str(action) for action in Action}
    for path in python_files("casework", "audit"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                called = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if called in _MAKERS:
                    found |= set().union(*(_literals(one) for one in node.args[:2]))
                named = [one.value for one in node.keywords if one.arg == "action"]
                found |= set().union(*map(_literals, named))
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if (
                    isinstance(target, ast.Name)
                    and target.id.isupper()
                    and isinstance(node.value, ast.Constant)
                ):
                    found |= _literals(node.value)
    return {one for one in found if not one.endswith(_NO_ACTIONS)}


def test_every_action_that_the_program_records_has_its_sentence() -> None:
    actions = recorded_actions()
    assert {
        "case.open",
        "log.prune",
        "honeytoken.opened",
        "password.change",
        "note.create",
        "handoff.draft",
    } <= actions
    missing = []
    for action in sorted(actions):
        try:
            act_of(action)
        except UnknownAct:
            missing.append(action)
    assert missing == []
    for action in actions:
        for outcome in Outcome:
            said = sentence(make_entry(action=action, outcome=outcome, count=3), "avec", "AVEC")
            assert said.startswith("Une intervenante d’AVEC ")
            assert said.endswith(".")
            assert not re.search(r"[{}]", said)


def test_every_role_and_purpose_has_its_words() -> None:
    assert all(role_in_words(role) for role in Role)
    assert all(purpose_in_words(purpose) for purpose in Purpose)


_NOBODY = {"actor": None, "role": None, "subjects": (), "basis": Basis(policies=(), set=None)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Une intervenante d’AVEC a ouvert le dossier 11111111."),
        (
            {"basis": Basis(policies=("avec.own.read", "avec.own.legal_name"), set=None)},
            "Une intervenante d’AVEC a ouvert le dossier 11111111 au titre de son affectation.",
        ),
        (
            {
                "basis": Basis(
                    policies=("avec.own.read",), set=None, glass="00000000-0000-4000-8000-000000000009"
                )
            },
            "Une intervenante d’AVEC a ouvert le dossier 11111111 en accès d’urgence.",
        ),
        (
            {
                "action": "case.break_glass",
                "basis": Basis(
                    policies=("avec.glass",), set=None, glass="00000000-0000-4000-8000-000000000009"
                ),
            },
            "Une intervenante d’AVEC a demandé un accès d’urgence au dossier 11111111.",
        ),
        *(
            (
                {"action": "journal.read", "count": count},
                f"Une intervenante d’AVEC a lu {said} du journal.",
            )
            for count, said in (
                (0, "0 écriture"),
                (1, "1 écriture"),
                (2, "2 écritures"),
                (None, "des écritures"),
            )
        ),
        (
            {"outcome": Outcome.DENIED, "reason": "not_found", "subjects": (), "role": "reception"},
            "Une chargée d’accueil d’AVEC s’est vu refuser d’ouvrir un dossier (absent ou fermé pour elle).",
        ),
        (
            {"action": "case.close", "outcome": Outcome.DENIED, "reason": "policy"},
            "Une intervenante d’AVEC s’est vu refuser de clore le dossier 11111111"
            " (les règles ne le permettent pas).",
        ),
        (
            {
                "action": "handoff.send",
                "basis": Basis(
                    policies=("avec.handoff.send",), set=None, consent="00000000-0000-4000-8000-000000000009"
                ),
            },
            "Une intervenante d’AVEC a transmis le dossier 11111111 à une autre association"
            " avec l’accord de la personne.",
        ),
        (
            {
                "action": "case.list",
                "count": 2,
                "subjects": tuple(Subject(p=f"{n}1" * 32, rows=()) for n in (1, 2)),
            },
            "Une intervenante d’AVEC a vu 2 dossiers dans une liste.",
        ),
        (
            {"action": "case.read.health", "outcome": Outcome.FAILED, "reason": "sealed_data_damaged"},
            "Une intervenante d’AVEC n’a pas pu lire la rubrique « santé » du dossier 11111111"
            " (sealed_data_damaged).",
        ),
        (
            {**_NOBODY, "action": "log.prune", "count": 256},
            "Le service a élagué le journal avant l’écriture 256.",
        ),
        (
            {**_NOBODY, "action": "session.create", "outcome": Outcome.DENIED, "reason": "too_many_requests"},
            "Quelqu’un s’est vu refuser de se connecter (trop d’essais).",
        ),
        ({"action": "password.change", "role": None}, "Une personne a changé son mot de passe."),
        (
            {"action": "of.another_version", "subjects": ()},
            "Une intervenante d’AVEC a fait « of.another_version ».",
        ),
    ],
)
def test_an_entry_reads_as_a_sentence(changes: dict[str, Any], expected: str) -> None:
    entry = make_entry(**{"basis": Basis(policies=(), set=None), **changes})
    assert sentence(entry, "avec", "AVEC France-Victimes 63") == expected


def test_an_organisation_that_the_catalogue_does_not_know_is_called_by_its_name() -> None:
    entry = make_entry(action="case.close", basis=Basis(policies=(), set=None))
    assert sentence(entry, "other", "Éclat 63").startswith("Une intervenante d’Éclat 63 a clos")
    assert sentence(entry, "other", "Solidarité 63").startswith("Une intervenante de Solidarité 63 a clos")


def test_each_kind_of_act_is_known() -> None:
    assert {act_of(str(action)).kind for action in Action} == {
        Kind.READ,
        Kind.CREATE,
        Kind.CHANGE,
        Kind.DELETE,
        Kind.SHARE,
        Kind.OTHER,
    }
