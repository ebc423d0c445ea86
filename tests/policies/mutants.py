"""``python -m tests.policies.mutants``: is every line of the policies missed when it is gone?

Makes every mutant (``mutation.py``) and looks for what catches it: the lint, a phrase, or the committed matrix. One
that nothing catches stands in ``guards.toml`` with the reason for keeping a line whose loss nobody would see.
Code 1, and each fault, when a mutant is neither caught nor a guard, or a guard is caught or no mutant at all.
"""

import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from copy import copy
from functools import cache
from pathlib import Path

import cedarpy
import click

from policies.engine import Engine
from policies.lint import PolicyRefused, check
from policies.matrix import lines_of, matrix_path
from policies.phrases import Phrase, broken_phrases, phrases_of
from policies.sources import BASE, Source, base_source, org_source, schema_for
from policies.vocabulary import Action
from tests.policies.mutation import Mutant, mutants
from tests.policies.situations import ORGS, engine_of

GUARDS = Path(__file__).with_name("guards.toml")


def every_mutant() -> Iterator[Mutant]:
    """The mutants of all committed files."""
    for source in (base_source(), *map(org_source, ORGS)):
        yield from mutants(source)


def guards() -> dict[str, str]:
    """The names of the mutants that nothing is expected to catch, and why each line stands all the same."""
    listed = tomllib.loads(GUARDS.read_text("utf-8"))["guard"]
    return {guard["mutant"]: guard["reason"] for guard in listed}


def caught_by(mutant: Mutant) -> str:
    """What catches a mutant, the cheapest first: "lint", "phrase" or "matrix"; empty when nothing does."""
    try:
        if mutant.text:
            check([Source(mutant.file, mutant.text)], schema_for(ORGS))
    except PolicyRefused:
        return "lint"
    orgs = ORGS if mutant.file == BASE else (mutant.file,)
    if any(_breaks_a_phrase(_engine_with(mutant, org), mutant) for org in orgs):
        return "phrase"
    if any(_changes_the_matrix(_engine_with(mutant, org), mutant) for org in orgs):
        return "matrix"
    return ""


def faults(caught: Mapping[str, str], listed: Collection[str]) -> list[str]:
    """Each mutant (by name, with what caught it) that is neither caught nor a guard, and each guard that is."""
    return [
        *(f"{name}: nothing catches it" for name, by in caught.items() if not by and name not in listed),
        *(f"{name}: a guard, yet caught by a {by}" for name, by in caught.items() if by and name in listed),
    ]


def _engine_with(mutant: Mutant, org: str) -> Engine:
    """The engine of ``org`` with a mutant in force, past the lint that it has passed, with memos of its own."""
    unchanged = org_source(org).text if mutant.file == BASE else base_source().text
    engine = copy(engine_of(org))
    engine._cedar = copy(engine._cedar)
    every = cedarpy.PolicySet.from_str(f"{unchanged}\n{mutant.others}\n{mutant.text}")
    # About each act all of them: to choose takes longer than the few decisions that are asked for.
    engine._cedar._about = dict.fromkeys(Action, every)
    engine._tables, engine._filters, engine._org_memo, engine._handoff_memo = {}, {}, {}, {}
    return engine


def _breaks_a_phrase(engine: Engine, mutant: Mutant) -> bool:
    # Its own phrases first: one of them is nearly always enough.
    phrases = sorted(_phrases(engine.org, mutant.acts), key=lambda phrase: phrase.by != mutant.policy)
    return any(broken_phrases(engine, (phrase,)) for phrase in phrases)


def _changes_the_matrix(engine: Engine, mutant: Mutant) -> bool:
    committed = _committed_lines(engine.org)
    return any(line not in committed for act in sorted(mutant.acts) for line in lines_of(engine, act))


@cache
def _phrases(org: str, acts: frozenset[Action]) -> tuple[Phrase, ...]:
    return tuple(phrase for phrase in phrases_of(org) if phrase.action in acts)


@cache
def _committed_lines(org: str) -> frozenset[str]:
    return frozenset(matrix_path(org).read_text("utf-8").splitlines())


def main() -> int:
    listed = guards()
    caught = {mutant.name: caught_by(mutant) for mutant in every_mutant()}
    found = faults(caught, listed)
    found += [f"{name}: a guard of no policy" for name in listed.keys() - caught.keys()]
    for fault in found:
        click.echo(fault, err=True)
    tally = Counter(by or "guard" for by in caught.values())
    click.echo(f"{len(caught)} mutants: " + ", ".join(f"{count} {by}" for by, count in tally.most_common()))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
