"""What is said of an erasure under the pepper: at its own place, of exactly these, while the pepper is kept."""

from dataclasses import replace

import pytest

from crypto.erasure import Approval, Preparation, erased_mark, is_erased, require_proof
from crypto.errors import EncodingRefused, ProofRefused
from crypto.pepper import Pepper, Peppers
from crypto.secret import Secret

ORG, REQUEST, CASE, MEMBER = b"O" * 16, b"R" * 16, b"K" * 16, b"M" * 16
PEPPER = Pepper.from_secret(Secret(b"\7" * 32))
NEWER = Pepper.from_secret(Secret(b"\x08" * 32))
PREPARED = Preparation(ORG, REQUEST, CASE, MEMBER, "objection", b"sealed")
APPROVED = Approval(ORG, REQUEST, CASE, [b"P" * 16, CASE])


@pytest.mark.parametrize(
    "other",
    [
        *(replace(PREPARED, **{name: b"X" * 16}) for name in ("org", "request", "case", "preparer")),
        replace(PREPARED, basis="unlawful"),
        replace(PREPARED, motive=b"another"),
        *(replace(APPROVED, **{name: b"X" * 16}) for name in ("org", "request", "case")),
        replace(APPROVED, owners=[CASE]),
        replace(APPROVED, owners=[CASE, b"P" * 16, b"X" * 16]),
    ],
)
def test_a_proof_is_refused_for_whatever_else_the_database_says(other: Preparation | Approval) -> None:
    said = PREPARED if isinstance(other, Preparation) else APPROVED
    require_proof(Peppers(PEPPER), said, said.proof(PEPPER))
    with pytest.raises(ProofRefused):
        require_proof(Peppers(PEPPER), other, said.proof(PEPPER))


def test_what_was_prepared_is_not_approved_by_it_and_nothing_proves_nothing() -> None:
    for proof in (PREPARED.proof(PEPPER), b"", None):
        with pytest.raises(ProofRefused):
            require_proof(Peppers(PEPPER), APPROVED, proof)


def test_after_a_rotation_it_is_good_while_the_older_pepper_is_kept() -> None:
    proof, mark = APPROVED.proof(PEPPER), erased_mark(PEPPER, ORG, CASE)
    require_proof(Peppers(NEWER, (PEPPER,)), APPROVED, proof)
    assert is_erased(Peppers(NEWER, (PEPPER,)), ORG, CASE, {mark})
    assert not is_erased(Peppers(NEWER), ORG, CASE, {mark})
    with pytest.raises(ProofRefused):
        require_proof(Peppers(NEWER), APPROVED, proof)


def test_a_mark_is_of_one_owner_of_one_organisation() -> None:
    marks = {erased_mark(PEPPER, ORG, CASE)}
    assert is_erased(Peppers(PEPPER), ORG, CASE, marks)
    assert not is_erased(Peppers(PEPPER), ORG, b"X" * 16, marks)
    assert not is_erased(Peppers(PEPPER), b"X" * 16, CASE, marks)


def test_the_golden_bytes_of_proofs_and_marks() -> None:
    assert PREPARED.proof(PEPPER).hex() == "7c2358a46611e6e87de8e7541331ae8443fc61f40f8b4d219909e5e583bd1943"
    assert APPROVED.proof(PEPPER).hex() == "940941ce41e88a03b6ed106e6c05505d3c8a02ea1f770900157afd38ca5436ae"
    assert (
        erased_mark(PEPPER, ORG, CASE).hex()
        == "2d6c7bc8d2199e3d403a7741859a57c3b5317cbfd4d21c891d2bfe8458346b8f"
    )
    # In whichever order the owners come.
    assert replace(APPROVED, owners=[CASE, b"P" * 16]).proof(PEPPER) == APPROVED.proof(PEPPER)


def test_an_id_of_another_width_is_refused() -> None:
    for wrong in (replace(PREPARED, case=b""), replace(APPROVED, owners=[b""])):
        with pytest.raises(EncodingRefused):
            wrong.proof(PEPPER)
    with pytest.raises(EncodingRefused):
        erased_mark(PEPPER, ORG, b"")
