"""Which rules an organisation decides by: those that its signed directory says are approved and in force.

Their text is a row of the database, and is loaded only where it has the hash that two members have signed: whoever
writes into the database loads no rules of her own, and brings none back. What is not approved, was changed since or
is no longer admitted is not loaded; what is loaded stays, and where nothing is, the base rules alone decide.
An organisation that has approved nothing yet has the file of its name that came with the software.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import Connection, select

from audit.entry import Outcome
from casework.alerts import AlertKind, alert
from casework.database import UnitOfWork
from casework.identity.members import persons_of
from casework.journal import Deed, Journal, Who
from casework.keyring import Directories
from casework.organisations.tables import policy_set
from crypto.directory import Directory
from crypto.directory_entries import ROOT
from crypto.directory_rules import ApprovedRules
from policies.engine import Engine, EngineFailure
from policies.lint import PolicyRefused
from policies.sources import NotAnOrganisation, base_source, org_source

LOADED = "policy.loaded"
NOT_LOADED = "policy.not_loaded"

Alarm = Callable[[EngineFailure], None]


class RulesFault(StrEnum):
    """Why rules are not loaded."""

    TEXT_MISSING = "text_missing"
    """The database has no text of the hash that was approved, or for an organisation without approvals no file."""
    ONE_PERSON = "one_person"
    """Both who approved are one person."""
    NOT_ADMITTED = "not_admitted"
    """They do not pass the checks of this software."""


class RulesNotLoaded(Exception):
    """The rules that should decide cannot; `fault` says why."""

    def __init__(self, fault: RulesFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an organisation decides by.

    `wanted` is what its directory had in force at the last look, None where it has approved nothing, `until` when
    that changes next (Unix seconds); `fault` why `engine` is not made of it.
    """

    directory: Directory
    wanted: ApprovedRules | None
    until: int | None
    engine: Engine
    fault: RulesFault | None


def engine_in_force(
    connection: Connection,
    org_id: UUID,
    slugs: Mapping[UUID, str],
    wanted: ApprovedRules | None,
    alarm: Alarm | None = None,
) -> Engine:
    """The rules that the directory has in force, read from the database.

    Raises:
        RulesNotLoaded: they are not there, one person approved them, or they do not pass the checks.

    """
    slug = slugs[org_id]
    try:
        if wanted is None:
            text = org_source(slug).text
        else:
            _require_two_persons(connection, org_id, wanted)
            text = _approved_text(connection, org_id, wanted)
        return Engine.of_text(slug, slugs.values(), text, alarm=alarm)
    except NotAnOrganisation:
        raise RulesNotLoaded(RulesFault.TEXT_MISSING) from None
    except (PolicyRefused, UnicodeDecodeError):
        raise RulesNotLoaded(RulesFault.NOT_ADMITTED) from None


class Rules:
    """The rules of each organisation that this process decides by; a change is seen at the next act.

    Each process looks for itself. To look costs nothing while the directory is the same and no day has come.
    """

    def __init__(
        self, directories: Directories, journal: Journal, slugs: Mapping[UUID, str], alarm: Alarm
    ) -> None:
        self._directories = directories
        self._journal = journal
        self._slugs = slugs
        self._alarm = alarm
        self._loaded: dict[UUID, Loaded] = {}
        self._untold: dict[UUID, Deed] = {}

    def engine(self, unit: UnitOfWork, org_id: UUID) -> Engine:
        """What decides now, of an organisation that the unit is in; what was loaded is journaled with the unit.

        Raises:
            AnchorMissing, DirectoryRefused: the directory that says which rules are approved is not to be believed.

        """
        # As it is known to be committed: an approval that is not yet may never be.
        directory = self._directories.known(unit, org_id)
        loaded = self._loaded.get(org_id)
        if loaded is None or loaded.directory is not directory or _has_come(loaded.until, unit):
            loaded = self._loaded[org_id] = self._look(unit, org_id, directory, loaded)
        if org_id in self._untold:
            self._tell(unit, org_id)
        return loaded.engine

    def look_again(self, unit: UnitOfWork, org_id: UUID) -> None:
        """Try once more where the rules in force could not be loaded: somebody may have put them back.

        Raises:
            AnchorMissing, DirectoryRefused: as `engine`.

        """
        loaded = self._loaded.get(org_id)
        if loaded is not None and loaded.fault is not None:
            try:
                engine = self._read(unit, org_id, loaded.wanted)
            except RulesNotLoaded:
                return
            self._loaded[org_id] = replace(loaded, engine=engine, fault=None)
            self._untold[org_id] = _loading(engine, loaded.wanted)
        self.engine(unit, org_id)

    def _look(self, unit: UnitOfWork, org_id: UUID, directory: Directory, loaded: Loaded | None) -> Loaded:
        now = int(unit.now.timestamp())
        wanted, until = directory.rules_at(now), directory.next_change_of_rules(now)
        if loaded is not None and loaded.wanted == wanted:
            return replace(loaded, directory=directory, until=until)
        try:
            engine = self._read(unit, org_id, wanted)
        except RulesNotLoaded as error:
            alert(AlertKind.POLICY_NOT_LOADED, organisation=self._slugs[org_id], fault=error.fault.value)
            engine = loaded.engine if loaded is not None else self._base(org_id)
            self._untold[org_id] = Deed(
                NOT_LOADED,
                outcome=Outcome.FAILED,
                reason=error.fault,
                policy_set=engine.hash,
                count=_number(wanted),
            )
            return Loaded(directory, wanted, until, engine, error.fault)
        if loaded is not None:
            self._untold[org_id] = _loading(engine, wanted)
        return Loaded(directory, wanted, until, engine, None)

    def _read(self, unit: UnitOfWork, org_id: UUID, wanted: ApprovedRules | None) -> Engine:
        return engine_in_force(unit.connection, org_id, self._slugs, wanted, self._alarm)

    def _base(self, org_id: UUID) -> Engine:
        return Engine(self._slugs[org_id], self._slugs.values(), [base_source()], alarm=self._alarm)

    def _tell(self, unit: UnitOfWork, org_id: UUID) -> None:
        """Journal it with a unit that commits; one that is rolled back leaves it to the next."""
        deed = self._untold[org_id]
        self._journal.record(unit, (org_id, self._slugs[org_id]), Who(uuid4()), deed)
        unit.on_commit(partial(self._told, org_id, deed))

    def _told(self, org_id: UUID, deed: Deed) -> None:
        if self._untold.get(org_id) is deed:
            del self._untold[org_id]


def _loading(engine: Engine, wanted: ApprovedRules | None) -> Deed:
    return Deed(LOADED, policy_set=engine.hash, count=_number(wanted))


def _number(wanted: ApprovedRules | None) -> int | None:
    return wanted.number if wanted is not None else None


def _has_come(moment: int | None, unit: UnitOfWork) -> bool:
    return moment is not None and unit.now.timestamp() >= moment


def _approved_text(connection: Connection, org_id: UUID, wanted: ApprovedRules) -> str:
    rows = connection.execute(
        select(policy_set.c.text)
        .where(policy_set.c.org_id == org_id, policy_set.c.text_hash == wanted.text_hash)
        .order_by(policy_set.c.id)
    ).scalars()
    for text in rows.all():
        if sha256(text).digest() == wanted.text_hash:
            return bytes(text).decode()
    raise RulesNotLoaded(RulesFault.TEXT_MISSING)


def _require_two_persons(connection: Connection, org_id: UUID, wanted: ApprovedRules) -> None:
    """The directory knows memberships; that two of them are one person's, the accounts say."""
    members = [UUID(bytes=member) for member in wanted.approvers if member != ROOT]
    if len(persons_of(connection, org_id, members)) < len(members):
        raise RulesNotLoaded(RulesFault.ONE_PERSON)
