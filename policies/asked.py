"""What was asked of the policies, in words that the journal may hold, and from them the question again.

A word says how the asker stands to what she asks about (`mine`, `restricted`), what state it is in (`status.open`)
and how she asks (`device`, `step_up`); what does not hold has no word. None names a member, a person or a case.
Nor does one describe a handoff, whose groups stand nowhere in clear: it is said that one was asked about, no more.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

from policies.facts import Asker, CaseFacts, ChangeFacts, Context, HandoffFacts
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    Action,
    ChangeKind,
    Fact,
    Profession,
    Purpose,
    Role,
    Status,
)

CIRCUMSTANCES: Final = ("mfa", "step_up", "reason", "device", "hours", "self_target")
_ACTIVE, _MINE = "active", "mine"
_PROFESSION, _STATUS, _KIND = "profession.", "status.", "kind."
_Word = TypeVar("_Word", Profession, Status, ChangeKind)


class Question(NamedTuple):
    """``facts`` are None when it is about the organisation itself."""

    asker: Asker
    action: Action
    facts: CaseFacts | ChangeFacts | HandoffFacts | None
    context: Context


class NotAQuestion(ValueError):
    """Words that say no question of today's vocabulary."""


def words_of(question: Question) -> tuple[str, ...]:
    """What holds, in ascending order; the act, the asker's role and her purpose stand beside it in an entry."""
    asker, _, facts, context = question
    words = [f"{_PROFESSION}{profession}" for profession in asker.professions]
    words += [name for name in CIRCUMSTANCES if getattr(context, name)]
    if asker.active:
        words.append(_ACTIVE)
    if isinstance(facts, CaseFacts):
        words += [f"{_STATUS}{facts.status}", *(fact for fact in Fact if getattr(facts, fact))]
    elif isinstance(facts, ChangeFacts):
        words += [f"{_KIND}{facts.kind}", *([_MINE] if facts.mine else [])]
    return tuple(sorted(map(str, words)))


def question_of(org: str, role: str, purpose: str, action: str, words: Iterable[str]) -> Question:
    """The question that ``words_of`` put into words.

    Raises:
        NotAQuestion: a word of it is not in the vocabulary, or not about such an act; or it is about a handoff.

    """
    held = frozenset(words)
    try:
        act = Action(action)
        question = Question(
            Asker(
                org=org,
                role=Role(role),
                professions=frozenset(_named(held, _PROFESSION, Profession)),
                active=_ACTIVE in held,
            ),
            act,
            _facts(act, held),
            Context(**{name: name in held for name in CIRCUMSTANCES}, purpose=Purpose(purpose)),
        )
    except ValueError:
        raise NotAQuestion(action) from None
    if act in HANDOFF_ACTIONS or frozenset(words_of(question)) != held:
        raise NotAQuestion(action)
    return question


def _facts(action: Action, held: frozenset[str]) -> CaseFacts | ChangeFacts | None:
    if action in CASE_ACTIONS:
        (status,) = _named(held, _STATUS, Status)
        return CaseFacts(**{fact: fact in held for fact in Fact}, status=status)
    if action in CHANGE_ACTIONS:
        (kind,) = _named(held, _KIND, ChangeKind)
        return ChangeFacts(kind=kind, mine=_MINE in held)
    return None


def _named(held: frozenset[str], prefix: str, vocabulary: type[_Word]) -> list[_Word]:
    return [vocabulary(word.removeprefix(prefix)) for word in held if word.startswith(prefix)]
