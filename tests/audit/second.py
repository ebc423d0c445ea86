"""The second verifier, docs/audit/verify.py, asked what the first one is asked."""

import runpy
from pathlib import Path
from typing import Any

from audit.trust import Trust

PATH = Path(__file__).parents[2] / "docs" / "audit" / "verify.py"
_SECOND = runpy.run_path(str(PATH))


def exit_code(bundle: Path, trust: Trust) -> int:
    """What it would end with, given the same trust."""
    key_of = _SECOND["key_of"]
    trusted: list[dict[str, Any]] = [
        {"origin": head.origin, "size": head.size, "root": head.root} for head in trust.trusted
    ]
    code, _ = _SECOND["verify"](
        bundle,
        [key_of(str(key)) for key in trust.keys],
        trusted,
        [key_of(str(key)) for key in trust.rollup_keys],
        [key_of(str(key)) for key in trust.witnesses],
        [(one.receipt, key_of(str(one.key))) for one in trust.counterparts],
        trust.max_age,
        trust.now,
    )
    return int(code)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """What it says of an Ed25519 signature."""
    return bool(_SECOND["is_signed"](public, message, signature))


ORDER: int = _SECOND["ORDER"]
GLOBALS: dict[str, Any] = _SECOND["verify"].__globals__
