"""RFC 6962 section 2.1 and RFC 9162 sections 2.1.3 and 2.1.4."""

import json
import os
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import ProofRefused
from audit.tree import (
    EMPTY_ROOT,
    Frontier,
    FullSubtree,
    consistency_proof,
    frontier_nodes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    range_hash,
    verify_consistency,
    verify_inclusion,
)

VECTORS = "rfc6962_proofs.json"

# The eight leaves, and the root after each, that certificate-transparency's own tests use.
LEAVES = [bytes.fromhex(leaf) for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def vectors() -> dict[str, Any]:
    folder = os.environ.get("CASEWORK_VECTORS", Path(__file__).parents[3] / "shared" / "vectors")
    path = Path(folder) / VECTORS
    if not path.exists():
        pytest.skip(f"the public vectors {VECTORS} are absent (CASEWORK_VECTORS names their folder)")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def raw(text: str | None) -> bytes:
    return b64decode(text or "")


def path_of(case: dict[str, Any]) -> list[bytes]:
    return [raw(node) for node in case["proof"] or []]


def subtrees(leaves: list[bytes]) -> FullSubtree:
    @cache
    def full(level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(leaves[index])
        return node_hash(full(level - 1, 2 * index), full(level - 1, 2 * index + 1))

    return full


def root_of(leaves: list[bytes]) -> bytes:
    return range_hash(0, len(leaves), subtrees(leaves)) if leaves else EMPTY_ROOT


def test_roots_of_the_eight_leaves() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        frontier.append(leaf_hash(leaf))
        assert frontier.root().hex() == root


def test_public_inclusion_vectors() -> None:
    cases = vectors()["inclusion"]
    assert len(cases) == 98
    for case in cases:
        arguments = (
            case["leafIdx"],
            case["treeSize"],
            raw(case["leafHash"]),
            path_of(case),
            raw(case["root"]),
        )
        if case["wantErr"]:
            with pytest.raises(ProofRefused):
                verify_inclusion(*arguments)
        else:
            verify_inclusion(*arguments)


def test_public_consistency_vectors() -> None:
    cases = vectors()["consistency"]
    assert len(cases) == 98
    for case in cases:
        arguments = (case["size1"], case["size2"], raw(case["root1"]), raw(case["root2"]), path_of(case))
        # Whatever the vector says: a proof from an empty tree proves nothing and is refused here.
        if case["wantErr"] or case["size1"] == 0:
            with pytest.raises(ProofRefused):
                verify_consistency(*arguments)
        else:
            verify_consistency(*arguments)


def test_every_proof_of_every_small_tree_verifies() -> None:
    for size in range(1, 34):
        leaves = [bytes([number]) for number in range(size)]
        full, root = subtrees(leaves), root_of(leaves)
        for index in range(size):
            verify_inclusion(index, size, full(0, index), inclusion_proof(index, size, full), root)
        for old in range(1, size + 1):
            proof = consistency_proof(old, size, full)
            verify_consistency(old, size, root_of(leaves[:old]), root, proof)


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(0, 400))
def test_a_tree_resumes_from_its_stored_subtrees(size: int, more: int) -> None:
    leaves = [number.to_bytes(2) for number in range(size + more % 40)]
    stored: dict[tuple[int, int], bytes] = {}
    frontier = Frontier()
    for index, leaf in enumerate(leaves[:size]):
        stored[0, index] = leaf_hash(leaf)
        stored.update({(level, at): node for level, at, node in frontier.append(leaf_hash(leaf))})
    resumed = Frontier(size, [stored[name] for name in frontier_nodes(size)])
    for leaf in leaves[size:]:
        resumed.append(leaf_hash(leaf))
    assert resumed.root() == root_of(leaves)
    full = subtrees(leaves)
    assert all(full(level, at) == node for (level, at), node in stored.items())


def test_a_frontier_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="one subtree for each bit"):
        Frontier(3, [EMPTY_ROOT])


@settings(max_examples=60)
@given(st.data())
def test_any_flipped_bit_of_a_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    leaves = [bytes([number]) for number in range(size)]
    full, root = subtrees(leaves), root_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, full)
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(proof[at]) ^ 1 << bit).to_bytes(32)
    with pytest.raises(ProofRefused):
        verify_inclusion(index, size, full(0, index), [*proof[:at], flipped, *proof[at + 1 :]], root)
    old = data.draw(st.integers(1, size - 1))
    chain = consistency_proof(old, size, full)
    at = data.draw(st.integers(0, len(chain) - 1))
    broken = (int.from_bytes(chain[at]) ^ 1 << bit).to_bytes(32)
    with pytest.raises(ProofRefused):
        verify_consistency(old, size, root_of(leaves[:old]), root, [*chain[:at], broken, *chain[at + 1 :]])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 3), (4, 3), (-1, 3)])
def test_no_consistency_from_nothing_or_backwards(old: int, new: int) -> None:
    leaves = [bytes([number]) for number in range(5)]
    with pytest.raises(ProofRefused):
        consistency_proof(old, new, subtrees(leaves))
    with pytest.raises(ProofRefused):
        verify_consistency(old, new, EMPTY_ROOT, root_of(leaves[:new]), [])


def test_one_size_has_one_root_and_needs_no_proof() -> None:
    leaves = [bytes([number]) for number in range(5)]
    root, other = root_of(leaves), root_of(leaves[::-1])
    verify_consistency(5, 5, root, root, [])
    for new_root, proof in ((other, []), (root, [other])):
        with pytest.raises(ProofRefused):
            verify_consistency(5, 5, root, new_root, proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_inclusion_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ProofRefused):
        inclusion_proof(index, size, subtrees([b""] * 3))
    with pytest.raises(ProofRefused):
        verify_inclusion(index, size, EMPTY_ROOT, [], EMPTY_ROOT)


def test_a_proof_of_another_length_is_refused() -> None:
    leaves = [bytes([number]) for number in range(7)]
    full, root = subtrees(leaves), root_of(leaves)
    proof = inclusion_proof(3, 7, full)
    chain = consistency_proof(3, 7, full)
    for wrong in (proof[:-1], [*proof, EMPTY_ROOT], [proof[0][:31], *proof[1:]]):
        with pytest.raises(ProofRefused):
            verify_inclusion(3, 7, full(0, 3), wrong, root)
    for wrong in ([], chain[:-1], [*chain, EMPTY_ROOT], [*chain[:-1], chain[-1] + b"\x00"]):
        with pytest.raises(ProofRefused):
            verify_consistency(3, 7, root_of(leaves[:3]), root, wrong)
