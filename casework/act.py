"""One member's act inside one unit of work: who asks, what she holds, and the journal beside it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID

import structlog

from audit.entry import Asked, AuthLevel, Outcome
from casework.alerts import AlertKind, alert
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import (
    AuthenticationStepNeeded,
    CharterNotAccepted,
    Forbidden,
    NotFound,
    NotSignedIn,
    Refusal,
    SealedDataDamaged,
)
from casework.facts import request_facts
from casework.identity import sessions
from casework.identity.sessions import SignedIn
from casework.journal import JOURNAL, Deed, Receipt, Who
from casework.keyring import Keyring
from crypto.drop import DropPublic
from crypto.errors import CryptoError
from crypto.signing import SigningKey
from policies.asked import Question, words_of
from policies.engine import Decision, Engine
from policies.facts import Asker, CaseFacts, ChangeFacts, Context, HandoffFacts
from policies.vocabulary import Action, Advice, Profession, Purpose, Role

log = structlog.get_logger(__name__)

# What a member is taken to do when her request names no purpose; it is recorded as self-asserted.
DEFAULT_PURPOSE = {
    Role.WORKER: Purpose.SUPPORT,
    Role.RECEPTION: Purpose.SUPPORT,
    Role.SUPERVISOR: Purpose.ADMIN,
    Role.CUSTODIAN: Purpose.ADMIN,
    Role.AUDITOR: Purpose.AUDIT,
    Role.DPO: Purpose.RIGHTS_REQUEST,
}
# The reason of a denial that the policies alone give, to somebody who may know what she is denied.
_POLICY = "policy"
_PROFESSION_PURPOSE = {Profession.JURIST: Purpose.LEGAL_ADVICE, Profession.HEALTH: Purpose.CARE}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a request says beside its body.

    `address`: 16 bytes, IPv4 mapped (RFC 4291); none where it has no such form. `device`: it is in a network that
    the deployment manages, for organisations that name none of their own.
    """

    request: UUID
    source: str
    purpose: Purpose | None
    address: bytes
    device: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """The asker, apart from any unit of work, so that a denial can still name her after a rollback."""

    org_id: UUID
    slug: str
    who: Who
    policy_set: str


@dataclass(slots=True)
class Act:
    """What a service is given. It decides and records through this, and reads cases through `Access` alone."""

    deployment: Deployment
    unit: UnitOfWork
    session: SignedIn
    engine: Engine
    asker: Asker
    context: Context
    identity: Identity
    keyring: Keyring
    receipts: list[Receipt] = field(default_factory=list)
    # What was decided and stands in no entry yet.
    decided: list[tuple[Question, bool]] = field(default_factory=list, repr=False)
    # Whether what did not open was tried before, in another unit: now it is damaged, and not being renewed.
    looks_again: bool = False

    @property
    def org_id(self) -> UUID:
        return self.session.org_id

    @property
    def member_id(self) -> UUID:
        return self.session.member_id

    def drop(self, compartment: str) -> DropPublic:
        """The public drop key of one of the organisation's compartments."""
        return self.deployment.directories.drop(self.unit, self.org_id, compartment)

    def record(self, deed: Deed) -> Receipt:
        """Journal a deed in the organisation's log, with the policy set in force and what it has decided since."""
        with_basis = replace(deed, policy_set=self.engine.hash, asked=_asked(self.decided))
        self.decided.clear()
        receipt = self.deployment.journal.record(
            self.unit, (self.org_id, self.identity.slug), self.identity.who, with_basis, self.drop(JOURNAL)
        )
        self.receipts.append(receipt)
        return receipt

    def report_damage(self, error: CryptoError, **about: str) -> None:
        """Raise the alarm of something sealed that does not open, and journal it, where a list shows the rest.

        Raises:
            CryptoError: it is the first look at it; the unit is run once more.

        """
        if not self.looks_again:
            raise error
        alert(
            AlertKind.SEALED_DATA_DAMAGED,
            organisation=self.identity.slug,
            **about,
            error=type(error).__name__,
        )
        self.record(Deed("seal.broken", outcome=Outcome.FAILED, reason=SealedDataDamaged.code))

    def decide_case(self, action: Action, facts: CaseFacts, *, reason: bool = False) -> Decision:
        context = self._with_reason(reason=reason)
        decision = self.engine.decide_case(self.asker, action, facts, context)
        return self._noted(action, facts, context, decision)

    def decide_handoff(self, action: Action, facts: HandoffFacts) -> Decision:
        decision = self.engine.decide_handoff(self.asker, action, facts, self.context)
        return self._noted(action, facts, self.context, decision)

    def decide_change(self, action: Action, facts: ChangeFacts, *, reason: bool = False) -> Decision:
        context = self._with_reason(reason=reason)
        decision = self.engine.decide_change(self.asker, action, facts, context)
        return self._noted(action, facts, context, decision)

    def require_org(self, action: Action, *, reason: bool = False, self_target: bool = False) -> Decision:
        """Raise Forbidden unless the member may do this in her organisation; `self_target`: to herself."""
        context = replace(self._with_reason(reason=reason), self_target=self_target)
        decision = self._noted(action, None, context, self.engine.decide_org(self.asker, action, context))
        if not decision.allowed:
            raise refusal(action, decision, hidden=False)
        return decision

    def require_if_stepped_up(self, action: Action) -> None:
        """Raise Forbidden unless with a step-up and a reason she could do this: to look at it asks less."""
        decision = self.decide_if_stepped_up(action)
        if not decision.allowed:
            raise refusal(action, decision, hidden=False)

    def decide_if_stepped_up(self, action: Action) -> Decision:
        """Whether with a step-up and a reason she could do this in her organisation."""
        context = replace(self._with_reason(reason=True), step_up=True)
        return self._noted(action, None, context, self.engine.decide_org(self.asker, action, context))

    def require_in_some_case(
        self, action: Action, *, reason: bool = False, tried: dict[str, str] | None = None
    ) -> None:
        """Raise Forbidden where no case that there can be would let her do this: it tells of no case."""
        if not self.engine.allowed_states(self.asker, action, self._with_reason(reason=reason)):
            decision = self.decide_case(action, CaseFacts.of_an_ordinary_case(), reason=reason)
            raise refusal(action, decision, hidden=False, tried=tried)

    def state_purpose(self, purpose: Purpose) -> None:
        """Do what follows for the purpose that the request's body gives; it is journaled with it."""
        self.context = replace(self.context, purpose=purpose)
        self.identity = replace(self.identity, who=replace(self.identity.who, purpose=purpose))

    def require_signing_key(self, action: str) -> SigningKey:
        """The member's signing key; sensitive acts need a password given in the last five minutes.

        Raises:
            AuthenticationStepNeeded: no live step-up.

        """
        key = self.session.signing_key(self.unit.now)
        if key is None:
            raise AuthenticationStepNeeded(action, reason="step_up", extra={"advice": [Advice.STEP_UP]})
        return key

    def asked_in(self, refused: Refusal) -> tuple[Asked, ...]:
        """What was denied in this refusal; nothing of one that must not tell whether the thing is there."""
        if refused.reason != _POLICY:
            return ()
        return _asked(
            (q, allowed) for q, allowed in self.decided if q.action == refused.action and not allowed
        )

    def _noted(
        self,
        action: Action,
        facts: CaseFacts | ChangeFacts | HandoffFacts | None,
        context: Context,
        decision: Decision,
    ) -> Decision:
        """Keep a decision for the next entry, so that other rules can be asked the same; an error is none."""
        if not decision.error:
            self.decided.append((Question(self.asker, action, facts, context), decision.allowed))
        return decision

    def _with_reason(self, *, reason: bool) -> Context:
        return replace(self.context, reason=True) if reason else self.context


def refusal(
    action: Action, decision: Decision, *, hidden: bool, tried: dict[str, str] | None = None
) -> NotFound | Forbidden:
    """The error of a denied decision: absent-or-forbidden where even existence is not hers to know."""
    reason = "engine.error" if decision.error else _POLICY
    if hidden:
        return NotFound(action, reason="not_found", policies=(), tried=tried)
    extra = {"advice": list(decision.advice)} if decision.advice else {}
    error = AuthenticationStepNeeded if Advice.STEP_UP in decision.advice else Forbidden
    return error(action, reason=reason, policies=decision.policies, tried=tried, extra=extra)


def begin_act(
    deployment: Deployment, unit: UnitOfWork, session: SignedIn, circumstances: Circumstances
) -> Act:
    """Put an act together for a signed-in member."""
    professions = frozenset(Profession(word) for word in session.professions)
    role = Role(session.role)
    auth = session.auth_level(unit.now)
    purpose = circumstances.purpose or _usual_purpose(role, professions)
    _require_certified(deployment, unit, session)
    facts = request_facts(
        unit.connection, session.org_id, unit.now, circumstances.address, managed=circumstances.device
    )
    engine = deployment.engine(unit, session.org_id)
    slug = deployment.slugs[session.org_id]
    who = Who(circumstances.request, circumstances.source, session.member_id, role, auth, purpose)
    return Act(
        deployment=deployment,
        unit=unit,
        session=session,
        engine=engine,
        asker=Asker(org=slug, role=role, professions=professions, active=session.active),
        context=Context(
            mfa=True,
            step_up=auth is AuthLevel.STEP_UP,
            reason=False,
            device=facts.device,
            hours=facts.hours,
            self_target=False,
            purpose=purpose,
        ),
        identity=Identity(session.org_id, slug, who, engine.hash),
        keyring=Keyring(
            unit,
            deployment.directories,
            session.keys,
            partial(sessions.keep_keys, unit.connection, session.token),
        ),
    )


def require_charter(act: Act) -> None:
    """Refuse whoever has not accepted the charter in force, in the role of this session.

    Raises:
        CharterNotAccepted: it is in force, and she has not.

    """
    directories = act.deployment.directories
    # First as this process knows it; she may have accepted at another.
    for directory in (directories.known, directories.fresh):
        if directory(act.unit, act.org_id).has_accepted(act.member_id.bytes):
            return
    raise CharterNotAccepted("charter.require", reason=CharterNotAccepted.code)


def _asked(decided: Iterable[tuple[Question, bool]]) -> tuple[Asked, ...]:
    """What was decided, by situation: each act once, in the order of the alphabet."""
    acts: dict[tuple[str, ...], tuple[set[str], set[str]]] = {}
    for question, is_allowed in decided:
        allowed, denied = acts.setdefault(words_of(question), (set(), set()))
        (allowed if is_allowed else denied).add(str(question.action))
    return tuple(
        Asked(allowed=tuple(sorted(allowed)), denied=tuple(sorted(denied)), holds=holds)
        for holds, (allowed, denied) in sorted(acts.items())
    )


def record_denial(
    deployment: Deployment,
    unit: UnitOfWork,
    identity: Identity,
    refused: Refusal,
    asked: Sequence[Asked] = (),
) -> None:
    """Write a refusal's entry; runs in a unit of its own, after the refused work was rolled back."""
    unit.enter_organisation(identity.org_id)
    drop = deployment.directories.drop(unit, identity.org_id, JOURNAL)
    deployment.journal.record(
        unit,
        (identity.org_id, identity.slug),
        identity.who,
        Deed(
            action=refused.action,
            outcome=Outcome.DENIED,
            reason=refused.reason,
            policies=refused.policies,
            policy_set=identity.policy_set,
            asked=asked,
            detail={"tried": refused.tried} if refused.tried else {},
        ),
        drop,
    )
    if refused.leaves is not None:
        refused.leaves(unit)


def record_damage(deployment: Deployment, unit: UnitOfWork, identity: Identity) -> None:
    """Write that something sealed did not open for this asker; runs in a unit of its own, after the rollback."""
    unit.enter_organisation(identity.org_id)
    deed = Deed(
        "seal.broken",
        outcome=Outcome.FAILED,
        reason=SealedDataDamaged.code,
        policy_set=identity.policy_set,
    )
    deployment.journal.record(unit, (identity.org_id, identity.slug), identity.who, deed)


def _require_certified(deployment: Deployment, unit: UnitOfWork, session: SignedIn) -> None:
    """Refuse a role or a profession that the signed directory does not give: the tables alone give none."""
    directories, held = deployment.directories, (session.role, tuple(sorted(session.professions)))
    # First as this process knows it; who joined since may have signed in at another.
    for directory in (directories.known, directories.fresh):
        certified = directory(unit, session.org_id).members.get(session.member_id.bytes)
        if certified is not None and (certified.role, tuple(sorted(certified.professions))) == held:
            return
    raise NotSignedIn


def _usual_purpose(role: Role, professions: Collection[Profession]) -> Purpose:
    for profession, purpose in _PROFESSION_PURPOSE.items():
        if role is Role.WORKER and profession in professions:
            return purpose
    return DEFAULT_PURPOSE[role]
