"""Whatever bytes stand where something sealed should be, opening them is refused by an error of this package."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.dek import DEK_ROW_SIZE, adopt_dek, dek_row_key_number, new_dek, unwrap_dek
from crypto.drop import drop_number, new_drop_key, unwrap_drop_private
from crypto.errors import CryptoError
from crypto.frame import seal_frame
from crypto.handoff import PartAddress, part_drop_number
from crypto.kek import new_kek
from crypto.opener import open_drop, open_frame, open_part
from crypto.place import Place
from crypto.secret import Secret
from crypto.session import open_pending, open_session, open_step_up
from crypto.signing import SigningKey

ORG, CASE, ID = b"O" * 16, b"C" * 16, b"I" * 32
KEK = new_kek(ORG, "health", 1)
NEW = new_dek(KEK, CASE)
DROP = new_drop_key(ORG, "health", 1)
PLACE = Place(org=ORG, table=1, column=1, row=b"r" * 16, row_version=1)
ADDRESS = PartAddress(b"h" * 16, b"A" * 16, ORG, "health", b"c" * 16, b"d" * 32, 1_900_000_000)
SENDER = SigningKey.new().public
KEY = Secret.random()

OPENERS: dict[str, Callable[[bytes], object]] = {
    "frame": lambda raw: open_frame(NEW.key, PLACE, raw),
    "envelope": lambda raw: open_drop(DROP, PLACE, raw),
    "envelope's number": drop_number,
    "part": lambda raw: open_part(ADDRESS, DROP, SENDER, raw),
    "part's number": part_drop_number,
    "key row": lambda raw: unwrap_dek(KEK, CASE, 1, raw, NEW.shred_part),
    "key row's number": dek_row_key_number,
    "dropped key row": lambda raw: adopt_dek(DROP, KEK, CASE, 1, raw),
    "drop key": lambda raw: unwrap_drop_private(KEK, 1, DROP.public.public, raw),
    "session": lambda raw: open_session(KEY, ID, raw),
    "step-up": lambda raw: open_step_up(KEY, ID, raw, 1_800_000_000),
    "pending session": lambda raw: open_pending(KEY, ID, CASE, raw),
}
# What only reads a number may find one in garbage.
NUMBERS = {name for name in OPENERS if name.endswith("number")}

# Garbage from the first byte on, or behind a header that is right.
garbage = st.one_of(
    st.binary(max_size=2 * DEK_ROW_SIZE),
    st.builds(
        lambda kind, rest: bytes([kind, 1]) + (1).to_bytes(4) + rest,
        st.integers(min_value=0, max_value=5),
        st.binary(max_size=2 * DEK_ROW_SIZE),
    ),
)


@pytest.mark.parametrize("name", OPENERS)
@given(raw=garbage)
def test_garbage_is_refused_and_nothing_else_is_raised(name: str, raw: bytes) -> None:
    try:
        OPENERS[name](raw)
    except CryptoError:
        return
    assert name in NUMBERS


@given(
    st.sampled_from(["org", "table", "column", "row", "row_version"]),
    st.binary(max_size=100),
    st.binary(min_size=16, max_size=16),
    st.integers(min_value=2, max_value=2**15),
)
def test_a_frame_opens_at_no_other_place(name: str, note: bytes, other_id: bytes, other: int) -> None:
    moved = replace(PLACE, **{name: other_id if name in {"org", "row"} else other})
    frame = seal_frame(NEW.key, PLACE, note)
    with pytest.raises(CryptoError):
        open_frame(NEW.key, moved, frame)
