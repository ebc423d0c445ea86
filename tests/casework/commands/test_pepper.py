"""`casework keys pepper`, what `doctor` says until it is over, and `serve` while it is interrupted."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from audit.entry import Outcome
from casework.clock import Clock
from casework.column_types import Sealed
from casework.deployment import assemble, dismantle
from casework.identity.sign_in import sign_in
from casework.identity.tables import membership
from casework.journal import Who
from casework.rights.tables import erasure
from casework.settings import from_environment
from crypto.erasure import Preparation, require_proof
from crypto.pepper import FileKeyProvider, Pepper, Peppers
from tests.casework.commands.place import AVEC, CIDFF, Place
from tests.casework.commands.test_members import journaled
from tests.casework.commands.test_organisations import read

EVERYBODY = [member.partition(":")[0] for member in (*AVEC, *CIDFF)]


def enter(place: Place, *logins: str) -> None:
    """Give the right password for each; it is what leaves the old pepper behind."""

    async def enter_all() -> None:
        deployment = await assemble(from_environment(place.environment), Clock())
        try:
            for login in logins:
                password = place.password(login.partition(".")[0], login)
                await sign_in(deployment, Who(uuid4()), login, password, None)
        finally:
            await dismantle(deployment)

    asyncio.run(enter_all())


def said(place: Place) -> str:
    """What `doctor` says of the pepper."""
    lines = place.run("doctor").out.splitlines()
    return "\n".join(line for line in lines if line.startswith("CASEWORK_PEPPER_FILE"))


def prepare_an_erasure(pepper: Pepper, connection: Connection) -> Preparation:
    """A request that waits, as the service writes it."""
    member = connection.execute(select(membership).limit(1)).one()
    request, case = uuid4(), uuid4()
    asked = Preparation(
        member.org_id.bytes, request.bytes, case.bytes, member.id.bytes, "objection", b"sealed"
    )
    row = {
        "org_id": member.org_id,
        "id": request,
        "case_id": case,
        "state": "prepared",
        "basis": "objection",
        "prepared_by": member.id,
        "prepared_at": datetime.now(UTC),
        "motive": Sealed(b"sealed"),
        "proof": asked.proof(pepper),
    }
    connection.execute(insert(erasure).values(row))
    return asked


def test_a_change_of_pepper_is_told_by_doctor_until_the_last_has_signed_in(founded: Place) -> None:
    assert said(founded) == ""
    provider = FileKeyProvider(from_environment(founded.environment).pepper_file)
    asked = read(founded, partial(prepare_an_erasure, provider.pepper()))
    ran = founded.run("keys", "pepper")
    assert (ran.code, ran.err) == (0, ""), ran
    # An erasure that waits for its approval does not wait for the older pepper.
    proof = read(founded, lambda connection: connection.execute(select(erasure.c.proof)).scalar_one())
    require_proof(Peppers(provider.pepper()), asked, proof)
    assert ran.out.splitlines()[0].endswith(f": {len(EVERYBODY)}.")
    enter(founded, *EVERYBODY[1:])
    assert ": 1 → " in said(founded)
    enter(founded, EVERYBODY[0])
    assert "shred -u pepper." in said(founded)
    (older,) = FileKeyProvider(from_environment(founded.environment).pepper_file).older()
    older.unlink()
    assert said(founded) == ""
    enter(founded, EVERYBODY[0])
    assert journaled(founded, "pepper.rotate") == [(Outcome.ALLOWED, None, "operator")]


def test_a_change_that_was_interrupted_is_told_and_nothing_is_served_before_its_end(founded: Place) -> None:
    FileKeyProvider(from_environment(founded.environment).pepper_file).begin_rotation()
    assert "interrompu" in said(founded)
    refused = founded.run("serve")
    assert (refused.code, "casework keys pepper" in refused.err) == (1, True), refused
    assert founded.run("keys", "pepper").code == 0
    assert "interrompu" not in said(founded)
