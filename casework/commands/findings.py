"""What `casework doctor` reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is unsafe, and how to mend it; both in French, without a final stop."""

    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.what} → {self.mend}."
