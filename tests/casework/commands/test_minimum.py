"""`casework keys minimum`: what the custodian types, and what is said."""

import pytest

from tests.casework.commands.place import Place

SIV = "aes-256-gcm-siv"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_minimum_is_raised_once_and_never_lowered(founded: Place) -> None:
    passwords = founded.password_file("avec.custodian")
    signed = ("--custodian", "avec.custodian", "--passwords", passwords)
    below = founded.run("keys", "minimum", "avec", "--made", "aes-256-gcm", "--accepted", SIV, *signed)
    assert (below.code, "--accepted" in below.err) == (1, True)
    raised = founded.run("keys", "minimum", "avec", "--made", SIV, "--accepted", SIV, *signed)
    assert raised.code == 0, raised
    assert f"Nouvelles clés : {SIV} ; accepté depuis : {SIV}." in raised.out
    for made in (SIV, "aes-256-gcm"):
        again = founded.run("keys", "minimum", "avec", "--made", made, *signed)
        assert (again.code, "pas plus haut" in again.err) == (1, True)
