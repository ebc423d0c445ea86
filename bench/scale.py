"""How much is measured: the full bench, and a tiny one that shows only that everything runs."""

from dataclasses import dataclass

FOLLOW_UPS = 10
HANDED_OVER = 20


@dataclass(frozen=True, slots=True)
class Scale:
    """`cases` have 10 follow-ups, `long_cases` have 20, `persons` counts everybody that a search goes through."""

    cases: int
    long_cases: int
    persons: int
    signing_in: int
    rounds: int
    requests: dict[str, int]
    profiled: int

    @property
    def thin_cases(self) -> int:
        return self.persons - self.cases - self.long_cases


FULL = Scale(
    cases=1_500,
    long_cases=40,
    persons=10_000,
    signing_in=16,
    rounds=5,
    requests={"open": 300, "list": 100, "save": 300, "search": 40, "sign_in": 8, "hand_over": 12},
    profiled=300,
)
QUICK = Scale(
    cases=60,
    long_cases=4,
    persons=100,
    signing_in=2,
    rounds=1,
    requests={"open": 16, "list": 16, "save": 16, "search": 8, "sign_in": 2, "hand_over": 4},
    profiled=20,
)
