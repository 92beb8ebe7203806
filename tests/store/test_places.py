"""How an address is shown: without its secrets, and the same however the place is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulpo.store.places import shown


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("mongodb://localhost:27017/shop", "mongodb://127.0.0.1/shop?replicaSet=rs0"),
        ("mongodb://me:secret@b,a:27018/shop", "mongodb://a:27018,B:27017/shop"),
        ("mongodb://[::1]/shop", "mongodb://[::1]:27017/shop"),
        ("sqlite:///x/../data.db", "sqlite:///data.db?keep_events=5"),
    ],
)
def test_one_place_is_shown_in_one_way(tmp_path: Path, one: str, two: str) -> None:
    """So that a copy of a database into itself is seen for what it is."""
    assert shown(one, tmp_path) == shown(two, tmp_path)
    assert "secret" not in shown(one, tmp_path)


def test_a_link_leads_to_the_file_itself(tmp_path: Path) -> None:
    """A second name of a SQLite file is no second database."""
    (tmp_path / "data.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "data.db")
    assert shown("sqlite:///link.db", tmp_path) == shown("sqlite:///data.db", tmp_path)


@pytest.mark.parametrize("other", ["mongodb://h:27018/shop", "mongodb://h/other", "mongodb+srv://h/shop"])
def test_other_places_are_shown_in_other_ways(tmp_path: Path, other: str) -> None:
    """Another port, another name, another way to find the hosts."""
    assert shown("mongodb://h/shop", tmp_path) != shown(other, tmp_path)
