"""The closed vocabularies of the policies; a test compares them with ``schema.cedarschema``."""

from enum import StrEnum


class Role(StrEnum):
    """What a membership is; one is active in a session."""

    RECEPTION = "reception"
    WORKER = "worker"
    SUPERVISOR = "supervisor"
    CUSTODIAN = "custodian"
    AUDITOR = "auditor"
    DPO = "dpo"


class Profession(StrEnum):
    SOCIAL = "social"
    JURIST = "jurist"
    PSYCHOLOGIST = "psychologist"
    HEALTH = "health"


class Group(StrEnum):
    """The field groups of a case, each sealed under keys of its own."""

    IDENTITY = "identity"
    CONTACT = "contact"
    INTAKE = "intake"
    SAFETY = "safety"
    SOCIAL = "social"
    LEGAL = "legal"
    HEALTH = "health"
    FAMILY = "family"


class Purpose(StrEnum):
    """Why a case is touched (GDPR art. 5 (1) b); asserted by the asker and recorded as such."""

    SUPPORT = "support"
    LEGAL_ADVICE = "legal_advice"
    CARE = "care"
    ADMIN = "admin"
    AUDIT = "audit"
    RIGHTS_REQUEST = "rights_request"


class Status(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ARCHIVED = "archived"


class Stage(StrEnum):
    """The states of a handoff."""

    DRAFT = "draft"
    CONSENTED = "consented"
    SENT = "sent"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    NEEDS_INFO = "needs_info"
    SCHEDULED = "scheduled"
    ATTENDED = "attended"
    NO_SHOW = "no_show"
    COMPLETED = "completed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"


class ChangeKind(StrEnum):
    """What one person proposes and another approves."""

    POLICY = "policy"
    ERASURE = "erasure"
    KEY_RECOVERY = "key_recovery"


class Fact(StrEnum):
    """The yes-or-no facts of a case, relative to the asker."""

    MINE = "mine"
    MY_TEAM = "my_team"
    RESTRICTED = "restricted"
    CONFLICT = "conflict"
    GLASS = "glass"


class Advice(StrEnum):
    """What the asker can do so that a refused act is allowed."""

    MFA = "mfa"
    STEP_UP = "step_up"
    REASON = "reason"
    MANAGED_DEVICE = "managed_device"
    REOPEN = "reopen"


class Action(StrEnum):
    CASE_CREATE = "case.create"
    CASE_LIST = "case.list"
    CASE_READ_IDENTITY = "case.read.identity"
    CASE_READ_CONTACT = "case.read.contact"
    CASE_READ_INTAKE = "case.read.intake"
    CASE_READ_SAFETY = "case.read.safety"
    CASE_READ_SOCIAL = "case.read.social"
    CASE_READ_LEGAL = "case.read.legal"
    CASE_READ_HEALTH = "case.read.health"
    CASE_READ_FAMILY = "case.read.family"
    CASE_READ_LEGAL_NAME = "case.read.legal_name"
    CASE_RECORD_IDENTITY = "case.record.identity"
    CASE_RECORD_CONTACT = "case.record.contact"
    CASE_RECORD_INTAKE = "case.record.intake"
    CASE_RECORD_SAFETY = "case.record.safety"
    CASE_RECORD_SOCIAL = "case.record.social"
    CASE_RECORD_LEGAL = "case.record.legal"
    CASE_RECORD_HEALTH = "case.record.health"
    CASE_RECORD_FAMILY = "case.record.family"
    CASE_AMEND_IDENTITY = "case.amend.identity"
    CASE_AMEND_CONTACT = "case.amend.contact"
    CASE_AMEND_INTAKE = "case.amend.intake"
    CASE_AMEND_SAFETY = "case.amend.safety"
    CASE_AMEND_SOCIAL = "case.amend.social"
    CASE_AMEND_LEGAL = "case.amend.legal"
    CASE_AMEND_HEALTH = "case.amend.health"
    CASE_AMEND_FAMILY = "case.amend.family"
    CASE_CLOSE = "case.close"
    CASE_REOPEN = "case.reopen"
    CASE_ASSIGN = "case.assign"
    CASE_RESTRICT = "case.restrict"
    CASE_BREAK_GLASS = "case.break_glass"
    CASE_EXPORT_PREPARE = "case.export_prepare"
    CASE_EXPORT_APPROVE = "case.export_approve"
    CASE_ERASURE_PREPARE = "case.erasure_prepare"
    CONSENT_RECORD = "consent.record"
    CONSENT_WITHDRAW = "consent.withdraw"

    HANDOFF_DRAFT = "handoff.draft"
    HANDOFF_SEND = "handoff.send"
    HANDOFF_CANCEL = "handoff.cancel"
    HANDOFF_READ = "handoff.read"
    HANDOFF_ACCEPT = "handoff.accept"
    HANDOFF_DECLINE = "handoff.decline"
    HANDOFF_OPEN = "handoff.open"
    HANDOFF_OUTCOME = "handoff.outcome"

    CASE_SEARCH = "case.search"
    ORG_STATS = "org.stats"
    JOURNAL_READ = "journal.read"
    JOURNAL_VERIFY = "journal.verify"
    JOURNAL_DETAIL = "journal.detail"
    JOURNAL_REVIEW = "journal.review"
    MEMBER_MANAGE = "member.manage"
    KEY_GRANT = "key.grant"
    KEY_ROTATE = "key.rotate"
    KEY_RECOVER = "key.recover"
    POLICY_PROPOSE = "policy.propose"

    POLICY_APPROVE = "policy.approve"
    ERASURE_READ = "erasure.read"
    ERASURE_APPROVE = "erasure.approve"
    KEY_RECOVER_APPROVE = "key.recover_approve"


READ: dict[Group, Action] = {group: Action(f"case.read.{group}") for group in Group}
RECORD: dict[Group, Action] = {group: Action(f"case.record.{group}") for group in Group}
AMEND: dict[Group, Action] = {group: Action(f"case.amend.{group}") for group in Group}

ORG_ACTIONS = frozenset(
    {
        Action.CASE_SEARCH,
        Action.ORG_STATS,
        Action.JOURNAL_READ,
        Action.JOURNAL_VERIFY,
        Action.JOURNAL_DETAIL,
        Action.JOURNAL_REVIEW,
        Action.MEMBER_MANAGE,
        Action.KEY_GRANT,
        Action.KEY_ROTATE,
        Action.KEY_RECOVER,
        Action.POLICY_PROPOSE,
    }
)
CHANGE_ACTIONS = frozenset(
    {Action.POLICY_APPROVE, Action.ERASURE_READ, Action.ERASURE_APPROVE, Action.KEY_RECOVER_APPROVE}
)
HANDOFF_ACTIONS = frozenset(action for action in Action if action.startswith("handoff."))
CASE_ACTIONS = frozenset(Action) - ORG_ACTIONS - CHANGE_ACTIONS - HANDOFF_ACTIONS
