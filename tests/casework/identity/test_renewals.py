"""Resets, lost devices and new keys: without the eight words, heard by a colleague, nobody is given anything."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from casework.identity.members import Position, prepare_account
from casework.identity.renewals import LASTS
from casework.identity.tables import account, renewal, renewed_key
from casework.organisations.joining import join
from casework.organisations.key_acts import Credentials
from crypto.hpke import new_key_pair
from crypto.password import FLOOR_PARAMS
from policies.vocabulary import Profession, Role
from tests.casework import story
from tests.casework.centre import PASSWORD, Centre, Client, assert_problem

LOGIN = "avec.social"
NEW = story.PASSPHRASE
REASON = "Elle a perdu son mot de passe."


async def _begin(centre: Centre, kind: str = "reset", login: str = LOGIN) -> str:
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    return await story.begin_renewal(centre, custodian, login, kind)


async def _take_up(centre: Centre, secret: str, login: str = LOGIN, **given: str) -> Any:
    body = {"login": login, "secret": secret, **(given or {"new_password": NEW})}
    return await centre.http.post("/api/v1/renewals", json=body)


async def _prepared(centre: Centre, kind: str = "reset", **given: str) -> dict[str, Any]:
    """What the member is shown once she took a renewal up."""
    answer = await _take_up(centre, await _begin(centre, kind), **given)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert len(body["words"]) == 8
    return body


async def _confirm(centre: Centre, words: Any, by: str = "avec.custodian", login: str = LOGIN) -> Any:
    asker = await centre.sign_in(by, step_up=True, role="worker" if by == "avec.double" else None)
    return await _say(asker, f"/members/{centre.member(login)}/renewal/confirmation", words)


async def _grant(centre: Centre, words: Any, by: str = "avec.double", login: str = LOGIN) -> Any:
    asker = await centre.sign_in(by, step_up=True, role="worker" if by == "avec.double" else None)
    return await _say(asker, f"/members/{centre.member(login)}/grants", words)


async def _say(asker: Client, path: str, words: Any) -> Any:
    said = words if isinstance(words, str) else " ".join(words)
    return await asker.request("POST", path, json={"words": said})


async def _denied(centre: Centre, action: str) -> list[tuple[str | None, str | None]]:
    """(reason, actor) of the refusals of an action."""
    found = await centre.journal("avec", action=action, outcome="denied")
    return [(one["entry"]["reason"], one["entry"]["actor"]) for one in found]


async def test_after_a_reset_a_colleague_who_heard_the_words_gives_the_compartments_back(
    centre: Centre,
) -> None:
    before = await centre.sign_in(LOGIN, step_up=True)
    case, held = await story.open_case(before, "social"), (await before.get("/me"))["compartments"]
    words = (await _prepared(centre))["words"]
    assert (await _confirm(centre, words)).status_code == 200
    empty = await centre.sign_in(LOGIN, password=NEW)
    assert (await empty.get("/me"))["compartments"] == []
    assert (await empty.get("/me/words"))["words"] == words
    given = (await _grant(centre, "\u00a0".join(words).upper())).json()
    assert (sorted(given["granted"]), given["waiting"]) == (sorted(held), [])
    again = await centre.sign_in(LOGIN, password=NEW, step_up=True)
    assert (await again.get("/me"))["compartments"] == held
    assert (await again.get(f"/cases/{case}"))["groups"]["social"]
    done = [
        one["entry"]["action"]
        for one in await centre.journal("avec")
        if one["entry"]["action"] in {"renewal.begin", "renewal.take_up", "renewal.confirm", "key.grant"}
    ]
    assert done[::-1] == ["renewal.begin", "renewal.take_up", "renewal.confirm", *["key.grant"] * len(held)]


async def test_a_reset_without_the_words_is_refused_and_journaled(centre: Centre) -> None:
    await _prepared(centre)
    for said in ("un deux trois quatre cinq six sept huit", "x"):
        assert_problem(await _confirm(centre, said), 403, "words_refused")
    assert await _denied(centre, "renewal.confirm") == [("words", str(centre.member("avec.custodian")))] * 2
    # Nothing has changed: the old password still opens.
    assert (await (await centre.sign_in(LOGIN)).get("/me"))["compartments"]


async def test_another_members_words_confirm_and_grant_nothing(centre: Centre) -> None:
    words = (await _prepared(centre))["words"]
    others = (await (await centre.sign_in("avec.jurist")).get("/me/words"))["words"]
    assert_problem(await _confirm(centre, others), 403, "words_refused")
    assert (await _confirm(centre, words)).status_code == 200
    assert_problem(await _grant(centre, others), 403, "words_refused")
    assert_problem(await _grant(centre, [*words[1:], words[0]]), 403, "words_refused")
    granter = str(centre.member("avec.double"))
    assert await _denied(centre, "key.grant") == [("words", granter)] * 2
    assert (await (await centre.sign_in(LOGIN, password=NEW)).get("/me"))["compartments"] == []


async def test_a_custodian_alone_gets_no_key_by_a_reset(centre: Centre) -> None:
    owner = await centre.sign_in(LOGIN, step_up=True)
    case = await story.open_case(owner, "social")
    # She began it, she kept the secret, she set the password, she knows the words.
    words = (await _prepared(centre))["words"]
    assert (await _confirm(centre, words)).status_code == 200
    assert_problem(await _grant(centre, words, by="avec.custodian"), 403, "forbidden")
    assert await _denied(centre, "key.grant") == [("policy", str(centre.member("avec.custodian")))]
    # Even with the member's own device she reads nothing.
    stolen = await centre.sign_in(LOGIN, password=NEW)
    opened = await stolen.get(f"/cases/{case}")
    assert (opened["groups"], "social" in opened["withheld"]) == ({}, True)


async def test_new_keys_are_granted_nothing_before_they_are_confirmed(centre: Centre) -> None:
    words = (await _prepared(centre))["words"]
    assert_problem(await _grant(centre, words), 403, "words_refused")
    begun = await centre.http.post("/api/v1/sessions", json={"login": LOGIN, "password": NEW})
    assert_problem(begun, 401, "sign_in_refused")


async def test_keys_that_were_put_in_the_place_of_hers_give_other_words(centre: Centre) -> None:
    words = (await _prepared(centre))["words"]
    planted = update(renewed_key).values(daily_public=new_key_pair().public)
    await centre.dba(lambda connection: connection.execute(planted))
    assert_problem(await _confirm(centre, words), 403, "words_refused")


async def test_a_session_and_a_password_of_before_are_worth_nothing_after_a_reset(centre: Centre) -> None:
    old = await centre.sign_in(LOGIN, step_up=True)
    case = await story.open_case(old, "social")
    body = {"case_id": case, "content": {"social": "à reprendre"}}
    draft = f"/drafts/{uuid4()}"
    await old.request("PUT", draft, 200, json=body, headers={"if-none-match": "*"})
    words = (await _prepared(centre))["words"]
    await old.get("/me")
    await _confirm(centre, words)
    await old.refused("GET", "/me", 401, "not_signed_in")
    begun = await centre.http.post("/api/v1/sessions", json={"login": LOGIN, "password": PASSWORD})
    assert_problem(begun, 401, "sign_in_refused")
    await _grant(centre, words)
    # Her drafts were sealed under the keys that are gone.
    assert (await (await centre.sign_in(LOGIN, password=NEW)).get(f"/drafts?case_id={case}"))["items"] == []


async def test_a_secret_is_good_once_for_one_login_one_kind_and_seven_days(centre: Centre) -> None:
    secret = await _begin(centre)
    tries = (
        ({"login": "avec.jurist"}, secret),
        ({"password": PASSWORD}, secret),
        ({}, "aaaa-aaaa-aaaa-aaaa-aaaa"),
    )
    for given, said in tries:
        assert_problem(await _take_up(centre, said, **{"login": LOGIN, **given}), 401, "sign_in_refused")  # type: ignore[arg-type]
    assert (await _take_up(centre, f" {secret.upper()} ")).status_code == 200
    assert_problem(await _take_up(centre, secret), 401, "sign_in_refused")
    assert [reason for reason, _ in await _denied(centre, "renewal.take_up")] == ["credentials"] * 4
    later = await _begin(centre, login="avec.psychologist")
    centre.clock.offset += LASTS
    assert_problem(await _take_up(centre, later, "avec.psychologist"), 401, "sign_in_refused")


async def test_a_later_renewal_ends_the_one_before(centre: Centre) -> None:
    first, second = await _begin(centre), await _begin(centre)
    assert_problem(await _take_up(centre, first), 401, "sign_in_refused")
    assert (await _take_up(centre, second)).status_code == 200


async def test_a_weak_password_is_refused_at_a_reset_and_the_secret_stays_good(centre: Centre) -> None:
    secret = await _begin(centre)
    answer = await _take_up(centre, secret, new_password="soleil2026")
    assert_problem(answer, 422, "password_too_weak")
    assert "soleil2026" not in answer.text
    assert (await _take_up(centre, secret)).status_code == 200


async def test_a_password_change_ends_a_reset_that_waits(centre: Centre) -> None:
    social = await centre.sign_in(LOGIN)
    words = (await _prepared(centre))["words"]
    await social.request("POST", "/me/password", 204, json={"password": PASSWORD, "new_password": PASSWORD})
    assert_problem(await _confirm(centre, words), 404, "not_found")


async def test_a_lost_device_is_replaced_once_a_colleague_heard_the_words(centre: Centre) -> None:
    prepared = await _prepared(centre, "factor", password=PASSWORD)
    new = pyotp.TOTP(prepared["totp_secret"])
    await _refuse_code(centre, new)
    for by, said, code in (
        ("avec.custodian", prepared["words"], "forbidden"),
        ("avec.double", (await (await centre.sign_in(LOGIN)).get("/me/words"))["words"], "words_refused"),
        (LOGIN, prepared["words"], "second_person_needed"),
    ):
        assert_problem(await _confirm(centre, said, by=by), 403, code)
    await _refuse_code(centre, new)
    reasons = [reason for reason, _ in await _denied(centre, "renewal.confirm")]
    assert sorted(str(one) for one in reasons) == ["second_person", "words"]
    assert [reason for reason, _ in await _denied(centre, "key.grant")] == ["policy"]
    session = await centre.sign_in(LOGIN)
    assert (await _confirm(centre, prepared["words"], by="avec.double")).status_code == 200
    await session.refused("GET", "/me", 401, "not_signed_in")
    await _refuse_code(centre, pyotp.TOTP(centre.accounts[LOGIN].totp_seed))
    headers = await _half_signed_in(centre)
    code = {"code": new.at(centre.clock.now())}
    path = "/api/v1/sessions/current/second-factor"
    assert (await centre.http.post(path, json=code, headers=headers)).status_code == 200
    me = await centre.http.get("/api/v1/me", headers=headers)
    assert me.json()["compartments"]


async def test_a_second_factor_that_nobody_confirmed_is_not_put_in_force_in_the_tables(
    centre: Centre,
) -> None:
    """A custodian with her colleague's password, and a database administrator, without the words."""
    prepared = await _prepared(centre, "factor", password=PASSWORD)
    hers = select(renewal.c.totp_seed).where(renewal.c.account_id == account.c.id).scalar_subquery()
    planted = update(account).where(account.c.login == LOGIN).values(totp_seed=hers, totp_step=0)
    await centre.dba(lambda connection: connection.execute(planted))
    code = {"code": pyotp.TOTP(prepared["totp_secret"]).at(centre.clock.now())}
    headers, path = await _half_signed_in(centre), "/api/v1/sessions/current/second-factor"
    with capture_logs() as logs:
        answer = await centre.http.post(path, json=code, headers=headers)
    assert_problem(answer, 500, "sealed_data_damaged")
    (alarm,) = [line for line in logs if line["event"] == "sealed_data_damaged"]
    assert alarm["log_level"] == "critical"
    assert_problem(await centre.http.get("/api/v1/me", headers=headers), 401, "not_signed_in")
    # Confirmed, it counts.
    assert (await _confirm(centre, prepared["words"], by="avec.double")).status_code == 200
    assert (await centre.http.post(path, json=code, headers=await _half_signed_in(centre))).status_code == 200


async def test_who_began_the_renewal_of_a_second_factor_confirms_it_in_no_other_role(centre: Centre) -> None:
    """A custodian who is auditor too, and has got hold of a colleague's password."""
    await story.add_role(centre, "avec.custodian", Position(Role.AUDITOR))
    custodian = await centre.sign_in("avec.custodian", step_up=True, role="custodian")
    secret = await story.begin_renewal(centre, custodian, LOGIN, "factor")
    prepared = (await _take_up(centre, secret, password=PASSWORD)).json()
    path = f"/members/{centre.member(LOGIN)}/renewal/confirmation"
    other_self = await centre.sign_in("avec.custodian", step_up=True, role="auditor")
    assert_problem(await _say(other_self, path, prepared["words"]), 403, "second_person_needed")
    own = (await other_self.get("/me"))["member_id"]
    assert own != str(centre.member("avec.custodian"))
    assert await _denied(centre, "renewal.confirm") == [("second_person", own)]
    await _refuse_code(centre, pyotp.TOTP(prepared["totp_secret"]))
    assert (await _confirm(centre, prepared["words"], by="avec.double")).status_code == 200


async def test_who_certified_keys_grants_them_nothing_in_any_other_role(centre: Centre) -> None:
    """A custodian who works on cases too resets a colleague, and knows the words for she took it up herself."""
    await story.add_role(centre, "avec.custodian", Position(Role.WORKER, frozenset({Profession.SOCIAL})))
    custodian = await centre.sign_in("avec.custodian", step_up=True, role="custodian")
    words = await story.take_up(centre, await story.begin_renewal(centre, custodian, LOGIN), LOGIN)
    path = f"/members/{centre.member(LOGIN)}"
    assert (await _say(custodian, f"{path}/renewal/confirmation", words)).status_code == 200
    other_self = await centre.sign_in("avec.custodian", step_up=True, role="worker")
    own = (await other_self.get("/me"))["member_id"]
    assert_problem(await _say(other_self, f"{path}/grants", words), 403, "second_person_needed")
    assert await _denied(centre, "key.grant") == [("second_person", own)]
    assert (await (await centre.sign_in(LOGIN, password=NEW)).get("/me"))["compartments"] == []
    assert (await _grant(centre, words)).json()["granted"]


async def test_a_new_second_factor_needs_the_password_too(centre: Centre) -> None:
    secret = await _begin(centre, "factor")
    assert_problem(await _take_up(centre, secret, password="not this one"), 401, "sign_in_refused")
    assert_problem(await _take_up(centre, secret), 401, "sign_in_refused")
    assert (await _take_up(centre, secret, password=PASSWORD)).status_code == 200


async def _half_signed_in(centre: Centre) -> dict[str, str]:
    begun = await centre.http.post("/api/v1/sessions", json={"login": LOGIN, "password": PASSWORD})
    return {"authorization": f"Bearer {begun.json()['token']}"}


async def _refuse_code(centre: Centre, totp: pyotp.TOTP) -> None:
    centre.clock.offset += timedelta(minutes=1)
    code = {"code": totp.at(centre.clock.now())}
    headers = await _half_signed_in(centre)
    answer = await centre.http.post("/api/v1/sessions/current/second-factor", json=code, headers=headers)
    assert_problem(answer, 401, "sign_in_refused")


async def test_a_member_makes_new_keys_of_her_own_which_are_granted_anew(centre: Centre) -> None:
    social = await centre.sign_in(LOGIN, step_up=True)
    case, held = await story.open_case(social, "social"), (await social.get("/me"))["compartments"]
    refused = await social.request("POST", "/me/keys", json={"password": "not this one"})
    assert_problem(refused, 401, "sign_in_refused")
    words = (await social.post("/me/keys", {"password": PASSWORD}, expect=200))["words"]
    # Until they are confirmed nothing has changed.
    assert words != (await social.get("/me/words"))["words"]
    assert (await social.get(f"/cases/{case}"))["groups"]["social"]
    assert_problem(await _confirm(centre, words, by=LOGIN), 403, "forbidden")
    assert (await _confirm(centre, words)).status_code == 200
    await social.refused("GET", "/me", 401, "not_signed_in")
    assert (await _grant(centre, words)).json()["waiting"] == []
    again = await centre.sign_in(LOGIN, step_up=True)
    assert (await again.get("/me"))["compartments"] == held
    assert (await again.get(f"/cases/{case}"))["groups"]["social"]


async def test_a_new_member_makes_keys_of_her_own_and_is_granted_them_by_the_same_words(
    centre: Centre,
) -> None:
    position = Position(Role.WORKER, frozenset({Profession.SOCIAL}))
    new = prepare_account("avec.new", PASSWORD, [position], FLOOR_PARAMS)
    joined = await join(centre.deployment, "avec", new, Credentials("avec.custodian", PASSWORD))
    words = await story.take_up(centre, joined.secret.reveal().decode(), "avec.new")
    path = f"/members/{joined.member_id}"
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    granter = await centre.sign_in("avec.double", step_up=True, role="worker")
    # What the custodian signed in when she joined are keys that nobody holds: they have other words.
    assert_problem(await _say(granter, f"{path}/grants", words), 403, "words_refused")
    assert_problem(await _say(custodian, f"{path}/renewal/confirmation", words[::-1]), 403, "words_refused")
    assert (await _say(custodian, f"{path}/renewal/confirmation", words)).status_code == 200
    given = (await _say(granter, f"{path}/grants", words)).json()
    assert (sorted(given["granted"]), given["waiting"]) == (sorted(joined.waiting), [])
    body = {"login": "avec.new", "password": NEW}
    begun = await centre.http.post("/api/v1/sessions", json=body)
    headers = {"authorization": f"Bearer {begun.json()['token']}"}
    code = {"code": pyotp.TOTP(new.totp_seed).at(centre.clock.now())}
    factor = await centre.http.post("/api/v1/sessions/current/second-factor", json=code, headers=headers)
    assert factor.status_code == 200, factor.text
    me = (await centre.http.get("/api/v1/me", headers=headers)).json()
    assert sorted(me["compartments"]) == sorted(joined.waiting)


async def test_nobody_renews_or_grants_for_herself_nor_for_another_organisation(centre: Centre) -> None:
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    body = {"kind": "reset", "reason": REASON}
    hers = f"/members/{centre.member('avec.custodian')}/renewal"
    await custodian.refused("POST", hers, 403, "forbidden", json=body)
    other = f"/members/{centre.member('cidff.jurist')}"
    await custodian.refused("POST", f"{other}/renewal", 404, "not_found", json=body)
    said = {"words": "un deux"}
    await custodian.refused("POST", f"{other}/renewal/confirmation", 404, "not_found", json=said)
    social = await centre.sign_in(LOGIN, step_up=True)
    await social.refused("POST", f"{other}/grants", 404, "not_found", json=said)
    own = f"/members/{centre.member(LOGIN)}/grants"
    await social.refused("POST", own, 403, "second_person_needed", json=said)
    await (await centre.sign_in(LOGIN)).refused("POST", own, 403, "step_up_needed", json=said)


@pytest.mark.parametrize("given", [{}, {"password": PASSWORD, "new_password": NEW}])
async def test_a_renewal_is_taken_up_with_one_of_two_passwords(centre: Centre, given: dict[str, str]) -> None:
    body = {"login": LOGIN, "secret": "x", **given}
    answer = assert_problem(await centre.http.post("/api/v1/renewals", json=body), 422, "bad_input")
    assert answer["errors"] == [{"field": "new_password", "code": "one_of_two"}]
