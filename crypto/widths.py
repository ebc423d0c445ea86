"""Fixed widths and unsigned big-endian integers, checked before they are packed."""

from functools import lru_cache

from crypto.errors import EncodingRefused

ID_SIZE = 16
HASH_SIZE = 32
SIGNATURE_SIZE = 64
LABEL_LIMIT = 64


def exactly(value: bytes, width: int) -> bytes:
    """Return value as it is. Raises EncodingRefused unless it is exactly width bytes long."""
    if len(value) != width:
        raise EncodingRefused("wrong width")
    return value


def _unsigned(value: int, width: int) -> bytes:
    try:
        return value.to_bytes(width, "big")
    except OverflowError:
        raise EncodingRefused("integer out of range") from None


def u16(value: int) -> bytes:
    return _unsigned(value, 2)


def u32(value: int) -> bytes:
    return _unsigned(value, 4)


def u64(value: int) -> bytes:
    return _unsigned(value, 8)


def u32_of(data: bytes) -> int:
    """Return the number that four bytes say. Raises EncodingRefused for another width."""
    return int.from_bytes(exactly(data, 4))


def u64_of(data: bytes) -> int:
    """Return the number that eight bytes say. Raises EncodingRefused for another width."""
    return int.from_bytes(exactly(data, 8))


@lru_cache(maxsize=256)
def label_bytes(label: str) -> bytes:
    """Return the ASCII bytes of a group, role or kind: 1 to 64 printable characters, no space."""
    if not 1 <= len(label) <= LABEL_LIMIT or not label.isascii() or not label.isprintable() or " " in label:
        raise EncodingRefused("not a label")
    return label.encode("ascii")


def label_text(data: bytes) -> str:
    """Return the label that data spells. Raises EncodingRefused where label_bytes would."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise EncodingRefused("not a label") from None
    label_bytes(text)
    return text


def xor(left: bytes, right: bytes) -> bytes:
    """Return the bytewise sum of two 32-byte halves."""
    mixed = int.from_bytes(exactly(left, HASH_SIZE)) ^ int.from_bytes(exactly(right, HASH_SIZE))
    return mixed.to_bytes(HASH_SIZE)
