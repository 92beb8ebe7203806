"""`pulpo cli init` and `pulpo new`: beginning a project, and adding to one."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pulpo import settings

from .conftest import Run

CONFIG = [".gitignore", "Makefile", "pulpo.toml"]
SAMPLE = ["README.md", "models/ticket.py", "operations/tickets.py", "pytest.ini", "tests/test_tickets.py"]


def files(root: Path) -> list[str]:
    """All files, as paths relative to the root."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_an_empty_folder_becomes_a_sound_project(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One model, two operations, their test, the settings; the next three commands; `pulpo check` agrees."""
    root = tmp_path / 'my "desk"'
    root.mkdir()
    monkeypatch.chdir(root)
    ran = run("cli", "init")
    assert ran.code == 0
    assert files(root) == sorted(CONFIG + SAMPLE)
    assert len(ran.out.partition("Next:\n")[2].splitlines()) == 3
    assert tomllib.loads((root / "pulpo.toml").read_text())["project"]["name"] == 'my "desk"'
    checked = run("check")
    assert (checked.code, checked.out) == (0, "1 model, 2 operations, 1 flow: no problems\n")


def test_it_can_be_run_twice(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is left as it is; what was deleted comes back."""
    monkeypatch.chdir(tmp_path)
    run("cli", "init")
    (tmp_path / "Makefile").write_text("mine")
    (tmp_path / ".gitignore").unlink()
    ran = run("cli", "init")
    assert ran.out.startswith("created  .gitignore\n\nNext:")
    assert (tmp_path / "Makefile").read_text() == "mine"
    assert run("cli", "init").out.startswith("everything is there already\n")


def test_a_folder_with_models_gets_what_is_missing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sample beside code of one's own, but how its tests are run."""
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("cli", "init").code == 0
    assert files(tmp_path) == sorted([*CONFIG, "pytest.ini"])


def test_mongodb_is_chosen_in_the_settings(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the project's name on this machine; run again, or with nothing chosen, it stays."""
    root = tmp_path / "My Shop!"
    root.mkdir()
    monkeypatch.chdir(root)
    assert run("cli", "init", "--database", "mongodb").code == 0
    written = (root / "pulpo.toml").read_text()
    assert tomllib.loads(written)["database"] == {"url": "mongodb://127.0.0.1:27017/my_shop"}
    assert run("cli", "init", "--database", "mongodb").out.startswith("everything is there already\n")
    assert run("cli", "init").code == 0
    assert (root / "pulpo.toml").read_text() == written


def test_settings_without_a_database_get_the_one_chosen(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person wrote stays, character for character, and a section follows."""
    (tmp_path / "models").mkdir()
    (tmp_path / "pulpo.toml").write_text("[project] # mine\nname = 'x'\n")
    monkeypatch.chdir(tmp_path)
    ran = run("cli", "init", "--database", "mongodb")
    assert "changed  pulpo.toml" in ran.out
    written = (tmp_path / "pulpo.toml").read_text()
    assert written.startswith("[project] # mine\nname = 'x'\n")
    assert tomllib.loads(written)["database"]["url"].startswith("mongodb://127.0.0.1:27017/")


@pytest.mark.parametrize(("there", "chosen"), [("sqlite:///x.db", "mongodb"), ("mongodb://h/d", "sqlite")])
def test_another_database_in_the_settings_is_not_changed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, chosen: str
) -> None:
    """PULPO105 with the line to write; nothing was written."""
    (tmp_path / "pulpo.toml").write_text(f'[database]\nurl = "{there}"\n')
    monkeypatch.chdir(tmp_path)
    ran = run("cli", "init", "--database", chosen)
    assert ran.code == 2
    assert "PULPO105" in ran.err
    assert f'url = "{chosen}:' in ran.err
    assert files(tmp_path) == ["pulpo.toml"]


def test_an_engine_is_chosen(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In new settings, and in those that name none; a second time nothing changes."""
    monkeypatch.chdir(tmp_path)
    run("cli", "init", "--engine", "prefect")
    assert settings.load(tmp_path, {}).engine.kind == "prefect"
    (tmp_path / "pulpo.toml").write_text('[project]\nname = "desk"\n')
    for _ in range(2):
        assert run("cli", "init", "--engine", "prefect").code == 0
        assert (tmp_path / "pulpo.toml").read_text() == '[project]\nname = "desk"\n\n[engine]\nkind = "prefect"\n'


def test_another_engine_in_the_settings_is_not_changed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PULPO105 with the line to write; nothing was written."""
    (tmp_path / "pulpo.toml").write_text('[engine]\nkind = "embedded"\n')
    monkeypatch.chdir(tmp_path)
    ran = run("cli", "init", "--engine", "prefect")
    assert ran.code == 2
    assert 'kind = "prefect"' in ran.err
    assert files(tmp_path) == ["pulpo.toml"]


def test_the_makefile_lists_its_targets(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make help` says what there is."""
    monkeypatch.chdir(tmp_path)
    run("cli", "init")
    done = subprocess.run(["make", "help"], capture_output=True, text=True, check=True)
    assert "compile\tGenerate API, commands, flows and graphs" in done.stdout


def test_the_sample_s_own_tests_pass(desk: Path) -> None:
    """A newcomer's first `python -m pytest` is green."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_new_model(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of its own, which is sound; never over another."""
    monkeypatch.chdir(tmp_path)
    run("cli", "init")
    assert run("new", "model", "StockItem").out == "created  models/stock_item.py\n"
    assert run("check").out.startswith("2 models, ")
    assert run("new", "model", "StockItem").code == 2
    assert "a model's name is like StockMovement" in run("new", "model", "stock_item").err


def test_new_operation(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the file of its group, or beside it where that is taken; one that is declared already is refused."""
    monkeypatch.chdir(tmp_path)
    run("cli", "init")
    assert run("new", "operation", "stock.count.count_items").out == "created  operations/count.py\n"
    assert (
        run("new", "operation", "stock.count.book_difference").out == "created  operations/count_book_difference.py\n"
    )
    assert run("check").out == "1 model, 4 operations, 2 flows: no problems\n"
    again = run("new", "operation", "stock.count.book_difference")
    assert again.code == 2
    assert again.err.startswith(
        "PULPO804  stock.count.book_difference is declared already, at operations/count_book_difference.py:"
    )
    assert again.err.endswith("; nothing was written\n")
    run("new", "operation", "stock.count.count_items")
    assert not (tmp_path / "operations" / "count_count_items.py").exists()
    (tmp_path / "operations" / "count_later.py").touch()
    taken = run("new", "operation", "stock.count.later")
    assert (taken.code, taken.err) == (2, "PULPO804  operations/count_later.py exists; nothing was written\n")
    assert run("new", "operation", "Stock.Count").code == 2


def test_what_is_written_is_formatted_and_linted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first commit of a project is tidy."""
    monkeypatch.chdir(tmp_path)
    run("cli", "init")
    run("new", "model", "StockItem")
    run("new", "operation", "stock.count.count_items")
    for arguments in (["format", "--check"], ["check", "--select", "E,F,I,B,UP,D1"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", "--line-length", "120", "."]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
