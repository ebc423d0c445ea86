"""Which refusals of a request that is of its documented form are right: what a document cannot say, and why.

Everything else that schemathesis finds is a failure.
"""

from typing import Final

from schemathesis import Case, HookContext, Response
from schemathesis.openapi.checks import RejectedPositiveData

from tests.contract.members import id_of

_MUST_BE_THERE: Final = "an id or a name of something that this organisation has"
_TOGETHER: Final = "a rule of several fields together"
_KEYS_DECIDE: Final = "the signed directory says who holds which key"
_STRENGTH: Final = "how hard a password is to guess has no pattern"
# Field and code of a 422 → why no schema has it.
BEYOND_THE_FORM: Final[dict[tuple[str, str], str]] = {
    ("role", "already_held"): "of a person with several roles",
    ("members", "unknown_member"): _MUST_BE_THERE,
    ("readers", "unknown_member"): _MUST_BE_THERE,
    ("from", "unknown_member"): _MUST_BE_THERE,
    ("to", "unknown_member"): _MUST_BE_THERE,
    ("to", "same_member"): _TOGETHER,
    ("to", "nobody_assigned"): _TOGETHER,
    ("members", "nobody_assigned"): _TOGETHER,
    ("teams", "unknown_team"): _MUST_BE_THERE,
    ("to", "unknown_partner"): _MUST_BE_THERE,
    ("groups", "not_taken_by_receiver"): "the receiver's keys decide it",
    ("groups", "not_readable"): "the policies decide it",
    ("follow_ups", "unknown_follow_up"): _MUST_BE_THERE,
    ("excluded", "unknown_item"): _MUST_BE_THERE,
    ("returns", "not_the_handoff_of_this_case"): _MUST_BE_THERE,
    ("type", "not_in_vocabulary"): "the organisation's own types",
    ("occurred_at", "in_the_future"): "the clock decides it",
    ("occurred_at", "out_of_range"): "a time has no minimum in JSON Schema",
    ("members", "fewer_than_two"): "of different members, with whoever is named already",
    ("members", "holds_no_key"): _KEYS_DECIDE,
    ("readers", "fewer_than_two"): "of different members, the author among them",
    ("readers", "holds_no_key"): _KEYS_DECIDE,
    ("readers", "not_named"): "the case is restricted",
    ("text", "missing"): "a text of nothing but blanks counts as none",
    ("content", "missing"): "texts of nothing but blanks count as none",
    ("expires_at", "out_of_range"): "the clock decides it",
    ("basis", "not_what_was_prepared"): "the basis that was prepared",
    ("from", "out_of_range"): "the clock decides it",
    ("until", "missing"): _TOGETHER,
    ("until", "not_with_this_ground"): _TOGETHER,
    ("until", "out_of_range"): "the clock decides it",
    ("oral_reason", "needed_for_oral"): _TOGETHER,
    ("witness", "needed_for_oral"): _TOGETHER,
    ("body", "nothing_to_search_for"): _TOGETHER,
    ("body", "nobody_is_named"): _TOGETHER,
    ("first_name", "no_letter"): "words of nothing but blanks and signs are none",
    ("opening_hours", "ends_before_it_begins"): _TOGETHER,
    ("opening_hours", "overlapping"): _TOGETHER,
    ("managed_networks", "not_a_network"): "a network as people write it has no pattern",
    ("managed_networks", "network_too_wide"): "how long it is stands at its end",
    ("name", "no_letter"): "words of nothing but blanks and signs are none",
    (
        "phone",
        "not_a_phone_number",
    ): "a number as people write it has no pattern that is not wrong for somebody",
    ("family_name", "no_letter"): "words of nothing but blanks and signs are none",
    ("phones", "not_a_phone_number"): "a number as people write it has no pattern",
    ("address", "not_an_address"): "an address as people write it has no pattern",
    ("If-Match", "missing"): _TOGETHER,
    ("If-Match", "not_with_if_none_match"): _TOGETHER,
    ("case_id", "another_case"): _TOGETHER,
    ("content", "too_large"): "what is counted is its length in bytes",
    ("new_password", "too_simple"): _STRENGTH,
    ("new_password", "guessable"): _STRENGTH,
    ("new_password", "unusable"): _STRENGTH,
    ("new_password", "one_of_two"): _TOGETHER,
    ("cursor", "malformed"): "a cursor is opaque: only one that was given is taken",
}


def is_a_failure(_context: HookContext, failure: object, case: Case, response: Response) -> bool:
    """A `filter_failure` hook of schemathesis."""
    return not (isinstance(failure, RejectedPositiveData) and _is_right(case, response))


def _is_right(case: Case, response: Response) -> bool:
    # Only the version that stands now is taken.
    if response.status_code == 412:
        return True
    # Which of the bodies a group takes is decided by the path.
    if response.status_code != 422 or id_of(case.operation) == "change_group":
        return response.status_code == 422
    broken = {(found["field"], found["code"]) for found in response.json()["errors"]}
    # 45.0 is an integer to JSON Schema, and not to whoever reads strictly.
    for number in ("duration_minutes", "version"):
        if broken == {(number, "wrong_type")} and isinstance(case.body, dict):
            return isinstance(case.body[number], float)
    return broken <= set(BEYOND_THE_FORM)
