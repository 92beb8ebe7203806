from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulpo.declare import discover
from pulpo.declare.discover import load_app

ORDER = """
from pulpo import Model, datamodel

@datamodel
class Order(Model):
    note: str = "{note}"
"""
OPERATION = """
from models.order import Order
from pulpo import operation

@operation(name="{name}", models_out=[Order])
async def change() -> None: ...
"""
Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _own_modules() -> Iterator[None]:
    """A test leaves the interpreter's modules and path as it found them."""

    def owned() -> dict[str, object]:
        known = discover.OWNED | {"shop_of_test", "library_of_test"}
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in known}

    modules, path = owned(), list(sys.path)
    yield
    for name in owned():
        del sys.modules[name]
    sys.modules.update(modules)  # type: ignore[arg-type]
    sys.path[:] = path


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of a project; gives the project's root."""

    def write(path: str, text: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return tmp_path / path.partition("/")[0]

    return write


def test_declarations_come_by_file_path_then_line(write: Write) -> None:
    """Whatever imports what first; sources are relative to the root, also on the declared objects."""
    write("p/models/order.py", ORDER)
    write("p/operations/b/late.py", OPERATION.format(name="o.b.late"))
    write("p/operations/a.py", "import operations.b.late\n" + OPERATION.format(name="o.a.first"))
    root = write("p/flows.py", 'from pulpo import flow, group\nflow("all", includes=["o"])\ngroup("o.a")\n')
    app, findings = load_app(root, "shop")
    assert findings == ()
    assert app.name == "shop"
    assert [(spec.name, str(spec.source)) for spec in app.operations] == [
        ("o.a.first", "operations/a.py:6"),
        ("o.b.late", "operations/b/late.py:5"),
    ]
    assert [str(spec.source) for spec in (*app.models, *app.flows, *app.groups)] == [
        "models/order.py:4", "flows.py:2", "flows.py:3",
    ]  # fmt: skip
    assert app.model("Order").cls.__pulpo__ == app.model("Order")  # type: ignore[attr-defined]
    assert app.operation("o.a.first").function.__pulpo__ == app.operation("o.a.first")  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", [True, False])
def test_two_projects_in_one_process_do_not_mix(write: Write, package: bool) -> None:
    """With or without `__init__.py`, each is loaded with its own modules, and again when its turn comes."""
    for name in ("one", "two"):
        root = write(f"{name}/models/order.py", ORDER.format(note=name))
        write(f"{name}/operations/change.py", OPERATION.format(name=f"{name}.orders.change"))
        if package:
            write(f"{name}/models/__init__.py", "")
            write(f"{name}/operations/__init__.py", "")
    for name in ("one", "two", "one"):
        app, findings = load_app(root.parent / name, name)
        assert findings == ()
        assert app.model("Order").cls().note == name  # type: ignore[attr-defined]
        assert [spec.name for spec in app.operations] == [f"{name}.orders.change"]
        assert app.operations[0].writes == ("Order",)


def test_a_process_of_many_projects_looks_at_each_module_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where modules lie is known from before: entering a project does not cost more for each that was loaded."""
    for name in ("one", "two", "three"):
        root = write(f"{name}/models/order.py", ORDER.format(note=name))
        load_app(root.parent / name, name)
    followed: list[str] = []
    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path, **how: followed.append(path) or realpath(path, **how))
    for name in ("one", "two"):
        app, _ = load_app(root.parent / name, name)
        assert app.model("Order").cls().note == name  # type: ignore[attr-defined]
    assert len(followed) < 100 < len(sys.modules)


def test_packages_of_a_projects_own_do_not_mix_either(write: Write) -> None:
    """Each project's `shop` is its own, with or without `__init__.py`; what is installed inside a root stays."""
    for name in ("one", "two"):
        write(f"{name}/models/order.py", "from shop_of_test.words import NOTE\n" + ORDER.replace('"{note}"', "NOTE"))
        write(f"{name}/shop_of_test/words.py", f'NOTE = "{name}"')
    write("one/shop_of_test/__init__.py", "")
    write("one/.venv/lib/site-packages/library_of_test.py", "")
    root = write(
        "one/models/order.py", "import library_of_test\n" + (write("one/x", "") / "models/order.py").read_text()
    )
    sys.path.append(str(root / ".venv/lib/site-packages"))
    libraries = []
    for name in ("one", "two", "one"):
        app, findings = load_app(root.parent / name, name)
        assert findings == ()
        assert app.model("Order").cls().note == name  # type: ignore[attr-defined]
        libraries.append(sys.modules["library_of_test"])
    assert libraries[0] is libraries[1] is libraries[2]


def test_packages_of_a_projects_own_see_what_changed(write: Write) -> None:
    """After an edit of a model, a helper that imported its class gets the new one too."""
    write("p/models/order.py", ORDER.format(note="before"))
    write("p/shop_of_test/words.py", "from models.order import Order")
    root = write(
        "p/operations/change.py", "from shop_of_test.words import Order as Known\n" + OPERATION.format(name="o.g.c")
    )
    load_app(root, "p")
    write("p/models/order.py", ORDER.format(note="afterwards"))
    app, findings = load_app(root, "p")
    assert findings == ()
    assert sys.modules["operations.change"].Known is app.model("Order").cls


def test_an_unchanged_project_keeps_its_classes_and_a_changed_one_does_not(write: Write) -> None:
    """A test's own imports stay valid; after an edit everything is imported again, so that no two versions mix."""
    write("p/models/order.py", ORDER.format(note="before"))
    root = write("p/operations/change.py", OPERATION.format(name="o.g.change"))
    first = load_app(root, "p")[0]
    assert load_app(root, "p")[0].model("Order").cls is first.model("Order").cls
    write("p/models/order.py", ORDER.format(note="afterwards"))
    second = load_app(root, "p")[0]
    assert second.model("Order").cls().note == "afterwards"  # type: ignore[attr-defined]
    assert second.operations[0].function is not first.operations[0].function


def test_a_repaired_module_is_imported(write: Write) -> None:
    """What failed once is tried again."""
    root = write("p/models/order.py", "import nothing_of_this_name")
    assert [finding.code for finding in load_app(root, "p")[1]] == ["PULPO101"]
    write("p/models/order.py", ORDER)
    app, findings = load_app(root, "p")
    assert findings == ()
    assert [spec.name for spec in app.models] == ["Order"]


def test_every_failing_module_is_reported_and_the_others_are_loaded(write: Write) -> None:
    """With the innermost line of the project's own, not of a library's."""
    write("p/models/order.py", ORDER)
    write("p/models/deep.py", "import json\n\n\ndef read():\n    return json.loads('{')\n\n\nread()\n")
    root = write("p/operations/typo.py", "\n\ndef broken(:\n")
    app, findings = load_app(root, "p")
    assert [spec.name for spec in app.models] == ["Order"]
    assert [(finding.code, str(finding.source)) for finding in findings] == [
        ("PULPO101", "models/deep.py:5"),
        ("PULPO101", "operations/typo.py:3"),
    ]
    assert str(root) not in "".join(map(str, findings))


def test_tests_beside_the_code_are_not_imported(write: Write) -> None:
    """Nor what is hidden."""
    root = write("p/models/order.py", ORDER)
    write("p/models/test_order.py", "raise RuntimeError")
    write("p/models/conftest.py", "raise RuntimeError")
    write("p/models/.hidden/order.py", "raise RuntimeError")
    assert load_app(root, "p")[1] == ()


def test_loading_writes_nothing(write: Write) -> None:
    """No bytecode appears beside the modules."""
    root = write("p/models/order.py", ORDER)
    before = sys.dont_write_bytecode
    load_app(root, "p")
    assert [file.name for file in root.rglob("*") if file.is_file()] == ["order.py"]
    assert sys.dont_write_bytecode == before
