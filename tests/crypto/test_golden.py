"""Golden bytes of every format of our own. Old bytes keep opening: a change here needs a decision record."""

import json
from pathlib import Path
from typing import Any

import pytest

from crypto.dek import CaseKey, adopt_dek, unwrap_dek
from crypto.directory import Floor, root_fingerprint, verify_directory
from crypto.directory_entries import DirectoryEntry
from crypto.directory_kinds import EntryKind
from crypto.drop import DropPrivate, DropPublic, unwrap_drop_private
from crypto.grant import open_grant
from crypto.handoff import PartAddress
from crypto.hpke import public_half
from crypto.journal import detail_commitment, pseudonym, row_pseudonym, source_hash
from crypto.kek import Kek, kek_from_secret
from crypto.manifest import ManifestHeader, content_digest, group_mac
from crypto.opener import open_draft, open_drop, open_frame, open_member_note, open_part
from crypto.password import KdfParams, open_daily, open_signing, password_keys, stretch
from crypto.pepper import Pepper, open_under_pepper
from crypto.place import Place
from crypto.recovery import join_shares, open_recovery_kek, recovery_key, root_key
from crypto.restriction import (
    blind_half,
    case_tag,
    open_named_part,
    open_named_part_by_recovery,
    restriction_of,
)
from crypto.secret import Secret
from crypto.session import open_session, open_step_up, session_id, session_key

GOLDEN = Path(__file__).parent / "golden"
TEXTS = {
    "group",
    "kinds",
    "groups",
    "shares",
    "kind",
    "service",
    "purpose",
    "urgency",
    "text",
    "label",
    "source",
}


def _bytes(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bytes(key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_bytes(name, each) for each in value]
    return bytes.fromhex(value) if isinstance(value, str) and name not in TEXTS else value


def golden(name: str) -> dict[str, Any]:
    content = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    assert isinstance(content, dict)
    return {key: _bytes(key, value) for key, value in content.items()}


FIELDS = golden("fields")
PLACE = Place(FIELDS["org"], FIELDS["table"], FIELDS["column"], FIELDS["row"], FIELDS["row_version"])
KEK: Kek = kek_from_secret(FIELDS["org"], FIELDS["group"], FIELDS["kek_no"], Secret(FIELDS["kek"]))
DROP = DropPrivate(
    DropPublic(FIELDS["org"], FIELDS["group"], FIELDS["drop_no"], FIELDS["drop_public"]),
    Secret(FIELDS["drop_private"]),
)


def case_key(name: str, row: bytes) -> CaseKey:
    return unwrap_dek(KEK, FIELDS["case"], FIELDS[name]["generation"], row, FIELDS[name]["shred_part"])


def test_golden_derivations_of_a_compartment() -> None:
    assert KEK.kid == FIELDS["kid"]
    assert public_half(DROP.private) == FIELDS["drop_public"]
    assert DROP.public.fingerprint == FIELDS["drop_fingerprint"]
    assert PLACE.encoded == FIELDS["place"]


@pytest.mark.parametrize(("name", "alg"), [("gcm", 1), ("gcm_siv", 2)])
def test_golden_case_key_and_frame(name: str, alg: int) -> None:
    case = FIELDS[name]
    assert case["dek_row"][1] == case["frame"][1] == alg
    assert int.from_bytes(case["frame"][2:6]) == case["generation"]
    key = case_key(name, case["dek_row"])
    assert open_frame(key, PLACE, case["frame"]) == FIELDS["plaintext"]


def test_golden_dropped_case_key() -> None:
    case = FIELDS["dropped"]
    row = adopt_dek(DROP, KEK, FIELDS["case"], case["generation"], case["dek_row"])
    assert open_frame(case_key("dropped", row), PLACE, case["frame"]) == FIELDS["plaintext"]


def test_golden_drop_envelope_and_wrapped_drop_key() -> None:
    assert open_drop(DROP, PLACE, FIELDS["envelope"]) == FIELDS["plaintext"]
    assert unwrap_drop_private(KEK, FIELDS["drop_no"], FIELDS["drop_public"], FIELDS["wrapped_drop"]) == DROP


def test_golden_directory_grant_and_recovery() -> None:
    stored = golden("directory")
    org, fingerprint, grant, recovery = (stored[name] for name in ("org", "fingerprint", "grant", "recovery"))
    entries = [DirectoryEntry.from_bytes(data) for data in stored["entries"]]
    assert [entry.to_bytes() for entry in entries] == stored["entries"]
    assert [entry.kind for entry in entries] == stored["kinds"]
    later = [DirectoryEntry.from_bytes(data) for data in stored["rotation"]]
    kinds = {*stored["kinds"], *(entry.kind for entry in later), *golden("restricted")["kinds"]}
    # The golden bytes of a minimum stand in test_minimum, those of charters and of grants that end in
    # test_charter, those of approved rules in test_policy_approvals.
    elsewhere = {
        EntryKind.MINIMUM,
        EntryKind.GRANT_ENDED,
        EntryKind.CHARTER,
        EntryKind.CHARTER_ACCEPTED,
        EntryKind.POLICY_APPROVAL,
    }
    assert kinds == set(EntryKind) - elsewhere
    directory = verify_directory(org, entries, fingerprint, Floor(len(entries), stored["head"]))
    assert directory.members[grant["member"]].fingerprint == grant["member_key_fp"]
    daily = Secret(grant["daily_private"])
    kek = open_grant(directory, grant["epoch"], grant["sealed"], grant["member"], daily)
    assert kek.secret == Secret(grant["kek"])

    seed = join_shares(recovery["shares"][1:])
    assert seed == Secret(recovery["seed"])
    assert root_key(seed).public == recovery["root_public"]
    assert root_fingerprint(org, recovery["root_public"]) == fingerprint
    assert recovery_key(seed).public == recovery["recovery_public"]
    earlier = verify_directory(org, entries[: recovery["entries"]], fingerprint, None)
    assert open_recovery_kek(earlier, "health", 1, recovery["copy"], recovery_key(seed).private) == kek
    # A rotation to its end: the old key is certified no longer.
    assert set(earlier.extend(later[:-1]).kids) == {("health", 1), ("health", 2)}
    assert set(earlier.extend(later).kids) == {("health", 2)}


def test_golden_restricted_case_and_member_note() -> None:
    stored = golden("restricted")
    org, case, part = stored["org"], stored["case"], Secret(stored["named_part"])
    entries = [DirectoryEntry.from_bytes(data) for data in stored["entries"]]
    assert [entry.to_bytes() for entry in entries] == stored["entries"]
    floor = Floor(len(entries), stored["head"])
    directory = verify_directory(org, entries, stored["fingerprint"], floor)
    standing = restriction_of(directory, case)
    assert standing is not None
    assert (standing.tag, standing.part_id, standing.number) == (stored["tag"], stored["part_id"], 1)
    assert case_tag(org, case) == stored["tag"]
    daily, recovery = Secret(stored["daily_private"]), Secret(stored["recovery_private"])
    assert open_named_part(directory, case, stored["seal"], stored["member"], daily) == part
    assert open_named_part_by_recovery(directory, case, stored["recovery_copy"], recovery) == part
    kek = kek_from_secret(org, stored["group"], 1, Secret(stored["kek"]))
    assert blind_half(stored["kept_half"], part) == stored["shred_part"]
    assert unwrap_dek(kek, case, 1, stored["dek_row"], stored["shred_part"]).case == case
    lifting = DirectoryEntry.from_bytes(stored["lifting"])
    assert restriction_of(directory.extend([lifting]), case) is None

    note = stored["note"]
    place = Place(org, note["table"], note["column"], note["row"], note["row_version"])
    for private, member in ((daily, stored["member"]), (recovery, None)):
        assert open_member_note(private, member, case, place, note["envelope"]) == note["plaintext"]


def test_golden_handoff_part_and_content_digest() -> None:
    part = golden("handoff")
    manifest, group = part["manifest"], part["group"]
    header = ManifestHeader(
        manifest["version"],
        part["sender_org"],
        part["receiver_org"],
        manifest["kind"],
        manifest["service"],
        manifest["purpose"],
        manifest["urgency"],
    )
    assert group_mac(part["salt"], group, manifest["canonical"]) == manifest["macs"][group]
    digest = content_digest(header, manifest["macs"])
    assert digest == manifest["content_digest"]
    private = Secret(part["drop_private"])
    drop = DropPublic(part["receiver_org"], group, part["drop_no"], public_half(private))
    address = PartAddress(
        part["handoff"],
        part["sender_org"],
        part["receiver_org"],
        group,
        part["consent"],
        digest,
        part["expiry"],
    )
    opened = open_part(address, DropPrivate(drop, private), part["sender_public"], part["part"])
    assert (opened.payload, opened.salt) == (part["payload"], part["salt"])


def test_golden_password_keys_and_pepper_seal() -> None:
    stored = golden("members")
    password, totp = stored["password"], stored["totp"]
    pepper = Pepper.from_secret(Secret(stored["pepper"]))
    assert pepper.id == stored["pepper_id"]
    params = KdfParams(password["memory_kib"], password["time_cost"], password["parallelism"])
    stretched = stretch(password["text"], password["salt"], params)
    assert stretched == Secret(password["stretched"])
    keys = password_keys(pepper, stored["user"], stretched)
    assert keys.auth_hash == password["auth_hash"]
    floor = Floor(password["floor_epoch"], password["floor_head"])
    daily = Secret(password["daily_private"])
    assert open_daily(keys, stored["member"], params, password["daily"]) == (daily, floor)
    signing = open_signing(keys, stored["member"], params, password["signing"])
    assert signing.seed == Secret(password["signing_seed"])
    assert open_under_pepper(pepper, totp["label"].encode(), stored["user"], totp["sealed"]) == totp["seed"]


def test_golden_session_and_step_up() -> None:
    stored = golden("members")
    session, pepper = stored["session"], Pepper.from_secret(Secret(stored["pepper"]))
    token = Secret(session["token"])
    assert session_id(token) == session["id"]
    key = session_key(pepper, token)
    assert key == Secret(session["key"])
    opened = open_session(key, session["id"], session["sealed"])
    assert (opened.org, opened.member) == (stored["org"], stored["member"])
    assert [kek.group for kek in opened.keks] == session["groups"]
    assert [kek.secret.reveal() for kek in opened.keks] == session["keks"]
    signing = open_step_up(key, session["id"], session["step_up"], session["expires_at"] - 1)
    assert signing.seed == Secret(stored["password"]["signing_seed"])


def test_golden_draft() -> None:
    stored = golden("members")
    session, draft = stored["session"], stored["draft"]
    keys = open_session(Secret(session["key"]), session["id"], session["sealed"])
    place = Place(stored["org"], draft["table"], draft["column"], draft["row"], draft["row_version"])
    assert open_draft(keys, draft["case"], place, draft["sealed"]) == draft["plaintext"]


def test_golden_journal_pseudonyms() -> None:
    stored = golden("members")
    journal, pepper = stored["journal"], Pepper.from_secret(Secret(stored["pepper"]))
    assert pseudonym(journal["mapping_part"], journal["shred_part"]) == journal["pseudonym"]
    assert row_pseudonym(journal["pseudonym"], journal["row"]) == journal["row_pseudonym"]
    assert detail_commitment(journal["salt"], journal["detail"]) == journal["commitment"]
    assert source_hash(pepper, journal["source"]) == journal["source_hash"]
