import re
from pathlib import Path

import pytest

from tests.policies.situations import ORGS, engine_of

PAGE = (Path(__file__).parents[2] / "docs" / "policies" / "README.md").read_text("utf-8")
FILES = ("base", *ORGS)
POLICY = re.compile(rf"`((?:{'|'.join(FILES)})\.(?!cedar)[a-z_.]+)`")
# One entry of a list, with the lines that go on under it.
RULE = re.compile(r"^- (.*(?:\n  .*)*)$", re.MULTILINE)

# The page ends with the rules: a section for everybody and one for each organisation.
SECTIONS = dict(zip(FILES, PAGE.split("\n## ")[-len(FILES) :], strict=True))


def sentences(section: str) -> list[str]:
    """The rules of a section: its list, cut where a sentence or an independent clause ends."""
    clauses = [clause for rule in RULE.findall(section) for clause in re.split(r"\.(?:\s|$)|\s;\s", rule)]
    return [" ".join(clause.split()) for clause in clauses if clause.strip()]


def test_the_page_describes_every_policy_and_no_other() -> None:
    described = POLICY.findall(PAGE)
    policies = {policy.id for org in ORGS for policy in engine_of(org).policies}
    assert set(described) == policies


@pytest.mark.parametrize("file", FILES)
def test_each_sentence_of_the_rules_names_the_policies_that_make_it_true(file: str) -> None:
    said = sentences(SECTIONS[file])
    assert len(said) >= 7
    assert [sentence for sentence in said if not POLICY.search(sentence)] == []


@pytest.mark.parametrize("file", FILES)
def test_each_policy_is_described_in_the_section_of_its_file(file: str) -> None:
    named = {policy.partition(".")[0] for policy in POLICY.findall(SECTIONS[file])}
    assert named == {file}


def test_nothing_stands_in_a_section_but_its_list_of_sentences() -> None:
    """Else a rule could be told in words that no test holds against a policy."""
    for section in SECTIONS.values():
        _, _, body = section.partition("\n")
        assert RULE.sub("", body).strip() == ""
