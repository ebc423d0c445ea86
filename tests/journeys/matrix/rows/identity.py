"""`/api/v1/sessions` and `/api/v1/me`: each acts on her own session; then `/api/v1/members`, her organisation's."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.casework.centre import PASSWORD
from tests.journeys.matrix.actors import Actor, Things
from tests.journeys.matrix.cells import (
    ANONYMOUS,
    Call,
    Cell,
    LikeAssigned,
    Row,
    Spoils,
    allowed,
    each,
    forbidden,
    hidden,
    members,
    unjournaled,
    without_content,
)

_SETTINGS = {
    "version": 0,
    "opening_hours": {},
    "closed_on": [],
    "managed_networks": [],
    "reason": "Rien ne change.",
}


def _sign_in(at: Things) -> Call:
    return Call("/api/v1/sessions", {"login": at.login, "password": PASSWORD})


def _second_factor(at: Things) -> Call:
    # The session that waits, not the complete one that every actor brings along.
    headers = {"authorization": f"Bearer {at.pending}"}
    return Call("/api/v1/sessions/current/second-factor", {"code": at.code()}, headers=headers)


def _step_up(_at: Things) -> Call:
    return Call("/api/v1/sessions/current/step-up", {"password": PASSWORD})


def _change_password(_at: Things) -> Call:
    # The same once more: whoever acts after her signs in with it.
    return Call("/api/v1/me/password", {"password": PASSWORD, "new_password": PASSWORD})


def _unlock(at: Things) -> Call:
    return Call(f"/api/v1/members/{at.worker}/unlocking", {"reason": "Elle s’est trompée de mot de passe."})


def _change(at: Things) -> Call:
    position = {"role": "worker", "professions": ["jurist"], "secrecy_basis": "mission"}
    return Call(f"/api/v1/members/{at.worker}/position", {**position, "reason": "Change de poste."})


def _leave(at: Things) -> Call:
    now = datetime.now(UTC)
    times = {"from": now.isoformat(), "until": (now + timedelta(days=14)).isoformat()}
    return Call(f"/api/v1/members/{at.worker}/leave", {**times, "reason": "Congés."})


def _return(at: Things) -> Call:
    return Call(f"/api/v1/members/{at.worker}/return", {"reason": "Revenue plus tôt."})


def _publish(_at: Things) -> Call:
    return Call("/api/v1/charter", {"text": "Accueillir sans condition.", "reason": "Première version."})


def _rotate(_at: Things) -> Call:
    return Call("/api/v1/me/keys", {"password": PASSWORD})


def _begin_renewal(at: Things) -> Call:
    body = {"kind": "reset", "reason": "Elle a perdu son mot de passe."}
    return Call(f"/api/v1/members/{at.worker}/renewal", body)


def _take_up(at: Things) -> Call:
    body = {"login": at.login, "secret": "nobody-handed-it-over", "new_password": PASSWORD}
    return Call("/api/v1/renewals", body)


def _confirm(at: Things) -> Call:
    return Call(f"/api/v1/members/{at.worker}/renewal/confirmation", {"words": "un deux trois"})


def _grant(at: Things) -> Call:
    return Call(f"/api/v1/members/{at.worker}/grants", {"words": "un deux trois"})


_HER_OWN = LikeAssigned("it acts on her own session, whatever her role, and touches no case")

ROWS = (
    Row(
        "POST",
        "/api/v1/sessions",
        _sign_in,
        {
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed("session.create", status=201),
            # An unknown login has no organisation: its refusal stands in the deployment's own log.
            Actor.ANONYMOUS: Cell(401, ("deployment: session.create denied credentials",), "sign_in_refused"),
        },
        fields="token needs expires_at",
    ),
    Row(
        "POST",
        "/api/v1/sessions/current/second-factor",
        _second_factor,
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("session.second_factor")},
        fields="needs",
    ),
    Row(
        "POST",
        "/api/v1/sessions/current/step-up",
        _step_up,
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("session.step_up", status=204)},
    ),
    Row(
        "GET",
        "/api/v1/me",
        lambda _: Call("/api/v1/me"),
        {
            **ANONYMOUS,
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed(because="it names the asker to herself, and nobody else"),
        },
        fields="member_id login organisation role professions compartments may_open_with",
    ),
    Row(
        "POST",
        "/api/v1/me/password",
        _change_password,
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("password.change", status=204)},
    ),
    Row(
        "DELETE",
        "/api/v1/sessions/current",
        lambda _: Call("/api/v1/sessions/current"),
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("session.end", status=204)},
        spoils=Spoils.HER_SESSION,
    ),
    Row(
        "GET",
        "/api/v1/members",
        lambda _: Call("/api/v1/members"),
        {
            **ANONYMOUS,
            **members(
                LikeAssigned("a restricted case of hers would be hers to assign, and names colleagues")
            ),
            **without_content(forbidden("case.assign")),
            Actor.CUSTODIAN: allowed(because="she manages the accounts of one organisation, by these ids"),
            Actor.ASSIGNED: allowed(because="it names the colleagues of one organisation, and no person"),
        },
        fields="items items.id items.login items.role items.professions items.active"
        " items.secrecy_basis items.leave items.charter_accepted",
    ),
    Row(
        "GET",
        "/api/v1/compartments",
        lambda _: Call("/api/v1/compartments"),
        {
            **ANONYMOUS,
            **members(LikeAssigned("keys are the custodian's matter, whatever else a member may do")),
            Actor.CUSTODIAN: allowed(
                because="it counts the holders of one organisation's keys, and names nobody"
            ),
            Actor.ASSIGNED: forbidden("key.recover"),
        },
        fields="items items.name items.holders items.wanted items.is_thin",
    ),
    Row(
        "PUT",
        "/api/v1/members/{member_id:uuid}/leave",
        _leave,
        {
            **ANONYMOUS,
            **members(LikeAssigned("accounts are the custodian's matter, whatever else a member may do")),
            Actor.CUSTODIAN: allowed("member.leave"),
            Actor.PARTNER: hidden("member.leave"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="from until",
        cast={Actor.PARTNER: "cidff.custodian"},
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/members/{member_id:uuid}/return",
        _return,
        {
            **ANONYMOUS,
            **members(LikeAssigned("accounts are the custodian's matter, whatever else a member may do")),
            Actor.CUSTODIAN: unjournaled(409, "no_leave", "she is not on leave, and nothing was done"),
            Actor.PARTNER: hidden("member.return"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="member_id",
        cast={Actor.PARTNER: "cidff.custodian"},
    ),
    Row(
        "PUT",
        "/api/v1/members/{member_id:uuid}/position",
        _change,
        {
            **ANONYMOUS,
            **members(LikeAssigned("accounts are the custodian's matter, whatever else a member may do")),
            Actor.CUSTODIAN: allowed("member.change"),
            Actor.PARTNER: hidden("member.change"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="member_id waiting due",
        cast={Actor.PARTNER: "cidff.custodian"},
        # Her sessions end.
        spoils=Spoils.THE_THING,
    ),
    Row(
        "GET",
        "/api/v1/charter",
        lambda _: Call("/api/v1/charter"),
        {
            **ANONYMOUS,
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed(because="the charter of her organisation is about nobody"),
        },
        fields="version text published_at accepted",
    ),
    Row(
        "POST",
        "/api/v1/charter",
        _publish,
        {
            **ANONYMOUS,
            **members(LikeAssigned("the charter is the custodian's matter, whatever else a member may do")),
            Actor.CUSTODIAN: allowed("charter.publish", status=201),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="version",
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/charter/acceptance",
        lambda _: Call("/api/v1/charter/acceptance", {"version": 1}),
        {
            **ANONYMOUS,
            **members(_HER_OWN),
            Actor.ASSIGNED: unjournaled(
                409, "charter_not_in_force", "the organisation has no charter, and nothing was done"
            ),
        },
        fields="version",
    ),
    Row(
        "GET",
        "/api/v1/organisation/settings",
        lambda _: Call("/api/v1/organisation/settings"),
        {
            **ANONYMOUS,
            **members(LikeAssigned("hours and networks are the custodian's matter")),
            Actor.CUSTODIAN: allowed(because="they stand on the door, and name nobody"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="version opening_hours closed_on managed_networks",
    ),
    Row(
        "PUT",
        "/api/v1/organisation/settings",
        lambda _: Call("/api/v1/organisation/settings", _SETTINGS),
        {
            **ANONYMOUS,
            **members(LikeAssigned("hours and networks are the custodian's matter")),
            Actor.CUSTODIAN: allowed("settings.change"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="version opening_hours closed_on managed_networks",
    ),
    Row(
        "POST",
        "/api/v1/members/{member_id:uuid}/unlocking",
        _unlock,
        {
            **ANONYMOUS,
            **members(LikeAssigned("accounts are the custodian's matter, whatever else a member may do")),
            Actor.CUSTODIAN: allowed("member.unlock"),
            # A custodian too, of another organisation.
            Actor.PARTNER: hidden("member.unlock"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="member_id",
        cast={Actor.PARTNER: "cidff.custodian"},
    ),
    Row(
        "POST",
        "/api/v1/me/keys",
        _rotate,
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("renewal.rotate")},
        fields="words",
    ),
    Row(
        "GET",
        "/api/v1/me/words",
        lambda _: Call("/api/v1/me/words"),
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("words.show")},
        fields="words",
    ),
    Row(
        "PUT",
        "/api/v1/me/declaration",
        lambda _: Call("/api/v1/me/declaration", {"family_name": "Exemple"}),
        {**ANONYMOUS, **members(_HER_OWN), Actor.ASSIGNED: allowed("member.declare")},
        fields="declared_at waits",
    ),
    Row(
        "GET",
        "/api/v1/me/declaration",
        lambda _: Call("/api/v1/me/declaration"),
        {
            **ANONYMOUS,
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed(
                because="it tells when she herself declared something, and nothing of what"
            ),
        },
        fields="declared_at waits",
    ),
    Row(
        "POST",
        "/api/v1/me/conflicts",
        lambda _: Call("/api/v1/me/conflicts", {"first_name": "Paul", "family_name": "Exemple"}),
        {
            **ANONYMOUS,
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed("conflict.declare", status=201),
            **each(forbidden("case.list"), Actor.CUSTODIAN, Actor.AUDITOR, Actor.DPO),
        },
        fields="id declared_at",
    ),
    Row(
        "GET",
        "/api/v1/me/conflicts",
        lambda _: Call("/api/v1/me/conflicts"),
        {
            **ANONYMOUS,
            **members(_HER_OWN),
            Actor.ASSIGNED: allowed(
                because="it tells when she herself declared something, and nothing of whom"
            ),
        },
        fields="items",
    ),
    Row(
        "POST",
        "/api/v1/me/conflicts/{conflict_id:uuid}/withdrawal",
        lambda _: Call(f"/api/v1/me/conflicts/{UUID(int=1)}/withdrawal", {"reason": "x"}),
        {
            **ANONYMOUS,
            **members(LikeAssigned("nobody withdraws what she has not declared, whatever her role")),
            Actor.ASSIGNED: Cell(404, ("conflict.withdraw denied not_found",), "not_found"),
            **each(forbidden("case.list"), Actor.CUSTODIAN, Actor.AUDITOR, Actor.DPO),
        },
    ),
    Row(
        "POST",
        "/api/v1/renewals",
        _take_up,
        {
            **members(LikeAssigned("a secret that nobody handed over is refused, whoever gives it")),
            Actor.ASSIGNED: Cell(401, ("renewal.take_up denied credentials",), "sign_in_refused"),
            Actor.ANONYMOUS: Cell(
                401, ("deployment: renewal.take_up denied credentials",), "sign_in_refused"
            ),
        },
    ),
    Row(
        "POST",
        "/api/v1/members/{member_id:uuid}/renewal",
        _begin_renewal,
        {
            **ANONYMOUS,
            **members(LikeAssigned("accounts are the custodian's matter, whatever else a member may do")),
            Actor.CUSTODIAN: allowed("renewal.begin", status=201),
            Actor.PARTNER: hidden("renewal.begin"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        fields="secret expires_at",
        cast={Actor.PARTNER: "cidff.custodian"},
    ),
    Row(
        "POST",
        "/api/v1/members/{member_id:uuid}/renewal/confirmation",
        _confirm,
        {
            **ANONYMOUS,
            **members(LikeAssigned("new keys are the custodian's matter, and here none wait")),
            Actor.CUSTODIAN: hidden("renewal.confirm"),
            Actor.PARTNER: hidden("renewal.confirm"),
            Actor.ASSIGNED: forbidden("member.manage"),
        },
        cast={Actor.PARTNER: "cidff.custodian"},
    ),
    Row(
        "POST",
        "/api/v1/members/{member_id:uuid}/grants",
        _grant,
        {
            **ANONYMOUS,
            **members(LikeAssigned("a member grants nothing to herself")),
            **each(
                Cell(403, ("key.grant denied words",), "words_refused"),
                Actor.UNASSIGNED,
                Actor.SUPERVISOR,
                Actor.AUDITOR,
                Actor.DPO,
            ),
            **each(forbidden("key.grant"), Actor.RECEPTION, Actor.CUSTODIAN),
            Actor.FOREIGN: hidden("key.grant"),
            Actor.PARTNER: hidden("key.grant"),
            Actor.ASSIGNED: Cell(403, ("key.grant denied second_person",), "second_person_needed"),
        },
    ),
)
