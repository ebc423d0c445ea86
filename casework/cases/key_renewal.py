"""New keys for one case, where those that it has may be known to somebody."""

from collections.abc import Collection
from uuid import UUID

from casework.access import Access
from casework.act import Act
from casework.cases.schemas import KeyRenewal, RenewedKeys
from casework.errors import Forbidden
from casework.rekeying import RENEWAL
from casework.restrictions import named_part
from policies.vocabulary import Action, Group


def renew_keys(act: Act, case_id: UUID, wanted: KeyRenewal) -> RenewedKeys:
    """Seal a case anew under new keys, as far as the asker holds the old; the rest as soon as its holders open it.

    Asked of who may restrict the case: that renews the keys too, and this closes it to nobody. Nobody reads more or
    less by it. In a restricted case the named part stays: it is renewed by taking somebody away.

    Raises:
        NotFound, Forbidden: see `Access.change_case`; a step-up is needed; or the case is restricted, and she was
            named with keys that are hers no longer.

    """
    reason = wanted.reason.strip()
    change = Access(act).change_case(case_id, [Action.CASE_RESTRICT], reason=bool(reason))
    # Nothing is signed: whoever asks must have given her password just now.
    act.require_signing_key(Action.CASE_RESTRICT)
    part = named_part(act, case_id) if change.loaded.facts.restricted else None
    if change.loaded.facts.restricted and part is None:
        raise Forbidden(Action.CASE_RESTRICT, reason="not_named", tried={"case": str(case_id)})
    renewed = change.renew_keys(part)
    change.record(RENEWAL, [], count=len(renewed), detail={"groups": sorted(renewed), "reason": reason})
    return _told(renewed)


def view_renewal(act: Act, case_id: UUID) -> RenewedKeys:
    """Which keys of a case are new, and which wait for their holders."""
    opened = Access(act).open_case(case_id, action="case.keys", contents=False)
    return _told(set(Group) - set(opened.loaded.half_renewed(Group)))


def _told(renewed: Collection[Group]) -> RenewedKeys:
    waiting = [group for group in Group if group not in renewed]
    return RenewedKeys([group for group in Group if group in renewed], waiting)
