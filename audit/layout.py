"""What stands where in a bundle, the zip an auditor takes away: one log in the layout of C2SP tlog-tiles.

    checkpoint               the newest signed note
    checkpoints              every earlier note by ascending size, each after its length (uint16, big-endian)
    tile/<L>/<N>[.p/<W>]     hashes of level 8·L
    tile/entries/<N>[.p/<W>] entries, each after its length (uint16, big-endian)
    rollup/leaf              the newest head of this log that was rolled up, where one was
    rollup/proof             the tlog-proof of that leaf, up to a roll-up that witnesses have signed
    details                  optional: disclosed details, each entry id ‖ length (uint16) ‖ salt ‖ plaintext

Entry bundles below the pruned index are absent. A database from which rows were taken still gives a bundle:
a missing entry has length 0 and a missing hash is zeros, which no entry and no hash is, so that the verifier
can name what is missing.
"""

from collections.abc import Iterable

from audit.evidence import TILE_HEIGHT, TILE_WIDTH
from audit.tree import HASH_BYTES

CHECKPOINT = "checkpoint"
CHECKPOINTS = "checkpoints"
ROLLUP_LEAF = "rollup/leaf"
ROLLUP_PROOF = "rollup/proof"
DETAILS = "details"
LENGTH_BYTES = 2
ID_BYTES = 36
SALT_BYTES = 32
MAX_LENGTH = 65_535
MISSING_HASH = bytes(HASH_BYTES)


def tile_path(level: int | str, index: int, width: int) -> str:
    """tile/<L>/<N>[.p/<W>] of tlog-tiles: the index in threes, an x before all but the last."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(["tile", str(level), *(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def upper_tiles(size: int) -> Iterable[tuple[int, int, int]]:
    """(tile level, tile index, width) of every tile above level 0 in a tree of `size` leaves."""
    level = 1
    while nodes := size >> (TILE_HEIGHT * level):
        for first in range(0, nodes, TILE_WIDTH):
            yield level, first // TILE_WIDTH, min(TILE_WIDTH, nodes - first)
        level += 1
