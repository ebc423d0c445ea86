"""One run of schemathesis against a served centre, and what it found."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.config import ChecksConfig, SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER
from schemathesis.schemas import BaseSchema

from tests.contract.members import Members, id_of
from tests.contract.rules import is_a_failure
from tests.contract.serving import Served
from tests.contract.things import prepare

# The sequences depend on ids, which no seed holds: one run of them may stay at the gates of most operations.
MOST_WALKS: Final = 6
SEED: Final = 20261120
# The same requests in every run, whatever was found before, but for ids and tokens.
CONFIG: Final[dict[str, Any]] = {
    "seed": SEED,
    "generation": {
        "deterministic": True,
        "database": "none",
        "no-shrink": True,
        "max-examples": 8,
        # No string of the API takes U+0000 (`casework.json_input`), which no schema needs to repeat everywhere.
        "allow-x00": False,
    },
    "checks": {
        # A body with every text too long is over 1 MiB first.
        "negative_data_rejection": {
            "expected-statuses": [*ChecksConfig().negative_data_rejection.expected_statuses, "413"]
        },
    },
    "phases": {"stateful": {"max-steps": 15, "generation": {"max-examples": 100, "mode": "positive"}}},
}


@dataclass
class Run:
    """What was asked, judged and found.

    `answers` counts (phase, operation, status) of requests with the operation's own method, `checks` how often each
    check judged, `phases` says how each ended, `operations` are all of the document, `linked` those with an id.
    """

    operations: frozenset[str]
    linked: frozenset[str]
    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    phases: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def succeeded(self, *phases: str) -> set[str]:
        """The operations that answered with success, in one of these phases."""
        return {name for phase, name, status in self.answers if phase in phases and 200 <= status < 300}

    @property
    def followed(self) -> set[str]:
        """The operations that succeeded about a thing that an earlier answer of a sequence had named."""
        return self.succeeded("stateful") & self.linked

    def _take(self, event: Any) -> None:
        match event:
            case events.PhaseFinished() if event.phase.is_enabled:
                self.phases[event.phase.name.value] = event.status.value
            case events.ScenarioFinished():
                self._read(event.phase.value, event.recorder)
            case events.NonFatalError():
                self.failures.append(f"{event.label}: {event.value!r}")
            case events.FatalError():
                raise event.exception

    def _follow(self, schema: BaseSchema, members: Members) -> None:
        with _hooked(schema, members):
            for event in from_schema(schema).execute():
                self._take(event)

    def _read(self, phase: str, recorder: ScenarioRecorder) -> None:
        for key, interaction in recorder.interactions.items():
            case = recorder.cases[key].value
            if interaction.response is None:
                self.failures.append(f"{phase}: {case.operation.label} was not answered")
            elif interaction.request.method == case.operation.method.upper():
                self.answers[phase, id_of(case.operation), interaction.response.status_code] += 1
        for key, checks in recorder.checks.items():
            for check in checks:
                self.checks[check.name] += 1
                if check.failure_info is not None:
                    found, label = check.failure_info, recorder.cases[key].value.operation.label
                    answered = recorder.interactions[key].response
                    shown = answered.content[:500] if answered is not None else b""
                    said = f"{found.failure.message}\n{shown!r}\n{found.code_sample}"
                    self.failures.append(f"{phase}: {check.name}: {label}: {said[:3_000]}")


def run(served: Served, config: dict[str, Any]) -> Run:
    """The phases of schemathesis that `config` asks for, with all its checks, by members who are signed in.

    The phase of sequences is walked again from other seeds until most operations were followed to, at most
    `MOST_WALKS` times.
    """
    members = Members(served, served.run(prepare(served.centre)))
    schema = _schema(served, config)
    operations = [found.ok() for found in schema.get_all_operations()]
    done = Run(
        frozenset(id_of(found) for found in operations),
        frozenset(id_of(found) for found in operations if "{" in found.path),
    )
    done._follow(schema, members)
    for walk in range(1, MOST_WALKS):
        if len(done.followed) > len(done.linked) / 2:
            break
        done._follow(_schema(served, _another_walk(config, SEED + walk)), members)
    return done


def _schema(served: Served, config: dict[str, Any]) -> BaseSchema:
    url = f"{served.url}/api/openapi.json"
    return schemathesis.openapi.from_url(url, config=SchemathesisConfig.from_dict(config))


def _another_walk(config: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same configuration with sequences alone, from another seed."""
    alone = {name: {"enabled": False} for name in ("examples", "coverage", "fuzzing")}
    generation = {**config["generation"], "deterministic": False}
    return {**config, "seed": seed, "generation": generation, "phases": {**config["phases"], **alone}}


@contextmanager
def _hooked(schema: BaseSchema, members: Members) -> Iterator[None]:
    schema.auth.providers.append(members)
    schema.hook("filter_failure")(is_a_failure)

    # These two are asked for globally alone; a hook must be a function, for schemathesis writes on it.
    @schemathesis.hook("before_call")
    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        members.before_call(context, case, kwargs)

    @schemathesis.hook("after_call")
    def after_call(context: HookContext, case: Case, response: Response) -> None:
        members.after_call(context, case, response)

    try:
        yield
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister_all()
