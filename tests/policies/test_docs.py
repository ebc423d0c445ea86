import re
from pathlib import Path

from tests.policies.situations import ORGS, engine_of

PAGE = (Path(__file__).parents[2] / "docs" / "policies" / "README.md").read_text("utf-8")


def test_the_page_describes_every_policy_and_no_other() -> None:
    described = re.findall(rf"`((?:base|{'|'.join(ORGS)})\.(?!cedar)[a-z_.]+)`", PAGE)
    policies = {policy.id for org in ORGS for policy in engine_of(org).policies}
    assert set(described) == policies


def test_each_policy_is_described_in_the_section_of_its_file() -> None:
    _, everybody, *sections = PAGE.split("\n## ")[1:]
    for name, section in zip(("base", *ORGS), (everybody, *sections), strict=True):
        named = set(re.findall(r"`([a-z]+)\.[a-z_.]+`", section))
        assert named == {name}
