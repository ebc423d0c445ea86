import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.algorithms import Algorithm, aead_for
from crypto.errors import AlgorithmRefused, EncodingRefused, SealBroken
from crypto.header import Kind, pack_header, read_header, require_prefix
from crypto.padding import pad, padded_size, unpad
from crypto.pae import pae, unpae
from crypto.place import Place
from crypto.widths import exactly, label_bytes, label_text, u16, u32, u64, xor

LISTS = st.lists(st.binary(max_size=12), max_size=5)


def test_pae_is_the_paseto_encoding() -> None:
    assert pae() == bytes(8)
    assert pae(b"") == b"\x01" + bytes(7) + bytes(8)
    assert pae(b"test") == b"\x01" + bytes(7) + b"\x04" + bytes(7) + b"test"


@given(LISTS, LISTS)
def test_pae_is_injective(left: list[bytes], right: list[bytes]) -> None:
    assert (pae(*left) == pae(*right)) == (left == right)


@given(LISTS)
def test_pae_decodes_to_what_was_encoded(parts: list[bytes]) -> None:
    assert unpae(pae(*parts)) == tuple(parts)


@given(st.binary(max_size=64))
def test_unpae_accepts_nothing_but_an_encoding(data: bytes) -> None:
    try:
        parts = unpae(data)
    except EncodingRefused:
        return
    assert pae(*parts) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01" + bytes(7),
        pae(b"abc")[:-1],
        pae(b"abc") + b"\0",
        b"\xff" * 8,
        b"\x01" + bytes(7) + b"\xff" * 16,
        b"\x02" + bytes(7) + b"\x08" + bytes(7) + bytes(8),
    ],
)
def test_a_cut_or_lengthened_pae_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingRefused):
        unpae(data)


@given(st.integers(min_value=0, max_value=1 << 31))
def test_padme_adds_at_most_an_eighth_above_the_minimum(length: int) -> None:
    size = padded_size(length)
    content = 4 + length
    assert size >= max(32, content)
    assert size == 32 or (size - content) * 8 <= content


@pytest.mark.parametrize(
    ("length", "size"), [(0, 32), (28, 32), (29, 36), (31, 36), (96, 104), (1000, 1024), (1 << 20, 1081344)]
)
def test_padme_sizes_are_those_of_the_paper(length: int, size: int) -> None:
    assert padded_size(length) == size


@given(st.binary(max_size=300))
def test_padding_comes_off_as_it_went_on(data: bytes) -> None:
    assert unpad(pad(data)) == data


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        b"\0\0",
        pad(b"note")[:-1],
        pad(b"note") + b"\0",
        pad(b"note")[:-1] + b"\x01",
        b"\0\0\0\x1d" + bytes(28),
        b"\xff" * 32,
    ],
)
def test_padding_in_another_form_is_refused(padded: bytes) -> None:
    with pytest.raises(SealBroken):
        unpad(padded)


def test_a_place_has_48_bytes_of_fixed_parts() -> None:
    place = Place(b"O" * 16, 0x0102, 0x0304, b"R" * 16, 0x05060708)
    assert place.encoded == b"csm/fld1" + b"O" * 16 + b"\1\2\3\4" + b"R" * 16 + b"\5\6\7\x08"


@pytest.mark.parametrize(
    ("org", "table", "column", "row", "version"),
    [
        (b"O" * 15, 1, 1, b"R" * 16, 1),
        (b"O" * 16, 1, 1, b"R" * 17, 1),
        (b"O" * 16, 1 << 16, 1, b"R" * 16, 1),
        (b"O" * 16, 1, -1, b"R" * 16, 1),
        (b"O" * 16, 1, 1, b"R" * 16, 1 << 32),
    ],
)
def test_a_place_out_of_bounds_is_refused(
    org: bytes, table: int, column: int, row: bytes, version: int
) -> None:
    with pytest.raises(EncodingRefused):
        Place(org, table, column, row, version)


def test_widths_are_checked() -> None:
    assert (u16(1), u32(1), u64(1)) == (b"\0\1", b"\0\0\0\1", b"\0\0\0\0\0\0\0\1")
    for refused in (lambda: u16(1 << 16), lambda: u32(-1), lambda: exactly(b"", 1), lambda: xor(b"", b"")):
        with pytest.raises(EncodingRefused):
            refused()


@pytest.mark.parametrize("label", ["", "a b", "santé", "x" * 65, "a\n"])
def test_a_label_is_short_printable_ascii(label: str) -> None:
    with pytest.raises(EncodingRefused):
        label_bytes(label)
    with pytest.raises(EncodingRefused):
        label_text(label.encode())


def test_a_label_survives_its_bytes() -> None:
    assert label_text(label_bytes("health")) == "health"


@given(st.sampled_from(Kind), st.integers(min_value=0, max_value=(1 << 32) - 1))
@settings(max_examples=30)
def test_a_header_reads_back(kind: Kind, number: int) -> None:
    header = pack_header(kind, Algorithm.AES_256_GCM, number)
    assert read_header(header, kind, {Algorithm.AES_256_GCM}) == (Algorithm.AES_256_GCM, number)


def test_a_header_with_a_number_beyond_32_bits_is_refused() -> None:
    with pytest.raises(EncodingRefused):
        pack_header(Kind.UNDER_KEY, Algorithm.AES_256_GCM, 1 << 32)


def test_a_short_header_or_another_kind_is_refused() -> None:
    header = pack_header(Kind.UNDER_KEY, Algorithm.AES_256_GCM, 1)
    for blob in (b"", header[:5], b"\x02" + header[1:]):
        with pytest.raises(SealBroken):
            read_header(blob, Kind.UNDER_KEY, {Algorithm.AES_256_GCM})


@pytest.mark.parametrize("alg", [0, 2, 3, 4, 255])
def test_an_algorithm_outside_the_allow_list_is_refused(alg: int) -> None:
    with pytest.raises(AlgorithmRefused):
        read_header(bytes([1, alg]) + bytes(4), Kind.UNDER_KEY, {Algorithm.AES_256_GCM})
    with pytest.raises(AlgorithmRefused):
        require_prefix(bytes([1, alg]))


def test_the_reserved_algorithm_seals_nothing() -> None:
    with pytest.raises(AlgorithmRefused):
        aead_for(Algorithm.X_WING, bytes(32))


def test_a_prefix_of_another_kind_is_refused() -> None:
    with pytest.raises(SealBroken):
        require_prefix(b"\x02\x01")
