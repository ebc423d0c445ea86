import re

import pytest

from policies.labels import ACTIONS, GROUPS, PROFESSIONS, PURPOSES, ROLES
from policies.sources import schema_source
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    ORG_ACTIONS,
    Action,
    ChangeKind,
    Group,
    Profession,
    Purpose,
    Role,
    Stage,
    Status,
)

SCHEMA = re.sub(r"//[^\n]*", "", schema_source().text)


def words(text: str) -> list[str]:
    return re.findall(r'"([^"]+)"', text)


@pytest.mark.parametrize("enum", [Role, Profession, Group, Purpose, Status, Stage, ChangeKind])
def test_each_vocabulary_is_the_schemas_enum_in_the_same_order(enum: type) -> None:
    declared = re.search(rf"entity {enum.__name__} enum \[(.*?)\];", SCHEMA, re.DOTALL)
    assert declared is not None
    assert words(declared[1]) == [str(value) for value in enum]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("resource", "actions"),
    [
        ("Case", CASE_ACTIONS),
        ("Handoff", HANDOFF_ACTIONS),
        ("Org", ORG_ACTIONS),
        ("Change", CHANGE_ACTIONS),
    ],
)
def test_each_action_applies_to_the_schemas_resource(resource: str, actions: frozenset[Action]) -> None:
    declared = re.findall(
        r"action ([^;]*?)(?:\s+in\s+\[[^\]]*\])?\s+appliesTo \{ principal: Member, resource: (\w+),", SCHEMA
    )
    named = [name for names, applies_to in declared if applies_to == resource for name in words(names)]
    assert sorted(named) == sorted(actions)


def test_no_vocabulary_of_the_schema_is_without_an_enum() -> None:
    declared = set(re.findall(r"entity (\w+) enum", SCHEMA))
    assert declared == {"Role", "Profession", "Group", "Purpose", "Status", "Stage", "ChangeKind"}


def test_every_action_is_about_exactly_one_kind_of_resource() -> None:
    kinds = [CASE_ACTIONS, HANDOFF_ACTIONS, ORG_ACTIONS, CHANGE_ACTIONS]
    assert sum(len(kind) for kind in kinds) == len(Action)
    assert frozenset[Action]().union(*kinds) == frozenset(Action)


def test_every_word_has_its_french() -> None:
    assert ACTIONS.keys() == set(Action)
    assert GROUPS.keys() == set(Group)
    assert PROFESSIONS.keys() == set(Profession)
    assert PURPOSES.keys() == set(Purpose)
    assert ROLES.keys() == set(Role)
