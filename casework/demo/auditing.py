"""An auditor of the demo: she follows her organisation's journal and takes it away to verify it offline."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from audit.checkpoint import VerificationKey
from audit.entry import Outcome
from audit.errors import NoteRefused, ProofRefused
from audit.receipt import verify_receipt
from audit.trust import Trust
from audit.verdict import Report
from audit.verifier import verify_bundle
from casework.demo.people import Pause, Person
from crypto.signing import verify

# The integrator works every 200 ms: many times that is patience enough.
_LOOKS, _BETWEEN_SECONDS = 60, 0.25
_NEWEST = 100
_WORDS = {Outcome.ALLOWED: "permis", Outcome.DENIED: "refusé"}


@dataclass(frozen=True, slots=True)
class Expected:
    """What must have been journaled: in whose log, which action, by whom where that is known."""

    organisation: str
    action: str
    outcome: Outcome = Outcome.ALLOWED
    by: Person | None = None

    def is_met_by(self, item: dict[str, Any]) -> bool:
        actor = str(self.by.member_id) if self.by is not None else item["entry"]["actor"]
        return (item["action"], item["outcome"], item["entry"]["actor"]) == (self.action, self.outcome, actor)


@dataclass(frozen=True, slots=True)
class Journaled:
    """An entry as it is shown."""

    organisation: str
    action: str
    outcome: Outcome
    id: str

    def __str__(self) -> str:
        return f"journal {self.organisation} · {self.action} · {_WORDS[self.outcome]} · {self.id[:8]}"


class NotJournaled(Exception):
    """Something that was done does not stand in the journal; the message says what, in French."""


@dataclass(slots=True)
class Auditor:
    """Reads one journal, entry after entry, and remembers how far she has come."""

    person: Person
    pause: Pause
    seen: int = field(default=-1)

    async def begin(self) -> None:
        """Take what stands there now as known."""
        self.seen = max((item["index"] for item in await self._newest()), default=-1)

    async def find(self, wanted: Sequence[Expected]) -> list[Journaled]:
        """The new entries that meet `wanted`, in that order, as soon as all are integrated.

        Raises:
            NotJournaled: one of them does not appear.

        """
        found = await self._look(wanted)
        for _ in range(_LOOKS):
            if len(found) == len(wanted):
                break
            await self.pause(_BETWEEN_SECONDS)
            found = await self._look(wanted)
        else:
            missing = wanted[len(found)]
            outcome = _WORDS[missing.outcome]
            raise NotJournaled(f"« {missing.action} » ({outcome}) manque au journal {missing.organisation}")
        self.seen = max(item["index"] for item in found)
        organisation = self.person.account.organisation
        return [
            Journaled(organisation, item["action"], Outcome(item["outcome"]), item["id"]) for item in found
        ]

    async def count_entries_of(self, case_id: str) -> int:
        """How many of the newest entries concern the person of a case."""
        return len((await self.person.get(f"/journal/entries?limit={_NEWEST}&case={case_id}"))["items"])

    async def verify_offline(self) -> Report:
        """Download the whole journal and verify it with the key printed when the organisation was founded."""
        bundle: bytes = await self.person.get("/journal/bundle")
        trust = Trust(keys=(VerificationKey.parse(self.person.account.journal_key),))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "journal.zip"
            path.write_bytes(bundle)
            return verify_bundle(path, trust, verify)

    def accepts(self, proof: str | None) -> bool:
        """Whether a receipt proves its entry under the key printed when the organisation was founded."""
        key = VerificationKey.parse(self.person.account.journal_key)
        try:
            verify_receipt(proof or "", None, [key], verify)
        except (ProofRefused, NoteRefused):
            return False
        return True

    async def _look(self, wanted: Sequence[Expected]) -> list[dict[str, Any]]:
        items = [item for item in await self._newest() if item["index"] > self.seen]
        return _in_order(items[::-1], wanted)

    async def _newest(self) -> list[dict[str, Any]]:
        page: dict[str, list[dict[str, Any]]] = await self.person.get(f"/journal/entries?limit={_NEWEST}")
        return page["items"]


def _in_order(items: Sequence[dict[str, Any]], wanted: Sequence[Expected]) -> list[dict[str, Any]]:
    """The first of `wanted` that the items meet one after the other."""
    rest, found = iter(items), []
    for expected in wanted:
        item = next((item for item in rest if expected.is_met_by(item)), None)
        if item is None:
            break
        found.append(item)
    return found
