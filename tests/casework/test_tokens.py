"""A session's token on the wire: one text for each, and anything else is nobody's."""

from hypothesis import given
from hypothesis import strategies as st

from casework.errors import NotSignedIn
from casework.routing import TOKEN_SIZE, decode_token, encode_token
from crypto.secret import Secret


@given(st.binary(min_size=TOKEN_SIZE, max_size=TOKEN_SIZE))
def test_a_token_reads_back_from_its_one_text(raw: bytes) -> None:
    text = encode_token(Secret(raw))
    assert decode_token(text).reveal() == raw
    assert len(text) == 2 * TOKEN_SIZE


@given(
    st.text()
    | st.text(alphabet="0123456789abcdefABCDEF ", min_size=60, max_size=70)
    | st.text(alphabet="٠١٢٣٤٥٦٧٨٩", min_size=64, max_size=64)
)
def test_any_other_text_is_refused_and_nothing_else_is_raised(text: str) -> None:
    try:
        secret = decode_token(text)
    except NotSignedIn:
        return
    assert encode_token(secret) == text
