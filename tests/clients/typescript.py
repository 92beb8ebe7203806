"""The TypeScript compiler and Node, as the tests use them, and projects' clients to use them on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = HERE / "node_modules" / "typescript" / "bin" / "tsc"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not COMPILER.exists(),
    reason="Node, or what `make test` installs into tests/clients/node_modules, is missing",
)


def sources(client: Path, folder: Path, *tests: str) -> Path:
    """A folder with a generated client, tests of it, and a configuration as strict as the client's own."""
    shutil.copytree(client, folder / "client")
    for test in tests:
        shutil.copy(HERE / test, folder)
    strict = json.loads((client / "tsconfig.json").read_text())["compilerOptions"]
    types = {"types": ["node"], "typeRoots": [str(HERE / "node_modules" / "@types")], "skipLibCheck": True}
    options = {**strict, **types, "rootDir": ".", "outDir": "out", "declaration": False}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": list(tests)}))
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def compile_typescript(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `tsc` on a folder with a `tsconfig.json`."""
    return node(str(COMPILER), "--project", str(folder), *options)


def node(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Node to its end; what it printed is in the result."""
    return subprocess.run(
        ["node", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
