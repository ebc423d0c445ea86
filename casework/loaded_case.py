"""A case as the gateway loads it: facts and sealed rows, before anything is decided or opened."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from casework.shreds import half_purpose
from policies.facts import CaseFacts
from policies.vocabulary import Group, Status

LEGAL_NAME = "legal_name"
_FIRST_HALVES = {group: str(group) for group in Group}


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """A case's row, its facts for the asker, and its sealed groups. Opens nothing.

    `shreds` are the halves as its keys need them: none where it is restricted and the asker not named for it.
    """

    id: UUID
    status: Status
    version: int
    facts: CaseFacts
    pseudonym: bytes = field(repr=False)
    groups: Mapping[Group, Any]
    shreds: Mapping[Group, bytes] = field(repr=False)

    def half_renewed(self, among: Iterable[Group]) -> list[Group]:
        """The groups whose half was renewed by somebody who could not open their key: it is still the older one."""
        return [group for group in among if self.groups[group].half > self.groups[group].dek_generation]


def half_purposes(rows: Sequence[Any]) -> Mapping[Group, str]:
    """Under which purpose each group's half is kept."""
    if all(row.half == 1 for row in rows):
        return _FIRST_HALVES
    return {Group(row.compartment): half_purpose(row.compartment, row.half) for row in rows}
