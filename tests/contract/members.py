"""Who asks in a run: for each operation somebody who may, and now and then somebody who may not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import httpx
from schemathesis import APIOperation, AuthContext, Case, HookContext, Response
from schemathesis.generation.meta import TestPhase

from casework.identity.limits import NOT_FOUND
from casework.identity.sessions import STEP_UP
from tests.casework.centre import PASSWORD
from tests.contract.serving import Served
from tests.contract.things import ARRIVES, CHARTERED, RECEIVER, WORKER, Things

SUPERVISOR, AUDITOR = "avec.supervisor", "avec.auditor"
# Everyone else's operations are the worker's.
MAY: Final[Mapping[str, str]] = {
    "list_members": SUPERVISOR,
    "set_assignments": SUPERVISOR,
    "reassign": SUPERVISOR,
    "reopen_case": SUPERVISOR,
    "restrict_case": SUPERVISOR,
    "renew_keys": SUPERVISOR,
    "unlock_member": "avec.custodian",
    "begin_renewal": "avec.custodian",
    "confirm_renewal": "avec.custodian",
    "approve_erasure": "avec.dpo",
    "refuse_erasure": "avec.dpo",
    "view_certificate": "avec.dpo",
    "list_compartments": "avec.custodian",
    "grant_leave": "avec.custodian",
    "end_leave": "avec.custodian",
    "list_to_cover": SUPERVISOR,
    "list_teams": SUPERVISOR,
    "create_team": SUPERVISOR,
    "change_team": SUPERVISOR,
    "close_team": SUPERVISOR,
    "change_position": "avec.custodian",
    "publish_charter": CHARTERED,
    "accept_charter": CHARTERED,
    "view_settings": "avec.custodian",
    "change_settings": "avec.custodian",
    "acknowledge": RECEIVER,
    "ask": RECEIVER,
    "accept": RECEIVER,
    "refuse": RECEIVER,
    "report_outcome": RECEIVER,
    "read_entries": AUDITOR,
    "list_unexplained": AUDITOR,
    "list_findings": AUDITOR,
    "count_coverage": AUDITOR,
    "list_reviews": AUDITOR,
    "record_review": AUDITOR,
    "read_checkpoint": AUDITOR,
    "read_proof": AUDITOR,
    "export_bundle": AUDITOR,
    "export_entries": AUDITOR,
    "view_ledger": "avec.dpo",
    "print_ledger": "avec.dpo",
}
# Whoever else may would put a charter in force that everybody who asks would have to accept.
LOCKS_OUT: Final = "publish_charter"
OTHERS: Final = (WORKER, SUPERVISOR, "avec.reception", AUDITOR, "avec.custodian", "cidff.jurist")
# One request in so many is somebody else's; one in so many is about something that is not there.
ELSE_EVERY, RANDOM_EVERY = 8, 4
# She is signed out each time, or her other sessions are: nobody else may lose her session.
LEAVES: Final = "avec.dpo"
# What is not found a member may ask for so often; then everyone rests.
_MOST: Final = NOT_FOUND.most - 10
_REST: Final = NOT_FOUND.window + timedelta(minutes=1)
_MARGIN: Final = timedelta(minutes=1)


@dataclass
class Members:
    """The members of a centre: `get` and `set` are an auth provider of schemathesis, the others its hooks."""

    served: Served
    things: Things
    # By login: a token, and until when it is stepped up.
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    # The receiver's new cases, and the version that stands at a path.
    _received: set[str] = field(default_factory=set)
    _versions: dict[str, int] = field(default_factory=dict)
    _turns: Counter[str] = field(default_factory=Counter)
    _not_found: int = 0

    def get(self, case: Case, _context: AuthContext) -> str:
        operation = id_of(case.operation)
        if operation in {"end_session", "change_password"}:
            return self.served.run(self.served.centre.token(LEAVES))
        if operation == "give_second_factor":
            return self._begun()
        login = self._asker(operation, case)
        token, until = self._tokens.get(login, ("", datetime.min.replace(tzinfo=UTC)))
        if self.served.centre.clock.now() > until:
            token = self.served.run(self.served.centre.token(login, step_up=True))
            self._tokens[login] = token, self.served.centre.clock.now() + STEP_UP - _MARGIN
        return token

    def set(self, case: Case, data: str, _context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"

    def before_call(self, _context: HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
        """Put in what no document can say: a password, a code, the id and the version of a thing that is there."""
        if case.meta is None or not case.meta.generation.mode.is_positive:
            return
        operation = id_of(case.operation)
        if "Idempotency-Key" in case.headers:
            # A key is for one request, and a schema's example would be for all.
            case.headers["Idempotency-Key"] = uuid4().hex
        is_unit = case.meta.phase.name != TestPhase.STATEFUL
        if is_unit and self._is_turn(f"random {operation}", RANDOM_EVERY):
            return
        if is_unit:
            for name, thing in {**self.things.paths[""], **self.things.paths.get(operation, {})}.items():
                if name in case.path_parameters:
                    case.path_parameters[name] = thing
        if operation in self.things.bodies and isinstance(case.body, dict):
            case.body = self.things.bodies[operation](case)
        if case.formatted_path in self._versions and "If-Match" in case.headers:
            case.headers["If-Match"] = f'"{self._versions[case.formatted_path]}"'

    def after_call(self, _context: HookContext, case: Case, response: Response) -> None:
        """Remember what stands where, and let everyone rest before what is not found is too much, or at a limit."""
        self._not_found += response.status_code == httpx.codes.NOT_FOUND
        if self._not_found == _MOST or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self._not_found = 0
            self.served.centre.clock.offset += _REST
        # Of a group both versions are shown; of an organisation's settings none is.
        if response.status_code == httpx.codes.PRECONDITION_FAILED and "current" in response.json():
            self._versions[case.formatted_path] = response.json()["current"]["version"]
        if id_of(case.operation) == "accept" and response.status_code == httpx.codes.OK:
            self._received.add(response.json()["case_id"])

    def _begun(self) -> str:
        """A session that waits for its second factor."""
        credentials = {"login": ARRIVES, "password": PASSWORD}
        begun = self.served.run(self.served.centre.http.post("/api/v1/sessions", json=credentials))
        return str(begun.json()["token"])

    def _asker(self, operation: str, case: Case) -> str:
        if operation == LOCKS_OUT:
            return MAY[operation]
        # Of a sequence each step is of somebody who may: it would not be one otherwise.
        is_unit = case.meta is None or case.meta.phase.name != TestPhase.STATEFUL
        if is_unit and self._is_turn(operation, ELSE_EVERY):
            return OTHERS[self._turns[operation] // ELSE_EVERY % len(OTHERS)]
        if not self._received.isdisjoint(map(str, case.path_parameters.values())):
            return RECEIVER
        return MAY.get(operation, WORKER)

    def _is_turn(self, name: str, every: int) -> bool:
        self._turns[name] += 1
        return self._turns[name] % every == 0


def id_of(operation: APIOperation) -> str:
    return str(operation.definition.raw["operationId"])
