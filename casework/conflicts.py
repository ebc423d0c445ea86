"""The gateway of declared conflicts of interest: which cases are closed to whoever declared one.

A member declares a person; wherever she or the person is written, tokens of both are compared, and each case that
is the person's becomes a row (member, case) that the policies read. Nobody reads back whom she declared: a
declaration keeps marks, as a case does, made with a key whose half lies in the shred store. (Decision 0024.)
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from casework.act import Act
from casework.cases.resemblance import Values
from casework.cases.tables import case_conflict, case_file, case_relation, declared_conflict
from casework.database import UnitOfWork
from casework.errors import NotFound, NotNow
from casework.identity.tables import membership
from casework.ids import new_id
from casework.shreds import MATCH
from crypto.relation import decode_marks, encode_marks, match_key, relation_mark, relation_token
from crypto.secret import Secret
from crypto.widths import HASH_SIZE
from policies.vocabulary import Group

MOST_DECLARED = 50
"""Of one person: each is compared whenever somebody's identity or contact is written."""


def declare_conflict(act: Act, key: Secret, values: Values, persons: Mapping[UUID, bytes]) -> UUID:
    """Close every case of the person whom these values name to the asker; returns the declaration's id.

    `key` is the organisation's relation key, locked against whoever writes; `persons` are the pseudonyms by case.

    Raises:
        NotNow: she declared as many as one may.

    """
    if len(list_conflicts(act)) >= MOST_DECLARED:
        title = "Vous avez déclaré trop de conflits d’intérêts : retirez ceux qui n’ont plus lieu d’être."
        raise NotNow("conflict.declare", "too_many_conflicts", title, tried={})
    conflict_id, salt = new_id(), os.urandom(HASH_SIZE)
    tokens = _tokens(act, key, values)
    act.unit.connection.execute(
        insert(declared_conflict).values(
            org_id=act.org_id,
            id=conflict_id,
            account_id=act.session.account_id,
            declared_at=act.unit.now,
            salt=salt,
            marks=encode_marks(tokens, salt),
        )
    )
    written = select(case_relation.c.case_id, case_relation.c.of_group, case_relation.c.matched).where(
        case_relation.c.org_id == act.org_id, case_relation.c.matched.is_not(None)
    )
    found = [
        (row.case_id, row.of_group)
        for row in act.unit.connection.execute(written)
        if row.case_id in persons and _is_marked(tokens, persons[row.case_id], row.matched)
    ]
    members = select(membership.c.id).where(
        membership.c.org_id == act.org_id, membership.c.account_id == act.session.account_id
    )
    _close(
        act,
        [
            (case_id, of_group, member, conflict_id)
            for member in act.unit.connection.execute(members).scalars()
            for case_id, of_group in found
        ],
    )
    return conflict_id


def withdraw_conflict(act: Act, conflict_id: UUID) -> datetime:
    """Take back one of the asker's own declarations, and open what it alone closed; returns when it was made.

    Raises:
        NotFound: absent, withdrawn already, or somebody else's.

    """
    declared_at = list_conflicts(act).get(conflict_id)
    if declared_at is None:
        raise NotFound("conflict.withdraw", reason="not_found", tried={"conflict": str(conflict_id)})
    for table, column in ((case_conflict, "conflict_id"), (declared_conflict, "id")):
        act.unit.connection.execute(
            delete(table).where(table.c.org_id == act.org_id, table.c[column] == conflict_id)
        )
    return declared_at


def list_conflicts(act: Act) -> dict[UUID, datetime]:
    """When the asker declared which conflict of hers, oldest first; whom it names is in no table."""
    rows = act.unit.connection.execute(
        select(declared_conflict.c.id, declared_conflict.c.declared_at)
        .where(
            declared_conflict.c.org_id == act.org_id,
            declared_conflict.c.account_id == act.session.account_id,
        )
        .order_by(declared_conflict.c.id)
    )
    return {row.id: row.declared_at for row in rows}


class Written:
    """What is written of a person now, in the form that conflicts are matched in."""

    def __init__(self, act: Act, key: Secret, values: Values) -> None:
        self._act = act
        self._tokens = _tokens(act, key, values)

    def marks(self, person: bytes) -> bytes:
        """The case's marks under the person's pseudonym, for declarations to come."""
        return encode_marks(self._tokens, person)

    def close(self, case_id: UUID, group: Group) -> None:
        """Close the case to whoever declared this person, and to nobody for whom the group named before."""
        act = self._act
        act.unit.connection.execute(
            delete(case_conflict).where(
                case_conflict.c.org_id == act.org_id,
                case_conflict.c.case_id == case_id,
                case_conflict.c.of_group == group,
            )
        )
        declared = select(declared_conflict, membership.c.id.label("member_id")).join(
            membership,
            (membership.c.org_id == declared_conflict.c.org_id)
            & (membership.c.account_id == declared_conflict.c.account_id),
        )
        _close(
            act,
            [
                (case_id, group, row.member_id, row.id)
                for row in act.unit.connection.execute(
                    declared.where(declared_conflict.c.org_id == act.org_id)
                )
                if _is_marked(self._tokens, bytes(row.salt), row.marks)
            ],
        )


def require_none(act: Act, case_id: UUID) -> None:
    """Refuse a case in which a conflict of the asker's was found just now; what was found is kept with the denial.

    Raises:
        NotFound: she declared its person.

    """
    rows = act.unit.connection.execute(
        select(case_conflict).where(case_conflict.c.org_id == act.org_id, case_conflict.c.case_id == case_id)
    ).all()
    if any(row.member_id == act.member_id for row in rows):
        found = [row._asdict() for row in rows]
        raise NotFound(
            "case.open",
            reason="not_found",
            tried={"case": str(case_id)},
            leaves=partial(_keep, found),
        )


def require_nothing_declared(act: Act, case_id: UUID) -> None:
    """Refuse a case that the asker cannot compare with what she declared.

    Raises:
        NotFound: she declared something.

    """
    if has_declared(act):
        raise NotFound("case.open", reason="not_found", tried={"case": str(case_id)})


def not_compared(act: Act, rows: Iterable[Any]) -> frozenset[UUID]:
    """Of a list's rows the cases whose identity nobody compared yet, where the asker declared any conflict."""
    behind = frozenset(row.id for row in rows if row.frame is not None and row.compared != row.version)
    return behind if behind and has_declared(act) else frozenset()


def has_declared(act: Act) -> bool:
    """Whether the asker declared any conflict."""
    query = select(func.count()).where(
        declared_conflict.c.org_id == act.org_id, declared_conflict.c.account_id == act.session.account_id
    )
    return bool(act.unit.connection.execute(query).scalar_one())


def _tokens(act: Act, key: Secret, values: Values) -> list[bytes]:
    half = act.deployment.shreds.one(act.org_id, act.org_id, MATCH, os.urandom(HASH_SIZE))
    matching = match_key(key, half)
    return [relation_token(matching, act.org_id.bytes, trait, value) for trait, value in values]


def _is_marked(tokens: Collection[bytes], under: bytes, marks: bytes) -> bool:
    return not decode_marks(bytes(marks)).isdisjoint(relation_mark(token, under) for token in tokens)


def _close(act: Act, rows: Sequence[tuple[UUID, str, UUID, UUID]]) -> None:
    if rows:
        names = ("case_id", "of_group", "member_id", "conflict_id")
        same = {"org_id": act.org_id, "since": act.unit.now}
        act.unit.connection.execute(
            insert(case_conflict), [dict(zip(names, row, strict=True)) | same for row in rows]
        )


def _keep(found: Sequence[dict[str, Any]], unit: UnitOfWork) -> None:
    connection = unit.connection
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    one = found[0]
    # In between a conflict may have been withdrawn, the case erased, or opened by somebody else.
    declared = select(declared_conflict.c.id).where(
        declared_conflict.c.org_id == one["org_id"],
        exists().where(case_file.c.org_id == one["org_id"], case_file.c.id == one["case_id"]),
    )
    still = set(connection.execute(declared).scalars())
    rows = [row for row in found if row["conflict_id"] in still]
    if rows:
        connection.execute(dialect.insert(case_conflict).on_conflict_do_nothing(), rows)
