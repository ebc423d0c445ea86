import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from policies import phrases as phrases_module
from policies.engine import Decision
from policies.facts import ChangeFacts, HandoffFacts
from policies.phrases import (
    ConsentWord,
    PhraseMalformed,
    Verdict,
    broken_phrases,
    phrases_of,
    read_phrases,
)
from policies.sources import BASE
from policies.vocabulary import Action, Group, Role
from tests.policies.situations import ORGS, engine_of

FILES = Path(phrases_module.__file__).parent / "tests"

each_org = pytest.mark.parametrize("org", ORGS)

ONE = """
[[phrase]]
says = "Une auditrice lit le journal"
org = "avec"
role = "auditor"
action = "journal.read"
verdict = "allow"
by = "base.journal"
"""


@each_org
def test_the_phrases_hold(org: str) -> None:
    assert [str(broken) for broken in broken_phrases(engine_of(org), phrases_of(org))] == []


@each_org
def test_every_phrase_is_told_with_its_other_side(org: str) -> None:
    """At least sixty in all, each allowed and refused, and no sentence twice."""
    entries = tomllib.loads((FILES / f"{org}.toml").read_text("utf-8"))["phrase"]
    assert [entry["says"] for entry in entries if not entry.get("otherwise")] == []
    assert len(entries) >= 15
    said = [phrase.says for phrase in phrases_of(org)]
    assert sorted(set(said)) == sorted(said)


@each_org
def test_every_policy_of_an_organisation_is_the_reason_of_a_phrase(org: str) -> None:
    reasons = {phrase.by for phrase in phrases_of(org)}
    assert {policy.id for policy in engine_of(org).policies if policy.source == org} <= reasons


def test_every_base_policy_is_the_reason_of_a_phrase() -> None:
    reasons = {phrase.by for org in ORGS for phrase in phrases_of(org)}
    assert {policy.id for policy in engine_of("avec").policies if policy.source == BASE} <= reasons


def test_the_other_side_is_the_same_request_but_for_what_it_names() -> None:
    text = f"""{ONE}
context = {{ device = false }}
otherwise = [
  {{ says = "Une intervenante ne lit pas le journal", role = "worker", context = {{ hours = false }} }},
  {{ says = "Ni une intervenante d’ailleurs", role = "worker", org = "med", by = "base.tenant.org" }},
]"""
    said, other, third = read_phrases(text)
    assert (said.verdict, said.by, said.context.hours) == (Verdict.ALLOW, "base.journal", True)
    assert (other.verdict, other.by, other.asker.role) == (Verdict.DENY, "", Role.WORKER)
    assert (other.action, other.context) == (said.action, replace(said.context, hours=False))
    assert (third.verdict, third.by, third.asker.org) == (Verdict.DENY, "base.tenant.org", "med")
    assert third.context == said.context
    refused = text.replace('"allow"', '"deny"').replace('"base.journal"', '""')
    assert [phrase.verdict for phrase in read_phrases(refused)] == [
        Verdict.DENY,
        Verdict.ALLOW,
        Verdict.ALLOW,
    ]


@pytest.mark.parametrize("other", ['{ role = "worker" }', '{ says = "Toujours", verdict = "allow" }'])
def test_an_other_side_without_a_sentence_or_with_a_verdict_of_its_own_is_refused(other: str) -> None:
    with pytest.raises(PhraseMalformed, match="Une auditrice lit le journal: otherwise"):
        read_phrases(f"{ONE}otherwise = [{other}]")


def test_a_sentence_about_several_acts_is_tried_for_each_of_them() -> None:
    read, verify = read_phrases(ONE.replace('"journal.read"', '["journal.read", "journal.verify"]'))
    assert (read.action, verify.action) == (Action.JOURNAL_READ, Action.JOURNAL_VERIFY)
    assert read.says == "Une auditrice lit le journal (lire le journal)"
    with pytest.raises(PhraseMalformed, match="Une auditrice lit le journal"):
        read_phrases(ONE.replace('"journal.read"', '["journal.read", "journal.lst"]'))


@pytest.mark.parametrize("text", ["", "phrase = []"])
def test_a_file_without_a_phrase_is_refused(text: str) -> None:
    with pytest.raises(PhraseMalformed):
        read_phrases(text)


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
    for word, live, same, to, groups in (
        (ConsentWord.LIVE, True, True, "cidff", 3),
        (ConsentWord.WITHDRAWN, False, True, "cidff", 3),
        (ConsentWord.OTHER_CONTENT, True, False, "cidff", 3),
        (ConsentWord.OTHER_RECEIVER, True, True, "avec", 3),
        (ConsentWord.IDENTITY_ONLY, True, True, "cidff", 1),
    ):
        (phrase,) = read_phrases(f'{text}, consent = "{word}" }}')
        assert isinstance(phrase.facts, HandoffFacts)
        given = phrase.facts.consent
        assert given is not None
        assert (given.live, given.same_content, given.to, len(given.groups)) == (live, same, to, groups)
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
