"""`casework retention`."""

import asyncio
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID, uuid4

from casework.clock import Clock
from casework.database import UnitOfWork
from casework.deployment import assemble, dismantle
from casework.journal import Deed, Who
from casework.settings import from_environment
from tests.casework.commands.place import Place, Ran
from tests.casework.commands.test_organisations import id_of


def fill(place: Place, slug: str) -> None:
    org_id = UUID(str(id_of(place, slug)))

    async def work() -> None:
        deployment = await assemble(from_environment(place.environment), Clock())

        def write(unit: UnitOfWork) -> None:
            for _ in range(260):
                deployment.journal.record(unit, (org_id, slug), Who(uuid4()), Deed("case.list"))

        await deployment.database.unit(write)
        await dismantle(deployment)

    asyncio.run(work())
    place.integrate()


def in_a_year(place: Place, *arguments: str, **changed: str) -> Ran:
    moment = datetime.now(UTC) + timedelta(days=370)
    with patch.object(Clock, "now", lambda _: moment):
        return place.run("retention", "run", *arguments, **changed)


def test_a_dry_run_tells_what_would_go_and_a_run_does_it(founded: Place) -> None:
    fill(founded, "avec")
    nothing = founded.run("retention", "run")
    assert (nothing.code, nothing.err) == (0, "")
    assert nothing.out.splitlines() == [
        "Journal du déploiement : rien à élaguer (conservation : 12 mois).",
        "« avec » : rien à élaguer (conservation : 12 mois).",
        "« cidff » : rien à élaguer (conservation : 12 mois).",
    ]
    for _ in range(2):
        dry = in_a_year(founded, "--dry-run")
        assert dry.code == 0
        assert "« avec » : 256 écritures d’avant le " in dry.out
        assert "seraient élaguées (conservation : 12 mois)." in dry.out
    done = in_a_year(founded)
    assert (done.code, done.err) == (0, "")
    assert " ont été élaguées" in done.out
    assert "élaguées" not in in_a_year(founded).out
    export = founded.folder / "avec.zip"
    assert founded.run("audit", "export", "avec", "--to", export).code == 0
    assert founded.run("audit", "verify", export, "--key", founded.key("avec")).code == 10


def test_a_period_is_shown_and_changed_and_the_change_is_journaled(founded: Place) -> None:
    assert founded.run("retention", "period", "avec").out == "Le journal de « avec » est conservé 12 mois.\n"
    changed = founded.run("retention", "period", "avec", "24")
    assert changed.code == 0
    assert "24 mois" in changed.out
    assert "la CNIL demande que le besoin soit documenté" in changed.out
    founded.integrate()
    fill(founded, "avec")
    assert "« avec » : rien à élaguer (conservation : 24 mois)." in in_a_year(founded, "--dry-run").out
    export = founded.folder / "avec.zip"
    founded.run("audit", "export", "avec", "--to", export)
    assert founded.run("audit", "verify", export, "--key", founded.key("avec")).code == 0


def test_a_period_that_the_law_does_not_know_is_refused(founded: Place) -> None:
    for months in ("5", "37"):
        refused = founded.run("retention", "period", "avec", months)
        assert (refused.code, refused.out) == (2, "")
    unknown = founded.run("retention", "period", "nobody", "12")
    assert (unknown.code, unknown.err) == (
        1,
        "L’organisation nommée n’existe pas dans ce déploiement.\n",
    )


def test_on_postgresql_it_needs_the_pruners_login(founded: Place) -> None:
    if founded.urls:
        refused = in_a_year(founded, CASEWORK_PRUNER_URL="")
        assert (refused.code, refused.err) == (1, "CASEWORK_PRUNER_URL\u00a0: n’est pas défini.\n")
