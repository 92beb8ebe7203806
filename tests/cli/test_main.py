"""The command line as a whole: what is listed, how it ends, and what it costs to start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pulpo import names
from pulpo.cli import builtin, main
from pulpo.errors import Finding, NotFound, ProjectErrors, PulpoError, Refused

from .conftest import Run, cpu_seconds

HEAVY = ("pydantic", "fastapi", "prefect", "apsw", "jinja2", "httpx", "rich", "uvicorn")


def test_help_imports_nothing_heavy(shop: Path) -> None:
    """`pulpo --help` inside a compiled project loads none of the libraries that work, nor the project's modules."""
    script = (
        "import sys; from pulpo.cli.main import main; main(['--help']); "
        "loaded = {name.split('.')[0] for name in sys.modules}; "
        f"print(sorted(loaded & {{*{HEAVY!r}, 'generated', 'http'}}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=shop, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "orders" in done.stdout


def test_help_is_there_within_a_quarter_of_a_second(shop: Path) -> None:
    """Start-up included, inside of a compiled project."""
    assert cpu_seconds(shop, "--help") < 0.25


def test_every_builtin_says_in_its_module_what_the_list_says() -> None:
    """The line that help lists is the beginning of the command's own help."""
    group = main.root()
    context = group.make_context("pulpo", [], resilient_parsing=True)
    for name, entry in builtin.entries().items():
        _, command, _ = group.resolve_command(context, [name])
        said = " ".join((command.help or "").split())
        assert said.startswith(entry.help.rstrip(".")), name


def test_builtin_names_are_kept_from_projects() -> None:
    """No domain of a project can hide one of Pulpo's commands."""
    assert set(builtin.entries()) <= names.RESERVED_COMMANDS


def test_a_mistyped_command_names_the_nearest(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Usage errors end with 2 and say where help is."""
    monkeypatch.chdir(tmp_path)
    ran = run("complie")
    assert ran.code == 2
    assert "No such command 'complie'. Did you mean 'compile'" in ran.err
    assert "Try `pulpo --help`." in ran.err


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("init", "No such command 'init'. Did you mean `pulpo cli init`?"),
        ("start", "No such command 'start'. Did you mean `pulpo up`?"),
        ("run", "No such command 'run'. Did you mean `pulpo up`?"),
        ("statuss", "No such command 'statuss'. Did you mean 'status'?"),
        ("stat", "No such command 'stat'. Did you mean 'status'?"),
        ("server", "No such command 'server'. Did you mean 'serve'?"),
        ("orders", "No such command 'orders'. This folder is in no project;"),
        ("deploy", "No such command 'deploy'. This folder is in no project;"),
    ],
)
def test_outside_of_a_project_a_word_leads_to_what_was_meant(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, said: str
) -> None:
    """Words of other tools name what does it here; a name that is merely alike is not suggested."""
    monkeypatch.chdir(tmp_path)
    ran = run(word)
    assert ran.code == 2
    assert f"Error: {said}" in ran.err


def test_a_usage_error_is_one_json_object_with_json(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json standard output is one JSON object whatever happens."""
    monkeypatch.chdir(tmp_path)
    ran = run("runs", "list", "--json", "--limit", "0")
    assert ran.code == 2
    assert json.loads(ran.out)["code"] == "PULPO804"


def test_outside_of_a_project_it_says_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PULPO104 and exit code 2."""
    monkeypatch.chdir(tmp_path)
    ran = run("check")
    assert ran.code == 2
    assert ran.err.startswith("PULPO104  no Pulpo project in ")
    assert "hint  run `pulpo cli init`" in ran.err


def test_version(run: Run) -> None:
    """`pulpo --version` is one line."""
    assert run("--version").out == "pulpo 0.6.0\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProjectErrors([Finding("PULPO202", "a circle")]), 1),
        (PulpoError("PULPO303", "stale"), 1),
        (PulpoError("PULPO802", "not compiled"), 1),
        (PulpoError("PULPO104", "no project"), 2),
        (PulpoError("PULPO105", "bad setting"), 2),
        (PulpoError("PULPO801", "bad input"), 2),
        (PulpoError("PULPO602", "invalid fields"), 2),
        (PulpoError("PULPO510", "bad reference"), 2),
        (NotFound("Order", "ORD-1"), 3),
        (Refused("insufficient_stock", "none left"), 3),
        (Refused("declined", "no", status=402), 3),
        (Refused("total_mismatch", "39.98 is not 39.99", status=422), 3),
        (PulpoError("PULPO416", "a gate said no"), 3),
        (PulpoError("PULPO606", "the host is not allowed"), 3),
        (Refused("gateway_unavailable", "down", status=503), 4),
        (PulpoError("PULPO803", "not there"), 4),
        (PulpoError("PULPO701", "port taken"), 4),
        (PulpoError("PULPO610", "broken"), 4),
        (PulpoError("PULPO304", "the disk refuses"), 4),
    ],
    ids=lambda value: getattr(value, "code", value),
)
def test_exit_codes(error: PulpoError, code: int) -> None:
    """1 findings or stale, 2 usage or invalid input, 3 refused by the application, 4 something is broken."""
    assert main.exit_code(error) == code
