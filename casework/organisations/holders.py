"""Who holds the compartments of an organisation: one that a single person holds is lost with her password."""

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from sqlalchemy import Connection

from casework.anchors import Anchors
from casework.identity.members import Position, accounts_of_members
from casework.organisations.compartments import COMPARTMENTS
from casework.organisations.partners import decode_chain, own_chain
from crypto.directory import Directory, verify_directory
from policies.engine import Engine
from policies.grants import granted_groups, is_granted
from policies.vocabulary import Profession, Role

HOLDERS_WANTED = 2

# Every kind of member.
_KINDS = (
    *(Position(Role.WORKER, frozenset({profession})) for profession in Profession),
    *(Position(role) for role in Role),
)


def granted_to(engine: Engine, position: Position) -> frozenset[str]:
    """The compartments that the policies derive for a position."""
    return granted_groups(engine, position.role, position.professions)


def is_entitled(directory: Directory, engine: Engine, member: bytes, compartment: str) -> bool:
    """Whether the policies give a compartment to a membership as the directory, and no table, certifies it."""
    keys = directory.members[member]
    professions = frozenset(Profession(word) for word in keys.professions)
    return is_granted(engine, Role(keys.role), professions, compartment)


def verified_directory(connection: Connection, anchors: Anchors, org_id: UUID) -> Directory:
    """The directory in the database, held against what the state directory remembers; remembers nothing.

    Raises:
        AnchorMissing: the state directory does not know the organisation.
        DirectoryRefused: an entry is not entitled, or the database was rolled back.

    """
    # First the floor: a service that runs may raise it between the two.
    floor = anchors.floor(org_id)
    entries = decode_chain(own_chain(connection, org_id))
    return verify_directory(org_id.bytes, entries, anchors.root(org_id), floor)


def holders(connection: Connection, directory: Directory, org_id: UUID) -> dict[str, int]:
    """How many active persons hold each compartment's current key."""
    accounts = accounts_of_members(connection, org_id)
    return {
        compartment: len(
            {person for member, person in accounts.items() if directory.holds(member.bytes, compartment)}
        )
        for compartment in directory.compartments
    }


def future_holders(engine: Engine, accounts: Iterable[Iterable[Position]]) -> dict[str, int]:
    """How many of the accounts (each given by its positions) will hold each compartment."""
    counts: dict[str, int] = {}
    for positions in accounts:
        derived = (granted_to(engine, position) for position in positions)
        for compartment in frozenset[str]().union(*derived):
            counts[compartment] = counts.get(compartment, 0) + 1
    return counts


def thin(engine: Engine, counts: Mapping[str, int], advance: Callable[[int, int], None]) -> dict[str, int]:
    """The compartments that fewer than two persons hold, with how many do; not those that nobody may ever hold.

    Takes seconds where there are some; `advance` hears (kinds of member considered, in all).
    """
    suspects = {name for name in COMPARTMENTS if counts.get(name, 0) < HOLDERS_WANTED}
    grantable: set[str] = set()
    for done, kind in enumerate(_KINDS, 1):
        if suspects <= grantable:
            break
        grantable |= granted_to(engine, kind)
        advance(done, len(_KINDS))
    return {name: counts.get(name, 0) for name in sorted(suspects & grantable)}
