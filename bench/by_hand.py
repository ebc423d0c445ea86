"""What one organisation decides about reading a case, by hand: what casework's policies are measured against.

`may` is plain Python, as an application would have it among its views; `casbin_lines` are the same rules for
pycasbin. Both are AVEC's `case.list` and `case.read.*`; a test holds `may` to what Cedar decides, the bench both.
"""

from policies.facts import Asker, CaseFacts, Context
from policies.vocabulary import READ, Action, Group, Profession, Purpose, Role, Status

READING = (Action.CASE_LIST, *READ.values())
_OWN = {Action.CASE_LIST, *READ.values()} - {READ[Group.LEGAL], READ[Group.HEALTH]}
_TEAM = _OWN - {READ[Group.FAMILY]}
_DESK = {Action.CASE_LIST, READ[Group.IDENTITY], READ[Group.CONTACT], READ[Group.INTAKE]}
_SUPERVISED = _OWN - {READ[Group.CONTACT], READ[Group.FAMILY]} | {READ[Group.LEGAL]}
_LEGAL = {Profession.SOCIAL, Profession.JURIST}
_CARE = {Profession.PSYCHOLOGIST, Profession.HEALTH}
_ALWAYS_READ = {Action.CASE_LIST, READ[Group.IDENTITY]}


def may(asker: Asker, action: Action, case: CaseFacts, context: Context) -> bool:  # noqa: PLR0911 - as it is written
    if not asker.active or not context.mfa or case.conflict or (case.restricted and not case.mine):
        return False
    if (
        case.status is Status.ARCHIVED
        and action not in _ALWAYS_READ
        and context.purpose is not Purpose.RIGHTS_REQUEST
    ):
        return False
    if action is READ[Group.CONTACT] and not context.device:
        return False
    if asker.role is Role.RECEPTION:
        return action in _DESK and context.hours and context.device
    if asker.role is Role.SUPERVISOR:
        near = (case.mine or case.glass) and (action in _OWN or action is READ[Group.LEGAL])
        return near or action in _SUPERVISED
    if asker.role is not Role.WORKER:
        return False
    near = case.mine or case.glass
    if action is READ[Group.LEGAL]:
        return bool(asker.professions & _LEGAL) and (near or case.my_team)
    if action is READ[Group.HEALTH]:
        return bool(asker.professions & _CARE) and near
    return (near and action in _OWN) or (case.my_team and action in _TEAM)


CASBIN_MODEL = """
[request_definition]
r = sub, act, obj, ctx

[policy_definition]
p = act, rule, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = (p.act == "*" || r.act == p.act) && eval(p.rule)
"""
_WORKER, _SUPERVISOR = "r.sub.role == 'worker'", "r.sub.role == 'supervisor'"
_RECEPTION = "r.sub.role == 'reception'"
_NEAR = "(r.obj.mine or r.obj.glass)"
_OF_LEGAL = "('social' in r.sub.professions or 'jurist' in r.sub.professions)"
_OF_CARE = "('psychologist' in r.sub.professions or 'health' in r.sub.professions)"


def casbin_lines() -> list[tuple[str, str, str]]:
    """(action or *, rule, effect): a permit or a forbid each, as the organisation's policies are."""
    forbidden = [
        ("*", "not r.sub.active", "deny"),
        ("*", "not r.ctx.mfa", "deny"),
        ("*", "r.obj.conflict", "deny"),
        ("*", "r.obj.restricted and not r.obj.mine", "deny"),
        *(
            (action, "r.obj.status == 'archived' and r.ctx.purpose != 'rights_request'", "deny")
            for action in READING
            if action not in _ALWAYS_READ
        ),
        (READ[Group.CONTACT], "not r.ctx.device", "deny"),
        ("*", f"{_RECEPTION} and not (r.ctx.hours and r.ctx.device)", "deny"),
    ]
    permitted = [
        *((action, f"({_WORKER} or {_SUPERVISOR}) and {_NEAR}", "allow") for action in sorted(_OWN)),
        (
            READ[Group.LEGAL],
            f"({_SUPERVISOR} or ({_WORKER} and {_OF_LEGAL})) and {_NEAR}",
            "allow",
        ),
        (READ[Group.LEGAL], f"{_WORKER} and {_OF_LEGAL} and r.obj.my_team", "allow"),
        (READ[Group.HEALTH], f"{_WORKER} and {_OF_CARE} and {_NEAR}", "allow"),
        *((action, f"{_WORKER} and r.obj.my_team", "allow") for action in sorted(_TEAM)),
        *((action, _RECEPTION, "allow") for action in sorted(_DESK)),
        *((action, _SUPERVISOR, "allow") for action in sorted(_SUPERVISED)),
    ]
    return [(str(action), rule, effect) for action, rule, effect in (*forbidden, *permitted)]
