"""What the document says is what the service does: schemathesis on the real service.

A new operation is tried as soon as the document has it, and fails here until somebody in `members.MAY` reaches a
success with what `things` prepares.

On SQLite, in all phases: some 6,200 requests, half of them refused for their form before any database is touched.
On PostgreSQL the access matrix (`tests/journeys/matrix`) tries every operation, with every kind of member.
"""

from pathlib import Path

import pytest
from schemathesis.checks import CHECKS

from tests.casework.centre import Foundation, Urls
from tests.contract.runs import CONFIG, run
from tests.contract.serving import served_centre

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"])
PHASES = {"examples", "coverage", "fuzzing", "stateful"}
# It needs a bound, and a busy machine is no fault of the service.
NOT_ASKED = {"max_response_time"}


def test_the_service_does_what_its_document_says(
    founded: tuple[Path, Foundation, Urls],
) -> None:
    with served_centre(*founded) as served:
        done = run(served, CONFIG)
    assert not done.failures, "\n\n".join(done.failures)
    assert {name: done.phases.get(name) for name in PHASES} == dict.fromkeys(PHASES, "success")
    assert set(done.checks) == set(CHECKS.get_all_names()) - NOT_ASKED
    # Refusals alone would prove little.
    assert done.succeeded(*PHASES) == done.operations
    assert len(done.followed) > len(done.linked) / 2, sorted(done.linked - done.followed)
    assert max(status for _, _, status in done.answers) < 500
