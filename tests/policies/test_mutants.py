"""The machine that takes each line out of the policies, and what it found."""

import pytest

from policies.sources import BASE, Source, base_source, org_source
from policies.vocabulary import Action
from tests.policies.mutants import caught_by, every_mutant, faults, guards
from tests.policies.mutation import Mutant, mutants
from tests.policies.situations import ORGS

FILES = (BASE, *ORGS)

ONE = """
@id("avec.one") @title("Une règle")
permit (principal in Org::"avec", action in [Action::"case.list", Action::"case.create"], resource in Org::"avec")
when { principal in Role::"worker" && (resource.mine || resource.glass || resource.my_team) }
unless { [Purpose::"audit", Purpose::"care"].contains(context.purpose) };
"""


def mutants_of(text: str) -> dict[str, Mutant]:
    made = list(mutants(Source("avec", text)))
    assert len({mutant.name for mutant in made}) == len(made)
    return {mutant.change: mutant for mutant in made}


def test_every_line_of_a_policy_is_taken_out_and_turned_into_its_contrary() -> None:
    made = mutants_of(ONE)
    assert set(made) == {
        "removed",
        "a forbid",
        "any principal",
        "any principal but its own",
        "any action",
        "any action but its own",
        "any resource",
        "any resource but its own",
        "without case.list",
        "without case.create",
        "without when 1",
        "when 1 contrary",
        'when 1 without ‹principal in Role::"worker"›',
        'when 1 not ‹principal in Role::"worker"›',
        "when 1 without ‹((resource.mine) || (resource.glass)) || (resource.my_team)›",
        "when 1 not ‹((resource.mine) || (resource.glass)) || (resource.my_team)›",
        "when 1 without ‹resource.mine›",
        "when 1 not ‹resource.mine›",
        "when 1 without ‹resource.glass›",
        "when 1 not ‹resource.glass›",
        "when 1 without ‹resource.my_team›",
        "when 1 not ‹resource.my_team›",
        "without unless 2",
        "unless 2 contrary",
        'unless 2 without ‹Purpose::"audit"›',
        'unless 2 without ‹Purpose::"care"›',
    }
    assert made["removed"].text == ""
    assert "case.list" not in made["without case.list"].text
    assert made["without case.list"].acts == {Action.CASE_LIST}
    assert made["any action"].acts == set(Action)
    assert "resource.mine" not in made["when 1 without ‹resource.mine›"].text


def test_a_mutant_leaves_the_other_policies_alone() -> None:
    for source in (base_source(), org_source("med")):
        for mutant in mutants(source):
            if mutant.change == "removed":
                assert f'"{mutant.policy}"' not in mutant.others
                assert mutant.others.count("@id(") == source.text.count("@id(") - 1


def test_a_line_that_nothing_misses_is_named_and_so_is_a_guard_that_something_catches() -> None:
    caught = {
        "avec.a: removed": "",
        "avec.b: removed": "",
        "avec.c: removed": "phrase",
        "avec.d: removed": "lint",
    }
    assert faults(caught, {"avec.b: removed", "avec.c: removed"}) == [
        "avec.a: removed: nothing catches it",
        "avec.c: removed: a guard, yet caught by a phrase",
    ]


def test_the_lint_a_phrase_and_the_matrix_each_catch_what_is_theirs() -> None:
    made = {mutant.name: mutant for mutant in mutants(org_source("med"))}
    assert caught_by(made["med.create: any principal"]) == "lint"
    assert caught_by(made["med.create: removed"]) == "phrase"
    assert caught_by(made['med.create: when 1 without ‹principal in Role::"supervisor"›']) == "matrix"


def test_each_guard_is_a_line_of_a_policy_and_gives_its_reason() -> None:
    assert guards().keys() <= {mutant.name for mutant in every_mutant()}
    assert all(reason.strip() for reason in guards().values())


@pytest.mark.parametrize("file", FILES)
def test_every_line_of_a_file_is_missed_or_is_a_guard(file: str) -> None:
    """What ``python -m tests.policies.mutants`` does, a file at a time."""
    caught = {mutant.name: caught_by(mutant) for mutant in every_mutant() if mutant.file == file}
    assert len(caught) > 200
    assert faults(caught, guards()) == []
