"""The kinds of entries of an organisation's key directory."""

from enum import StrEnum


class EntryKind(StrEnum):
    """What an entry changes."""

    ROOT = "root"
    MEMBER = "member"
    MEMBER_REMOVED = "member_removed"
    COMPARTMENT = "compartment"
    KEK_RETIRED = "kek_retired"
    GRANT = "grant"
    POLICY = "policy"
    RECOVERY = "recovery"
    JOURNAL = "journal"
    MINIMUM = "minimum"
    ROOT_CHANGED = "root_changed"
    RESTRICTION = "restriction"
    GRANT_ENDED = "grant_ended"
    CHARTER = "charter"
    CHARTER_ACCEPTED = "charter_accepted"
    POLICY_APPROVAL = "policy_approval"
