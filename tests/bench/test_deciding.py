"""Deciding: README shows what the command found last, and the rules by hand are the organisation's."""

from dataclasses import replace
from itertools import product

import msgspec

from bench import by_hand, deciding
from bench.deciding import CASBIN, CASEWORK, HAND, Deciding
from bench.report import insert
from policies.facts import ALL_CASE_FACTS
from policies.vocabulary import Purpose
from tests.conventions.project import ROOT
from tests.policies.situations import AT_WORST, MEMBERS, WORKING_DAY, engine_of, member

_CONTEXTS = (
    WORKING_DAY,
    AT_WORST,
    replace(WORKING_DAY, mfa=False),
    replace(WORKING_DAY, purpose=Purpose.RIGHTS_REQUEST),
)


def test_readme_shows_the_last_run_and_nothing_else() -> None:
    last = msgspec.json.decode((ROOT / "bench" / "deciding.json").read_bytes(), type=Deciding)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert insert(readme, deciding.section(last), deciding.MARKERS) == readme
    assert last.cases == 1_000_000
    assert {one.name for one in last.asked} == deciding.GOALS_US.keys()
    assert last.asked[0].us.keys() == {CASEWORK, CASBIN, HAND}


def test_the_rules_by_hand_decide_what_the_organisations_policies_decide() -> None:
    engine = engine_of("avec")
    for (role, professions), action, context in product(MEMBERS, by_hand.READING, _CONTEXTS):
        asker = member("avec", role, *professions)
        allowed = engine.allowed_states(asker, action, context)
        by_hand_allowed = {
            facts.bits for facts in ALL_CASE_FACTS if by_hand.may(asker, action, facts, context)
        }
        assert by_hand_allowed == allowed, (role, professions, action, context)
