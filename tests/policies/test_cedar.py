"""Cedar is given the policies that have the action in their scope, and answers as it does from all of them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import cedarpy
import pytest

from policies.cedar import Answer, CedarSet, ref, uid
from policies.facts import Asker, Context
from policies.sources import base_source, org_source, schema_for
from policies.vocabulary import (
    CASE_ACTIONS,
    CHANGE_ACTIONS,
    HANDOFF_ACTIONS,
    Action,
    Group,
    Profession,
    Role,
    Stage,
)
from tests.policies.situations import AT_BEST, AT_WORST, MEMBERS, ORGS, member

SUPERVISOR = member("avec", Role.SUPERVISOR)
ERRS = "9223372036854775807 + 1 > 0"


def described(org: str, asker: Asker, *, at_best: bool = True) -> list[dict[str, object]]:
    """The asker, and one thing of each kind of the organisation, in an ordinary state or in the worst."""
    parties = {"from": ref("Org", org), "to": ref("Org", asker.org if at_best else "med")}
    groups = [ref("Group", group) for group in (Group.IDENTITY, Group.HEALTH)]
    facts = {"mine": at_best, "my_team": False, "glass": False}
    forbidding = {"restricted": not at_best, "conflict": not at_best}
    professions = [ref("Profession", profession) for profession in asker.professions]
    attrs: dict[str, dict[str, object]] = {
        "Member": {"org": ref("Org", asker.org), "active": asker.active, "professions": professions},
        "Case": {
            "org": ref("Org", org),
            "status": ref("Status", "open" if at_best else "archived"),
            **facts,
            **forbidding,
        },
        "Change": {
            "org": ref("Org", org),
            "kind": ref("ChangeKind", "erasure" if at_best else "policy"),
            "mine": not at_best,
        },
        "Handoff": {
            **parties,
            "groups": groups,
            "stage": ref("Stage", Stage.SENT if at_best else Stage.DRAFT),
            "mine": at_best,
            "conflict": not at_best,
        },
    }
    parents = {"Member": [uid("Org", asker.org), uid("Role", asker.role)]}
    return [
        {"uid": uid(kind, "one"), "parents": parents.get(kind, [uid("Org", org)]), "attrs": known}
        for kind, known in attrs.items()
    ]


def askers(org: str) -> Iterator[Asker]:
    """A member of each kind, one who has left, and one of another organisation."""
    yield from (member(org, role, *professions) for role, professions in MEMBERS)
    yield member(org, Role.WORKER, *Profession, active=False)
    yield member(next(slug for slug in ORGS if slug != org), Role.SUPERVISOR)


def request(org: str, action: Action, context: Context) -> dict[str, object]:
    kinds = {"Case": CASE_ACTIONS, "Handoff": HANDOFF_ACTIONS, "Change": CHANGE_ACTIONS}
    said = {
        name: getattr(context, name)
        for name in ("mfa", "step_up", "reason", "device", "hours", "self_target")
    }
    return {
        "principal": uid("Member", "one"),
        "resource": next(
            (uid(kind, "one") for kind, actions in kinds.items() if action in actions), uid("Org", org)
        ),
        "context": {**said, "purpose": ref("Purpose", context.purpose)},
    }


@pytest.mark.parametrize("org", ORGS)
def test_the_policies_about_an_action_answer_as_all_of_them_do(org: str) -> None:
    text, known = base_source().text + org_source(org).text, set[str]()
    some, every = CedarSet(schema=schema_for(ORGS), policies=text), cedarpy.PolicySet.from_str(text)
    schema = cedarpy.Schema.from_str(schema_for(ORGS))
    for asker, at_best in product(askers(org), (True, False)):
        entities = some.entities(described(org, asker, at_best=at_best))
        for action in Action:
            asked = request(org, action, AT_BEST if at_best else replace(AT_WORST, mfa=False))
            (answer,) = some.ask(action, [asked], entities)
            whole = {**asked, "action": uid("Action", action)}
            expected = cedarpy.is_authorized(whole, every, entities, schema)
            names = expected.diagnostics.id_annotations_by_reason.values()
            assert not expected.diagnostics.errors
            assert answer == Answer(expected.allowed, tuple(sorted(names)))
            known |= set(names)
    assert len(known) > 0.75 * len(every), len(every) - len(known)


def test_a_policy_about_another_action_is_neither_asked_nor_does_its_error_matter() -> None:
    erring = f'@id("a.errs") forbid (principal, action == Action::"org.stats", resource) when {{ {ERRS} }};'
    permit = '@id("a.all") permit (principal, action, resource);'
    cedar = CedarSet(schema=schema_for(ORGS), policies=erring + permit)
    entities = cedar.entities(described("avec", SUPERVISOR))
    (stats,) = cedar.ask("org.stats", [request("avec", Action.ORG_STATS, AT_BEST)], entities)
    (search,) = cedar.ask("case.search", [request("avec", Action.CASE_SEARCH, AT_BEST)], entities)
    assert (stats.allowed, "overflow" in stats.failure) == (False, True)
    assert search == Answer(allowed=True, policies=("a.all",))


def test_an_action_is_asked_about_whatever_action_a_request_names() -> None:
    """Else a request could be judged without the policies that forbid it."""
    forbid = '@id("a.no") forbid (principal, action == Action::"org.stats", resource);'
    permit = '@id("a.all") permit (principal, action, resource);'
    cedar = CedarSet(schema=schema_for(ORGS), policies=forbid + permit)
    asked = {**request("avec", Action.CASE_SEARCH, AT_BEST), "action": uid("Action", "case.search")}
    (answer,) = cedar.ask("org.stats", [asked], cedar.entities(described("avec", SUPERVISOR)))
    assert answer == Answer(allowed=False, policies=("a.no",))


def test_where_cedar_cannot_tell_which_policies_are_about_an_action_it_is_denied_and_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    permit = '@id("a.all") permit (principal, action, resource);'
    cedar = CedarSet(schema=schema_for(ORGS), policies=permit)
    entities, asked = (
        cedar.entities(described("avec", SUPERVISOR)),
        request("avec", Action.ORG_STATS, AT_BEST),
    )
    undecided = cedarpy.AuthzResult({"decision": "NoDecision", "diagnostics": {}})
    with monkeypatch.context() as patch:
        patch.setattr(cedarpy, "is_authorized_batch", lambda requests, *_: [undecided] * len(requests))
        (denied,) = cedar.ask("org.stats", [asked], entities)
    assert not denied.allowed
    assert denied.failure
    assert [answer.allowed for answer in cedar.ask("org.stats", [asked], entities)] == [True]
