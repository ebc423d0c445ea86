"""Sending the rows of a checked file, one at a time, so that each is one case whatever happens in between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Final

import httpx
import msgspec

from casework.cases.schemas import CaseCreated
from casework.clock import Clock
from casework.imports.checking import Line
from casework.imports.errors import ImportRefused
from casework.imports.progress_file import Begun, Made, ProgressFile, Refused, Sent
from casework.imports.session import Session, problem_of
from policies.labels import GROUPS
from policies.vocabulary import Group

# The service keeps a key for 24 hours; the hour between is for the two machines' clocks.
KEY_IS_SAFE: Final = timedelta(hours=23)
_KEY_LABEL: Final = b"casework import v1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`stopped` says, in French, which row stopped the import and why; None where every row is done."""

    created: int
    already: int
    stopped: str | None


def waiting(lines: Sequence[Line], progress: ProgressFile) -> list[Line]:
    """The rows that are not known to be cases yet."""
    return [line for line in lines if not isinstance(progress.state(line.row), Made)]


def begin(session: Session, digest: str, lines: Sequence[Line], progress: ProgressFile) -> None:
    """See that this session may open every case, and that the import is hers to go on with.

    Raises:
        ImportRefused: it is not; nothing was sent.

    """
    missing = {group for line in lines for group in line.groups} - set(session.me.may_open_with)
    if missing:
        names = ", ".join(GROUPS[group] for group in Group if group in missing)
        raise ImportRefused(f"Votre rôle ne permet pas d’ouvrir un dossier avec ces rubriques : {names}.")
    begun = Begun(digest, session.me.organisation, session.me.member_id)
    if progress.begun is None:
        progress.write(begun)
    # The keys are remembered for one member of one organisation: for another they would protect nothing.
    elif progress.begun != begun:
        raise ImportRefused("Cet import a été commencé par un autre compte ou sous un autre rôle.")


def settle(
    lines: Sequence[Line], progress: ProgressFile, now: datetime, is_there: Callable[[int, datetime], bool]
) -> None:
    """Have a person say of each row that was sent too long ago, and never answered, whether its case is there.

    The service no longer knows its key: nobody else can tell whether the request was lost or the answer.
    """
    for line in lines:
        state = progress.state(line.row)
        if isinstance(state, Sent) and not timedelta() <= now - state.at < KEY_IS_SAFE:
            found = is_there(line.row, state.at)
            progress.write(Made(line.row, None) if found else Refused(line.row))


async def send(
    session: Session,
    lines: Sequence[Line],
    progress: ProgressFile,
    clock: Clock,
    show: Callable[[int, int], None],
) -> Outcome:
    """Open a case for every row that is not one yet, in order, and stop at the first that is not answered so.

    Rows must be settled. `show` is told (done, in all).
    """
    left = waiting(lines, progress)
    already = len(lines) - len(left)
    for created, line in enumerate(left):
        show(already + created, len(lines))
        stopped = await _send_line(session, line, progress, clock)
        if stopped is not None:
            return Outcome(created, already, stopped)
    return Outcome(len(left), already, None)


async def _send_line(session: Session, line: Line, progress: ProgressFile, clock: Clock) -> str | None:
    """Send one row and write down what was answered; returns why the import must stop, if it must."""
    assert progress.begun is not None
    is_first = progress.state(line.row) is None
    if is_first:
        progress.write(Sent(line.row, clock.now()))
    try:
        answer = await session.post("/cases", line.body, key_of(progress.begun, line.row))
    except httpx.TransportError as error:
        return f"Ligne {line.row} : le service n’a pas répondu ({type(error).__name__})."
    case = _case_of(answer)
    if case is not None:
        progress.write(Made(line.row, case.id))
        return None
    problem = problem_of(answer)
    # Only a refusal by the service itself says that nothing was done, and nothing of an attempt before it.
    if is_first and problem is not None and answer.is_client_error:
        progress.write(Refused(line.row))
    code = f"{answer.status_code}, {problem.code}" if problem is not None else str(answer.status_code)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        return f"Ligne {line.row} : la session a pris fin ({code})."
    return f"Ligne {line.row} : le service a refusé ou n’a pas pu répondre ({code})."


def key_of(begun: Begun, row: int) -> str:
    """The Idempotency-Key of a row: of the organisation, the file's content and the row's number alone.

    So it is the same after the progress file was lost. The service keeps no key as it was sent.
    """
    parts = (_KEY_LABEL, begun.organisation.encode(), begun.sha256.encode(), str(row).encode())
    return sha256(b"\0".join(parts)).hexdigest()


def _case_of(answer: httpx.Response) -> CaseCreated | None:
    if answer.status_code != HTTPStatus.CREATED:
        return None
    try:
        return msgspec.json.decode(answer.content, type=CaseCreated)
    except msgspec.DecodeError:
        return None
