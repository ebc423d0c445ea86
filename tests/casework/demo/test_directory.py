"""Only a demo's own directory is ever emptied, and only a marked database is believed to be a demo."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from casework.demo.directory import MARKER, DemoDirectory, DemoRefused, existing_directory, fresh_directory


def test_a_demo_is_made_anew_in_place_of_the_one_before(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "var" / "demo") as first:
        (first.path / "data" / "left-over").touch()
    with fresh_directory(first.path) as second:
        assert sorted(item.name for item in second.path.iterdir()) == [MARKER, "data", "state"]
        assert not list((second.path / "data").iterdir())


def test_every_directory_of_a_demo_is_its_owners_alone(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "demo") as made:
        folders = [made.path, made.path / "data", made.path / "state"]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3


def test_a_directory_without_the_marker_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "papers").write_text("kept")
    with pytest.raises(DemoRefused), fresh_directory(tmp_path):
        pass
    assert (tmp_path / "papers").read_text() == "kept"


def test_a_file_in_the_way_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("kept")
    with pytest.raises(DemoRefused), fresh_directory(tmp_path / "demo"):
        pass
    assert (tmp_path / "demo").read_text() == "kept"


def test_a_link_to_a_demo_is_refused(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "demo") as made:
        pass
    (tmp_path / "link").symlink_to(made.path)
    with pytest.raises(DemoRefused), fresh_directory(tmp_path / "link"):
        pass
    assert (made.path / MARKER).is_file()


def test_a_demo_in_use_is_not_emptied(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "demo") as made:
        with pytest.raises(DemoRefused), fresh_directory(made.path):
            pass
        assert (made.path / "data").is_dir()


def test_a_database_that_is_not_marked_is_no_demo_even_beside_the_marker(own_demo: DemoDirectory) -> None:
    assert existing_directory(own_demo.path) == own_demo
    with closing(sqlite3.connect(own_demo.path / "data" / "casework.db")) as connection, connection:
        connection.execute("UPDATE deployment SET is_demo = 0")
    with pytest.raises(DemoRefused):
        existing_directory(own_demo.path)


def test_a_demo_that_was_never_finished_is_no_demo(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "demo") as made:
        pass
    with pytest.raises(DemoRefused):
        existing_directory(made.path)
