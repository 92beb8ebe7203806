"""What an exception of the project's own code says, and where it was raised: for people who develop."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST = 300
"""Characters of a message that are shown."""


def said(error: BaseException, function: Callable[..., Any]) -> str:
    """`: 'colour' (operations/paint.py:12)`: the message, and the last place in the project of a function.

    Args:
        error: What was raised.
        function: The operation; its project is the folder that its module is imported from.
    """
    message = " ".join(str(error).split())
    text = f": {message[:LONGEST]}{'…' if len(message) > LONGEST else ''}" if message else ""
    root = _root(function)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if root is not None and file.is_relative_to(root) and "site-packages" not in file.parts:
            return f"{text} ({file.relative_to(root).as_posix()}:{frame.lineno})"
    return text


def _root(function: Callable[..., Any]) -> Path | None:
    file = getattr(function, "__globals__", {}).get("__file__")
    return Path(file).parents[function.__module__.count(".")] if file else None
