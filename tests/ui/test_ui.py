"""The UI's own tests, where Node and Chromium are: units, then the built app in a browser before the real API."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).parents[2]
UI = REPO / "ui"
CHROMIUM = Path(os.environ.get("PULPO_CHROMIUM", "/usr/bin/chromium"))


def _builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_ui", REPO / "tools" / "build_ui.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """The UI as its sources say; without Node there is nothing here to test."""
    builder = _builder()
    try:
        builder.install()
        builder.build()
    except builder.CannotBuild as error:
        if shutil.which("npm") is None:
            pytest.skip(str(error))
        raise


def _npm(script: str, timeout: float) -> None:
    environ = {**os.environ, "PULPO_PYTHON": sys.executable, "NO_COLOR": "1", "CI": "1"}
    done = subprocess.run(
        ["npm", "run", script], cwd=UI, env=environ, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


def test_the_units_of_the_ui() -> None:
    """`npm test` passes."""
    _npm("test", 180)


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}")
def test_the_ui_in_a_browser() -> None:
    """`npm run browser` passes: every page, and what people do with them."""
    _npm("browser", 540)


def _words_of_the_examples() -> set[str]:
    """What only one example's API speaks of: collections, models, operations, flows, fields, as code names them."""
    apis = [json.loads(path.read_text()) for path in sorted((REPO / "examples").glob("*/openapi.json"))]
    assert len(apis) == 2
    words = []
    for api in apis:
        parts = {part for path in api["paths"] for part in path.split("/") if part and "{" not in part}
        collections = {path.split("/")[1] for path in api["paths"]}
        fields = {name for each in api["components"]["schemas"].values() for name in each.get("properties", {})}
        ones = (json.dumps(each.get("get", {})) for path, each in api["paths"].items() if path.endswith("/{id}"))
        models = {name for text in ones for name in re.findall(r"#/components/schemas/(\w+)", text)}
        snake = {name for name in parts | fields if "_" in name}
        words.append({f"'{name}'" for name in collections | models} | snake)
    return words[0] ^ words[1]


def test_nothing_in_the_ui_knows_what_an_order_is() -> None:
    """Not a word that one example's API has and the other's has not is in the sources; tests may name them."""
    words = _words_of_the_examples()
    assert {"'orders'", "'Order'", "'tasks'", "'Task'", "order_to_cash", "validate_items", "address_zip"} <= words
    sources = [path for path in (UI / "src").rglob("*.ts*") if ".test." not in path.name]
    assert sources
    for path in sources:
        text = "".join(
            line
            for line in path.read_text().splitlines(keepends=True)
            if not line.lstrip().startswith(("*", "//", "/*"))
        )
        found = [word for word in words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
        assert found == [], path


def test_modules_are_small() -> None:
    """No source has more than 400 lines, and none says `any`."""
    for path in (UI / "src").rglob("*.ts*"):
        text = path.read_text()
        assert text.count("\n") <= 400, path
        assert ": any" not in text, path
