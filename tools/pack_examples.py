"""Pack each example as `dist/NAME.tar.gz`: the same bytes for the same files, whenever and wherever it is done."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MADE = {"generated", ".pulpo", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"}
_TIME = 1_761_782_400  # 2025-10-30, for every entry


def pack(folder: Path) -> bytes:
    """The folder as a gzipped tar archive, without what running or compiling it made."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=_TIME) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in [folder, *sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())]:
            if not _MADE.intersection(path.relative_to(folder).parts) and path.suffix != ".pyc":
                _add(archive, path, (Path(folder.name) / path.relative_to(folder)).as_posix())
    return packed.getvalue()


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = _TIME
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
        return
    content = path.read_bytes()
    entry.size, entry.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
    archive.addfile(entry, io.BytesIO(content))


def main() -> int:
    """Pack every folder of `examples/`."""
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    for folder in sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir()):
        file = dist / f"{folder.name}.tar.gz"
        file.write_bytes(pack(folder))
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
