"""`pulpo.lock`: what was generated and from which plans, committed so that a change shows in review."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pulpo import __version__

if TYPE_CHECKING:
    from pulpo.spec import FlowPlan

FILE = "pulpo.lock"
FORMAT = 1
_PLAN = ("steps", "edges", "critical_path", "preconditions", "input", "one_per")


def digest(text: str | bytes) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


@dataclass(frozen=True, slots=True)
class Lock:
    """What the last compile made.

    Attributes:
        files: Path -> digest of the text that was written.
        overridden: Path -> digest of the generated text that a file under `overrides/` stands in for.
        plans: Flow -> steps, edges with rule and reason, critical path, preconditions and input, as JSON.
        generator: The version of Pulpo.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    overridden: Mapping[str, str] = field(default_factory=dict)
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    generator: str = __version__

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """A lock from its text, or None where this version cannot read it (another format, a merge conflict)."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                return None
            plans = {name: {key: plan[key] for key in _PLAN} for name, plan in data["plans"].items()}
            return cls(dict(data["files"]), dict(data["overridden"]), plans, str(data["generator"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def dump(self) -> str:
        """The text: sorted, and a line per file, step and edge, so that a difference reads as what has changed."""
        plans = [f"    {_json(name)}: {_plan(self.plans[name])}" for name in sorted(self.plans)]
        parts = [
            f'  "format": {FORMAT}',
            f'  "generator": {_json(self.generator)}',
            f'  "plans": {_block(plans, 2, "{}")}',
            f'  "overridden": {_entries(self.overridden)}',
            f'  "files": {_entries(self.files)}',
        ]
        return "{\n" + ",\n".join(parts) + "\n}\n"


def plan_record(plan: FlowPlan) -> dict[str, Any]:
    """What the lock keeps of a plan."""
    return {
        "steps": [step.operation for step in plan.steps],
        "edges": [
            {"from": edge.before, "to": edge.after, "rule": edge.rule, "why": edge.why}
            for edge in sorted(plan.edges, key=lambda edge: (edge.before, edge.after, edge.rule))
        ],
        "critical_path": list(plan.critical_path),
        "preconditions": list(plan.preconditions),
        "input": [f"{given.name}{'' if given.required else '?'}" for given in plan.input],
        "one_per": plan.one_per,
    }


def plan_changes(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is different between two sets of plans, a sentence each: flows, steps, edges, and what else a plan says."""
    found = [f"flow {name} is new" for name in sorted(new.keys() - old.keys())]
    found += [f"flow {name} is gone" for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        found += [f"flow {name}: {change}" for change in _changes(old[name], new[name])]
    return found


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = [f"step {step} is new" for step in new["steps"] if step not in old["steps"]]
    found += [f"step {step} is gone" for step in old["steps"] if step not in new["steps"]]
    before, after = _edges(old), _edges(new)
    found += [f"edge {_arrow(edge)} ({before[edge]}) is gone" for edge in sorted(before.keys() - after.keys())]
    found += [f"edge {_arrow(edge)} ({after[edge]}) is new" for edge in sorted(after.keys() - before.keys())]
    found += [
        f"edge {_arrow(edge)} was there for another reason ({before[edge]}; now {after[edge]})"
        for edge in sorted(before.keys() & after.keys())
        if before[edge] != after[edge]
    ]
    was, now = len(old["critical_path"]), len(new["critical_path"])
    if was != now:
        found.append(f"the critical path has {now} steps, it had {was}")
    for key, words in (("preconditions", "its preconditions"), ("input", "its input"), ("one_per", "its `one_per`")):
        if old[key] != new[key]:
            found.append(f"{words} changed from {_said(old[key])} to {_said(new[key])}")
    return found


def _edges(plan: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(before, after) -> the rules and reasons."""
    found: dict[tuple[str, str], str] = {}
    for edge in plan["edges"]:
        key, reason = (edge["from"], edge["to"]), f"{edge['rule']}: {edge['why']}"
        found[key] = f"{found[key]}; {reason}" if key in found else reason
    return found


def _arrow(edge: tuple[str, str]) -> str:
    return f"{edge[0]} -> {edge[1]}"


def _said(value: Any) -> str:
    return (", ".join(value) if isinstance(value, list) else value) or "nothing"


def _plan(plan: Mapping[str, Any]) -> str:
    lines = [
        f"      {_json(key)}: {_block([f'        {_json(entry)}' for entry in value], 6, '[]')}"
        if isinstance(value, list)
        else f"      {_json(key)}: {_json(value)}"
        for key, value in plan.items()
    ]
    return _block(lines, 4, "{}")


def _entries(values: Mapping[str, str]) -> str:
    return _block([f"    {_json(key)}: {_json(values[key])}" for key in sorted(values)], 2, "{}")


def _block(lines: Iterable[str], indent: int, brackets: str) -> str:
    lines = list(lines)
    if not lines:
        return brackets
    return brackets[0] + "\n" + ",\n".join(lines) + "\n" + " " * indent + brackets[1]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
