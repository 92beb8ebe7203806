"""The MongoDB server that a project keeps for itself: its address, and who may speak to it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pulpo.store.own_server import FOLDER, make_user, place, user, with_user


@pytest.mark.parametrize(
    ("url", "port"), [("mongodb://127.0.0.1:27018/shop", 27018), ("mongodb://localhost/shop?appName=x", 27017)]
)
def test_a_server_here_without_a_user_may_be_the_projects(url: str, port: int) -> None:
    """Its port and its database are what the address says."""
    where = place(url)
    assert where is not None
    assert (where.port, where.database) == (port, "shop")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///.pulpo/data.db",
        "mongodb://db.example.com/shop",
        "mongodb://127.0.0.1:27017,127.0.0.1:27018/shop",
        "mongodb://me:secret@127.0.0.1/shop",
        "mongodb+srv://127.0.0.1/shop",
        "mongodb://127.0.0.1:27017/",
        "mongodb://127.0.0.1:port/shop",
    ],
)
def test_every_other_address_is_somebody_elses(tmp_path: Path, url: str) -> None:
    """Another machine, several members, a user of its own: nothing is started, and nothing is put into the address."""
    make_user(tmp_path, 27017)
    assert place(url) is None
    assert with_user(url, tmp_path) == url


def test_its_user_is_put_into_the_address(tmp_path: Path) -> None:
    """Only at the port where the server is; options that the address has stay."""
    url = "mongodb://localhost:27018/shop?appName=x"
    assert with_user(url, tmp_path) == url
    made = make_user(tmp_path, 27018)
    assert made.password not in url
    assert with_user(url, tmp_path) == (
        f"mongodb://pulpo:{made.password}@127.0.0.1:27018/shop?appName=x&authSource=admin&directConnection=true"
    )
    assert with_user("mongodb://localhost:27019/shop", tmp_path) == "mongodb://localhost:27019/shop"


def test_nobody_else_reads_the_password_and_it_stays(tmp_path: Path) -> None:
    """The file is its owner's; the server that moves to another port keeps its user."""
    made = make_user(tmp_path, 27018)
    moved = make_user(tmp_path, 27020)
    assert (moved.password, moved.port) == (made.password, 27020)
    assert user(tmp_path) == moved
    assert len(made.password) >= 32
    files = [tmp_path / FOLDER, *(tmp_path / FOLDER).iterdir()]
    assert all(not file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) for file in files)
