"""One run on one engine: every contestant takes a turn at each action, round after round."""

from bench.actions import ACTIONS, Action
from bench.contestants import Contestant
from bench.figures import Round
from bench.measuring import Skipped, measure, prepare, sign_everyone_in, wait_until_up
from bench.parity import require_equal
from bench.processes import children
from bench.scale import Scale

Rounds = dict[str, dict[str, list[Round]]]


class Run:
    """The rounds of one engine by action and contestant, and in words what could not be measured."""

    def __init__(self, engine: str, scale: Scale, database_pid: int | None = None) -> None:
        self.rounds: Rounds = {action.name: {} for action in ACTIONS}
        self.skipped: dict[tuple[str, str], str] = {}
        self._engine = engine
        self._scale = scale
        self._database_pid = database_pid

    async def play(self, taking_part: list[Contestant]) -> None:
        """Raises what a server or an answer did wrong; see `bench.measuring` and `bench.parity`."""
        for contestant in taking_part:
            await wait_until_up(contestant)
            await sign_everyone_in(contestant)
        await require_equal(taking_part)
        for number in range(self._scale.rounds):
            print(f"{self._engine}: round {number + 1} of {self._scale.rounds}", flush=True)
            for action in ACTIONS:
                for contestant in taking_part:
                    await self._turn(contestant, action, is_first=number == 0)

    async def _turn(self, contestant: Contestant, action: Action, *, is_first: bool) -> None:
        count = self._scale.requests[action.name]
        if (action.name, contestant.name) in self.skipped:
            return
        try:
            await prepare(contestant, action)
            if is_first and action.name != "sign_in":
                # Statements are compiled, connections made, memos filled.
                await measure(contestant, action, max(action.clients, count // 10), [])
            found = await measure(contestant, action, count, self._database())
        except Skipped as skipped:
            self.skipped[action.name, contestant.name] = f"{skipped} ({self._engine})"
            print(f"SKIPPED, NOT MEASURED: {skipped}", flush=True)
        else:
            self.rounds[action.name].setdefault(contestant.name, []).append(found)

    def _database(self) -> list[int]:
        return [self._database_pid, *children(self._database_pid)] if self._database_pid is not None else []
