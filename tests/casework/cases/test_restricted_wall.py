"""Policies that allow everything, and the database's own tools: the keys alone close a restricted case."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Row, delete, insert, select, update
from structlog.testing import capture_logs

from casework.access import Access
from casework.act import Act
from casework.cases.soundness import inspect_cases
from casework.cases.tables import assignment, case_file, case_group, named_seal
from casework.column_types import Sealed
from casework.columns import Column
from casework.copying import copying
from casework.follow_ups.tables import follow_up_frame
from casework.integrity import Check, check_cases
from casework.organisations.entries import append_entry
from casework.restrictions import named_part
from casework.shreds import ShredStore, half_purpose
from casework.upkeep import sweep
from crypto.dek import CaseKey
from crypto.directory_entries import EntrySigner
from crypto.drop import is_drop_envelope
from crypto.errors import CommitmentMismatch, SealBroken
from crypto.hpke import new_key_pair
from crypto.opener import open_frame
from crypto.restriction import name_members
from crypto.secret import Secret
from crypto.signing import SigningKey
from policies.vocabulary import Action, Group
from tests.casework.administrator import Administrator
from tests.casework.cases.test_keys_are_the_wall import allow_everything
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.restricted import ids, lift, name, restrict, restricted_case, unname, write_note
from tests.casework.story import content, denials, entries_of, follow_up, note, open_case


async def _rows(centre: Centre, case: str) -> list[Row[Any]]:
    query = select(case_group).where(case_group.c.case_id == UUID(case))
    return await centre.dba(lambda connection: list(connection.execute(query).all()))


async def _halves(centre: Centre, client: Client, case: str) -> dict[tuple[UUID, str], bytes]:
    """Every half of a case that the shred store has."""
    avec = centre.org("avec")

    def read(act: Act) -> dict[tuple[UUID, str], bytes]:
        purposes = [purpose for owner, purpose in act.deployment.shreds.owned(avec) if owner == UUID(case)]
        return act.deployment.shreds.of(avec, [UUID(case)], purposes)

    return await centre.act(client, read)


def _open(act: Act, row: Row[Any], half: bytes) -> CaseKey | None:
    """A case's key with the KEKs of a session and nothing else: no gateway, no policy."""
    return act.keyring.case_key(row.compartment, row.case_id, row.dek_generation, row.dek.blob, half)


async def _reads_nothing(client: Client, case: str) -> None:
    """Whatever she asks for, no text of the case is in the answer."""
    opened = await client.get(f"/cases/{case}")
    assert (opened["groups"], opened["withheld"]) == ({}, [str(group) for group in Group])
    for item in (await client.get(f"/cases/{case}/follow-ups"))["items"]:
        assert (item["content"], "type" in item) == ({}, False)
    assert (await client.get(f"/cases/{case}/notes")) == {"items": []}
    (listed,) = [item for item in (await client.get("/cases"))["items"] if item["id"] == case]
    assert (listed["identity"], "problem" in listed) == (None, False)
    assert (await client.post("/search", {"name": f"{CANARY} identity"}, 200)) == {"items": []}


async def test_nobody_who_is_not_named_reads_or_changes_it_even_when_everything_is_allowed(
    centre: Centre,
) -> None:
    """The supervisor who restricted it, the front desk, a colleague with the same keys, who opens no case."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    await write_note(social, case, "social", "avec.double")
    double = ids(centre, "avec.double")[0]
    path = f"/cases/{case}/restriction"
    await allow_everything(centre)
    for login in ("avec.supervisor", "avec.reception", "avec.jurist", "avec.custodian", "avec.auditor"):
        stranger = await centre.sign_in(login, step_up=True)
        await stranger.post(f"/cases/{case}/break-glass", {"reason": "x", "purpose": "support"})
        await _reads_nothing(stranger, case)
        # She names herself, takes somebody away, lifts it: she has no part to give.
        member = ids(centre, login)[0]
        await stranger.refused("PUT", f"{path}/members/{member}", 403, "forbidden")
        await stranger.refused("DELETE", f"{path}/members/{double}", 403, "forbidden")
        await stranger.refused("POST", f"{path}/lifting", 403, "forbidden", json={"reason": "x"})
        body = {"members": [member, double], "reason": "x"}
        await stranger.refused("POST", path, 409, "already_restricted", json=body)
        assigned = {"members": [member]}
        await stranger.refused("PUT", f"/cases/{case}/assignments", 409, "case_is_restricted", json=assigned)
        # Nor does she write into it: what she sealed to the group's drop key others could open.
        written = follow_up("accompagnement_social", "social")
        await stranger.refused("POST", f"/cases/{case}/follow-ups", 409, "key_not_granted", json=written)
    refused = [item["entry"]["reason"] for item in await denials(centre, "avec", "case.assign")]
    assert (refused.count("not_named"), refused.count("case_is_restricted")) == (10, 5)
    assert (await social.get(path))["members"] == sorted(ids(centre, "avec.social", "avec.double"))
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_the_kek_the_rows_and_the_shred_store_together_open_no_key_of_it(centre: Centre) -> None:
    """No gateway and no policy. Of a group that the restricting supervisor could not open herself neither."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    rows, halves = await _rows(centre, case), await _halves(centre, social, case)
    assert {purpose for _, purpose in halves} == {
        "pseudonym",
        *(half_purpose(row.compartment, 2) for row in rows),
    }
    for login, held in (("avec.jurist", "social"), ("avec.psychologist", "health")):
        colleague = await centre.sign_in(login)

        def attempt(act: Act, held: str = held) -> None:
            for row in rows:
                half = halves[row.case_id, half_purpose(row.compartment, row.half)]
                if act.keyring.holds(row.compartment):
                    with pytest.raises(CommitmentMismatch):
                        _open(act, row, half)
                else:
                    assert _open(act, row, half) is None
            assert act.keyring.holds(held)

        await centre.act(colleague, attempt)


async def test_an_old_copy_opens_nothing_that_is_written_afterwards(centre: Centre) -> None:
    """A colleague kept database, shred store and her keys from before: what is new is closed to her."""
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    jurist = await centre.sign_in("avec.jurist")
    case = await open_case(social, "social", "legal")
    old_rows, old_halves = await _rows(centre, case), await _halves(centre, social, case)
    await restrict(supervisor, case, "avec.social", "avec.double")
    noted = await note(social, case, "accompagnement_social", "social")
    (frame,) = await centre.dba(
        lambda connection: connection.execute(
            select(follow_up_frame).where(follow_up_frame.c.follow_up_id == UUID(noted))
        ).all()
    )
    new_rows = {row.compartment: row for row in await _rows(centre, case)}

    def attempt(act: Act) -> None:
        (row,) = [row for row in old_rows if row.compartment == "social"]
        key = _open(act, row, old_halves[row.case_id, "social"])
        assert key is not None
        old = Column.CASE_GROUP_FRAME.place(act.org_id, row.id, row.version)
        assert open_frame(key, old, row.frame.blob)
        place = Column.FOLLOW_UP_FRAME.place(act.org_id, UUID(noted), 1)
        with pytest.raises(SealBroken):
            open_frame(key, place, frame.frame.blob)
        with pytest.raises(SealBroken):
            open_frame(key, old, new_rows["social"].frame.blob)

    await centre.act(jurist, attempt)
    # And a copy of the database alone is dead: the halves that it needs were destroyed.
    assert not old_halves.keys() & (await _halves(centre, social, case)).keys() - {(UUID(case), "pseudonym")}


async def test_whoever_leaves_keeps_a_key_that_opens_nothing_newer(centre: Centre) -> None:
    """In the session that she opened before: policies aside, she is no longer given anything."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.psychologist")
    await name(social, case, "avec.jurist")
    jurist, psychologist = await centre.sign_in("avec.jurist"), await centre.sign_in("avec.psychologist")
    assert (await jurist.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    before = {row.compartment: row for row in await _rows(centre, case)}
    await unname(social, case, "avec.jurist")
    await jurist.refused("GET", f"/cases/{case}", 404, "not_found")
    after = {row.compartment: row for row in await _rows(centre, case)}
    for group in ("identity", "social", "legal"):
        assert after[group].dek_generation == before[group].dek_generation + 1
    # The one who took her away holds no key of health: its holder renews it by reading, once.
    assert after["health"].dek_generation == before["health"].dek_generation < after["health"].half
    assert (await psychologist.get(f"/cases/{case}"))["groups"]["health"] == {"summary": f"{CANARY}-health"}
    renewed = {row.compartment: row for row in await _rows(centre, case)}["health"]
    assert renewed.dek_generation == renewed.half
    assert len((await psychologist.get(f"/cases/{case}/follow-ups"))["items"]) == 2
    await allow_everything(centre)
    await _reads_nothing(jurist, case)
    # Named again she reads on.
    await name(social, case, "avec.jurist")
    assert (await jurist.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_a_change_renews_what_others_could_not_before_it_writes(centre: Centre) -> None:
    case, _, _ = await restricted_case(centre, "avec.social", "avec.psychologist")
    psychologist = await centre.sign_in("avec.psychologist")
    before = {row.compartment: row for row in await _rows(centre, case)}["health"]
    assert before.half > before.dek_generation
    await note(psychologist, case, "suivi_psychologique", "health")
    after = {row.compartment: row for row in await _rows(centre, case)}["health"]
    assert after.half == after.dek_generation
    assert len((await psychologist.get(f"/cases/{case}/follow-ups"))["items"]) == 3


async def _damaged(centre: Centre, client: Client, case: str) -> None:
    """Nothing is shown, an alarm is raised and journaled; her list shows the others, and this one closed."""
    await client.refused("GET", f"/cases/{case}", 500, "sealed_data_damaged")
    listed = {item["id"]: item["identity"] for item in (await client.get("/cases"))["items"]}
    assert listed[case] is None
    assert content("identity") in listed.values()
    assert (await client.post("/search", {"name": f"{CANARY} identity"}, 200))["items"]
    assert entries_of(await centre.journal("avec"), "seal.broken", "failed")


async def test_a_seal_of_another_restricted_case_put_in_its_place_is_refused(centre: Centre) -> None:
    case, social, supervisor = await restricted_case(centre, "avec.social", "avec.double")
    other = await open_case(social, "social")
    await restrict(supervisor, other, "avec.social", "avec.double")
    await open_case(social)
    member = centre.member("avec.social")
    seals = select(named_seal).where(named_seal.c.member_id == member)
    found = {row.case_id: row.sealed for row in await centre.dba(lambda db: db.execute(seals).all())}
    swapped = (
        update(named_seal)
        .where(named_seal.c.case_id == UUID(case), named_seal.c.member_id == member)
        .values(sealed=found[UUID(other)])
    )
    await centre.dba(lambda connection: connection.execute(swapped))
    await _damaged(centre, social, case)
    assert (await social.get(f"/cases/{other}"))["groups"]["social"] == content("social")


async def test_a_seal_that_no_entry_of_the_directory_certifies_is_refused(centre: Centre) -> None:
    """A database administrator seals a part of her own to a named member: unsigned, it is nothing."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    await open_case(social)
    org = centre.org("avec")

    def forge(connection: Connection) -> None:
        directory = centre.directory(connection, "avec")
        account = centre.accounts["avec.social"].memberships[0]
        signer = EntrySigner(account.id.bytes, account.signing)
        people = [centre.member(login).bytes for login in ("avec.social", "avec.jurist")]
        made = name_members(directory, UUID(case).bytes, Secret.random(), people, signer)
        rows = [
            {"org_id": org, "case_id": UUID(case), "member_id": UUID(bytes=one), "sealed": Sealed(seal)}
            for one, seal in made.seals.items()
        ]
        connection.execute(delete(named_seal).where(named_seal.c.case_id == UUID(case)))
        connection.execute(insert(named_seal), rows)
        # And gives the stranger the case in every clear column.
        own = {"org_id": org, "case_id": UUID(case), "member_id": centre.member("avec.jurist")}
        connection.execute(insert(assignment).values(**own, since=centre.clock.now()))

    await centre.dba(forge)
    await _damaged(centre, social, case)
    jurist = await centre.sign_in("avec.jurist")
    await jurist.refused("GET", f"/cases/{case}", 500, "sealed_data_damaged")


async def test_a_flag_that_was_altered_opens_nothing(centre: Centre) -> None:
    case, _, supervisor = await restricted_case(centre, "avec.social", "avec.double")
    ordinary = await open_case(await centre.sign_in("avec.social"), "social")
    for one, flag in ((case, False), (ordinary, True)):
        statement = update(case_file).where(case_file.c.id == UUID(one)).values(restricted=flag)
        await centre.dba(lambda connection, statement=statement: connection.execute(statement))
    await supervisor.refused("GET", f"/cases/{case}", 500, "sealed_data_damaged")
    (listed,) = [item for item in (await supervisor.get("/cases"))["items"] if item["id"] == case]
    assert (listed["identity"], listed["problem"]) == (None, "sealed_data_damaged")
    assert (await supervisor.post("/search", {"name": f"{CANARY} identity"}, 200))["items"] == []
    social = await centre.sign_in("avec.social", step_up=True)
    assert (await social.get(f"/cases/{ordinary}"))["withheld"] == [str(group) for group in Group]


async def test_a_restriction_that_failed_to_commit_leaves_the_case_as_it_was(centre: Centre) -> None:
    """The halves were written by then: the next attempt writes them again, and nothing was lost."""
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await open_case(social, "social")
    administrator = Administrator(centre.urls.owner)
    await administrator.set_trap("named_recovery")
    body = {"members": ids(centre, "avec.social", "avec.jurist"), "reason": "x"}
    await supervisor.refused("POST", f"/cases/{case}/restriction", 500, "internal", json=body)
    await administrator.lift_trap("named_recovery")
    assert (await supervisor.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    await restrict(supervisor, case, "avec.social", "avec.jurist")
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    await lift(social, case)
    assert (await supervisor.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_what_was_left_at_a_drop_key_is_sealed_anew_with_the_rest(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await open_case(social, "social")
    reception = await centre.sign_in("avec.reception")
    await reception.patch(f"/cases/{case}/groups/safety", content("safety"), 0)
    await restrict(supervisor, case, "avec.social", "avec.jurist")
    (row,) = [row for row in await _rows(centre, case) if row.compartment == "safety"]
    assert not is_drop_envelope(row.frame.blob)
    assert (await social.get(f"/cases/{case}"))["groups"]["safety"] == content("safety")


_STUCK = {
    "sqlite": ("CREATE TRIGGER stuck BEFORE DELETE ON shred BEGIN SELECT RAISE(ABORT, 'planted'); END",),
    "postgresql": (
        "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$",
        "CREATE TRIGGER stuck BEFORE DELETE ON shred FOR EACH ROW EXECUTE FUNCTION stuck()",
    ),
}
_FREED = {"sqlite": "DROP TRIGGER stuck", "postgresql": "DROP TRIGGER stuck ON shred"}


async def test_halves_that_could_not_be_destroyed_are_destroyed_by_the_next_renewal(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await open_case(social, "social")
    engine, store = centre.urls.shreds.get_backend_name(), Administrator(centre.urls.shreds)
    await store.sql(*_STUCK[engine])
    with capture_logs() as logs:
        await restrict(supervisor, case, "avec.social", "avec.jurist")
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["halves_not_destroyed"]
    assert (UUID(case), "social") in await _halves(centre, social, case)
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    await store.sql(_FREED[engine])
    await lift(social, case)
    purposes = {purpose for _, purpose in await _halves(centre, social, case)}
    assert purposes == {"pseudonym", *(half_purpose(group, 3) for group in Group)}


async def test_halves_that_a_kill_kept_are_named_by_check_and_destroyed_by_the_next_sweep(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case, other = [await open_case(social, "social") for _ in range(2)]
    with monkeypatch.context() as patched:
        # Killed between the commit and the destruction; and another renewal is under way, whose halves are newer.
        patched.setattr(ShredStore, "destroy", lambda *_: None)
        await restrict(supervisor, case, "avec.social", "avec.jurist")
    coming = half_purpose(Group.SOCIAL, 3)
    avec, shreds = centre.org("avec"), centre.deployment.shreds
    await centre.act(social, lambda act: shreds.renew(avec, UUID(case), {coming: bytes(32)}))

    def found(act: Act) -> Check:
        return check_cases(inspect_cases(act.unit.connection, avec, shreds.owned(avec)), "avec")

    before = await centre.act(social, found)
    assert (before.passed, "2 dossiers, 1 dont d’anciennes moitiés" in before.words) == (False, True), before
    await sweep(centre.deployment)
    purposes = {purpose for _, purpose in await _halves(centre, social, case)}
    assert purposes == {"pseudonym", coming, *(half_purpose(group, 2) for group in Group)}
    assert {purpose for _, purpose in await _halves(centre, social, other)} == {"pseudonym", *Group}
    assert (await centre.act(social, found)).passed
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_halves_that_a_renewal_replaced_stay_while_a_backup_runs(centre: Centre) -> None:
    """The database that it has copied may still need them."""
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "social")
    both = {*Group, *(half_purpose(group, 2) for group in Group), "pseudonym"}
    with copying(centre.deployment.settings.state_dir):
        await restrict(supervisor, case, "avec.social", "avec.jurist")
        await sweep(centre.deployment)
        assert {purpose for _, purpose in await _halves(centre, social, case)} == both
    await sweep(centre.deployment)
    assert {purpose for _, purpose in await _halves(centre, social, case)} == both - set(Group)


async def test_a_member_whose_keys_are_others_now_waits_until_she_is_named_again(centre: Centre) -> None:
    """Whoever gave her the new ones, a custodian perhaps for herself: she holds nothing of it."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.psychologist", "avec.jurist")
    jurist = await centre.sign_in("avec.jurist")
    assert (await jurist.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    org, custodian = centre.org("avec"), centre.accounts["avec.custodian"].memberships[0]
    (hers,) = centre.accounts["avec.jurist"].memberships
    body = replace(hers.body, daily_public=new_key_pair().public, signing_public=SigningKey.new().public)

    def certify(connection: Connection) -> None:
        directory = centre.directory(connection, "avec")
        signer = EntrySigner(custodian.id.bytes, custodian.signing)
        append_entry(connection, org, directory.next_entry(body, signer))

    await centre.dba(certify)
    await _reads_nothing(jurist, case)
    path = f"/cases/{case}/restriction"
    assert await social.get(path) == {
        "members": sorted(ids(centre, "avec.social", "avec.psychologist")),
        "waiting": ids(centre, "avec.jurist"),
    }
    before = {row.compartment: row.half for row in await _rows(centre, case)}
    # Naming somebody else drops her, and so renews the keys; then she can be named under her new ones.
    assert (await name(social, case, "avec.supervisor"))["dropped"] == ids(centre, "avec.jurist")
    assert {row.compartment: row.half for row in await _rows(centre, case)} == {
        group: half + 1 for group, half in before.items()
    }
    assert (await social.get(path))["waiting"] == []
    named = entries_of(await centre.journal("avec", case=case), "case.name")
    assert [item["detail"].get("dropped") for item in named] == [ids(centre, "avec.jurist")]


async def test_halves_that_the_next_renewal_has_written_are_not_destroyed_by_the_one_before(
    centre: Centre,
) -> None:
    """Between the commit of one renewal and its end another may hold the case: what it wrote is all there is."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.jurist")
    avec = centre.org("avec")

    def renew(act: Act) -> None:
        change = Access(act).change_case(UUID(case), [Action.CASE_ASSIGN])
        shreds, next_one = act.deployment.shreds, {half_purpose(group, 4): bytes(32) for group in Group}
        # As a unit that failed may have left them: theirs is the number that the next renewal takes.
        shreds.renew(avec, UUID(case), next_one)
        act.unit.on_commit(lambda: shreds.renew(avec, UUID(case), next_one))
        change.renew_keys(named_part(act, UUID(case)))
        change.record("case.assign", [])

    await centre.act(social, renew)
    purposes = {purpose for _, purpose in await _halves(centre, social, case)}
    assert purposes == {"pseudonym", *(half_purpose(group, number) for group in Group for number in (3, 4))}
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
