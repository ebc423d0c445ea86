"""Where a contestant is and what its client needs to know of it."""

from dataclasses import dataclass, field

PASSWORD = "une phrase de passe pour mesurer"  # noqa: S105 - of accounts that live for one bench
# Each code is good once: so many accounts take turns at signing in. The first also owns the persons to search.
SIGNING_IN = tuple(f"avec.social-{number}" for number in range(2, 34))

# So many take turns at searching: nobody may search without end.
SEARCHING = tuple(f"avec.reception-{number}" for number in range(1, 9))
SIGNED_IN = ("avec.social", "cidff.jurist", *SEARCHING)


@dataclass(frozen=True, slots=True)
class Login:
    password: str
    totp_seed: str


@dataclass(frozen=True, slots=True)
class Place:
    """Accounts by login; cases with 10 follow-ups; longer ones with their follow-ups; names to search for."""

    logins: dict[str, Login]
    cases: list[str]
    long_cases: dict[str, list[str]]
    names: list[str]
    tokens: dict[str, str] = field(default_factory=dict)
