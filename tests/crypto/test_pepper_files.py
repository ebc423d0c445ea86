"""Peppers in files: one in force, older ones beside it, and a rotation that may be killed at any moment."""

import os
from pathlib import Path

import pytest

from crypto.errors import PepperRefused
from crypto.pepper import FileKeyProvider, Peppers, create_pepper_file, seal_under_pepper, sealing_pepper


@pytest.fixture
def provider(tmp_path: Path) -> FileKeyProvider:
    create_pepper_file(tmp_path / "pepper")
    return FileKeyProvider(tmp_path / "pepper")


def test_a_rotation_puts_a_new_pepper_in_force_and_keeps_the_one_before(provider: FileKeyProvider) -> None:
    before, coming = provider.pepper(), provider.begin_rotation()
    assert provider.peppers() == Peppers(before, (coming,))
    assert provider.end_rotation() == before
    assert provider.peppers() == Peppers(coming, (before,))
    assert [path.name for path in provider.older()] == [f"pepper.{before.id.hex()}"]
    assert not provider.next_path.exists()
    assert {path.stat().st_mode & 0o777 for path in provider.path.parent.iterdir()} == {0o600}


def test_a_rotation_that_was_interrupted_goes_on_with_the_same_pepper(provider: FileKeyProvider) -> None:
    before = provider.pepper()
    # Killed while the new one was written, then after it was there, then between the two names.
    provider.path.with_name("pepper.draft").write_bytes(b"half")
    coming = provider.begin_rotation()
    assert provider.begin_rotation() == coming
    os.link(provider.path, provider.path.with_name(f"pepper.{before.id.hex()}"))
    assert provider.peppers().current == before
    assert provider.end_rotation() == before
    assert provider.peppers() == Peppers(coming, (before,))


def test_a_pepper_is_found_by_its_id_and_an_unknown_one_is_refused(provider: FileKeyProvider) -> None:
    before, coming = provider.pepper(), provider.begin_rotation()
    peppers = provider.peppers()
    assert peppers.of(coming.id) == coming
    sealed = seal_under_pepper(before, b"label", bytes(16), b"seed")
    assert peppers.of(sealing_pepper(sealed)) == before
    with pytest.raises(PepperRefused, match="another pepper"):
        peppers.of(bytes(16))


def test_an_older_pepper_under_another_ones_name_is_refused(provider: FileKeyProvider) -> None:
    create_pepper_file(provider.path.with_name("pepper." + "0" * 32))
    with pytest.raises(PepperRefused, match="name"):
        provider.peppers()


def test_an_older_pepper_that_others_may_read_is_refused(provider: FileKeyProvider) -> None:
    provider.begin_rotation()
    provider.end_rotation()
    (older,) = provider.older()
    older.chmod(0o640)
    with pytest.raises(PepperRefused, match="others"):
        provider.peppers()
