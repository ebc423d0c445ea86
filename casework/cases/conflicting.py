"""Conflicts of interest that a member declares: the person's cases are closed to her from then on."""

from uuid import UUID

from msgspec import UNSET

from casework.act import Act
from casework.candidates import every_pseudonym
from casework.cases.matching import phone_number, words_of
from casework.cases.resemblance import Values, conflicts_of_declared
from casework.cases.schemas import ConflictList, ConflictView, NewConflict
from casework.conflicts import declare_conflict, list_conflicts, withdraw_conflict
from casework.errors import AuthenticationStepNeeded, MissingKey, bad_field
from casework.journal import Deed
from casework.json_input import BODY
from casework.relations import held_key
from policies.vocabulary import Action, Advice

WITHDRAW = "conflict.withdraw"


def declare(act: Act, wanted: NewConflict) -> ConflictView:
    """Declare a person: every case of hers, of now and to come, is absent to the asker in whatever role.

    What is answered and journaled is the same whether there is such a case or not.

    Raises:
        Forbidden: her role lists no case: there is none to close to her.
        MissingKey: nobody has granted her the key that finds a person's cases yet.
        BadInput: what is no name or no phone number; or not enough to find anybody by.
        NotNow: she declared as many as one may.

    """
    act.require_in_some_case(Action.CASE_LIST)
    values = _values(wanted)
    key = held_key(act, alone=True)
    if key is None:
        raise MissingKey
    conflict_id = declare_conflict(act, key, values, every_pseudonym(act))
    act.record(Deed("conflict.declare"))
    return ConflictView(conflict_id, act.unit.now)


def view(act: Act, conflict_id: UUID) -> ConflictView:
    """What `declare` answered, rebuilt for a replay."""
    return ConflictView(conflict_id, list_conflicts(act).get(conflict_id, act.unit.now))


def withdraw(act: Act, conflict_id: UUID, reason: str) -> ConflictView:
    """Take a declaration back, with a password given just now: what it alone closed is open again.

    Raises:
        Forbidden: her role lists no case.
        AuthenticationStepNeeded: no live step-up.
        NotFound: absent, or somebody else's.

    """
    act.require_in_some_case(Action.CASE_LIST)
    if not act.context.step_up:
        raise AuthenticationStepNeeded(WITHDRAW, reason="step_up", extra={"advice": [Advice.STEP_UP]})
    # Locked: nobody who writes a case meanwhile finds what goes.
    held_key(act, alone=True)
    declared_at = withdraw_conflict(act, conflict_id)
    act.record(Deed(WITHDRAW, detail={"reason": reason.strip()}))
    return ConflictView(conflict_id, declared_at)


def view_declared(act: Act) -> ConflictList:
    """When the asker declared what still holds, and nothing of whom."""
    return ConflictList([ConflictView(each, when) for each, when in list_conflicts(act).items()])


def _values(wanted: NewConflict) -> Values:
    surnames = [*([wanted.family_name] if wanted.family_name is not UNSET else []), *wanted.former_names]
    first = wanted.first_name if wanted.first_name is not UNSET else ""
    for field, names in (("first_name", [first] if first else []), ("family_name", surnames)):
        if not all(words_of(name) for name in names):
            raise bad_field(field, "no_letter")
    numbers = [phone_number(phone) for phone in wanted.phones]
    phones = [number for number in numbers if number is not None]
    if len(phones) < len(numbers):
        raise bad_field("phones", "not_a_phone_number")
    born = wanted.birth_date.isoformat() if wanted.birth_date is not UNSET else ""
    values = conflicts_of_declared(first, surnames, born, phones)
    if not values:
        raise bad_field(BODY, "nobody_is_named")
    return values
