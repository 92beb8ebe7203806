"""Files that `pulpo cli init` and `pulpo new` begin a project with: `string.Template` texts, ending in `.tmpl`."""

from __future__ import annotations

from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent
_SUFFIX = ".tmpl"


def files(part: str, /, **values: str) -> dict[str, str]:
    """The files of a part (`config`, `sample`): path in the project -> text, with `$name` and so on filled in."""
    folder = FOLDER / part
    return {
        path.relative_to(folder).as_posix().removesuffix(_SUFFIX): text(path.relative_to(FOLDER).as_posix(), **values)
        for path in sorted(folder.rglob(f"*{_SUFFIX}"))
    }


def text(template: str, /, **values: str) -> str:
    """One template, filled in."""
    return Template((FOLDER / template).read_text(encoding="utf-8")).substitute(values)


def write_missing(root: Path, wanted: dict[str, str]) -> list[str]:
    """Write the files that are not there yet; nothing that exists is touched. The paths written."""
    written = []
    for path, content in wanted.items():
        file = root / path
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        written.append(path)
    return written
