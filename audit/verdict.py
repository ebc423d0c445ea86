"""What a verification ends in: a verdict with its exit code, the checks behind it, the first wrong entry."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Verdict(IntEnum):
    """The value is the exit code of `casework audit verify`; the larger one wins."""

    VALID = 0
    VALID_PRUNED = 10
    UNWITNESSED = 11
    STALE = 12
    INCOMPLETE = 20
    INCONSISTENT = 30

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Verdict.VALID: "journal valide",
    Verdict.VALID_PRUNED: "journal valide, début élagué selon la durée de conservation",
    Verdict.UNWITNESSED: "journal cohérent, mais un témoin demandé n’a pas signé",
    Verdict.STALE: "journal cohérent, mais trop ancien",
    Verdict.INCOMPLETE: "journal incomplet : il manque de quoi conclure",
    Verdict.INCONSISTENT: "journal incohérent : il a été modifié",
}


class CheckName(StrEnum):
    """The steps, in the order in which they are shown."""

    FORM = "form"
    SIGNATURES = "signatures"
    TREE = "tree"
    HISTORY = "history"
    ENTRIES = "entries"
    LANES = "lanes"
    TIME = "time"
    PRUNING = "pruning"
    DETAILS = "details"
    WITNESSES = "witnesses"
    COUNTERPARTS = "counterparts"
    FRESHNESS = "freshness"


@dataclass(frozen=True, slots=True)
class Check:
    """One step, whether it passed, and what to tell the auditor (in French)."""

    name: CheckName
    passed: bool
    words: str


@dataclass(frozen=True, slots=True)
class WrongEntry:
    """The first entry that is wrong or missing: its index, and its id where it could be read."""

    index: int
    entry_id: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome. `origin` and `size` are those of the newest checkpoint, if one could be read."""

    verdict: Verdict
    first_wrong: WrongEntry | None
    checks: tuple[Check, ...]
    origin: str | None
    size: int

    @property
    def exit_code(self) -> int:
        return int(self.verdict)


@dataclass(frozen=True, slots=True)
class _Fault:
    verdict: Verdict
    words: str
    index: int | None
    entry_id: str | None


class Findings:
    """Collects faults during one verification; of each step the one with the lowest index is kept."""

    def __init__(self) -> None:
        self._faults: dict[CheckName, _Fault] = {}
        self._verdict = Verdict.VALID

    def fault(
        self,
        check: CheckName,
        verdict: Verdict,
        words: str,
        *,
        index: int | None = None,
        entry_id: str | None = None,
    ) -> None:
        """Note that `check` failed at `index`, so that the whole is at best `verdict`."""
        self.at_best(verdict)
        known = self._faults.get(check)
        if known is None or (index is not None and (known.index is None or index < known.index)):
            self._faults[check] = _Fault(verdict, words, index, entry_id)

    def at_best(self, verdict: Verdict) -> None:
        """The whole is at best `verdict`, without a fault: a pruned log is as it should be."""
        self._verdict = max(self._verdict, verdict)

    def failed(self, check: CheckName) -> bool:
        return check in self._faults

    def report(self, origin: str | None, size: int, words: dict[CheckName, str]) -> Report:
        """The report over the checks that `words` names; `words` are what is said of one that passed."""
        checks = tuple(
            Check(name, passed=False, words=self._faults[name].words)
            if name in self._faults
            else Check(name, passed=True, words=words[name])
            for name in CheckName
            if name in words or name in self._faults
        )
        located = [fault for fault in self._faults.values() if fault.index is not None]
        # Among faults of one index the one that could read the entry's id says more.
        first = min(located, key=lambda fault: (fault.index or 0, fault.entry_id is None), default=None)
        wrong = WrongEntry(first.index or 0, first.entry_id) if first is not None else None
        return Report(self._verdict, wrong, checks, origin, size)
