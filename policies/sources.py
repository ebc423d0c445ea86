"""The policy files: reading them, the schema of a deployment, and the hash that names a loaded set."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

SCHEMA = "schema"
BASE = "base"

_HERE = Path(__file__).parent
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a set; ``name`` prefixes the ids of its policies (``base``, or an organisation's slug)."""

    name: str
    text: str


class NotAnOrganisation(ValueError):
    """A slug that no Cedar text or file name may be made of, or one without a policy file."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


def require_slug(slug: str) -> str:
    """Return ``slug`` when it is lower-case letters, digits, _ and -, and no file of the base set."""
    if not _SLUG.fullmatch(slug) or slug in {SCHEMA, BASE}:
        raise NotAnOrganisation(slug)
    return slug


def schema_source() -> Source:
    return Source(SCHEMA, (_HERE / "schema.cedarschema").read_text("utf-8"))


def base_source() -> Source:
    return Source(BASE, (_HERE / "base.cedar").read_text("utf-8"))


def org_source(org: str) -> Source:
    """Read the policy file of ``org``; ``NotAnOrganisation`` when it has none."""
    path = _HERE / "orgs" / f"{require_slug(org)}.cedar"
    if not path.is_file():
        raise NotAnOrganisation(org)
    return Source(org, path.read_text("utf-8"))


def schema_for(orgs: Iterable[str]) -> str:
    """The Cedar schema of a deployment: the schema file and the enum of its organisations."""
    names = ", ".join(f'"{require_slug(org)}"' for org in sorted(set(orgs)))
    return f"{schema_source().text}\nentity Org enum [{names}];\n"


def set_hash(sources: Sequence[Source]) -> str:
    """The hexadecimal SHA-256 of a set, over each file's name and text, each led by its length (u64le).

    Made over files, not over the generated enum: one more organisation leaves the others' hash alone.
    """
    digest = sha256()
    for part in (part for source in sources for part in (source.name, source.text)):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
