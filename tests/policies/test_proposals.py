"""What a set of rules must keep before it may be proposed, and how its faults are told."""

import pytest

from policies.engine import Engine
from policies.phrases import broken_phrases, phrases_text
from policies.proposals import RULES_SIZE, ProposalRefused, difference, essentials, sound_engine
from policies.sources import org_source
from tests.policies.situations import ORGS, engine_of

EVERY = frozenset(ORGS)
AVEC = org_source("avec").text


def faults(text: str, phrases: str = "") -> tuple[str, ...]:
    with pytest.raises(ProposalRefused) as refused:
        sound_engine("avec", EVERY, text, phrases)
    return refused.value.faults


@pytest.mark.parametrize("org", ORGS)
def test_what_is_shipped_is_sound_with_its_own_phrases_and_those_of_all(org: str) -> None:
    engine = sound_engine(org, EVERY, org_source(org).text, phrases_text(org))
    assert engine.hash == engine_of(org).hash
    assert broken_phrases(engine, essentials(org)) == ()


def test_a_fault_names_file_line_and_rule() -> None:
    (fault,) = faults(
        AVEC + '\n\n@id("avec.x") permit (principal in Org::"avec", '
        'action == Action::"case.list", resource in Org::"avec");\n'
    )
    line = len(AVEC.splitlines()) + 3
    assert fault == f"règles, ligne {line} : avec.x : chaque règle porte un @title en français"


def test_what_does_not_parse_or_is_too_long_is_refused() -> None:
    assert faults("permit (principal")[0].startswith("règles : ?")
    assert faults(" " * (RULES_SIZE + 1)) == (f"règles : plus de {RULES_SIZE} octets",)
    assert faults(AVEC, "[[phrase") != ()
    assert faults(AVEC, '[[phrase]]\nsays = "x"\n')[0].startswith("phrases : x")


def test_an_organisation_does_not_take_from_its_people_what_every_organisation_keeps() -> None:
    blind = """
        @id("avec.blind") @title("Personne ne lit le journal")
        forbid (principal in Org::"avec", action == Action::"journal.read", resource in Org::"avec");
    """
    (fault,) = faults(AVEC + blind)
    assert fault.startswith("phrases : « L’auditrice lit et vérifie le journal")
    assert "avec.blind" in fault


def test_its_own_phrase_that_the_rules_do_not_keep_is_told() -> None:
    phrase = """
        [[phrase]]
        says = "L’accueil efface"
        org = "avec"
        role = "reception"
        action = "erasure.approve"
        change = { kind = "erasure" }
        verdict = "allow"
    """
    (fault,) = faults(AVEC, phrase)
    assert fault.startswith("phrases : « L’accueil efface »")


def test_a_difference_names_what_changes_and_the_keys_that_follow() -> None:
    less = "\n@id(".join(part for part in AVEC.split("\n@id(") if "case.list" not in part or "health" in part)
    told = difference(engine_of("avec"), Engine.of_text("avec", EVERY, less))
    assert any(" PERD " in line for line in told.changes)
    assert any(line.startswith("clé « index » : à renouveler") for line in told.keys)
