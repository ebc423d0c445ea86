"""Two recovery shares give a restricted case and its notes to new holders, and to the new recovery key."""

from uuid import UUID

import pytest
from sqlalchemy import Connection, select

from casework.anchors import Anchors
from casework.cases.tables import member_note, named_recovery
from casework.commands.recovery import renewals
from casework.organisations.entries import append_entry
from casework.organisations.founding import Ground
from casework.organisations.holders import verified_directory
from casework.organisations.recovering import (
    RecoveryFault,
    RecoveryPlan,
    RecoveryRefused,
    foresee,
    recover,
)
from casework.organisations.tables import kek_recovery
from casework.recovering import Recovered, Recovery, recover_notes, recover_restricted
from crypto.directory_entries import ROOT, EntrySigner, MemberRemovedBody, RecoveryBody
from crypto.errors import SealBroken
from crypto.hpke import new_key_pair
from crypto.recovery import TWO_OF_THREE, join_shares, open_recovery_kek, recovery_key, root_key
from crypto.restriction import open_named_part_by_recovery
from tests.casework.centre import CANARY, Centre
from tests.casework.restricted import ids, restricted_case, write_note
from tests.casework.story import PASSPHRASE, begin_renewal, content, open_case, take_up


async def _leave(centre: Centre, *logins: str) -> None:
    """The custodian says that they are members no longer."""
    org = centre.org("avec")
    custodian = centre.accounts["avec.custodian"].memberships[0]
    signer = EntrySigner(custodian.id.bytes, custodian.signing)

    def remove(connection: Connection) -> None:
        directory = centre.directory(connection, "avec")
        for login in logins:
            entry = directory.next_entry(MemberRemovedBody(centre.member(login).bytes), signer)
            append_entry(connection, org, entry)
            directory = directory.extend([entry])

    await centre.dba(remove)


async def _recover(centre: Centre, *holders: str) -> Recovered:
    org, now = centre.org("avec"), centre.clock.now()
    shares = [share.reveal().decode() for share in centre.founded["avec"].shares[1:]]
    seed, following = join_shares(shares), new_key_pair()
    root, private = root_key(seed), recovery_key(seed).private
    members = [centre.member(login) for login in holders]

    def recover(connection: Connection) -> Recovered:
        before = centre.directory(connection, "avec")
        keks = {
            (row.compartment, row.kek_no): open_recovery_kek(
                before, row.compartment, row.kek_no, row.sealed.blob, private
            )
            for row in connection.execute(select(kek_recovery).where(kek_recovery.c.org_id == org)).all()
        }
        entry = before.next_entry(RecoveryBody(following.public), EntrySigner(ROOT, root))
        append_entry(connection, org, entry)
        directory, recovery = before.extend([entry]), Recovery(root, private, keks)
        recover_notes(connection, centre.deployment.shreds, org, directory, recovery, members)
        recovered = recover_restricted(connection, org, directory, recovery, members, now)
        for row in connection.execute(select(named_recovery)).all():
            if row.case_id not in recovered.left:
                case, sealed = row.case_id.bytes, row.sealed.blob
                assert open_named_part_by_recovery(recovered.directory, case, sealed, following.private)
                with pytest.raises(SealBroken):
                    open_named_part_by_recovery(recovered.directory, case, sealed, private)
        return recovered

    return await centre.dba(recover)


async def test_a_case_whose_named_members_are_gone_is_given_to_new_holders_with_its_notes(
    centre: Centre,
) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    await write_note(social, case, "social", "avec.double")
    await _leave(centre, "avec.social", "avec.double")
    recovered = await _recover(centre, "avec.jurist", "avec.supervisor")
    assert (recovered.given, recovered.left) == ((UUID(case),), ())
    for login in ("avec.jurist", "avec.supervisor"):
        holder = await centre.sign_in(login, step_up=True)
        opened = await holder.get(f"/cases/{case}")
        assert opened["groups"]["social"] == content("social")
        (note,) = (await holder.get(f"/cases/{case}/notes"))["items"]
        assert note["text"] == f"{CANARY}-note social"
        assert sorted(note["readers"]) == sorted(ids(centre, "avec.jurist", "avec.supervisor"))
    # They are its named members now, and go on as such.
    psychologist = ids(centre, "avec.psychologist")[0]
    await holder.request("PUT", f"/cases/{case}/restriction/members/{psychologist}", 200)
    reader = await centre.sign_in("avec.psychologist")
    assert (await reader.get(f"/cases/{case}"))["groups"]["health"] == {"summary": f"{CANARY}-health"}


async def _use_the_shares(centre: Centre, *holders: str) -> None:
    """The whole of `keys recover` but its screens."""
    deployment = centre.deployment
    shares = [share.reveal().decode() for share in centre.founded["avec"].shares[1:]]
    org, seed = centre.org("avec"), join_shares(shares)
    plan = RecoveryPlan(org, "avec", await centre.engine("avec"), holders, (), TWO_OF_THREE)

    def use(connection: Connection) -> None:
        state = deployment.settings.state_dir
        ground = Ground(connection, state, deployment.pepper, deployment.journal, centre.clock.now())
        seen = foresee(connection, Anchors(state), plan)
        done = recover(ground, plan, seen, seed, renewals(deployment.shreds))
        directory = verified_directory(connection, Anchors(state), org)
        assert done.floor == directory.floor
        following = recovery_key(join_shares([share.reveal().decode() for share in done.shares[1:]])).private
        for row in connection.execute(select(named_recovery)).all():
            case, sealed = row.case_id.bytes, row.sealed.blob
            assert open_named_part_by_recovery(directory, case, sealed, following)
            with pytest.raises(SealBroken):
                open_named_part_by_recovery(directory, case, sealed, recovery_key(seed).private)

    await centre.dba(use)


async def test_the_shares_give_a_restricted_case_and_its_notes_and_their_successors_open_them(
    centre: Centre,
) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    await write_note(social, case, "social", "avec.double")
    await _leave(centre, "avec.social", "avec.double")
    await _use_the_shares(centre, "avec.jurist", "avec.supervisor")
    holder = await centre.sign_in("avec.jurist")
    assert (await holder.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    (note,) = (await holder.get(f"/cases/{case}/notes"))["items"]
    assert note["text"] == f"{CANARY}-note social"
    auditor = await centre.sign_in("avec.auditor")
    await centre.integrate()
    gifts = (await auditor.get("/journal/entries?action=key.grant"))["items"]
    assert any((gift["detail"] or {}).get("case") == case for gift in gifts)


async def test_a_recovery_that_would_leave_a_restricted_case_to_one_is_refused_and_keeps_the_shares(
    centre: Centre,
) -> None:
    await restricted_case(centre, "avec.social", "avec.psychologist")
    await _leave(centre, "avec.social", "avec.psychologist")
    with pytest.raises(RecoveryRefused) as caught:
        await _use_the_shares(centre, "avec.jurist", "avec.custodian")
    assert caught.value.fault is RecoveryFault.RESTRICTED_CASES
    # One person in two roles is one too.
    with pytest.raises(RecoveryRefused) as caught:
        await _use_the_shares(centre, "avec.double")
    assert caught.value.fault is RecoveryFault.RESTRICTED_CASES
    await _use_the_shares(centre, "avec.jurist", "avec.supervisor")


async def test_a_case_that_two_still_hold_is_given_to_nobody_and_one_alone_is_not_enough(
    centre: Centre,
) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    ordinary = await open_case(social, "social")
    await write_note(social, ordinary, "social", "avec.double")
    recovered = await _recover(centre, "avec.jurist")
    assert (recovered.given, recovered.left) == ((), ())
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    assert len((await social.get(f"/cases/{ordinary}/notes"))["items"]) == 1
    jurist = await centre.sign_in("avec.jurist")
    await jurist.refused("GET", f"/cases/{case}", 404, "not_found")
    rows = await centre.dba(lambda connection: connection.execute(select(member_note)).all())
    assert len(rows) == 1


async def test_a_case_that_nobody_holds_is_not_left_to_one(centre: Centre) -> None:
    case, _, _ = await restricted_case(centre, "avec.social", "avec.double")
    await _leave(centre, "avec.social", "avec.double")
    recovered = await _recover(centre, "avec.jurist")
    assert (recovered.given, recovered.left) == ((), (UUID(case),))


async def test_a_note_is_given_to_the_new_keys_of_a_reader_only_once_her_words_were_heard(
    centre: Centre,
) -> None:
    """What stands in the directory for her since may be keys of whoever certified them."""
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "social")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    both = {"members": ids(centre, "avec.social", "avec.jurist")}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=both)
    await write_note(social, case, "social", "avec.jurist")
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    words = await take_up(centre, await begin_renewal(centre, custodian, "avec.jurist"), "avec.jurist")
    path, said = f"/members/{centre.member('avec.jurist')}", {"words": " ".join(words)}
    await custodian.post(f"{path}/renewal/confirmation", said, 200)
    await supervisor.post(f"{path}/grants", said, 200)

    await _use_the_shares(centre, "avec.supervisor")
    assert len((await social.get(f"/cases/{case}/notes"))["items"]) == 1
    jurist = await centre.sign_in("avec.jurist", password=PASSPHRASE)
    (waiting,) = (await jurist.get(f"/cases/{case}/notes"))["items"]
    assert (waiting["waiting"], "text" in waiting) == (True, False)
