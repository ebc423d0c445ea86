"""What a member declares about herself: her names, phones and address, of which nothing but tokens is kept."""

from msgspec import UNSET

from casework.act import Act
from casework.cases.matching import phone_number, words_of
from casework.cases.resemblance import Values, addresses, persons, surnames_as_they_sound
from casework.cases.schemas import Declaration, DeclarationKept
from casework.errors import bad_field
from casework.journal import Deed
from casework.relations import declare, find_declaration
from crypto.relation import Trait


def declare_oneself(act: Act, wanted: Declaration) -> DeclarationKept:
    """Replace the asker's declaration, whatever her role: nobody reads it back, she included.

    Raises:
        BadInput: what is no name, no phone number, or no address.

    """
    declared = declare(act, _values(wanted))
    act.record(Deed("member.declare"))
    return DeclarationKept(declared.declared_at, declared.waits)


def view_declaration(act: Act) -> DeclarationKept:
    """When the asker declared last, and nothing of what."""
    row = find_declaration(act)
    if row is None:
        return DeclarationKept(None, waits=False)
    return DeclarationKept(row.declared_at, waits=row.waiting is not None)


def _values(wanted: Declaration) -> Values:
    names = [*([wanted.family_name] if wanted.family_name is not UNSET else []), *wanted.former_names]
    if not all(words_of(name) for name in names):
        raise bad_field("family_name", "no_letter")
    numbers = [phone_number(phone) for phone in wanted.phones]
    phones = [number for number in numbers if number is not None]
    if len(phones) < len(numbers):
        raise bad_field("phones", "not_a_phone_number")
    address = addresses(wanted.address) if wanted.address is not UNSET else []
    if wanted.address is not UNSET and not address:
        raise bad_field("address", "not_an_address")
    first = wanted.first_name if wanted.first_name is not UNSET else ""
    born = wanted.birth_date.isoformat() if wanted.birth_date is not UNSET else ""
    return [
        *((Trait.PERSON, value) for value in persons(first, names, born)),
        *((Trait.PHONE, value) for value in phones),
        *((Trait.ADDRESS, value) for value in address),
        *((Trait.SURNAME, value) for value in surnames_as_they_sound(names)),
    ]
