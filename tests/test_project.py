from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pulpo import project
from pulpo.errors import ProjectErrors, PulpoError

CASES = Path(__file__).parent / "graph" / "cases"


def test_a_sound_project_has_its_plans_and_no_findings() -> None:
    """Settings, description and plans come from the folder alone."""
    loaded = project.load(CASES / "order_to_cash")
    assert loaded.check() == ()
    assert sorted(loaded.plans) == ["order_to_cash", "orders", "payments"]
    assert (loaded.app.name, loaded.settings.project.name, loaded.root.name) == ("order_to_cash",) * 3


def test_what_does_not_import_is_reported_alone() -> None:
    """What is missing because of it is no finding of its own."""
    assert {finding.code for finding in project.load(CASES / "broken_imports").check()} == {"PULPO101"}


def test_a_wrong_setting_is_an_error(tmp_path: Path) -> None:
    """Before anything is imported."""
    (tmp_path / "pulpo.toml").write_text("[engine]\nworkrs = 2\n")
    with pytest.raises(PulpoError, match="workrs") as caught:
        project.load(tmp_path)
    assert caught.value.code == "PULPO105"


def test_an_empty_folder_is_an_application_without_anything(tmp_path: Path) -> None:
    """No models, no operations, no flows, nothing wrong."""
    loaded = project.load(tmp_path)
    assert (loaded.app.models, loaded.app.operations, dict(loaded.plans), loaded.findings) == ((), (), {}, ())


def test_settings_of_flows_that_do_not_exist_are_problems(tmp_path: Path) -> None:
    """An engine or a queue for a name that is no flow is not passed over."""
    root = tmp_path / "shop"
    shutil.copytree(CASES / "order_to_cash", root)
    text = '[engine.flows]\npayment = "embedded"\n[prefect.queues]\norders = "urgent"\nnights = "slow"\n'
    (root / "pulpo.toml").write_text(text)
    found = project.load(root).findings
    assert [(each.code, each.message) for each in found] == [
        ("PULPO105", '[engine.flows]: there is no flow "payment"'),
        ("PULPO105", '[prefect.queues]: there is no flow "nights"'),
    ]
    assert found[0].hint == 'did you mean "payments"?'


def test_compiling_twice_writes_once(tmp_path: Path) -> None:
    """And what has problems is not compiled at all."""
    root = tmp_path / "shop"
    shutil.copytree(CASES / "order_to_cash", root)
    first = project.compile_project(root)
    assert "generated/application.py" in first.written
    assert project.compile_project(root).written == ()
    assert project.compile_project(root, check=True).findings == ()
    (root / "operations" / "tracking.py").write_text("from models.shop import Nothing\n")
    before = {file: file.read_bytes() for file in (root / "generated").rglob("*.py")}
    with pytest.raises(ProjectErrors, match="PULPO101") as caught:
        project.compile_project(root)
    assert [str(finding.source) for finding in caught.value.findings] == ["operations/tracking.py:1"]
    assert {file: file.read_bytes() for file in (root / "generated").rglob("*.py")} == before


def test_what_newcomers_mistake_is_told(tmp_path: Path) -> None:
    """A class without its decorator is named with its file; a document inside of another is noted."""
    for name, text in {
        "models/shelf.py": (
            "from pulpo import Model, datamodel\n\n\nclass Part(Model):\n    name: str\n\n\n"
            '@datamodel\nclass Book(Model):\n    """A book."""\n\n\n'
            '@datamodel\nclass Copy(Model):\n    """A copy."""\n\n    book: Book\n'
        ),
        "operations/shelves.py": (
            "from pulpo import operation\n\nfrom models.shelf import Part\n\n\n"
            '@operation(name="shelves.desk.count", models_in=[Part])\nasync def count() -> None:\n    """Count."""\n'
        ),
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    loaded = project.load(tmp_path)
    (found,) = loaded.findings
    assert (found.code, found.hint) == ("PULPO201", "class Part in models/shelf.py has no @datamodel")
    assert loaded.notices == ("model Copy: book holds a whole Book, a copy; to refer to one: Ref[Book]",)
