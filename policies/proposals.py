"""A set of rules that is proposed: what is asked of it before it may be approved, and what it changes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from policies.diff import compare, key_changes
from policies.engine import Engine
from policies.facts import HandoffFacts
from policies.lint import Finding, PolicyRefused
from policies.phrases import Phrase, PhraseMalformed, broken_phrases, read_phrases
from policies.wording import key_sentence, sentence

RULES_SIZE = 200_000
"""How many bytes the file of an organisation's rules has at most; so has that of its phrases."""

_ESSENTIALS = Path(__file__).parent / "essentials.toml"


class ProposalRefused(ValueError):
    """What may not be proposed; ``faults`` are sentences: the file, the line or the rule, and what is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Difference:
    """What rules give and take compared with others, and the keys that follow, in sentences."""

    changes: tuple[str, ...]
    keys: tuple[str, ...]


def sound_engine(org: str, orgs: frozenset[str], text: str, phrases: str) -> Engine:
    """The rules of a text that pass strict validation, the lint, the phrases of the organisation and those of all.

    Raises:
        ProposalRefused: they do not.

    """
    too_long = [
        name for name, of in (("règles", text), ("phrases", phrases)) if len(of.encode()) > RULES_SIZE
    ]
    if too_long:
        raise ProposalRefused([f"{name} : plus de {RULES_SIZE} octets" for name in too_long])
    try:
        engine = Engine.of_text(org, orgs, text)
        tried = (*essentials(org), *(read_phrases(phrases) if phrases.strip() else ()))
    except PolicyRefused as error:
        raise ProposalRefused([_fault(finding, text) for finding in error.findings]) from None
    except PhraseMalformed as error:
        raise ProposalRefused([f"phrases : {error}"]) from None
    except ValueError as error:
        # Not TOML: the message names line and column.
        raise ProposalRefused([f"phrases : {error}"]) from None
    # A phrase may name an organisation that is not of this deployment.
    named = orgs.union(*map(_organisations, tried))
    broken = broken_phrases(engine if named == orgs else Engine.of_text(org, named, text), tried)
    if broken:
        raise ProposalRefused([f"phrases : {one}" for one in broken])
    return engine


def essentials(org: str) -> tuple[Phrase, ...]:
    """The phrases that the rules of every organisation keep."""
    phrases = read_phrases(_ESSENTIALS.read_text("utf-8"))
    return tuple(replace(phrase, asker=replace(phrase.asker, org=org)) for phrase in phrases)


def difference(old: Engine, new: Engine) -> Difference:
    """What changes where ``new`` takes the place of ``old``; takes seconds."""
    return Difference(
        tuple(sentence(change) for change in compare(old, new)),
        tuple(key_sentence(key) for key in key_changes(old, new)),
    )


def _organisations(phrase: Phrase) -> set[str]:
    parties = {phrase.facts.from_, phrase.facts.to} if isinstance(phrase.facts, HandoffFacts) else set()
    return {phrase.asker.org, *parties}


def _fault(finding: Finding, text: str) -> str:
    line = next(_lines_of(finding.policy, text), None) if finding.policy else None
    where = f"règles, ligne {line}" if line is not None else "règles"
    return f"{where} : {finding.policy or '?'} : {finding.message}"


def _lines_of(policy: str, text: str) -> Iterator[int]:
    named = re.compile(rf'@id\s*\(\s*"{re.escape(policy)}"')
    for number, line in enumerate(text.splitlines(), 1):
        if named.search(line):
            yield number
