import pytest

from policies.lint import PolicyRefused, Rule, check, parse
from policies.sources import Source, base_source, org_source, schema_for
from tests.policies.situations import ORGS

SCHEMA = schema_for(ORGS)
WALLS = 'principal in Org::"avec", action == Action::"case.list", resource in Org::"avec"'
CONTEXT = (
    "{mfa: true, step_up: false, reason: false, device: true, hours: true, self_target: false,"
    ' purpose: Purpose::"care"}'
)
GOOD = f'@id("avec.plain") @title("Voir sa liste") permit ({WALLS});'


def refusal(*texts: str, name: str = "avec") -> PolicyRefused:
    with pytest.raises(PolicyRefused) as refused:
        check([Source(name, "\n".join(texts))], SCHEMA)
    return refused.value


def test_a_policy_that_follows_the_rules_is_accepted() -> None:
    (policy,) = check([Source("avec", GOOD)], SCHEMA)
    assert (policy.source, policy.id, policy.advice) == ("avec", "avec.plain", ())


@pytest.mark.parametrize("org", ORGS)
def test_the_committed_files_follow_the_rules(org: str) -> None:
    policies = check([base_source(), org_source(org)], SCHEMA)
    assert {policy.source for policy in policies} == {"base", org}


@pytest.mark.parametrize(
    ("text", "typo"),
    [
        (GOOD.replace("case.list", "case.lst"), "case.lst"),
        (GOOD.replace(");", ') when { principal in Role::"workr" };'), "workr"),
        (GOOD.replace(");", ") when { resource.mien };"), "mien"),
        (GOOD.replace(");", ') when { context.purpose == Purpose::"support " };'), "support "),
        (GOOD.replace(");", ') when { principal.professions.contains(Profession::"lawyer") };'), "lawyer"),
        (GOOD.replace('Org::"avec"', 'Org::"avecc"'), "avecc"),
        (GOOD.replace(");", ') when { resource.status == Status::"opened" };'), "opened"),
        (GOOD.replace(");", ") when { context.device == 1 };"), ""),
        (GOOD.replace("resource in", "resource is Handoff in"), ""),
    ],
)
def test_a_typo_is_refused_and_the_file_and_policy_are_named(text: str, typo: str) -> None:
    refused = refusal(text)
    assert {(found.source, found.policy, found.rule) for found in refused.findings} == {
        ("avec", "avec.plain", Rule.SCHEMA)
    }
    assert typo in str(refused)
    assert str(refused).startswith("avec: avec.plain: ")


def test_reading_an_attribute_that_may_be_missing_is_refused_unless_it_is_asked_for_first() -> None:
    sending = GOOD.replace("case.list", "handoff.send")
    unasked = sending.replace(");", ") when { resource.consent.live };")
    assert {found.rule for found in refusal(unasked).findings} == {Rule.SCHEMA}
    check([Source("avec", unasked.replace("{ ", "{ resource has consent && "))], SCHEMA)


def test_a_file_that_does_not_parse_is_refused_by_name() -> None:
    (finding,) = refusal("permit (").findings
    assert (finding.source, finding.policy, finding.rule) == ("avec", "", Rule.SYNTAX)
    assert str(finding).startswith("avec: ?: ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (GOOD.replace('@id("avec.plain")', ""), Rule.ID),
        (GOOD.replace("avec.plain", "cidff.plain"), Rule.ID),
        (GOOD.replace("avec.plain", "avecplain"), Rule.ID),
        (GOOD.replace('@title("Voir sa liste")', ""), Rule.TITLE),
        (GOOD.replace("Voir sa liste", "  "), Rule.TITLE),
        (f'@until("2030") {GOOD}', Rule.ANNOTATION),
        (f'@advice("reason") {GOOD}', Rule.ADVICE),
        (f'@advice("pray") {GOOD.replace("permit", "forbid")}', Rule.ADVICE),
        (GOOD.replace('principal in Org::"avec"', "principal"), Rule.PRINCIPAL_SCOPE),
        (GOOD.replace('principal in Org::"avec"', 'principal in Org::"cidff"'), Rule.PRINCIPAL_SCOPE),
        (GOOD.replace('principal in Org::"avec"', 'principal in Role::"worker"'), Rule.PRINCIPAL_SCOPE),
        (GOOD.replace('resource in Org::"avec"', "resource"), Rule.RESOURCE_SCOPE),
        (GOOD.replace('resource in Org::"avec"', "resource is Case"), Rule.RESOURCE_SCOPE),
        (GOOD.replace('resource in Org::"avec"', 'resource is Case in Org::"med"'), Rule.RESOURCE_SCOPE),
        (GOOD.replace(");", ') when { principal == Member::"jeanne" };'), Rule.INDIVIDUAL),
        (GOOD.replace(");", ') when { [Case::"1"].contains(resource) };'), Rule.INDIVIDUAL),
        (GOOD.replace(");", f") when {{ context == {CONTEXT} }};"), Rule.WHOLE),
        (GOOD.replace(");", f") unless {{ {CONTEXT} == context }};"), Rule.WHOLE),
        (GOOD.replace(");", f") when {{ [{CONTEXT}].contains(context) }};"), Rule.WHOLE),
        (GOOD.replace(");", ') when { resource in Org::"avec" };'), Rule.WHOLE),
        (GOOD.replace(");", ") when { resource in principal.org };"), Rule.WHOLE),
        (GOOD.replace(");", ') when { principal in Org::"avec" };'), Rule.WHOLE),
        (GOOD.replace(");", ") when { (if resource.mine then context else context).mfa };"), Rule.WHOLE),
        (GOOD.replace(");", ') when { "jeanne" == "jeanne" };'), Rule.FREE_STRING),
        (GOOD.replace(");", ') when { "jeanne" like "j*" };'), Rule.FREE_STRING),
        (GOOD.replace(");", ') when { ["jeanne"].contains("jean") };'), Rule.FREE_STRING),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused(text: str, rule: Rule) -> None:
    assert rule in {finding.rule for finding in refusal(text).findings}


def test_a_policy_may_be_narrowed_to_a_type_within_its_organisation() -> None:
    check([Source("avec", GOOD.replace("resource in", "resource is Case in"))], SCHEMA)


def test_an_id_carried_twice_is_refused() -> None:
    assert {finding.rule for finding in refusal(GOOD, GOOD).findings} == {Rule.ID_TWICE}


def test_a_template_is_refused() -> None:
    text = GOOD.replace('principal in Org::"avec"', "principal in ?principal")
    assert [finding.rule for finding in refusal(text).findings] == [Rule.TEMPLATE]


@pytest.mark.parametrize(
    "action",
    ["action", 'action == Action::"consent.withdraw"', 'action in [Action::"consent.withdraw"]'],
)
def test_no_organisation_can_forbid_the_withdrawal_of_a_consent(action: str) -> None:
    text = GOOD.replace("permit", "forbid").replace('action == Action::"case.list"', action)
    assert Rule.WITHDRAWAL in {finding.rule for finding in refusal(text).findings}


@pytest.mark.parametrize("effect", ["permit", "forbid"])
@pytest.mark.parametrize("name", ["policy.propose", "policy.approve"])
def test_no_organisation_says_who_changes_its_rules(effect: str, name: str) -> None:
    """A file that made approvers, or left none, would be the last that anybody approved."""
    text = GOOD.replace("permit", effect).replace("case.list", name)
    assert [finding.rule for finding in refusal(text).findings] == [Rule.CHANGE]
    every = GOOD.replace('action == Action::"case.list"', "action")
    assert [finding.rule for finding in refusal(every).findings] == [Rule.CHANGE]


def test_an_organisation_can_forbid_everything_about_its_cases() -> None:
    text = GOOD.replace("permit", "forbid").replace('== Action::"case.list"', 'in Action::"case.any"')
    assert len(check([Source("avec", text)], SCHEMA)) == 1


def test_policies_keep_the_order_of_their_file() -> None:
    texts = [GOOD.replace("plain", f"n{number}") for number in range(12)]
    assert [policy.id for policy in parse(Source("avec", "\n".join(texts)))] == [
        f"avec.n{n}" for n in range(12)
    ]
