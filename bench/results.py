"""What one run found, as it is kept and shown."""

from datetime import datetime

from msgspec import Struct

from bench.figures import Figures


class Machine(Struct, frozen=True):
    """What the figures hold for."""

    processor: str
    cores: int
    cores_are_apart: bool
    system: str
    python: str
    postgresql: str


class Profiled(Struct, frozen=True):
    """Milliseconds an act takes under the profiler, and the percent of each part."""

    ms: float
    parts: dict[str, float]


class Results(Struct, frozen=True):
    """`figures`: by engine, action and contestant. `ratios`: CPU of casework to that of each twin, likewise."""

    made_at: datetime
    machine: Machine
    rounds: int
    requests: dict[str, int]
    figures: dict[str, dict[str, dict[str, Figures]]]
    ratios: dict[str, dict[str, dict[str, float]]]
    profile: dict[str, Profiled]
    skipped: list[str]
