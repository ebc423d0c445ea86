"""The matrix of an organisation in French: who may do what, computed from the policies and kept in review."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from policies.engine import Engine
from policies.facts import Asker, CaseFacts, ChangeFacts, ConsentFacts, Context, HandoffFacts
from policies.grants import favourable_contexts, granted_groups
from policies.labels import ACTIONS, PROFESSIONS, PURPOSES, ROLES
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    ORG_ACTIONS,
    Action,
    ChangeKind,
    Fact,
    Group,
    Profession,
    Purpose,
    Role,
    Stage,
    Status,
)

MATRICES = Path(__file__).parent / "matrix"

_NOTHING = "—"
_EVERY = "tous"
_YES = "oui"

_PREAMBLE = """\
# Qui peut faire quoi : {org}

Calculé à partir de `policies/base.cedar` et de `policies/orgs/{org}.cedar` ; ne pas modifier à la main.

Une case dit sur quels dossiers un acte est permis quand tout ce qui dépend de la demande est réuni : seconde
authentification, réidentification, motif, poste géré, heures d’ouverture, bonne finalité ; dossier ouvert,
non restreint, sans conflit d’intérêts ; relais couvert par un accord en cours.

*tous* : tout dossier ou relais de l’association ; *affectés*, *équipe*, *urgence* : ceux auxquels la personne
est affectée, ceux de son équipe, ceux pour lesquels elle a un accès d’urgence en cours ; entre parenthèses,
les seules finalités admises. La dernière colonne dit ce dont l’absence retire l’acte, et à qui si ce n’est
pas à tous.

Un dossier restreint n’existe que pour les personnes nommées, un conflit d’intérêts ferme tout sauf le retrait
d’un accord : cela vaut partout et n’est pas répété.
"""


@dataclass(frozen=True, slots=True)
class _Column:
    """One kind of member of the organisation."""

    role: Role
    profession: Profession | None

    @property
    def title(self) -> str:
        return ROLES[self.role] + (f" {PROFESSIONS[self.profession]}" if self.profession else "")

    @property
    def professions(self) -> frozenset[Profession]:
        return frozenset({self.profession} if self.profession else ())


_COLUMNS = (
    _Column(Role.RECEPTION, None),
    *(_Column(Role.WORKER, profession) for profession in Profession),
    *(_Column(role, None) for role in (Role.SUPERVISOR, Role.CUSTODIAN, Role.AUDITOR, Role.DPO)),
)

_RELATIONS = {"affectés": Fact.MINE, "équipe": Fact.MY_TEAM, "urgence": Fact.GLASS, "autres": None}

_CHANGE_KINDS = {
    Action.POLICY_APPROVE: ChangeKind.POLICY,
    Action.ERASURE_READ: ChangeKind.ERASURE,
    Action.ERASURE_APPROVE: ChangeKind.ERASURE,
    Action.KEY_RECOVER_APPROVE: ChangeKind.KEY_RECOVERY,
}

# The stage at which each act on a handoff belongs.
_STAGES = {
    Action.HANDOFF_DRAFT: Stage.DRAFT,
    Action.HANDOFF_SEND: Stage.CONSENTED,
    Action.HANDOFF_CANCEL: Stage.SENT,
    Action.HANDOFF_READ: Stage.SENT,
    Action.HANDOFF_ACCEPT: Stage.SENT,
    Action.HANDOFF_DECLINE: Stage.SENT,
    Action.HANDOFF_OPEN: Stage.ACCEPTED,
    Action.HANDOFF_OUTCOME: Stage.ACCEPTED,
}
_SENT = frozenset({Action.HANDOFF_DRAFT, Action.HANDOFF_SEND, Action.HANDOFF_CANCEL, Action.HANDOFF_READ})
_RECEIVED = HANDOFF_ACTIONS - _SENT | {Action.HANDOFF_READ}


@dataclass(frozen=True, slots=True)
class _Situation:
    """A request that the matrix tries, under the word that its cell would show."""

    word: str
    context: Context
    facts: CaseFacts | HandoffFacts | ChangeFacts | None


def matrix(engine: Engine) -> str:
    """The Markdown of an organisation's matrix: acts on cases, handoffs, the organisation; keys granted."""
    asks = _Asks(engine)
    parts = [_PREAMBLE.format(org=engine.org)]
    parts += [f"## {title}\n\n{_table(asks, rows)}" for title, rows in _sections(engine)]
    parts.append(f"## Clés remises\n\n{_grants(engine)}")
    return "\n".join(parts)


def lines_of(engine: Engine, action: Action) -> Iterator[str]:
    """The lines of the matrix that say who may do ``action``: two where it is sent and received."""
    asks = _Asks(engine)
    for _, rows in _sections(engine):
        yield from (_line(asks, row) for row in rows if row[0] is action)


def _sections(engine: Engine) -> tuple[tuple[str, list["_Row"]], ...]:
    return (
        (
            "Dossiers",
            [(action, ACTIONS[action], _case_situations(action)) for action in _in_order(CASE_ACTIONS)],
        ),
        ("Relais émis", [_handoff_row(action, engine, sent=True) for action in _in_order(_SENT)]),
        ("Relais reçus", [_handoff_row(action, engine, sent=False) for action in _in_order(_RECEIVED)]),
        ("Association", [*_rows_of_the_organisation()]),
    )


def matrix_path(org: str) -> Path:
    """Where an organisation's matrix is committed."""
    return MATRICES / f"{org}.md"


class _Asks:
    """Puts one situation to the engine, whatever kind of resource it is about."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def allows(self, column: _Column, action: Action, situation: _Situation) -> bool:
        asker = Asker(org=self._engine.org, role=column.role, professions=column.professions, active=True)
        match situation.facts:
            case CaseFacts() as facts:
                return self._engine.decide_case(asker, action, facts, situation.context).allowed
            case HandoffFacts() as facts:
                return self._engine.decide_handoff(asker, action, facts, situation.context).allowed
            case ChangeFacts() as facts:
                return self._engine.decide_change(asker, action, facts, situation.context).allowed
            case _:
                return self._engine.decide_org(asker, action, situation.context).allowed


_Row = tuple[Action, str, Sequence[_Situation]]


def _in_order(actions: frozenset[Action]) -> list[Action]:
    return [action for action in Action if action in actions]


def _case_situations(action: Action) -> list[_Situation]:
    unrelated = CaseFacts.from_bits(0)
    if action is Action.CASE_CREATE:
        return [_Situation(_YES, context, CaseFacts.of_a_new_case()) for context in favourable_contexts()]
    status = Status.CLOSED if action is Action.CASE_REOPEN else Status.OPEN
    return [
        _Situation(word, context, replace(unrelated, status=status, **({str(fact): True} if fact else {})))
        for word, fact in _RELATIONS.items()
        for context in favourable_contexts()
    ]


def _handoff_row(action: Action, engine: Engine, *, sent: bool) -> _Row:
    other = min(engine.orgs - {engine.org})
    from_, to = (engine.org, other) if sent else (other, engine.org)
    groups = frozenset({Group.IDENTITY, Group.CONTACT, Group.INTAKE})
    consent = ConsentFacts(live=True, same_content=True, to=to, groups=frozenset(Group))
    situations = [
        _Situation(
            word,
            context,
            HandoffFacts(
                from_=from_,
                to=to,
                groups=groups,
                stage=_STAGES[action],
                mine=mine,
                conflict=False,
                consent=consent,
            ),
        )
        for word, mine in (("affectés", True), ("autres", False))
        for context in favourable_contexts()
    ]
    return action, ACTIONS[action], situations


def _rows_of_the_organisation() -> Iterator[_Row]:
    for action in _in_order(ORG_ACTIONS):
        yield action, ACTIONS[action], [_Situation(_YES, context, None) for context in favourable_contexts()]
    for action in _in_order(CHANGE_ACTIONS):
        change = ChangeFacts(kind=_CHANGE_KINDS[action], mine=False)
        yield (
            action,
            ACTIONS[action],
            [_Situation(_YES, context, change) for context in favourable_contexts()],
        )


def _table(asks: _Asks, rows: Sequence[_Row]) -> str:
    titles = ["acte", *(column.title for column in _COLUMNS), "il faut"]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    return "\n".join([*lines, *(_line(asks, row) for row in rows)]) + "\n"


def _line(asks: _Asks, row: _Row) -> str:
    action, title, situations = row
    allowed = {
        column: [situation for situation in situations if asks.allows(column, action, situation)]
        for column in _COLUMNS
    }
    cells = [_cell(allowed[column], situations) for column in _COLUMNS]
    return f"| {' | '.join([title, *cells, _conditions(asks, action, allowed)])} |"


def _cell(allowed: Sequence[_Situation], tried: Sequence[_Situation]) -> str:
    """The words of the allowed situations, with the purposes where not every purpose will do."""
    purposes: dict[str, frozenset[Purpose]] = defaultdict(frozenset)
    for situation in allowed:
        purposes[situation.word] |= {situation.context.purpose}
    words: dict[frozenset[Purpose], list[str]] = defaultdict(list)
    for word in dict.fromkeys(situation.word for situation in tried):
        if purposes[word]:
            words[purposes[word]].append(word)
    every = list(dict.fromkeys(situation.word for situation in tried))
    parts = [
        (_EVERY if found == every and found != [_YES] else ", ".join(found)) + _for_purposes(needed)
        for needed, found in words.items()
    ]
    return " ; ".join(parts) or _NOTHING


def _for_purposes(purposes: frozenset[Purpose]) -> str:
    if purposes == frozenset(Purpose):
        return ""
    return f" ({', '.join(PURPOSES[purpose] for purpose in Purpose if purpose in purposes)})"


def _conditions(asks: _Asks, action: Action, allowed: dict[_Column, list[_Situation]]) -> str:
    """Each condition whose absence takes the act from somebody, and from whom if not from all.

    Tried on one situation of each word of a cell, that is, for one of its purposes.
    """
    holders = [column for column in _COLUMNS if allowed[column]]
    parts = []
    for title, without in _CONDITIONS.items():
        losers = [
            column
            for column in holders
            if any(
                (worse := without(situation)) is not None and not asks.allows(column, action, worse)
                for situation in {
                    situation.word: situation for situation in reversed(allowed[column])
                }.values()
            )
        ]
        if losers:
            whom = "" if losers == holders else f" ({', '.join(column.title for column in losers)})"
            parts.append(title + whom)
    return ", ".join(parts)


def _in_context(worsened: Callable[[Context], Context]) -> Callable[[_Situation], _Situation]:
    return lambda situation: replace(situation, context=worsened(situation.context))


def _with_status(status: Status) -> Callable[[_Situation], _Situation | None]:
    def worse(situation: _Situation) -> _Situation | None:
        if isinstance(situation.facts, CaseFacts) and situation.facts.status is Status.OPEN:
            return replace(situation, facts=replace(situation.facts, status=status))
        return None

    return worse


def _restricted(situation: _Situation) -> _Situation | None:
    if isinstance(situation.facts, CaseFacts) and situation.facts.mine:
        return replace(situation, facts=replace(situation.facts, restricted=True))
    return None


def _not_covered(situation: _Situation) -> _Situation | None:
    if isinstance(situation.facts, HandoffFacts):
        return replace(situation, facts=replace(situation.facts, consent=None))
    return None


def _with_every_group(situation: _Situation) -> _Situation | None:
    if isinstance(situation.facts, HandoffFacts):
        return replace(situation, facts=replace(situation.facts, groups=frozenset(Group)))
    return None


def _proposed_by_oneself(situation: _Situation) -> _Situation | None:
    if isinstance(situation.facts, ChangeFacts):
        return replace(situation, facts=replace(situation.facts, mine=True))
    return None


_CONDITIONS: dict[str, Callable[[_Situation], _Situation | None]] = {
    "réidentification": _in_context(lambda context: replace(context, step_up=False)),
    "motif": _in_context(lambda context: replace(context, reason=False)),
    "poste géré": _in_context(lambda context: replace(context, device=False)),
    "heures d’ouverture": _in_context(lambda context: replace(context, hours=False)),
    "pas pour soi-même": _in_context(lambda context: replace(context, self_target=True)),
    "dossier non clos": _with_status(Status.CLOSED),
    "dossier non archivé": _with_status(Status.ARCHIVED),
    "dossier non restreint": _restricted,
    "accord en cours": _not_covered,
    "contenu limité": _with_every_group,
    "proposé par une autre personne": _proposed_by_oneself,
}


def _grants(engine: Engine) -> str:
    lines = ["| rôle | compartiments dont la clé est remise |", "|---|---|"]
    for column in _COLUMNS:
        granted = granted_groups(engine, column.role, column.professions)
        lines.append(f"| {column.title} | {', '.join(f'`{name}`' for name in sorted(granted)) or _NOTHING} |")
    return "\n".join(lines) + "\n"
