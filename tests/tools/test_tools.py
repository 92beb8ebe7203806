"""The tools behind make."""

import gzip
import importlib.util
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def tool(name):
    spec = importlib.util.spec_from_file_location(f"pulpo_tool_{name}", TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def example(tmp_path):
    folder = tmp_path / "shop"
    for name, text in {
        "models/order.py": "order",
        "operations/sell.py": "sell",
        "pulpo.toml": "",
        "generated/api/app.py": "made",
        ".pulpo/data.db": "made",
        "models/__pycache__/order.pyc": "made",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_an_example_is_packed_without_what_was_made(example):
    """The archive has one folder with the sources, and nothing that compiling or running left."""
    with tarfile.open(fileobj=io.BytesIO(tool("pack_examples").pack(example))) as archive:
        files = [entry.name for entry in archive if entry.isfile()]
        assert files == ["shop/models/order.py", "shop/operations/sell.py", "shop/pulpo.toml"]
        assert archive.extractfile("shop/models/order.py").read() == b"order"
        assert {(entry.uid, entry.gid, entry.uname) for entry in archive} == {(0, 0, "")}


def test_packing_twice_gives_the_same_bytes(example, tmp_path):
    """Another place, another time, another mode of the file: the same archive."""
    pack = tool("pack_examples").pack
    first = pack(example)
    moved = tmp_path / "elsewhere" / "shop"
    moved.parent.mkdir()
    example.rename(moved)
    os.utime(moved / "pulpo.toml", (1, 1))
    (moved / "pulpo.toml").chmod(0o600)
    assert pack(moved) == first
    assert gzip.decompress(first)


def test_the_demo_copies_only_what_changed(example, tmp_path):
    """A first copy takes the sources; a second nothing; a changed, a new and a removed file are three changes."""
    copy, target = tool("demo").copy, tmp_path / "demo" / "shop"
    assert copy(example, target) == (3, ())
    (target / "pulpo.lock").write_text("made there")
    (target / ".pulpo").mkdir(exist_ok=True)
    (target / ".pulpo" / "data.db").write_text("made there")
    assert copy(example, target) == (0, ())
    (example / "pulpo.toml").write_text("[project]")
    (example / "seed.py").write_text("seed")
    (example / "models" / "order.py").unlink()
    assert copy(example, target) == (3, ())
    assert (target / "seed.py").read_text() == "seed"
    assert not (target / "models" / "order.py").exists()
    assert (target / ".pulpo" / "data.db").exists()
    assert (target / "pulpo.lock").exists()


def test_the_demo_leaves_alone_what_a_person_did_there(example, tmp_path):
    """A file that somebody added stays; one that somebody edited stays and is named, also when its source is gone."""
    copy, target = tool("demo").copy, tmp_path / "demo" / "shop"
    copy(example, target)
    (target / "order.json").write_text("mine")
    (target / "models" / "order.py").write_text("edited")
    (example / "models" / "order.py").write_text("newer")
    assert copy(example, target) == (0, ("models/order.py",))
    (example / "models" / "order.py").unlink()
    assert copy(example, target) == (0, ("models/order.py",))
    assert (target / "models" / "order.py").read_text() == "edited"
    assert (target / "order.json").read_text() == "mine"


def test_make_help_lists_every_target_for_people():
    """Each target that people call has a line in `make help`."""
    text = (TOOLS.parent / "Makefile").read_text()
    listed = {line.partition(":")[0] for line in text.splitlines() if "## " in line and ":" in line}
    assert {"demo", "test", "check", "bench", "proof", "examples", "clean"} <= listed


def test_the_lock_has_hashes_and_no_addresses():
    """Each requirement is pinned with hashes; no index's address is written down."""
    lock = (TOOLS.parent / "requirements.lock").read_text()
    requirements = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(requirements) > 50
    assert all("==" in line and line.endswith("\\") for line in requirements)
    assert lock.count("--hash=sha256:") >= len(requirements)
    assert "://" not in lock
    assert "--index" not in lock
    assert "--find-links" not in lock
