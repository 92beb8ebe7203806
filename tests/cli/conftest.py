"""A compiled project's commands in a temporary folder, and a way to run command lines in this process."""

from __future__ import annotations

import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pulpo.cli.main import main
from pulpo.compile.artifact import Artifact
from pulpo.compile.emit_cli import emit_cli
from pulpo.errors import Source
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FieldSpec, GroupSpec, OperationSpec, Shape


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `pulpo ARGUMENTS` in this process."""

    def run_line(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err)

    return run_line


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Projects of several tests have modules of the same names: none is there before, none outlives its test."""
    monkeypatch.delenv("PULPO_API_URL", raising=False)
    path = list(sys.path)
    _forget_projects()
    yield
    sys.path[:] = path
    _forget_projects()


def _forget_projects() -> None:
    for name in [*sys.modules]:
        if name.split(".")[0] in {"generated", "models", "operations", "flows", "seed"}:
            del sys.modules[name]


async def nothing() -> None:
    """Stands in for an operation's body, which commands never see."""


def operation(name: str, *fields: FieldSpec, description: str = "", module: str = "operations.shop") -> OperationSpec:
    """A described operation with these input fields."""
    return OperationSpec(
        name,
        nothing,
        module,
        Shape(None, None, fields),
        Shape(None, None),
        description=description,
        source=Source(f"{module.replace('.', '/')}.py", 1),
    )


SHOP = AppSpec(
    "shop",
    operations=(
        operation(
            "orders.checkout.validate_items",
            FieldSpec("order_id", "ref", target="Order", description="The order's id or number"),
            FieldSpec("items", "list", required=False),
            description="Check that the items can be had. Writes nothing.",
        ),
        operation(
            "orders.checkout.validate_payment",
            FieldSpec("order_id", "ref", target="Order"),
            FieldSpec("payment_method", "enum", values=("credit_card", "invoice")),
            FieldSpec("amount", "money", required=False),
            FieldSpec("parts", "integer", required=False),
            FieldSpec("weight", "number", required=False),
            FieldSpec("express", "boolean", required=False),
            FieldSpec("key", "string", required=False),
            description="Check the payment method.",
        ),
        operation("orders.cancel", FieldSpec("order_id", "ref", target="Order"), description="Cancel an order."),
    ),
    groups=(GroupSpec("orders.checkout", description="Before anything is held."),),
)


def write_commands(root: Path, app: AppSpec = SHOP) -> None:
    """Write what `pulpo compile` writes for commands."""
    for artifact in (Artifact("generated/__init__.py", '"""Generated."""\n'), *emit_cli(app, {}, Settings())):
        file = root / artifact.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(artifact.text, encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has commands and nothing else; the current folder is inside of it."""
    (tmp_path / "operations").mkdir()
    write_commands(tmp_path)
    monkeypatch.chdir(tmp_path / "operations")
    return tmp_path


@pytest.fixture(scope="session")
def _compiled_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pulpo cli init` writes into an empty folder, compiled; made once."""
    root = tmp_path_factory.mktemp("sample") / "desk"
    root.mkdir()
    for arguments in (("cli", "init"), ("compile",)):
        command = [sys.executable, "-m", "pulpo.cli.main", *arguments]
        subprocess.run(command, cwd=root, check=True, capture_output=True)
    return root


@pytest.fixture
def desk(_compiled_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiled sample project of the test's own, which is the current folder."""
    root = tmp_path / "desk"
    shutil.copytree(_compiled_sample, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(root)
    return root


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(folder: Path, *arguments: str) -> float:
    """The processor time of `pulpo ARGUMENTS` in a process of its own, start-up included: the best of three.

    A command does nothing but compute, so on a free machine this is its wall time; on a busy one it stays the same.
    """
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "pulpo.cli.main", *arguments]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took)
