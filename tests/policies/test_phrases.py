from dataclasses import replace

import pytest

from policies.engine import Decision
from policies.facts import ChangeFacts, HandoffFacts
from policies.phrases import (
    ConsentWord,
    Phrase,
    PhraseMalformed,
    Verdict,
    broken_phrases,
    phrases_of,
    read_phrases,
)
from policies.vocabulary import Group
from tests.policies.situations import ORGS, engine_of

PHRASES = [(org, phrase) for org in ORGS for phrase in phrases_of(org)]

ONE = """
[[phrase]]
says = "Une auditrice lit le journal"
org = "avec"
role = "auditor"
action = "journal.read"
verdict = "allow"
by = "base.journal"
"""


@pytest.mark.parametrize(("org", "phrase"), PHRASES, ids=[phrase.says for _, phrase in PHRASES])
def test_the_phrase_holds(org: str, phrase: Phrase) -> None:
    assert [str(broken) for broken in broken_phrases(engine_of(org), (phrase,))] == []


@pytest.mark.parametrize("org", ORGS)
def test_each_organisation_has_both_allowed_and_denied_phrases(org: str) -> None:
    assert {phrase.verdict for phrase in phrases_of(org)} == set(Verdict)
    assert len({phrase.says for phrase in phrases_of(org)}) == len(phrases_of(org))


def test_a_phrase_that_no_longer_holds_says_what_was_found() -> None:
    (phrase,) = read_phrases(ONE.replace('"allow"', '"deny"'))
    (broken,) = broken_phrases(engine_of("avec"), (phrase,))
    assert (
        str(broken) == "« Une auditrice lit le journal » : allow (base.journal), attendu deny (base.journal)"
    )


def test_a_phrase_is_broken_by_another_reason_or_an_error() -> None:
    (phrase,) = read_phrases(ONE)
    assert phrase.holds(Decision(allowed=True, policies=("base.journal",)))
    assert not phrase.holds(Decision(allowed=True, policies=("base.other",)))
    assert not phrase.holds(Decision(allowed=True, policies=("base.journal",), error=True))
    unpermitted = replace(phrase, verdict=Verdict.DENY, by="")
    assert unpermitted.holds(Decision(allowed=False, policies=()))
    assert not unpermitted.holds(Decision(allowed=False, policies=("base.mfa",)))


def test_a_broken_phrase_that_nothing_permits_says_so() -> None:
    (phrase,) = read_phrases(ONE.replace("auditor", "worker"))
    (broken,) = broken_phrases(engine_of("avec"), (phrase,))
    assert str(broken).endswith(": deny (—), attendu allow (base.journal)")


@pytest.mark.parametrize(
    "line",
    [
        'colour = "red"',
        'role = "boss"',
        'action = "case.lst"',
        'verdict = "maybe"',
        'professions = ["lawyer"]',
        "context = { daylight = true }",
        'context = { purpose = "curiosity" }',
    ],
)
def test_a_phrase_with_an_unknown_word_is_refused(line: str) -> None:
    key = line.split(" ", 1)[0]
    kept = [kept for kept in ONE.splitlines() if not kept.startswith(f"{key} ")]
    with pytest.raises(PhraseMalformed, match="Une auditrice lit le journal"):
        read_phrases("\n".join([*kept, line]))


@pytest.mark.parametrize("key", ["org", "role", "action", "verdict"])
def test_a_phrase_without_what_it_needs_is_refused(key: str) -> None:
    kept = [kept for kept in ONE.splitlines() if not kept.startswith(f"{key} ")]
    with pytest.raises(PhraseMalformed, match=key):
        read_phrases("\n".join(kept))


def test_a_phrase_about_a_handoff_names_its_parties_and_its_consent() -> None:
    text = (
        ONE.replace("journal.read", "handoff.read")
        + 'handoff = { from = "avec", to = "cidff", stage = "sent"'
    )
    for word, live, same, groups in (
        (ConsentWord.LIVE, True, True, 3),
        (ConsentWord.WITHDRAWN, False, True, 3),
        (ConsentWord.OTHER_CONTENT, True, False, 3),
        (ConsentWord.IDENTITY_ONLY, True, True, 1),
    ):
        (phrase,) = read_phrases(f'{text}, consent = "{word}" }}')
        assert isinstance(phrase.facts, HandoffFacts)
        given = phrase.facts.consent
        assert given is not None
        assert (given.live, given.same_content, given.to, len(given.groups)) == (live, same, "cidff", groups)
        assert Group.IDENTITY in given.groups
    (phrase,) = read_phrases(f"{text} }}")
    assert isinstance(phrase.facts, HandoffFacts)
    assert phrase.facts.consent is None
    with pytest.raises(PhraseMalformed, match="stage"):
        read_phrases(
            ONE.replace("journal.read", "handoff.read") + 'handoff = { from = "avec", to = "cidff" }'
        )


def test_a_phrase_about_a_change_names_its_kind() -> None:
    text = ONE.replace("journal.read", "policy.approve")
    (phrase,) = read_phrases(text + 'change = { kind = "policy", mine = true }')
    assert isinstance(phrase.facts, ChangeFacts)
    assert phrase.facts.mine
    with pytest.raises(PhraseMalformed, match="kind"):
        read_phrases(text)
