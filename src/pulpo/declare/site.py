"""Where a declaration stands: its module's own lists of declarations and findings, and its file and line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pulpo.errors import Finding, Source
from pulpo.spec import FlowSpec, GroupSpec, ModelSpec, OperationSpec

DECLARED = "__pulpo_declared__"
FINDINGS = "__pulpo_findings__"
SPEC = "__pulpo__"


@dataclass(frozen=True, slots=True)
class Site:
    """The place of a declaration.

    Attributes:
        namespace: The declaring module's globals, where its declarations are kept.
        local: Names around the declaration, for annotations that use them.
        source: File (absolute; discovery makes it relative) and line.
    """

    namespace: dict[str, Any]
    local: Mapping[str, Any]
    source: Source

    @classmethod
    def of(cls, frame: FrameType) -> Site:
        """The place that a frame is at."""
        return cls(frame.f_globals, frame.f_locals, Source(frame.f_code.co_filename, frame.f_lineno))

    def declare(self, spec: ModelSpec | OperationSpec | GroupSpec | FlowSpec) -> None:
        """Keep a description with its module."""
        self.namespace.setdefault(DECLARED, []).append(spec)

    def find(self, code: str, message: str, hint: str | None = None) -> None:
        """Keep a problem with its module; `check` reports all of them together."""
        self.namespace.setdefault(FINDINGS, []).append(Finding(code, message, self.source, hint))
