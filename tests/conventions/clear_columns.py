"""Every column that is stored in the clear, with the reason why it may be.

Whoever steals the database reads these. A new one needs a line here: say what a thief learns from it and why the
service cannot do without. What is of type `SealedBytes` is not listed.
"""

from typing import Final

_ORG: Final = "the wall, every foreign key and the place of every seal need the organisation"
_ID: Final = "a random id: a row can be pointed at, and it says nothing"
_CASE: Final = "which case the row belongs to, by an id that says nothing"
_MEMBER: Final = "which member, by an id that says nothing; the facts of the policies compare it in SQL"
_COMPARTMENT: Final = "one of the fixed groups: the key that opens the row is chosen by it"
_KEY_NUMBER: Final = "which of the numbered keys sealed the row"
_VERSION: Final = "an edit is refused where someone else saved first; part of the place of a seal"
_MADE_AT: Final = "when the row was made: order, and retention"
_PUBLIC_KEY: Final = "public by nature, and certified by the signed directory"
_LOG: Final = "which log: an organisation's id, or zeros"
_INDEX: Final = "the place in the log, which every proof names"
_TREE: Final = "a hash of entries, and entries name no one"

CLEAR_COLUMNS: Final[dict[str, dict[str, str]]] = {
    "account": {
        "org_id": _ORG,
        "id": _ID,
        "login": "the account must be found before any key is there; a work login of staff",
        "active": "a closed account is refused before its password is tried",
        "auth_hash": "a hash of the stretched, peppered password",
        "kdf_salt": "needed to stretch the password",
        "kdf_memory_kib": "needed to stretch the password",
        "kdf_time": "needed to stretch the password",
        "kdf_parallelism": "needed to stretch the password",
        "pepper_id": "which pepper; a hash of it",
        "totp_step": "the last time step that was used: a code is good once, compared and set in SQL",
        "created_at": _MADE_AT,
    },
    "assignment": {
        "org_id": _ORG,
        "case_id": _CASE,
        "member_id": _MEMBER,
        "since": "who was assigned from when; the reviewer explains an access with it",
    },
    "break_glass": {
        "org_id": _ORG,
        "id": _ID,
        "case_id": _CASE,
        "member_id": _MEMBER,
        "expires_at": "the fact `glass` is decided in SQL",
    },
    "case_conflict": {
        "org_id": _ORG,
        "case_id": _CASE,
        "member_id": _MEMBER,
        "since": "who must not see the case from when",
    },
    "case_file": {
        "org_id": _ORG,
        "id": _ID,
        "status": "open, closed or archived: the policies filter lists by it in SQL",
        "restricted": "the policies filter lists by it in SQL",
        "version": _VERSION,
        "created_at": _MADE_AT,
        "created_by": _MEMBER,
        "last_contact_at": "retention counts from it",
        "pseudonym_part": "one random half of the pseudonym; the other is in the shred store",
    },
    "case_group": {
        "org_id": _ORG,
        "case_id": _CASE,
        "compartment": "all eight are there from the first day: that one is there tells nothing",
        "id": _ID,
        "dek_generation": "which generation of the case's key: part of the place of its seal",
        "version": _VERSION,
    },
    "case_team": {
        "org_id": _ORG,
        "case_id": _CASE,
        "team_id": "the fact `my_team` is decided in SQL",
    },
    "consent": {
        "org_id": _ORG,
        "id": _ID,
        "case_id": _CASE,
        "handoff_id": _ID,
        "content_digest": "a salted digest: it is compared, and without the sealed salt it says nothing",
        "recorded_by": _MEMBER,
        "given_at": "a consent is live from here",
        "expires_at": "a consent is live until here: decided in SQL, under the handoff's lock",
        "withdrawn_at": "a withdrawn consent must stop a handoff without any key",
    },
    "deployment": {
        "id": "one row",
        "name": "the host name in the journal's origin",
        "is_demo": "a demo is refused outside loopback",
        "created_at": _MADE_AT,
    },
    "drop_key": {
        "org_id": _ORG,
        "compartment": _COMPARTMENT,
        "number": _KEY_NUMBER,
        "kek_no": _KEY_NUMBER,
        "public": _PUBLIC_KEY,
    },
    "follow_up": {
        "org_id": _ORG,
        "id": _ID,
        "version": _VERSION,
        "case_id": _CASE,
        "author_id": _MEMBER,
        "occurred_at": "the timeline is paged by it; that someone came is known from the row itself",
        "recorded_at": _MADE_AT,
    },
    "follow_up_frame": {
        "org_id": _ORG,
        "follow_up_id": _ID,
        "version": _VERSION,
        "compartment": _COMPARTMENT,
    },
    "handoff": {
        "id": _ID,
        "from_org": "the wall and the moves need both parties",
        "to_org": "the wall and the moves need both parties",
        "state": "every move is decided under this row's lock, without any key",
        "consent_is_live": "a withdrawal must stop a handoff without any key",
        "consent_expires_at": "an expiry must stop a handoff without any key",
    },
    "handoff_manifest": {"org_id": _ORG, "handoff_id": _ID, "compartment": _COMPARTMENT},
    "handoff_part": {
        "org_id": _ORG,
        "handoff_id": _ID,
        "compartment": "a part for every group that the receiver holds, chosen or not: it tells nothing",
        "drop_number": _KEY_NUMBER,
    },
    "handoff_side": {
        "org_id": _ORG,
        "id": _ID,
        "side": "sender or receiver: the box is listed by it",
        "partner_id": "the other party",
        "kind": "orientation or transfer: the move closes the sender's case by it, without any key",
        "urgency": "one of three words: reminders and order of the box",
        "state": "the box is listed by it",
        "created_at": _MADE_AT,
        "sent_at": "order of the box",
        "moved_at": "what has waited too long is listed",
        "content_digest": "a salted digest: it is compared, and without the sealed salt it says nothing",
        "case_id": "on the sender's side alone, of her own case",
        "consent_id": "the parts are sealed under it",
        "consent_expires_at": "the parts are sealed under it",
        "signer_id": "which member of the sender signed the parts",
        "chain": "the sender's signed directory: public keys and ids",
    },
    "idempotency": {
        "org_id": _ORG,
        "member_id": _MEMBER,
        "route": "method and path without its ids",
        "key": "a peppered HMAC of the client's key, kept for a day",
        "body_mac": "a peppered HMAC of the body",
        "resource_id": _ID,
        "status": "a status code",
        "created_at": "forgotten after a day",
    },
    "kek_recovery": {"org_id": _ORG, "compartment": _COMPARTMENT, "kek_no": _KEY_NUMBER},
    "key_directory": {
        "org_id": _ORG,
        "epoch": "one number a change, without a gap",
        "entry": "a signed entry: public keys and ids; whoever verifies it needs no key",
    },
    "key_grant": {
        "org_id": _ORG,
        "epoch": "the entry of the directory that certifies the grant",
        "member_id": _MEMBER,
        "compartment": _COMPARTMENT,
        "kek_no": _KEY_NUMBER,
    },
    "membership": {
        "org_id": _ORG,
        "id": _ID,
        "account_id": _ID,
        "role": "one of six words: decides what the policies allow",
        "professions": "words of a closed list: decide what the policies allow",
        "active": "a membership that ended is refused",
        "created_at": _MADE_AT,
    },
    "organisation": {
        "id": _ID,
        "slug": "the organisation's public name in addresses and in the journal",
        "name": "the organisation's public name",
        "root_fingerprint": "public; printed on the organisation's card",
        "journal_key": "public; whoever verifies the journal needs it",
        "created_at": _MADE_AT,
    },
    "partner": {
        "org_id": _ORG,
        "partner_id": _ID,
        "slug": "a partner's public name",
        "name": "a partner's public name",
        "root_fingerprint": "public; compared once, with the card in hand",
        "epoch": "the newest state of the partner's directory that was accepted",
        "head": "the newest state of the partner's directory that was accepted",
        "chain": "the partner's signed directory: public keys and ids",
        "valid_until": "when the cards must be compared again",
    },
    "team": {"org_id": _ORG, "id": _ID, "name": "a team of staff"},
    "team_member": {"org_id": _ORG, "team_id": _ID, "member_id": _MEMBER},
    "sessions.session": {
        "id": "a hash of the token: the row is found by it, and the token is not in it",
        "org_id": _ORG,
        "account_id": _ID,
        "member_id": _MEMBER,
        "role": "the role that was asked for at sign-in",
        "step_up_until": "sensitive acts are refused after it",
        "created_at": _MADE_AT,
        "seen_at": "a session that is idle ends",
        "expires_at": "a session ends",
    },
    "shred": {
        "org_id": _ORG,
        "owner_id": "a case's or a record's random id",
        "purpose": "which key or pseudonym it is half of",
        "part": "one random half: nothing without the other, which is sealed in the main database",
    },
    "audit_checkpoint": {"log": _LOG, "size": _INDEX, "note": "a signed note, made to be shown"},
    "audit_detail": {
        "log": _LOG,
        "entry_id": _ID,
        "sealed": "sealed to the auditor; audit knows no column type of ours",
    },
    "audit_entry": {
        "log": _LOG,
        "idx": _INDEX,
        "entry_id": _ID,
        "time": "reviews look for it",
        "action": "one of a closed list; reviews look for it",
        "outcome": "allowed, denied or failed; reviews look for it",
        "actor": _MEMBER,
        "bytes": "the entry: ids, codes and pseudonyms, whose halves can be shredded",
    },
    "audit_inbox": {
        "seq": "the order of arrival",
        "log": _LOG,
        "entry": "an entry that waits for the integrator",
    },
    "audit_leaf": {"log": _LOG, "idx": _INDEX, "hash": _TREE},
    "audit_log": {
        "log": _LOG,
        "origin": "the log's public name",
        "size": "how many entries",
        "pruned": "below which index the bytes may be gone",
    },
    "audit_subject": {
        "log": _LOG,
        "pseudonym": "a keyed hash; whose halves are gone, no one can make again",
        "idx": _INDEX,
    },
    "audit_subtree": {"log": _LOG, "level": _INDEX, "idx": _INDEX, "hash": _TREE},
}
