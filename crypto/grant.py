"""Grants: a compartment's KEK, sealed to a member's daily key and certified in the directory.

HPKE Base names no sender, so the sealed bytes alone prove nothing: they count only together with the
directory entry that carries their hash under the granter's signature.
"""

from hashlib import sha256
from hmac import compare_digest

from crypto.directory import Directory
from crypto.directory_entries import DirectoryEntry, EntrySigner, GrantBody
from crypto.directory_rules import Grant
from crypto.errors import GrantRefused
from crypto.header import PREFIX, require_prefix
from crypto.hpke import hpke_open, hpke_seal
from crypto.kek import Kek, certified_kek
from crypto.pae import pae
from crypto.secret import Secret
from crypto.widths import label_bytes, u32

_LABEL = b"csm/grant/v1"


def make_grant(
    directory: Directory, kek: Kek, member: bytes, granter: EntrySigner
) -> tuple[DirectoryEntry, bytes]:
    """Return the directory's next entry and the sealed KEK for one member.

    Sealed: 01 | 01 | enc 32 | ciphertext 32 | tag 16; HPKE info = PAE("csm/grant/v1", org, group, kek_no
    u32be, kid, member, member_key_fp, granter, epoch u32be). The member's key is the directory's, never the
    request's. Raises GrantRefused for a KEK or member that the directory does not certify, DirectoryRefused
    for a granter who does not hold the group.
    """
    keys = directory.members.get(member)
    if keys is None:
        raise GrantRefused("member not certified")
    if kek.org != directory.org or directory.kids.get((kek.group, kek.number)) != kek.kid:
        raise GrantRefused("key not certified")
    info = _info(
        directory.org,
        Grant(
            epoch=directory.epoch + 1,
            group=kek.group,
            kek_no=kek.number,
            kid=kek.kid,
            member=member,
            member_key_fp=keys.fingerprint,
            granter=granter.id,
            sealed_hash=b"",
        ),
    )
    sealed = PREFIX + hpke_seal(keys.daily_public, info, kek.secret.reveal())
    sealed_hash = sha256(sealed).digest()
    body = GrantBody(kek.group, kek.number, kek.kid, member, keys.fingerprint, sealed_hash)
    return directory.next_entry(body, granter), sealed


def open_grant(directory: Directory, epoch: int, sealed: bytes, member: bytes, daily_private: Secret) -> Kek:
    """Return the KEK that the grant of this epoch gives the member.

    Raises GrantRefused when no standing entry certifies these bytes for her (unsigned, superseded, of a
    removed member or reset key) or when they hold another key than the certified one (planted), SealBroken
    when they do not open with her daily key.
    """
    grant = directory.grants.get(epoch)
    if grant is None or grant.member != member:
        raise GrantRefused("no such grant")
    if not compare_digest(sha256(sealed).digest(), grant.sealed_hash):
        raise GrantRefused("not the certified bytes")
    require_prefix(sealed)
    secret = Secret(hpke_open(daily_private, _info(directory.org, grant), sealed[len(PREFIX) :]))
    return certified_kek(directory.org, grant.group, grant.kek_no, secret, grant.kid, directory.case_minimum)


def _info(org: bytes, grant: Grant) -> bytes:
    return pae(
        _LABEL,
        org,
        label_bytes(grant.group),
        u32(grant.kek_no),
        grant.kid,
        grant.member,
        grant.member_key_fp,
        grant.granter,
        u32(grant.epoch),
    )
