from hashlib import sha256

import cedarpy
import pytest

from policies.engine import Engine
from policies.lint import Rule, _validate
from policies.sources import NotAnOrganisation, Source, base_source, org_source, schema_for, set_hash
from tests.policies.situations import ORGS, engine_of


@pytest.mark.parametrize("slug", ["", "Avec", '"] ; permit', "../base", "base", "schema", "a" * 41, "1er"])
def test_a_slug_that_could_reach_cedar_text_or_another_file_is_refused(slug: str) -> None:
    with pytest.raises(NotAnOrganisation) as refused:
        schema_for([slug])
    assert refused.value.slug == slug


def test_an_organisation_without_a_policy_file_is_refused() -> None:
    with pytest.raises(NotAnOrganisation):
        org_source("emmaus")


def test_a_fifth_organisation_needs_no_edit_of_the_schema() -> None:
    policy = '@id("emmaus.list") @title("Voir la liste") permit (principal in Org::"emmaus", '
    policy += 'action == Action::"case.list", resource in Org::"emmaus");'
    engine = Engine("emmaus", ORGS, [base_source(), Source("emmaus", policy)])
    assert engine.orgs == {*ORGS, "emmaus"}


def test_a_fifth_organisation_leaves_the_others_hash_alone() -> None:
    assert Engine.load("avec", [*ORGS, "emmaus"]).hash == engine_of("avec").hash


def test_the_hash_tells_any_changed_file_and_any_moved_boundary() -> None:
    sets = [
        [Source("base", "ab"), Source("avec", "c")],
        [Source("base", "a"), Source("avec", "bc")],
        [Source("base", "ab"), Source("avec", "c ")],
        [Source("base", "ab"), Source("med", "c")],
        [Source("avec", "c"), Source("base", "ab")],
    ]
    assert len({set_hash(sources) for sources in sets}) == len(sets)


def test_the_hash_is_the_documented_one() -> None:
    framed = b"\x04\0\0\0\0\0\0\0base\x02\0\0\0\0\0\0\0\xc3\xa9"
    assert set_hash([Source("base", "é")]) == sha256(framed).hexdigest()


def test_each_organisation_has_a_set_of_its_own() -> None:
    assert len({engine_of(org).hash for org in ORGS}) == len(ORGS)
    for org in ORGS:
        assert {policy.source for policy in engine_of(org).policies} == {"base", org}


def test_a_validator_that_refuses_without_a_word_still_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cedarpy, "validate_policies", lambda *_: cedarpy.ValidationResult({}))
    assert [finding.rule for finding in _validate(base_source(), schema_for(ORGS))] == [Rule.SCHEMA]
