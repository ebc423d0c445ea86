"""The gateway of relation flags: what is written of a person or a member becomes marks and tokens for the auditor.

A holder of `index` makes them in the very act that writes an identity, a contact or a declaration. Who holds none
leaves it to the next holder: of a case, whoever opens it; of a declaration, whoever makes marks next. What is
compared is kept nowhere; the auditor, who holds `journal` alone, learns which member has which relation to a case.
(Decision 0020.)
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from casework import conflicts
from casework.act import Act
from casework.candidates import every_pseudonym
from casework.cases.resemblance import (
    Values,
    conflicts_of_contact,
    conflicts_of_identity,
    of_contact,
    of_identity,
)
from casework.cases.tables import case_conflict, case_group, case_relation
from casework.column_types import Sealed
from casework.columns import Column
from casework.identity.tables import declaration, membership
from casework.journal import JOURNAL
from casework.loaded_case import LoadedCase
from casework.organisations.tables import relation_key
from casework.packets import open_left_record
from crypto.dek import CaseKey
from crypto.drop import seal_to_drop
from crypto.errors import CryptoError
from crypto.relation import (
    SLOTS,
    Trait,
    decode_marks,
    decode_tokens,
    encode_marks,
    encode_tokens,
    relation_mark,
    relation_token,
    unwrap_relation_key,
    wrap_relation_key,
    wrapping_number,
)
from crypto.secret import Secret
from policies.grants import INDEX
from policies.vocabulary import Group

_COMPARED = {Group.IDENTITY: of_identity, Group.CONTACT: of_contact}
_CONFLICTS = {Group.IDENTITY: conflicts_of_identity, Group.CONTACT: conflicts_of_contact}
RELATED = frozenset(_COMPARED)
"""The groups of which something is compared."""
# So much of a value counts, in whatever script: what waits for a holder of `index` has one size.
_MOST_LETTERS = 60
_WAITING_SIZE = 8_192
_AT_ONCE = 500
_WAITS = msgspec.json.Decoder(list[tuple[Trait, str]])


class Relation(StrEnum):
    """What a member is to the person of a case, as far as both were written down."""

    SELF = "self"
    COLLEAGUE = "colleague"
    """The person is another member of the organisation."""
    SAME_SURNAME = "same_surname"
    SAME_ADDRESS = "same_address"
    SAME_PHONE = "same_phone"
    DECLARED_CONFLICT = "declared_conflict"


_SHARED = {
    Trait.PERSON: Relation.SELF,
    Trait.SURNAME: Relation.SAME_SURNAME,
    Trait.ADDRESS: Relation.SAME_ADDRESS,
    Trait.PHONE: Relation.SAME_PHONE,
}


@dataclass(frozen=True, slots=True)
class Declared:
    """When a member declared something about herself, and whether it waits for a holder of `index`."""

    declared_at: datetime
    waits: bool


def catch_up(
    act: Act,
    loaded: LoadedCase,
    keys: Mapping[Group, CaseKey],
    open_group: Callable[[Group, CaseKey], Mapping[str, Any]],
) -> None:
    """Make the marks of groups that were written by somebody who could not, as far as the session has their keys.

    `open_group` gives a group's content with the civil status, whatever the policies say: nobody is shown it.

    Raises:
        NotFound: it is the case of a person with whom the asker declared a conflict of interest; or she declared
            one and holds no `index`, so that nobody can tell.

    """
    # In one order: of two who open a case at once, neither holds what the other waits for.
    rows = {group: loaded.groups[group] for group in sorted(RELATED & keys.keys())}
    behind = [group for group, row in rows.items() if row.frame is not None and row.compared != row.version]
    if not behind:
        return
    if not act.keyring.holds(INDEX):
        conflicts.require_nothing_declared(act, loaded.id)
        return
    for group in behind:
        row, content = rows[group], open_group(group, keys[group])
        relate(act, loaded.id, loaded.pseudonym, (row.id, row.version), group, content)
    conflicts.require_none(act, loaded.id)


def relate(
    act: Act,
    case_id: UUID,
    person: bytes,
    written: tuple[UUID, int],
    group: Group,
    content: Mapping[str, Any],
) -> None:
    """Make the marks of what was written of a group: of its row and version, under the person's pseudonym.

    Whoever declared a conflict of interest with the person is shut out from now on.

    Where the session holds no `index`, or nothing of the group is compared, it does nothing.
    """
    if group not in RELATED:
        return
    key = held_key(act)
    if key is None:
        return
    row, version = written
    tokens = [token for _, token in _tokens(act, key, _COMPARED[group](content))]
    place = Column.CASE_RELATION.place(act.org_id, row, version)
    sealed = Sealed(seal_to_drop(act.drop(JOURNAL), place, encode_marks(tokens, person)))
    matching = conflicts.Written(act, key, _CONFLICTS[group](content))
    this = {"org_id": act.org_id, "case_id": case_id, "of_group": group}
    # Its row first: of two who open the case at once the second waits here, and then sees what the first found.
    _put(act, case_relation, this, {"sealed": sealed, "matched": matching.marks(person)})
    matching.close(case_id, group)
    act.unit.connection.execute(
        update(case_group)
        .where(case_group.c.org_id == act.org_id, case_group.c.id == row)
        .values(related=version, compared=version)
    )
    _take_in_declarations(act, key)


def declare(act: Act, values: Values) -> Declared:
    """Replace what the asker declared about herself by these values; nothing but tokens of them is kept."""
    known = find_declaration(act)
    version = known.version + 1 if known is not None else 1
    key = held_key(act)
    account, now = act.session.account_id, act.unit.now
    kept: dict[str, Any] = {"tokens": None, "waiting": None, "version": version, "declared_at": now}
    if key is not None:
        kept["tokens"] = _sealed_tokens(act, key, account, version, values)
    else:
        place = Column.DECLARATION_WAITING.place(act.org_id, account, version)
        cut = [(trait, value[:_MOST_LETTERS]) for trait, value in values[:SLOTS]]
        # Blanks behind JSON are JSON: one size, whatever waits.
        waiting = msgspec.json.encode(cut).ljust(_WAITING_SIZE)
        kept["waiting"] = Sealed(seal_to_drop(act.drop(INDEX), place, waiting))
    _put(act, declaration, {"org_id": act.org_id, "account_id": account}, kept)
    return Declared(now, waits=key is None)


def find_declaration(act: Act) -> Row[Any] | None:
    """The row of the asker's own declaration; what she declared is in it for nobody."""
    return act.unit.connection.execute(
        select(declaration).where(
            declaration.c.org_id == act.org_id, declaration.c.account_id == act.session.account_id
        )
    ).one_or_none()


def cases_of_persons(act: Act) -> dict[bytes, UUID]:
    """By the name under which the journal knows each person, her case; what was erased is not there."""
    return {person: case_id for case_id, person in every_pseudonym(act).items()}


def relations_between(
    act: Act, pairs: Collection[tuple[UUID, bytes]], cases: Mapping[bytes, UUID]
) -> dict[tuple[UUID, bytes], tuple[Relation, ...]]:
    """What members are to persons: of each pair (member, pseudonym) its relations; pairs without any are left out.

    `cases` are `cases_of_persons`. Nothing for a session that does not hold `journal`: the caller has decided that
    its member may read details, and records. A row that does not open is reported, and counts for nothing.
    """
    wanted = {person: cases[person] for _, person in pairs if person in cases}
    if not wanted or not act.keyring.holds(JOURNAL):
        return {}
    accounts = _accounts(act)
    declared = _declared_tokens(act)
    marks = _marks(act, wanted)
    conflicts = _conflicts(act, {member for member, _ in pairs})
    found = {}
    for member, person in pairs:
        if person not in wanted:
            continue
        relations = _shared(declared, accounts.get(member), marks.get(person, frozenset()), person)
        if (member, wanted[person]) in conflicts:
            relations.add(Relation.DECLARED_CONFLICT)
        if relations:
            found[member, person] = tuple(each for each in Relation if each in relations)
    return found


def _shared(
    declared: Mapping[UUID, Sequence[tuple[Trait, bytes]]],
    account: UUID | None,
    marks: frozenset[bytes],
    person: bytes,
) -> set[Relation]:
    relations = set()
    for owner, tokens in declared.items():
        for trait, token in tokens:
            if owner != account and trait is not Trait.PERSON:
                continue
            if marks and relation_mark(token, person) in marks:
                relations.add(_SHARED[trait] if owner == account else Relation.COLLEAGUE)
    return relations


def held_key(act: Act, *, alone: bool = False) -> Secret | None:
    """The organisation's relation key, made by the first who needs it; None where the session may not have it.

    Until the unit ends nobody has it `alone`, or nobody else: of a declared conflict and a case that are written at
    once, one sees the other.
    """
    kek = act.keyring.current_kek(INDEX)
    if kek is None:
        return None
    found = select(relation_key.c.wrapped).where(relation_key.c.org_id == act.org_id)
    found = found.with_for_update(read=not alone)
    wrapped: Sealed | None = act.unit.connection.execute(found).scalar_one_or_none()
    if wrapped is None:
        made = Sealed(wrap_relation_key(kek, Secret.random()))
        insert = _insert(act)(relation_key).values(org_id=act.org_id, wrapped=made)
        # Of two who make one at once, both use the one that came first.
        act.unit.connection.execute(insert.on_conflict_do_nothing())
        wrapped = act.unit.connection.execute(found).scalar_one()
    try:
        # A rotation that has begun may not have moved it yet.
        under = act.keyring.kek(INDEX, wrapping_number(wrapped.blob))
        return unwrap_relation_key(under, wrapped.blob) if under is not None else None
    except CryptoError as error:
        # Whoever needs help must not wait for what an auditor compares.
        act.report_damage(error, what="relation_key")
        return None


def _tokens(act: Act, key: Secret, values: Values) -> list[tuple[Trait, bytes]]:
    return [
        (trait, relation_token(key, act.org_id.bytes, trait, value[:_MOST_LETTERS]))
        for trait, value in values[:SLOTS]
    ]


def _sealed_tokens(act: Act, key: Secret, account: UUID, version: int, values: Values) -> Sealed:
    place = Column.DECLARATION_TOKENS.place(act.org_id, account, version)
    return Sealed(seal_to_drop(act.drop(JOURNAL), place, encode_tokens(_tokens(act, key, values))))


def _take_in_declarations(act: Act, key: Secret) -> None:
    """Make tokens of what colleagues declared who hold no `index`, and keep nothing else of it."""
    query = select(declaration).where(declaration.c.org_id == act.org_id, declaration.c.waiting.is_not(None))
    for row in act.unit.connection.execute(query).all():
        place = Column.DECLARATION_WAITING.place(act.org_id, row.account_id, row.version)
        try:
            opened = open_left_record(act, INDEX, place, row.waiting)
        except CryptoError as error:
            act.report_damage(error, what="declaration")
            continue
        if opened is None:
            continue
        tokens = _sealed_tokens(act, key, row.account_id, row.version, _WAITS.decode(opened))
        # Only over the very version that was opened: she may have declared anew.
        this = (
            declaration.c.org_id == act.org_id,
            declaration.c.account_id == row.account_id,
            declaration.c.version == row.version,
        )
        act.unit.connection.execute(update(declaration).where(*this).values(tokens=tokens, waiting=None))


def _accounts(act: Act) -> dict[UUID, UUID]:
    """The person behind each membership, those that ended included."""
    query = select(membership.c.id, membership.c.account_id).where(membership.c.org_id == act.org_id)
    return {row.id: row.account_id for row in act.unit.connection.execute(query)}


def _declared_tokens(act: Act) -> dict[UUID, tuple[tuple[Trait, bytes], ...]]:
    query = select(declaration).where(declaration.c.org_id == act.org_id, declaration.c.tokens.is_not(None))
    found = {}
    for row in act.unit.connection.execute(query).all():
        place = Column.DECLARATION_TOKENS.place(act.org_id, row.account_id, row.version)
        try:
            record = open_left_record(act, JOURNAL, place, row.tokens)
            if record is not None:
                found[row.account_id] = decode_tokens(record)
        except CryptoError as error:
            act.report_damage(error, what="declaration")
    return found


def _marks(act: Act, cases: Mapping[bytes, UUID]) -> dict[bytes, frozenset[bytes]]:
    persons = {case_id: person for person, case_id in cases.items()}
    found: dict[bytes, frozenset[bytes]] = {}
    for row in _related_rows(act, list(persons)):
        place = Column.CASE_RELATION.place(act.org_id, row.id, row.related)
        try:
            record = open_left_record(act, JOURNAL, place, row.sealed)
            if record is not None:
                person = persons[row.case_id]
                found[person] = found.get(person, frozenset()) | decode_marks(record)
        except CryptoError as error:
            act.report_damage(error, case=str(row.case_id))
    return found


def _related_rows(act: Act, cases: Sequence[UUID]) -> Iterator[Any]:
    query = select(
        case_relation.c.case_id, case_relation.c.sealed, case_group.c.id, case_group.c.related
    ).join(
        case_group,
        (case_group.c.org_id == case_relation.c.org_id)
        & (case_group.c.case_id == case_relation.c.case_id)
        & (case_group.c.compartment == case_relation.c.of_group),
    )
    for first in range(0, len(cases), _AT_ONCE):
        some = case_relation.c.case_id.in_(cases[first : first + _AT_ONCE])
        here = (case_relation.c.org_id == act.org_id, some)
        yield from act.unit.connection.execute(query.where(*here)).all()


def _conflicts(act: Act, members: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    query = select(case_conflict.c.member_id, case_conflict.c.case_id).where(
        case_conflict.c.org_id == act.org_id, case_conflict.c.member_id.in_(members)
    )
    return {(row.member_id, row.case_id) for row in act.unit.connection.execute(query)}


def _insert(act: Act) -> Any:
    return postgresql.insert if act.unit.connection.dialect.name == "postgresql" else sqlite.insert


def _put(act: Act, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Write a row over the one of the same key, or beside it: two openings of one case may do it at once."""
    statement = _insert(act)(table).values(**key, **values)
    act.unit.connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))
