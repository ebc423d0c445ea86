"""Lives of members: a charter that they accept, another position, a leave."""

from datetime import UTC, datetime, timedelta

from casework.identity.schemas import NewLeave, Returning
from casework.organisations.schemas import NewCharter, NewPosition
from tests.journeys.canaries import filled
from tests.journeys.lives import Life


def live_through_a_charter(life: Life) -> None:
    """Its text is there for everybody; why it was adopted is not. Of an organisation where nobody works here."""
    custodian, auditor = (life.member(f"med.{name}", step_up=True) for name in ("custodian", "auditor"))
    custodian.post("/charter", filled(NewCharter, life.canaries, text="Accueillir sans condition."))
    auditor.post("/charter/acceptance", {"version": 1}, 200)


def live_through_a_leave(life: Life) -> None:
    """The same position once more, which ends no session; a leave that does not begin before she is back."""
    custodian, at = life.member("avec.custodian", step_up=True), f"/members/{life.id_of('avec.reception')}"
    position = {"role": "reception", "professions": [], "secrecy_basis": "mission"}
    custodian.ask("PUT", f"{at}/position", 200, filled(NewPosition, life.canaries, **position))
    start = datetime.now(UTC) + timedelta(days=30)
    times = {"from": start.isoformat(), "until": (start + timedelta(days=30)).isoformat()}
    custodian.ask("PUT", f"{at}/leave", 200, filled(NewLeave, life.canaries, **times))
    custodian.post(f"{at}/return", filled(Returning, life.canaries), 200)
