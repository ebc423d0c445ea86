#!/usr/bin/env python3
"""A second verifier of a journal, short enough to read before you trust it. It needs Python 3.11, and no more.

    python3 verify.py BUNDLE.zip --key VKEY [--trusted CHECKPOINT] [--rollup-key VKEY] [--witness VKEY]
                      [--counterpart RECEIPT --counterpart-key VKEY] [--max-age HOURS]

It shares no line with the first one (`casework audit verify`). Both follow format.md, which stands beside this
file, and must end in the same exit code. What decides is the last third, The journal: begin with `Journal.read`.
What comes before it reads one thing each, and stands alone: signatures, checkpoints, entries, the archive, and what
others vouch for (needed only with --rollup-key, --witness, --counterpart).
"""

import argparse
import functools
import hashlib
import hmac
import io
import itertools
import json
import re
import sys
import time
import zipfile
from base64 import b64decode, b64encode
from pathlib import Path

VALID, PRUNED, UNWITNESSED, STALE, INCOMPLETE, INCONSISTENT = 0, 10, 11, 12, 20, 30
WORDS = {
    0: "valid",
    10: "valid, pruned",
    11: "unwitnessed",
    12: "stale",
    20: "incomplete",
    30: "inconsistent",
}


class Fault(Exception):
    """Why the journal is at best `args[0]`, in words: `args[1]`."""


def sha256(content):
    return hashlib.sha256(content).digest()


# Ed25519, as in RFC 8032 section 5.1.7: plain, and fast enough for a journal's checkpoints (0.5 ms each)

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(one, other):
    """The sum of two points in extended coordinates (X, Y, Z, T): section 5.1.4."""
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % P, (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


NEUTRAL = 0, 1, 1, 0


@functools.lru_cache(maxsize=8)
def multiples(point):
    """Of each power of 256 up to the 31st the multiples by 0 to 255: the same few keys sign everything."""
    rows = []
    for _ in range(32):
        row = list(itertools.accumulate([point] * 255, add, initial=NEUTRAL))
        point = add(row[255], point)
        rows.append(row)
    return rows


def times(scalar, point):
    """The sum of a multiple for each of the 32 bytes of the scalar."""
    total = NEUTRAL
    for row, byte in zip(multiples(point), scalar.to_bytes(32, "little"), strict=True):
        total = add(total, row[byte])
    return total


@functools.lru_cache(maxsize=8)
def point_of(encoded):
    """Section 5.1.3; None where no point is encoded so."""
    y, sign = int.from_bytes(encoded, "little") & (2**255 - 1), encoded[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


# The eight points of small order have five y among them (x with either sign): for such a key a signature holds for
# many messages, or for all. Listed in Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs" (SSR 2020).
SMALL_ORDER = {
    0,
    1,
    P - 1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
}


def is_sound(public):
    """Whether only one who holds the key can sign with it, and it has no other form."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    return y < P and y not in SMALL_ORDER


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(public, message, signature):
    """Whether s·B - k·A is the R that the signature begins with, compared as it is encoded (section 5.1.2)."""
    key, r, s = point_of(public), signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or key is None or not is_sound(public) or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % ORDER
    minus_key = -key[0] % P, key[1], 1, -key[3] % P
    x, y, z, _ = add(times(s, BASE), times(k, minus_key))
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == r


# Checkpoints


def unmarked(origin):
    """A restored log has a mark ~YYYYMMDDHHMMSS in its name: without it, all its incarnations have one name."""
    return re.sub(r"~[0-9]{14}(?=/|\Z)", "", origin)


def key_of(vkey):
    """(name, type, public key, id) of NAME+ID+BASE64(type ‖ public key)."""
    name, _, material = vkey.split("+", 2)
    raw = b64decode(material, validate=True)
    key = name, raw[0], raw[1:], sha256(name.encode() + b"\n" + raw)[:4]
    if len(raw) != 33 or not is_sound(raw[1:]) or vkey != f"{name}+{key[3].hex()}+{b64encode(raw).decode()}":
        raise ValueError("not a verification key")
    return key


def exactly(encoded):
    """The bytes of base64 that has no other form."""
    raw = b64decode(encoded, validate=True)
    if b64encode(raw).decode() != encoded:
        raise ValueError("not canonical base64")
    return raw


def read_note(text):
    """A signed checkpoint, not yet verified."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        body, separator, trailer = text.rpartition("\n\n")
        origin, size, root = body.split("\n")
        signatures = []
        for line in trailer.removesuffix("\n").split("\n"):
            dash, name, material = line.split(" ")
            raw = exactly(material)
            if dash != "—" or len(raw) < 5 or not name or re.search(r"[+\s]", name):
                raise ValueError
            signatures.append((name, raw[:4], raw[4:]))
        if not separator or not trailer.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", text):
            raise ValueError
        if not re.fullmatch(r"0|[1-9][0-9]{0,15}", size, re.ASCII) or int(size) >= 2**53:
            raise ValueError
        if re.search(r"[+\s]|\A\Z", origin):
            raise ValueError
        hashed = exactly(root)
        if len(hashed) != 32:
            raise ValueError
    except ValueError:
        raise Fault(INCONSISTENT, "a checkpoint is not in the prescribed form") from None
    head = {"origin": origin, "size": int(size), "root": hashed}
    return {**head, "text": body + "\n", "signatures": signatures}


def log_has_signed(note, keys):
    """Whether one of the log's keys has signed the checkpoint, and none of them wrongly."""
    found = False
    for name, kind, public, key_id in keys:
        signed_by = name, key_id
        if unmarked(name) == unmarked(note["origin"]):
            # A restored log keeps its key under its new name, from which the key's id is computed.
            signed_by = note["origin"], sha256(note["origin"].encode() + b"\n\x01" + public)[:4]
        for signer, its_id, signature in note["signatures"]:
            if kind == 1 and (signer, its_id) == signed_by:
                if signer != note["origin"] or not is_signed(public, note["text"].encode(), signature):
                    return False
                found = True
    return found


# Entries: one has a single form, so one pattern says it all but the order of numbers

CODE, POLICY = r"[a-z][a-z0-9_.]{0,99}", r"[a-z][a-z0-9_.-]{0,99}"
UUID, TOKEN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"[0-9a-f][0-9a-f-]{7,35}"
HEX32, FROM_0, FROM_1 = r"[0-9a-f]{64}", r"(?:0|[1-9][0-9]{0,15})", r"[1-9][0-9]{0,15}"


def many(pattern):
    return rf"\[(?:{pattern}(?:,{pattern})*)?\]"


def or_null(pattern):
    return f'(?:null|"{pattern}")'


POLICIES = many(f'"{POLICY}"')
ROW = rf'\{{"r":"{HEX32}","v":{FROM_0}\}}'
PERSON = rf'\{{"p":"{HEX32}","rows":{many(ROW)}\}}'
SITUATION = rf'\{{"allowed":{POLICIES},"denied":{POLICIES},"holds":{POLICIES}\}}'
ASKED = rf'(?:"asked":\[{SITUATION}(?:,{SITUATION})*\],)?'
STANDS_FOR = "".join(f'(?:"{name}":"{UUID}",)?' for name in ("consent", "glass", "handoff"))
FIELDS = {
    "action": f'"{CODE}"',
    "actor": or_null(UUID),
    "auth": '"(?:none|password|mfa|step_up)"',
    "basis": rf'\{{{ASKED}{STANDS_FOR}"policies":{POLICIES},"set":{or_null(HEX32)}\}}',
    "count": f"(?:null|{FROM_0})",
    "detail": or_null(HEX32),
    "id": f'"{UUID}"',
    "lane": rf'\{{"n":{FROM_1},(?:"void":\[{FROM_1}(?:,{FROM_1})*\],)?"writer":"{TOKEN}"\}}',
    "log": r'"(?:[!#-*,-\[\]-~]|\\["\\]){1,200}"',
    "nonce": '"[0-9a-f]{32}"',
    "outcome": '"(?:allowed|denied|failed)"',
    "purpose": or_null(CODE),
    "reason": or_null(CODE),
    "request": f'"{TOKEN}"',
    "role": or_null(CODE),
    "source": or_null(HEX32),
    "subjects": many(PERSON),
    "time": FROM_0,
    "v": "1",
}
FORM = re.compile((r"\{" + ",".join(f'"{name}":{form}' for name, form in FIELDS.items()) + r"\}").encode())


def read_entry(raw):
    """The entry; None where the bytes are not of the prescribed form."""
    if len(raw) > 65_535 or not FORM.fullmatch(raw):
        return None
    entry = json.loads(raw)
    given = [*entry["lane"].get("void", []), entry["lane"]["n"]]
    persons = [person["p"] for person in entry["subjects"]]
    versions = [row["v"] for person in entry["subjects"] for row in person["rows"]]
    ascends = all(a < b for a, b in itertools.pairwise(given))
    fits = max(given[-1], entry["time"], entry["count"] or 0, *versions, 0) < 2**53
    return entry if ascends and fits and len(set(persons)) == len(persons) else None


# The archive

# The largest tile of entries; and of how many entries, writers and void numbers a verifier keeps count.
LARGEST = 256 * 65_537
MOST_ENTRIES, MOST_WRITERS, MOST_VOID = 2**23, 2**16, 2**20


def tile_name(level, index, width):
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = f"tile/{level}/" + "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return name if width == 256 else f"{name}.p/{width}"


def tiles_of(nodes):
    """(index, width) of the tiles that hold so many hashes."""
    return ((first // 256, min(256, nodes - first)) for first in range(0, nodes, 256))


class ArchiveFile(io.FileIO):
    """zipfile reads the list of members at once: refused where it is longer than a tile of the largest entries."""

    def read(self, size=-1):
        if size > LARGEST:
            raise Fault(INCONSISTENT, "the archive has too many members")
        return super().read(size)

    def __del__(self):
        self.close()


class Archive:
    def __init__(self, path):
        try:
            self.zip = zipfile.ZipFile(ArchiveFile(path))
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
            raise Fault(INCOMPLETE, "not a readable zip") from None
        infos = self.zip.infolist()
        self.members = {info.filename: info for info in infos}
        if len(self.members) < len(infos):
            raise Fault(INCONSISTENT, "a member stands twice in the archive")
        if any(info.flag_bits & 1 or info.compress_type not in {0, 8} for info in infos):
            raise Fault(INCONSISTENT, "a member is encrypted, or compressed in another way")

    def read(self, name, limit):
        if name not in self.members:
            raise Fault(INCOMPLETE, f"{name} is missing")
        if self.members[name].file_size > limit:
            raise Fault(INCONSISTENT, f"{name} is too large")
        try:
            with self.zip.open(name) as member:
                # One byte more: zipfile stops where it was told that the member ends, and checks the sum.
                return member.read(self.members[name].file_size + 1)
        except Exception:  # whatever a damaged archive makes zipfile raise
            raise Fault(INCOMPLETE, f"{name} cannot be read") from None

    def items(self, name, limit):
        """What stands one after another, each after its length of two bytes."""
        raw, at, found = self.read(name, limit), 0, []
        while at < len(raw):
            end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
            found.append(raw[at + 2 : end])
            at = end
        if at != len(raw):
            raise Fault(INCONSISTENT, f"{name} is cut short")
        return found

    def hashes(self, level, index, width):
        name = tile_name(level, index, width)
        raw = self.read(name, 8_192)
        if len(raw) != 32 * width:
            raise Fault(INCONSISTENT, f"{name} has the wrong length")
        # A hash that the journal lacked when it was exported is given as zeros.
        nodes = [raw[at : at + 32] for at in range(0, len(raw), 32)]
        return [None if node == bytes(32) else node for node in nodes]

    def details(self):
        """The commitment (HMAC-SHA256 under its salt) that each disclosed detail makes, by its entry's id."""
        raw = self.read("details", LARGEST) if "details" in self.members else b""
        found, at = [], 0
        while at < len(raw):
            # The id has 36 bytes, the length of the text two, the salt 32.
            entry_id, salt, end = raw[at : at + 36], raw[at + 38 : at + 70], at + 70
            end += int.from_bytes(raw[at + 36 : at + 38], "big")
            found.append((entry_id, hmac.digest(salt, raw[at + 70 : end], "sha256").hex()))
            at = end
        if at != len(raw) or len(dict(found)) < len(found):
            raise Fault(INCONSISTENT, "the disclosed details are cut short, or one stands there twice")
        return dict(found)

    def first_index(self):
        """Where the entries begin: those before are pruned."""
        names = [name[13:] for name in self.members if name.startswith("tile/entries/")]
        digits = [re.sub(r"\.p/.*|[x/]", "", name, flags=re.DOTALL) for name in names]
        if not all(re.fullmatch("[0-9]{1,15}", found, re.ASCII) for found in digits):
            raise Fault(INCONSISTENT, "the archive has members that do not belong there")
        return 256 * min(map(int, digits), default=0)

    def require_no_other(self, size, first):
        if size > MOST_ENTRIES:
            raise Fault(INCOMPLETE, "the journal has more entries than an archive may have")
        if size > 256 * len(self.members):
            raise Fault(INCOMPLETE, "the archive is smaller than its checkpoint says")
        expected = {"checkpoint", "checkpoints", "rollup/leaf", "rollup/proof", "details"}
        expected |= {tile_name(0, *tile) for tile in tiles_of(size)}
        expected |= {tile_name("entries", *tile) for tile in tiles_of(size) if tile[0] * 256 >= first}
        for level in range(1, 7):
            expected |= {tile_name(level, *tile) for tile in tiles_of(size >> 8 * level)}
        if not self.members.keys() <= expected:
            raise Fault(INCONSISTENT, "the archive has members that do not belong there")


# What others vouch for: a roll-up that witnesses signed, a receipt of a partner


def read_receipt(text):
    """(index, hashes, checkpoint, bytes of the entry or None), not yet verified."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        head, separator, note = text.partition("\n\n")
        header, *lines = head.split("\n")
        extra = lines.pop(0)[6:] if lines and lines[0].startswith("extra ") else None
        index = re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[0], re.ASCII)
        hashes = [exactly(line) for line in lines[1:]]
        if not separator or header != "c2sp.org/tlog-proof@v1" or not index or len(hashes) > 64:
            raise ValueError
        return int(index[1]), hashes, read_note(note), None if extra is None else exactly(extra)
    except (ValueError, IndexError):
        raise Fault(INCONSISTENT, "a receipt is not in the prescribed form") from None


def root_above(index, size, node, hashes):
    """The root that `hashes` lead to from leaf `index` (RFC 9162 section 2.1.3.2); None where they lead nowhere."""
    last = size - 1
    if not 0 <= index < size or any(len(one) != 32 for one in hashes):
        return None
    for sibling in hashes:
        if not last:
            return None
        if index & 1 or index == last:
            node = sha256(b"\x01" + sibling + node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = sha256(b"\x01" + node + sibling)
        index, last = index >> 1, last >> 1
    return None if last else node


def is_proved(data, index, hashes, note):
    return root_above(index, note["size"], sha256(b"\x00" + data), hashes) == note["root"]


def counterpart_id(text, key):
    """The id of the entry of a partner's log that its receipt proves; a handoff has one id in both logs."""
    index, hashes, note, raw = read_receipt(text)
    entry = read_entry(raw or b"")
    if entry is None or not log_has_signed(note, [key]) or not is_proved(raw, index, hashes, note):
        raise Fault(INCOMPLETE, "a partner's receipt proves nothing")
    return entry["id"]


def witness_has_signed(note, witness):
    name, kind, public, key_id = witness
    for signer, its_id, signature in note["signatures"]:
        if kind == 4 and (signer, its_id) == (name, key_id):
            at = int.from_bytes(signature[:8], "big")
            return is_signed(public, f"cosignature/v1\ntime {at}\n{note['text']}".encode(), signature[8:])
    return False


def rolled_up_head(leaf, proof, origin):
    """(head, the roll-up's checkpoint): the head (three lines) of the log of this origin that the roll-up holds."""
    # Without a signature the head is no note: it gets one that nobody made.
    head, (index, hashes, note, _) = read_note(leaf + b"\n\xe2\x80\x94 x AAAAAAA=\n"), read_receipt(proof)
    mine = unmarked(origin)
    rollups = {mine + "/rollup", mine.rpartition("/")[0] + "/rollup"}
    is_of_mine = unmarked(head["origin"]) == mine and unmarked(note["origin"]) in rollups
    if not is_of_mine or not is_proved(leaf, index, hashes, note):
        raise Fault(INCONSISTENT, "the roll-up does not hold the checkpoint that is said to be there")
    return head, note


# The journal


class Lanes:
    """Each writer numbers its entries from 1, and lists as void what it gave to a transaction that failed."""

    def __init__(self, *, pruned):
        self.pruned, self.seen, self.void, self.newest = pruned, {}, {}, {}
        self.declared, self.has_too_many = 0, False

    def take(self, lane, at):
        """Note a number; says what is wrong with it, or nothing."""
        writer, n, declared = lane["writer"], lane["n"], lane.get("void", [])
        # No journal has so many. What is beyond is not followed, which is said once everything is read.
        if self.declared + len(declared) > MOST_VOID:
            self.has_too_many, declared = True, []
        self.declared += len(declared)
        if writer not in self.seen and len(self.seen) == MOST_WRITERS:
            self.has_too_many = True
            return None
        seen, void = self.seen.setdefault(writer, {}), self.void.setdefault(writer, set())
        void.update(declared)
        if n in seen:
            return "its number was used before"
        seen[n] = at
        if at < self.newest.get(writer, 0) - 60_000_000:
            return "its time goes back"
        self.newest[writer] = max(at, self.newest.get(writer, 0))
        return None

    def lacks(self):
        """What is missing: numbers that should be there by now, 30 s after the ones that follow them."""
        if self.has_too_many:
            yield "there are more writers or void numbers than are followed"
        newest = max((at for seen in self.seen.values() for at in seen.values()), default=0)
        for writer, seen in self.seen.items():
            # Of a pruned journal nobody knows which number came first, and its first entries may be out of order.
            following = next(iter(seen)) if self.pruned else 1
            for n in sorted(number for number in seen if number >= following):
                while following < n and following in self.void[writer]:
                    following += 1
                if following < n:
                    if newest - seen[n] > 30_000_000:
                        yield f"writer {writer} has no entry {following}"
                    break
                following = n + 1


class Heartbeats:
    """A serving process promises when its next sign of life comes at the latest; a new start ends a stoppage."""

    def __init__(self):
        self.newest = self.promised = None

    def take(self, entry):
        """Note an entry; says what is wrong with it, or nothing."""
        if (entry["action"], entry["outcome"]) != ("log.heartbeat", "allowed"):
            return None
        is_late = self.promised is not None and entry["time"] > self.promised
        self.promised = entry["time"] + ((entry["count"] or 0) + 60) * 1_000_000
        self.newest = max(entry["time"], self.newest or 0)
        return "a sign of life is late" if is_late and entry["reason"] != "started" else None


class Journal:
    """One reading of an archive: each entry once, and the tree of RFC 6962 over them as it grows."""

    def __init__(self, archive, keys, trusted, rollup_keys, witnesses):
        self.archive, self.given, self.faults = archive, keys, []
        self.trusted = [{**note, "is_vouched": True} for note in trusted]
        self.rollup_keys, self.witnesses = rollup_keys, witnesses
        # The keys trusted so far, and those announced by entries that no trusted checkpoint covers yet.
        self.keys, self.waiting, self.announced = list(keys), [], set()
        # Sizes: of the first checkpoint that they signed, and of the last that they did not.
        self.first_signed = self.last_unsigned = None
        self.latest = read_note(archive.read("checkpoint", 65_535))
        self.size, self.first = self.latest["size"], archive.first_index()
        self.lanes, self.ids, self.incarnation = Lanes(pruned=self.first > 0), set(), None
        self.heartbeats, self.newest, self.pruned_to, self.details = Heartbeats(), 0, 0, {}
        # The full subtrees that cover the leaves so far, largest first. It is not whole where a hash is missing,
        # and broken where one is not the stored one, which is said once.
        self.stack, self.is_whole, self.is_broken = [], True, False

    def fault(self, code, words):
        self.faults.append((code, words))

    def read(self):
        self.details = self.archive.details()
        heads = self.heads()
        above = self.hashes_above_the_leaves()
        self.archive.require_no_other(self.size, self.first)
        self.compare(heads.get(0, []))
        for index, width in tiles_of(self.size):
            leaves = self.archive.hashes(0, index, width)
            raws = [b""] * width
            if index * 256 >= self.first:
                raws = self.archive.items(tile_name("entries", index, width), LARGEST)
                if len(raws) != width:
                    raise Fault(INCONSISTENT, "a tile has not as many entries as hashes")
            for at, (leaf, raw) in enumerate(zip(leaves, raws, strict=True), index * 256):
                self.check_leaf(at, leaf, raw)
                self.check_entry(at, raw)
                self.grow(at, sha256(b"\x00" + raw) if raw else leaf, above)
                self.compare(heads.get(at + 1, []))
        if self.incarnation not in {None, self.latest["origin"]}:
            self.fault(INCONSISTENT, "the last entry is of another name than the checkpoint")

    def heads(self):
        """Every checkpoint that the tree must agree with, by the size at which it must."""
        heads = {}
        for note in [*self.trusted, *self.rolled_up()]:
            if unmarked(note["origin"]) != unmarked(self.latest["origin"]):
                self.fault(INCONSISTENT, "the trusted checkpoint is of another journal")
            elif note["size"] > self.size:
                was_restored = note["origin"] < self.latest["origin"]
                words = f"{note['size']} entries were vouched for, and {self.size} are here"
                self.fault(INCOMPLETE if was_restored else INCONSISTENT, words)
            else:
                heads.setdefault(note["size"], []).append(note)
        for note in [*self.earlier(), self.latest]:
            heads.setdefault(note["size"], []).append(note)
        return heads

    def rolled_up(self):
        """The head of this log in the roll-up, vouched for where everybody who was asked for has signed."""
        asked, names = self.rollup_keys or self.witnesses, ("rollup/leaf", "rollup/proof")
        if not self.archive.members.keys() & names:
            if asked:
                self.fault(UNWITNESSED, "no checkpoint of this journal was rolled up")
            return
        members = [self.archive.read(name, 65_535) for name in names]
        try:
            head, note = rolled_up_head(*members, self.latest["origin"])
        except Fault as fault:
            self.fault(*fault.args)
            return
        missing = [witness[0] for witness in self.witnesses if not witness_has_signed(note, witness)]
        if self.rollup_keys and not log_has_signed(note, self.rollup_keys):
            missing.append(note["origin"])
        for name in missing:
            self.fault(UNWITNESSED, f"{name} has not signed the roll-up")
        yield {**head, "is_vouched": bool(asked) and not missing}

    def earlier(self):
        previous = -1
        for raw in self.archive.items("checkpoints", 2**62):
            try:
                note = read_note(raw)
                is_in_place = previous < note["size"] < self.size
            except Fault:
                is_in_place = False
            if not is_in_place or unmarked(note["origin"]) != unmarked(self.latest["origin"]):
                self.fault(INCONSISTENT, "an earlier checkpoint is malformed, or not in its place")
                return
            previous = note["size"]
            yield note

    def hashes_above_the_leaves(self):
        """The stored hashes of the levels 8, 16, …: (level, index) → hash."""
        return {
            (8 * level, 256 * index + at): node
            for level in range(1, 7)
            for index, width in tiles_of(self.size >> 8 * level)
            for at, node in enumerate(self.archive.hashes(level, index, width))
        }

    def check_leaf(self, at, leaf, raw):
        if leaf is None or (not raw and at >= self.first):
            self.is_broken = True
            self.fault(INCOMPLETE, f"entry {at} or its hash is missing")
        elif raw and sha256(b"\x00" + raw) != leaf:
            self.is_broken = True
            self.fault(INCONSISTENT, f"entry {at} is not the one that was logged")

    def check_entry(self, at, raw):
        if not raw:
            return
        entry = read_entry(raw)
        if entry is None:
            self.fault(INCONSISTENT, f"entry {at} is not in the prescribed form")
            return
        begins = self.incarnation is None or entry["action"] == "log.restored"
        if begins and unmarked(entry["log"]) == unmarked(self.latest["origin"]):
            self.incarnation = entry["log"]
        if entry["log"] != self.incarnation or entry["id"] in self.ids:
            self.fault(INCONSISTENT, f"entry {at} is of another log, or its id was used before")
        self.ids.add(entry["id"])
        wrong = self.lanes.take(entry["lane"], entry["time"])
        if wrong:
            self.fault(INCONSISTENT, f"entry {at}: {wrong}")
        late = self.heartbeats.take(entry)
        if late:
            self.fault(INCOMPLETE, f"entry {at}: {late}")
        if self.details.pop(entry["id"].encode(), entry["detail"]) != entry["detail"]:
            self.fault(INCONSISTENT, f"the disclosed detail is not that of entry {at}")
        self.newest = max(self.newest, entry["time"])
        if entry["outcome"] == "allowed":
            self.heed(at, entry)

    def heed(self, at, entry):
        """What an entry says about the journal itself."""
        count, public = entry["count"] or 0, entry["basis"]["set"]
        if entry["action"] == "log.prune" and count <= at:
            self.pruned_to = max(self.pruned_to, count)
        elif entry["action"] == "log.key_rotated" and public:
            if not is_sound(bytes.fromhex(public)):
                self.fault(
                    INCONSISTENT, f"entry {at} announces a key that others than its holder can sign with"
                )
                return
            raw = b"\x01" + bytes.fromhex(public)
            key_id = sha256(entry["log"].encode() + b"\n" + raw)[:4]
            self.waiting.append((entry["log"], 1, raw[1:], key_id))
            self.announced.add(raw[1:])
        elif entry["action"] == "log.key_retired" and public:
            self.keys, self.waiting = (
                [key for key in keys if key[2] != bytes.fromhex(public)] for keys in (self.keys, self.waiting)
            )

    def grow(self, index, node, above):
        """Add a leaf hash; each full subtree that it completes must be the stored one, where one is stored."""
        self.is_whole &= node is not None
        node, level = node or bytes(32), 0
        while index & 1:
            node, level, index = sha256(b"\x01" + self.stack.pop() + node), level + 1, index >> 1
            if level % 8 == 0 and not self.is_broken and above[level, index] != node:
                self.is_broken = True
                self.fault(INCONSISTENT, f"the stored hash {index} of level {level} is another")
        self.stack.append(node)

    def is_signed(self, note):
        if not log_has_signed(note, self.keys):
            self.last_unsigned = note["size"]
            return False
        self.first_signed = note["size"] if self.first_signed is None else self.first_signed
        return True

    def lacks_signature(self):
        """Who was given a key that the journal announced later has none for what came before it signed."""
        came_later = any(key[2] in self.announced for key in self.given) and self.first_signed is not None
        return self.last_unsigned is not None and not (came_later and self.last_unsigned < self.first_signed)

    def compare(self, heads):
        """Hold the tree against checkpoints of its size. A new key is trusted once an old one covers its entry."""
        if not heads:
            return
        root = self.stack[-1] if self.stack else sha256(b"")
        for left in reversed(self.stack[:-1]):
            root = sha256(b"\x01" + left + root)
        for note in heads:
            is_vouched = note["is_vouched"] if "is_vouched" in note else self.is_signed(note)
            if note["root"] != root and self.is_whole:
                was_lost = self.incarnation is not None and note["origin"] < self.incarnation
                words = f"the entries do not lead to the checkpoint of size {note['size']}"
                self.fault(INCOMPLETE if was_lost else INCONSISTENT, words)
            elif is_vouched and self.is_whole:
                self.keys, self.waiting = self.keys + self.waiting, []

    def conclude(self, partners, max_age, now):
        """What can be said once everything is read."""
        if self.details:
            self.fault(INCOMPLETE, "a disclosed detail is that of no readable entry")
        for entry_id in partners:
            if entry_id not in self.ids:
                self.fault(INCOMPLETE, f"a partner's journal has the entry {entry_id}, and this one has not")
        for words in self.lanes.lacks():
            self.fault(INCOMPLETE, words)
        if self.first:
            self.fault(PRUNED, f"pruned up to entry {self.first}")
            if self.pruned_to < self.first:
                self.fault(INCOMPLETE, "entries are missing that the journal does not call pruned")
        if self.given and self.lacks_signature():
            self.fault(INCONSISTENT, "a checkpoint is not signed by the key that was given")
        vouched = max((note["size"] for note in self.trusted), default=0)
        if not self.given and (vouched < self.size or not vouched):
            self.fault(INCOMPLETE, f"without a key nothing is proved beyond {vouched} entries")
        newest = self.newest if self.heartbeats.newest is None else self.heartbeats.newest
        if max_age is not None and newest < now - max_age:
            self.fault(STALE, "the newest sign of life is older than that")


def verify(path, keys, trusted=(), rollup_keys=(), witnesses=(), counterparts=(), max_age=None, now=0):
    """(exit code, what was found). Keys are as `key_of` reads them, checkpoints as `read_note`, times in µs.

    `counterparts`: pairs of the text of a partner's receipt and the key of her log.
    """
    try:
        journal = Journal(Archive(path), keys, trusted, rollup_keys, witnesses)
    except Fault as fault:
        return fault.args[0], [fault.args[1]]
    partners = []
    for text, key in counterparts:
        try:
            partners.append(counterpart_id(text, key))
        except Fault as fault:
            journal.fault(INCOMPLETE, fault.args[1])
    try:
        journal.read()
    except Fault as fault:
        journal.fault(*fault.args)
    journal.conclude(partners, max_age, now)
    return max((code for code, _ in journal.faults), default=VALID), [words for _, words in journal.faults]


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("bundle", type=Path)
    several = {"action": "append", "default": []}
    for name, kind, how, words in (
        ("--key", key_of, several, "the journal's verification key"),
        ("--trusted", Path, several, "a checkpoint that you kept"),
        ("--rollup-key", key_of, several, "the key of the deployment's roll-up"),
        ("--witness", key_of, several, "who must have signed the roll-up"),
        ("--counterpart", Path, {}, "the receipt of an entry of a partner's journal"),
        ("--counterpart-key", key_of, {}, "the verification key of that journal"),
        ("--max-age", float, {}, "how old the newest sign of life may be, in hours"),
    ):
        parser.add_argument(name, type=kind, help=words, **how)
    asked = parser.parse_args()
    age = None if asked.max_age is None else int(asked.max_age * 3_600_000_000)
    try:
        # As text: a mail program may have given a file other line ends, or a mark at its beginning.
        trusted = [read_note(path.read_text("utf-8-sig")) for path in asked.trusted]
        kept = [] if asked.counterpart is None else [asked.counterpart]
        receipts = [path.read_text("utf-8-sig", errors="replace") for path in kept]
    except (OSError, UnicodeDecodeError, Fault):
        parser.error("--trusted, --counterpart: not a checkpoint, or not a file")
    if len(receipts) != (asked.counterpart_key is not None):
        parser.error("--counterpart and --counterpart-key go together")
    partners = [(receipt, asked.counterpart_key) for receipt in receipts]
    now = int(time.time() * 1_000_000)
    code, found = verify(
        asked.bundle, asked.key, trusted, asked.rollup_key, asked.witness, partners, age, now
    )
    print("\n".join([*found[:20], WORDS[code]]))
    return code


if __name__ == "__main__":
    sys.exit(main())
