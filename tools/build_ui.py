"""Build the UI: `ui/` becomes the files in `src/pulpo/runtime/page/dist/` that the page's server answers with.

Does nothing where what is built is what the sources say. Needs Node 20.19 or newer with npm; `--if-possible` goes on
without the UI where they are missing or npm cannot install, and says so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "ui"
BUILT = ROOT / "src" / "pulpo" / "runtime" / "page" / "dist"
STAMP = BUILT / "sources.sha256"
LOCKED = SOURCES / "node_modules" / ".installed.sha256"
NODE = (20, 19)
_FILES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")


class CannotBuild(Exception):
    """The UI cannot be built here; the text says what is missing."""


def main() -> int:
    """Build where that is needed. Returns 0, or 1 where it could not be done."""
    parser = argparse.ArgumentParser(prog="build_ui.py", description="Build the UI where its sources have changed.")
    parser.add_argument("--if-possible", action="store_true", help="go on without where Node is missing")
    given = parser.parse_args()
    try:
        print("the UI is built" if build() else "the UI is as its sources say")
    except CannotBuild as error:
        print(f"the UI is not built: {error}", file=sys.stderr)
        return 0 if given.if_possible else 1
    return 0


def build() -> bool:
    """Build the UI unless it is built from these very sources. Returns whether anything was done.

    Raises:
        CannotBuild: Node or npm is missing or too old, or npm failed.
    """
    if not (SOURCES / "package.json").is_file():
        raise CannotBuild("its sources are not here")
    wanted = digest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return False
    install()
    npm("run", "build")
    STAMP.write_text(wanted)
    return True


def install() -> None:
    """Install what `package-lock.json` names, where that is not done yet. Raises CannotBuild."""
    wanted = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    if LOCKED.is_file() and LOCKED.read_text() == wanted:
        return
    npm("ci")
    LOCKED.write_text(wanted)


def npm(*arguments: str) -> None:
    """Run npm in `ui/`. Raises CannotBuild with the end of what it said."""
    command = shutil.which("npm")
    if command is None:
        raise CannotBuild("npm is not on the PATH; Node 20.19 or newer brings it")
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", node)
    if version is None or (int(version[1]), int(version[2])) < NODE:
        raise CannotBuild(f"Node {node.strip() or '?'} is too old; 20.19 or newer is needed")
    environ = {**os.environ, "CI": "1", "NO_COLOR": "1"}
    done = subprocess.run([command, *arguments], cwd=SOURCES, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotBuild(f"`npm {' '.join(arguments)}` failed:\n{(done.stdout + done.stderr)[-3000:]}")


def digest() -> str:
    """A hash of everything that the build is made from."""
    found = hashlib.sha256()
    for path in sorted(_sources(), key=lambda each: each.relative_to(SOURCES).as_posix()):
        found.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _sources() -> Iterator[Path]:
    yield from (SOURCES / name for name in _FILES)
    for folder in ("src", "public"):
        for path in (SOURCES / folder).rglob("*"):
            if path.is_file() and ".test." not in path.name and "test" not in path.relative_to(SOURCES).parts[1:-1]:
                yield path


if __name__ == "__main__":
    sys.exit(main())
