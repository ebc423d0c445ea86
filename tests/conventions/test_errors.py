"""Every error that a client can meet has a status, a stable code and a French title."""

import importlib
import pkgutil
import re
from http import HTTPStatus
from inspect import signature

import casework
from casework.errors import Conflict, Problem, Refusal

# Never raised themselves, or raised with a code of their own.
_ABSTRACT = {Problem, Refusal}


def every_problem() -> set[type[Problem]]:
    for module in pkgutil.walk_packages(casework.__path__, "casework."):
        importlib.import_module(module.name)
    found: set[type[Problem]] = {Problem}
    waiting = [Problem]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        found.update(kinds)
        waiting += kinds
    return found


def test_every_problem_has_a_status_a_code_and_a_title_of_its_own() -> None:
    for kind in every_problem():
        assert HTTPStatus(kind.status) >= HTTPStatus.BAD_REQUEST, kind
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code), kind
        assert re.fullmatch(r"[A-ZÀÉ].+\.", kind.title), kind
        assert "'" not in kind.title, f"{kind}: a French apostrophe is ’"
        assert not re.search(r"[^\u00a0\u202f][:;!?]", kind.title), f"{kind}: a space that does not break"
        if kind not in _ABSTRACT:
            assert "title" in vars(kind), kind


def is_given_its_code(kind: type[Problem]) -> bool:
    return "code" in signature(kind).parameters


def test_no_two_problems_share_a_code() -> None:
    codes = sorted(kind.code for kind in every_problem() - _ABSTRACT if not is_given_its_code(kind))
    assert codes == sorted(set(codes))
    assert Problem.code not in codes


def test_a_conflict_takes_its_code_from_whoever_raises_it() -> None:
    found = Conflict("wrong_state", "Cela n’est plus possible.")
    assert (found.status, found.code, found.title) == (409, "wrong_state", "Cela n’est plus possible.")
    assert Conflict.title == Conflict("wrong_state").title


def test_a_problem_shown_as_text_says_its_code_alone() -> None:
    assert str(Conflict("wrong_state", extra={"current": "canary"})) == "wrong_state"
