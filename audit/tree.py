"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1) over SHA-256.

A *full subtree* is named by (level, index): it covers the 2^level leaves from index * 2^level. Level 0 are
the leaf hashes. Everything a proof needs is a full subtree or is folded from some.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from audit.errors import ProofRefused

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

FullSubtree = Callable[[int, int], bytes]
"""(level, index) → hash of that full subtree."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def frontier_nodes(size: int) -> list[tuple[int, int]]:
    """The full subtrees, largest first, that together cover a tree of `size` leaves."""
    return [(level, (size >> level) - 1) for level in reversed(range(size.bit_length())) if size >> level & 1]


class Frontier:
    """A tree that only grows: its size and the roots of the full subtrees that cover it."""

    __slots__ = ("_stack", "size")

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """`subtrees` are the hashes of `frontier_nodes(size)`, in that order."""
        if len(subtrees) != size.bit_count():
            raise ValueError("a frontier has one subtree for each bit of its size")
        self.size = size
        self._stack = list(subtrees)

    def copy(self) -> "Frontier":
        """The same tree, to grow apart from this one."""
        return Frontier(self.size, self._stack)

    def append(self, node: bytes, level: int = 0) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; returns the (level, index, hash) of each subtree above level 0 it completes.

        Where the size is a multiple of 2^level, the hash of a full subtree of that level can be added as well.
        """
        size = self.size >> level
        added = 1 << level
        completed = [(level, size, node)] if level else []
        while size & 1:
            node = sha256(b"\x01" + self._stack.pop() + node).digest()
            size >>= 1
            level += 1
            completed.append((level, size, node))
        self._stack.append(node)
        self.size += added
        return completed

    def root(self) -> bytes:
        """The Merkle tree hash of the leaves so far."""
        if not self._stack:
            return EMPTY_ROOT
        node = self._stack[-1]
        for left in reversed(self._stack[:-1]):
            node = node_hash(left, node)
        return node


def range_hash(start: int, end: int, full: FullSubtree) -> bytes:
    """MTH(D[start:end]) for a range that occurs in a proof: it begins with its largest full subtree."""
    level = (end - start - 1).bit_length()
    if end - start == 1 << level:
        return full(level, start >> level)
    middle = start + (1 << (level - 1))
    return node_hash(range_hash(start, middle, full), range_hash(middle, end, full))


def inclusion_proof(index: int, size: int, full: FullSubtree) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 2.1.1, from the leaf's sibling upwards.

    Raises:
        ProofRefused: the tree has no such leaf.

    """
    if not 0 <= index < size:
        raise ProofRefused("no such leaf in a tree of this size")
    start, end = 0, size
    proof = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(range_hash(middle, end, full))
            end = middle
        else:
            proof.append(range_hash(start, middle, full))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, full: FullSubtree) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962 2.1.2.

    Raises:
        ProofRefused: `old` is zero (nothing is proved about an empty tree) or larger than `new`.

    """
    if not 0 < old <= new:
        raise ProofRefused("no consistency proof between these sizes")
    start, end = 0, new
    proof = []
    # The old tree's own root is known to the verifier; any other subtree it ends in is not.
    old_root_is_known = True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(range_hash(middle, end, full))
            end = middle
        else:
            proof.append(range_hash(start, middle, full))
            start = middle
            old_root_is_known = False
    if not old_root_is_known:
        proof.append(range_hash(start, end, full))
    return proof[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 2.1.3.2.

    Raises:
        ProofRefused: `proof` does not lead from `leaf` at `index` to `root` of a tree of `size` leaves.

    """
    if not 0 <= index < size:
        raise ProofRefused("no such leaf in a tree of this size")
    node, *path = _hashes(leaf, *proof)
    position, last = index, size - 1
    for sibling in path:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last or node != root:
        raise ProofRefused("the proof does not lead to the root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """RFC 9162 2.1.4.2: the tree of `new` leaves begins with the tree of `old` leaves.

    Raises:
        ProofRefused: it is not shown; also for `old` = 0, from which anything would follow.

    """
    if not 0 < old <= new:
        raise ProofRefused("no consistency between these sizes")
    path = _hashes(*proof)
    if old == new:
        if proof or old_root != new_root:
            raise ProofRefused("two roots for one size")
        return
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    # Where the old tree is one full subtree its root is not repeated in the proof.
    if not position:
        path = [old_root, *path]
    if not path:
        raise ProofRefused("the proof is too short")
    if _fold_both(position, last, path) != (old_root, new_root):
        raise ProofRefused("the trees are not consistent")


def _fold_both(position: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if position & 1 or position == last:
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_node = node_hash(new_node, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise ProofRefused("the proof is too short")
    return old_node, new_node


def _split(width: int) -> int:
    """The largest power of two below `width`: k of RFC 6962 2.1."""
    return 1 << ((width - 1).bit_length() - 1)


def _hashes(*nodes: bytes) -> list[bytes]:
    if any(len(node) != HASH_BYTES for node in nodes):
        raise ProofRefused("a hash is not 32 bytes")
    return list(nodes)
