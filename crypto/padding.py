"""Padmé padding: a ciphertext's length tells little of its text (Nikitin et al., PETS 2019, section 4).

Layout: u32be length | data | zeros up to max(32, Padmé(4 + length)). At most about 12 % is added above 32
bytes.
"""

from functools import lru_cache

from crypto.errors import SealBroken
from crypto.widths import u32

_LENGTH_SIZE = 4
MINIMUM = 32


# Records have few lengths, and a list opens thousands.
@lru_cache(maxsize=1024)
def padded_size(length: int) -> int:
    """Return the size in bytes that data of this length is padded to."""
    size = _LENGTH_SIZE + length
    exponent = size.bit_length() - 1
    zero_bits = max(exponent - exponent.bit_length(), 0)
    mask = (1 << zero_bits) - 1
    return max(MINIMUM, (size + mask) & ~mask)


def pad(data: bytes) -> bytes:
    """Return data with its length before it and zeros behind. Raises EncodingRefused from 4 GiB on."""
    return (u32(len(data)) + data).ljust(padded_size(len(data)), b"\0")


def unpad(padded: bytes) -> bytes:
    """Return the data of a padded text. Raises SealBroken unless it is exactly what pad would have made."""
    length = int.from_bytes(padded[:_LENGTH_SIZE])
    end = _LENGTH_SIZE + length
    if len(padded) != padded_size(length) or padded.count(0, end) != len(padded) - end:
        raise SealBroken("wrong padding")
    return padded[_LENGTH_SIZE:end]
