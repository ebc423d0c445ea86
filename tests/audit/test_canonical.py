"""Restricted RFC 8785: one value, one byte string."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import MAX_BYTES, decode, encode
from audit.errors import NotCanonical

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_rfc_8785_section_3_2_2_without_its_floats() -> None:
    value = {
        "string": '€$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    expected = '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert encode(value) == expected.encode()


def test_rfc_8785_section_3_2_3_sorts_its_ascii_keys_by_code_unit() -> None:
    value = {"1": "One", "\r": "Carriage Return", "\x80"[:0]: "Empty", "</script>": "Browser Challenge"}
    expected = b'{"":"Empty","\\r":"Carriage Return","1":"One","</script>":"Browser Challenge"}'
    assert encode(value) == expected


def test_rfc_8785_appendix_b_integers_are_plain_decimals() -> None:
    assert (
        encode([0, -1, 9007199254740991, -9007199254740991]) == b"[0,-1,9007199254740991,-9007199254740991]"
    )


def test_control_characters_have_their_short_or_lowercase_escape() -> None:
    assert encode("\b\t\n\f\r\x00\x1b\x7f\u2028") == '"\\b\\t\\n\\f\\r\\u0000\\u001b\x7f\u2028"'.encode()


@pytest.mark.parametrize(
    "value",
    [1.5, 1.0, 2**53, -(2**53), float("nan"), {"é": 1}, {"a": [{"b": 0.0}]}, b"bytes", "\ud800", (1, 2)],
    ids=repr,
)
def test_a_value_outside_the_subset_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        encode(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b"1.0",
        b"1e2",
        b"-0",
        b"9007199254740992",
        b'"\\u0041"',
        b'"\\/"',
        b"[1]\n",
        b"\xef\xbb\xbf[1]",
        b'"\xff"',
        b"[" * 60_000,
        b"NaN",
        b"",
        b'"' + b"a" * MAX_BYTES + b'"',
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_bytes_that_are_not_canonical_are_refused(raw: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode(raw)


def test_nesting_without_end_is_refused() -> None:
    value: list[object] = []
    for _ in range(20_000):
        value = [value]
    with pytest.raises(NotCanonical):
        encode(value)  # type: ignore[arg-type]


def test_the_limit_is_65535_bytes() -> None:
    assert len(encode("a" * (MAX_BYTES - 2))) == MAX_BYTES
    with pytest.raises(NotCanonical):
        encode("a" * (MAX_BYTES - 1))


@settings(max_examples=60)
@given(json_values)
def test_what_is_encoded_decodes_to_the_same_value(value: object) -> None:
    assert decode(encode(value)) == value  # type: ignore[arg-type]


@settings(max_examples=60)
@given(json_values, json_values)
def test_two_values_never_share_their_bytes(one: object, other: object) -> None:
    # repr, because True == 1 in Python and not in JSON.
    same = repr(decode(encode(one))) == repr(decode(encode(other)))  # type: ignore[arg-type]
    assert (encode(one) == encode(other)) is same  # type: ignore[arg-type]
