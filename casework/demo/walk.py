"""The main job played over HTTP, as AVEC, the CIDFF and their auditors; every step shows what was journaled."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from audit.entry import Outcome
from audit.verdict import Verdict
from casework.demo.auditing import Auditor, Expected, NotJournaled
from casework.demo.directory import Account
from casework.demo.people import Authenticator, Person, UnexpectedAnswer, sign_in
from policies.labels import GROUPS
from policies.vocabulary import Group

T = TypeVar("T")

_SENT_GROUPS = [Group.IDENTITY, Group.SOCIAL, Group.LEGAL]
_KEPT_BACK = "birth_date"
_NO_DIGEST = "0" * 64
_TIMEOUT_SECONDS = 60


class StepFailed(Exception):
    """A step did not end as it must; the message names the step and the reason, in French."""


async def walk(
    url: str, accounts: Iterable[Account], authenticator: Authenticator, say: Callable[[str], None]
) -> None:
    """Play every step against the service at `url`, and say each in a sentence.

    Raises:
        StepFailed: a step did not end as it must; nothing after it was played.

    """
    by_login = {account.login: account for account in accounts}
    # Without the environment's proxies: the demo is on this machine.
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False) as http:
        played = _Walk(http, by_login, authenticator, say)
        await played.play()


class _Walk:
    def __init__(
        self,
        http: httpx.AsyncClient,
        accounts: Mapping[str, Account],
        authenticator: Authenticator,
        say: Callable[[str], None],
    ) -> None:
        self._http = http
        self._accounts = accounts
        self._authenticator = authenticator
        self._say = say
        self._auditors: dict[str, Auditor] = {}
        self._number = 0

    async def play(self) -> None:
        for organisation in ("avec", "cidff"):
            await self._seat_auditor(organisation)
        social = await self._signed_in("avec.social", "La travailleuse sociale d’AVEC se connecte.")
        case_id, follow_up = await self._record(social)
        await self._try_to_look_inside(case_id)
        jurist = await self._signed_in("cidff.jurist", "La juriste du CIDFF se connecte.")
        await self._step(
            "Elle demande le dossier d’AVEC : introuvable, comme s’il n’existait pas (404).",
            jurist.get(f"/cases/{case_id}", HTTPStatus.NOT_FOUND),
            Expected("cidff", "case.open", Outcome.DENIED, jurist),
        )
        draft = await self._draft(social, case_id, follow_up)
        await self._refuse_what_was_not_consented(social, draft)
        await self._send(social, draft)
        new_case = await self._receive(jurist, draft)
        await self._close(social, jurist, case_id, draft)
        for auditor, case in zip(self._auditors.values(), (case_id, new_case), strict=True):
            await self._audit(auditor, case)
        for person in (social, jurist, *(auditor.person for auditor in self._auditors.values())):
            await person.sign_out()
        self._say("Tout s’est passé comme prévu.")

    async def _record(self, social: Person) -> tuple[str, str]:
        created = await self._step(
            "Elle ouvre un dossier pour Soraya (personne fictive).",
            social.post("/cases", self._new_case()),
            Expected("avec", "case.create", by=social),
        )
        path = f"/cases/{created['id']}"
        recorded = await self._step(
            "Elle enregistre un suivi : une partie sociale, une partie juridique, scellées séparément.",
            social.post(f"{path}/follow-ups", self._new_follow_up()),
            Expected("avec", "follow_up.create", by=social),
        )
        return created["id"], recorded["id"]

    async def _try_to_look_inside(self, case_id: str) -> None:
        reception = await self._signed_in("avec.reception", "La chargée d’accueil d’AVEC se connecte.")

        async def look() -> None:
            shown = await reception.get(f"/cases/{case_id}")
            _require(Group.IDENTITY in shown["groups"], "l’identité n’est pas montrée à l’accueil")
            _require(Group.SOCIAL not in shown["groups"], "le social est montré à l’accueil")
            _require(Group.SOCIAL in shown["withheld"], "le social n’est pas nommé comme retenu")

        await self._step(
            "Elle ouvre le dossier : identité et demande, sans le texte social, qui est retenu.",
            look(),
            Expected("avec", "case.open", by=reception),
        )
        await reception.sign_out()

    async def _draft(self, social: Person, case_id: str, follow_up: str) -> dict[str, Any]:
        body = {
            "to": "cidff",
            "kind": "transfer",
            "service": "acces_au_droit",
            "purpose": "legal_advice",
            "urgency": "normal",
            "groups": _SENT_GROUPS,
            "follow_ups": [follow_up],
            "excluded": [f"{Group.IDENTITY}.{_KEPT_BACK}"],
        }
        draft: dict[str, Any] = await self._step(
            "La travailleuse sociale prépare un transfert au CIDFF et lit l’aperçu avec Soraya.",
            social.post(f"/cases/{case_id}/handoffs", body),
            Expected("avec", "handoff.preview", by=social),
            Expected("avec", "handoff.draft", by=social),
        )
        for group, part in draft["preview"].items():
            texts = [*part["fields"].values(), *(item["record"].get("text") for item in part["follow_ups"])]
            self._say(
                f"      aperçu {GROUPS[Group(group)]} : {' · '.join(str(text) for text in texts if text)}"
            )
        self._say(f"      empreinte de ce contenu : {draft['content_digest'][:16]}…")
        _require(_KEPT_BACK not in draft["preview"][Group.IDENTITY]["fields"], "la date est dans l’aperçu")
        return {**draft, "path": f"/handoffs/{draft['id']}"}

    async def _refuse_what_was_not_consented(self, social: Person, draft: Mapping[str, Any]) -> None:
        await self._step(
            "Elle envoie sans accord : refusé (409).",
            social.post(f"{draft['path']}/sending", expect=HTTPStatus.CONFLICT),
            Expected("avec", "handoff.send", Outcome.DENIED, social),
        )
        await self._step(
            "Elle enregistre un accord à un autre contenu : refusé (409).",
            social.post(f"{draft['path']}/consent", _consent(_NO_DIGEST), HTTPStatus.CONFLICT),
            Expected("avec", "consent.record", Outcome.DENIED, social),
        )

    async def _send(self, social: Person, draft: Mapping[str, Any]) -> None:
        await self._step(
            "Soraya donne son accord à ce contenu exactement ; il est enregistré avec l’empreinte.",
            social.post(f"{draft['path']}/consent", _consent(draft["content_digest"])),
            Expected("avec", "consent.record", by=social),
        )
        await self._step(
            "Envoyer demande de confirmer son mot de passe : refusé sans cela (403).",
            social.post(f"{draft['path']}/sending", expect=HTTPStatus.FORBIDDEN),
            Expected("avec", "handoff.send", Outcome.DENIED, social),
        )
        await self._step(
            "Elle confirme son mot de passe.",
            social.step_up(),
            Expected("avec", "session.step_up", by=social),
        )
        await self._step(
            "Elle envoie : le contenu est scellé aux clés du CIDFF, l’arrivée est inscrite des deux côtés.",
            social.post(f"{draft['path']}/sending", expect=HTTPStatus.OK),
            Expected("avec", "handoff.prepare", by=social),
            Expected("avec", "handoff.send", by=social),
            Expected("cidff", "handoff.arrive"),
        )

    async def _receive(self, jurist: Person, draft: Mapping[str, Any]) -> str:
        async def look() -> None:
            box = await jurist.get("/handoffs?box=received&state=sent")
            envelope = next((item for item in box["items"] if item["id"] == draft["id"]), None)
            _require(envelope is not None, "l’enveloppe n’est pas arrivée")
            assert envelope is not None
            shown = {"id", "state", "from", "to", "kind", "urgency", "sent_at", "due_at", "service", "groups"}
            _require(set(envelope) <= shown, "l’enveloppe montre plus qu’une enveloppe")

        await self._step(
            "La juriste du CIDFF voit l’enveloppe, et rien de plus : qui, quel service, quelles rubriques.",
            look(),
            Expected("cidff", "handoff.list", by=jurist),
        )
        accepted = await self._step(
            "Elle accepte : le CIDFF a désormais son propre dossier.",
            jurist.post(f"{draft['path']}/acceptance", {}, HTTPStatus.OK),
            Expected("cidff", "handoff.accept", by=jurist),
            Expected("avec", "handoff.accepted"),
        )
        new_case = str(accepted["case_id"])
        await self._step(
            "Elle l’ouvre : chaque rubrique est ouverte une fois, tant que l’accord est en cours.",
            self._compare_groups(jurist, new_case, draft["preview"]),
            Expected("cidff", "handoff.open", by=jurist),
            Expected("cidff", "case.open", by=jurist),
        )
        await self._step(
            "Elle lit les suivis : exactement ce à quoi Soraya a consenti.",
            self._compare_follow_ups(jurist, new_case, draft["preview"]),
            Expected("cidff", "follow_up.list", by=jurist),
        )
        return new_case

    async def _compare_groups(
        self, jurist: Person, case_id: str, preview: Mapping[str, dict[str, Any]]
    ) -> None:
        shown = await jurist.get(f"/cases/{case_id}")
        received = {group: fields for group, fields in shown["groups"].items() if fields}
        consented = {group: part["fields"] for group, part in preview.items() if part["fields"]}
        _require(received == consented, "ce qui est lu n’est pas ce qui a été consenti")

    async def _compare_follow_ups(
        self, jurist: Person, case_id: str, preview: Mapping[str, dict[str, Any]]
    ) -> None:
        page = await jurist.get(f"/cases/{case_id}/follow-ups")
        received = [(group, text) for item in page["items"] for group, text in item["content"].items()]
        consented = [
            (group, item["record"]["text"]) for group, part in preview.items() for item in part["follow_ups"]
        ]
        _require(sorted(received) == sorted(consented), "les suivis ne sont pas ceux de l’aperçu")

    async def _close(self, social: Person, jurist: Person, case_id: str, draft: Mapping[str, Any]) -> None:
        await self._step(
            "Elle accepte une seconde fois : refusé (409).",
            jurist.post(f"{draft['path']}/acceptance", {}, HTTPStatus.CONFLICT),
            Expected("cidff", "handoff.accept", Outcome.DENIED, jurist),
        )

        async def look() -> None:
            status = (await social.get(f"/cases/{case_id}"))["status"]
            _require(status == "closed", f"le dossier d’AVEC est « {status} »")

        await self._step(
            "Le dossier d’AVEC est clos : la responsabilité est passée au CIDFF.",
            look(),
            Expected("avec", "case.open", by=social),
        )

    async def _audit(self, auditor: Auditor, case_id: str) -> None:
        organisation = auditor.person.account.organisation
        count = await self._step(
            f"L’auditrice ({organisation}) relit ce qui concerne Soraya, sous un pseudonyme.",
            auditor.count_entries_of(case_id),
            Expected(organisation, "journal.read", by=auditor.person),
        )
        self._say(f"      {count} écritures")
        _require(count > 0, "aucune écriture ne concerne le dossier")
        report = await self._step(
            f"Elle télécharge le journal ({organisation}) et le vérifie hors ligne, avec la clé de la fondation.",
            auditor.verify_offline(),
            Expected(organisation, "journal.export", by=auditor.person),
        )
        words = f"{report.verdict.words} · {report.size} écritures · code {report.exit_code}"
        self._say(f"      {words}")
        _require(report.verdict is Verdict.VALID, words)

    async def _seat_auditor(self, organisation: str) -> None:
        login = f"{organisation}.auditor"
        person = await self._attempt(f"{login} se connecte", self._sign_in(login))
        self._auditors[organisation] = Auditor(person, self._authenticator.pause)
        await self._attempt(f"{login} lit le journal", self._auditors[organisation].begin())
        self._say(f"    L’auditrice de l’association « {organisation} » a ouvert son journal.")

    async def _signed_in(self, login: str, words: str) -> Person:
        organisation = login.partition(".")[0]
        return await self._step(
            words,
            self._sign_in(login),
            Expected(organisation, "session.create"),
            Expected(organisation, "session.second_factor"),
        )

    async def _sign_in(self, login: str) -> Person:
        account = self._accounts.get(login)
        if account is None:
            raise StepFailed(f"le compte {login} n’est pas dans la liste")
        return await sign_in(self._http, account, self._authenticator)

    async def _step(self, words: str, act: Awaitable[T], *expected: Expected) -> T:
        """Do one thing, then find in the journals what must stand there, and say both."""
        self._number += 1
        result = await self._attempt(f"étape {self._number} ({words})", act)
        self._say(f"{self._number:2}. {words}")
        found = []
        for organisation, auditor in self._auditors.items():
            wanted = [one for one in expected if one.organisation == organisation]
            if wanted:
                found += await self._attempt(f"étape {self._number} ({words})", auditor.find(wanted))
        for journaled in found:
            self._say(f"      {journaled}")
        receipt = result.get("receipt") if isinstance(result, dict) else None
        if receipt is not None:
            _require(receipt["entry"] in {one.id for one in found}, "le reçu n’est pas au journal")
            auditor = self._auditors[receipt["log"].rpartition("/")[2]]
            _require(auditor.accepts(receipt["proof"]), "le reçu n’est pas prouvé")
        return result

    async def _attempt(self, words: str, act: Awaitable[T]) -> T:
        try:
            return await act
        except (UnexpectedAnswer, NotJournaled, StepFailed) as error:
            raise StepFailed(f"Échec, {words} : {error}.") from None
        except httpx.TransportError as error:
            raise StepFailed(
                f"Le service ne répond pas ({type(error).__name__}) : « casework demo » tourne-t-il ?"
            ) from None

    def _new_case(self) -> dict[str, Any]:
        today = self._authenticator.clock.now().date().isoformat()
        return {
            "public": "known_need",
            "identity": {"name_in_use": "Soraya", "family_name": "Belhadj", "birth_date": "1991-04-12"},
            "contact": {
                "phone": "06 39 98 12 34",
                "safe_contact": {"confirmed_on": today, "may_call": True, "agreed_word": "tilleul"},
            },
            "safety": {"summary": "Se dit en sécurité chez une amie. Adresse tenue secrète."},
            "social": {"summary": "Hébergée chez une amie, cherche un logement."},
        }

    def _new_follow_up(self) -> dict[str, Any]:
        occurred_at = self._authenticator.clock.now() - timedelta(hours=1)
        return {
            "type": "accompagnement_social",
            "occurred_at": occurred_at.isoformat(),
            "channel": "on_site",
            "duration_minutes": 45,
            "content": {
                "social": "Demande de logement préparée ensemble.",
                "legal": "Souhaite connaître ses droits avant une séparation.",
            },
        }


def _consent(digest: str) -> dict[str, Any]:
    return {
        "content_digest": digest,
        "means": "oral",
        "oral_reason": "Elle a préféré que l’aperçu lui soit lu.",
        "witness": "Une collègue de l’accueil",
        "language": "fr",
        "safe_contact_checked": True,
    }


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise StepFailed(words)
