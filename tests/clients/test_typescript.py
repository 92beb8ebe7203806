"""The generated TypeScript client: the compiler takes it, and it does what it says against a running API."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.typescript import compile_typescript, needs_node, node, sources
from tests.compile.projects import compiled
from tests.docs.pages import blocks
from tests.proof.arena import Arena

CLIENT = "generated/clients/typescript"

pytestmark = needs_node


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The order app, compiled."""
    with Arena(tmp_path_factory.mktemp("arena")) as arena:
        yield arena


def passed(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def all_passed(done: subprocess.CompletedProcess[str]) -> None:
    """The run is good only if there were tests in it, and none was left out."""
    passed(done)
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^# skipped 0$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("case", ["notes", "orders", "words", "collisions", "braid"])
def test_the_client_of_every_case_is_strict_typescript(case: str, tmp_path: Path) -> None:
    """`tsc` takes it by its own configuration, whose every check is on, with no types but the platform's."""
    passed(compile_typescript(compiled(case, tmp_path) / CLIENT, "--noEmit"))


def test_a_small_project_s_types_say_what_can_be_sent(tmp_path: Path) -> None:
    """What is right compiles, and what each `@ts-expect-error` marks does not."""
    client = compiled("notes", tmp_path) / CLIENT
    passed(compile_typescript(sources(client, tmp_path / "build", "notes.types.ts"), "--noEmit"))


def test_the_order_app_s_types_say_what_can_be_sent(arena: Arena, tmp_path: Path) -> None:
    """The same for documents, filters, figures, operations, flows and problems."""
    passed(compile_typescript(arena.root / CLIENT, "--noEmit"))
    build = sources(arena.root / CLIENT, tmp_path / "build", "orders.types.ts")
    passed(compile_typescript(build, "--noEmit"))


def test_the_code_in_its_documentation_compiles(arena: Arena, tmp_path: Path) -> None:
    """The page's blocks, one after the other, are a program for the order app."""
    build = sources(arena.root / CLIENT, tmp_path / "build", "orders.types.ts")
    text = "\n".join(block.text for block in blocks("clients.md") if block.language == "ts")
    (build / "orders.types.ts").write_text(text.replace("./generated/clients/typescript/", "./client/"))
    passed(compile_typescript(build, "--noEmit", "--noUnusedLocals", "false"))


def test_the_client_lives_with_servers_that_fail(tmp_path: Path) -> None:
    """Attempts, timeouts, cancelling, streams that break off: against a server that does it all on purpose."""
    client = compiled("notes", tmp_path) / CLIENT
    build = sources(client, tmp_path / "build", "client.test.ts")
    passed(compile_typescript(build))
    all_passed(node("--test", "--test-reporter=tap", str(build / "out" / "client.test.js")))


def test_the_client_does_all_that_the_api_serves(arena: Arena, tmp_path: Path) -> None:
    """Documents, lists, conflicts, operations, flows with their events, exports: against the order app's process."""
    build = sources(arena.root / CLIENT, tmp_path / "build", "shop.test.ts")
    passed(compile_typescript(build))
    arena.start_gateway()
    url = arena.start_api().url
    all_passed(node("--test", "--test-reporter=tap", str(build / "out" / "shop.test.js"), SHOP_URL=url))
