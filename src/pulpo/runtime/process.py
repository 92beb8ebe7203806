"""What a process that serves or works does once, when it is ready."""

from __future__ import annotations

import ctypes
import gc


def tune_collector() -> None:
    """Let the garbage collector look at what comes and goes only, and less often.

    Hundreds of flows under way are many small living objects, which each collection would walk through again: a fifth
    of a flow's time. What was made to start (modules, schemas) is set aside for good.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def give_back_memory() -> None:
    """Let the C library give back what it keeps free: a few milliseconds. Nothing, where it is not glibc's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
