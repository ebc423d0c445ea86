"""Changing one's own password: the same keys, wrapped anew."""

import asyncio
from dataclasses import dataclass
from functools import partial

from audit.entry import AuthLevel
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import NotSignedIn, SignInRefused
from casework.identity import limits, renewals, sessions
from casework.identity.limits import Held, require_room, within_limits
from casework.identity.sessions import SignedIn, Token
from casework.identity.sign_in import account_of, judge, record, refuse
from casework.identity.strength import require_strong
from casework.identity.wrapping import Stretched, is_right, params_of, rewrap
from casework.journal import Deed, Who
from crypto.password import KdfParams, stretch
from crypto.secret import Secret

ACTION = "password.change"


@dataclass(frozen=True, slots=True)
class _Tried:
    old: Secret
    new: Stretched


async def change_password(deployment: Deployment, who: Who, token: Token, old: str, new: str) -> None:
    """Wrap the same daily and signing keys under another password, and end the member's other sessions.

    Raises:
        PasswordTooWeak: the new one breaks a rule; nothing was tried.
        SignInRefused: `old` is not her password; journaled.
        TooManyRequests: too often wrong, by this member, here or at a step-up; nothing was stretched.
        Busy: too many wait for the same; nothing was judged, counted or journaled.
        NotSignedIn: no complete session.

    """

    def find(unit: UnitOfWork) -> SignedIn:
        found = sessions.find(unit, token)
        if not isinstance(found, SignedIn):
            raise NotSignedIn
        return found

    asker = await deployment.database.unit(find)
    await asyncio.to_thread(require_strong, new, [asker.login, deployment.slugs[asker.org_id]])
    counters = (limits.counter_of_step_up(deployment.pepper, asker.login, asker.org_id, asker.member_id),)

    def look(unit: UnitOfWork) -> partial[_Tried]:
        require_room(unit, counters)
        found = account_of(unit.connection, find(unit))
        return partial(_stretch_both, old, found.kdf_salt, params_of(found), new, deployment)

    attempt = await within_limits(deployment.database, look)

    def change(unit: UnitOfWork, tried: _Tried | None) -> bool:
        current = find(unit)
        member = Who(who.request, who.source, current.member_id, current.role, AuthLevel.MFA)
        held = Held(unit, counters)
        found = account_of(unit.connection, current)
        if tried is None or not is_right(deployment.peppers, found, tried.old):
            held.count()
            refuse(deployment, unit, found, member, ACTION)
            return False
        held.clear()
        rewrap(unit.connection, deployment.peppers, found, tried.old, tried.new)
        # What waits was wrapped under a password that she may just have taken back.
        renewals.drop(unit.connection, current.org_id, current.account_id)
        sessions.end_others(unit.connection, current)
        record(deployment, unit, current.org_id, member, Deed(ACTION), AuthLevel.STEP_UP)
        return True

    if not await judge(deployment, deployment.step_up_turns, attempt, counters, change):
        raise SignInRefused


def _stretch_both(old: str, salt: bytes, params: KdfParams, new: str, deployment: Deployment) -> _Tried:
    return _Tried(stretch(old, salt, params), Stretched.of(new, params.raised_to(deployment.kdf_params)))
