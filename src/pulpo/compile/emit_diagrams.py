"""`generated/graphs/`: the application as Mermaid diagrams, which code hosts and editors draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pulpo import names
from pulpo.compile.artifact import Artifact, header, render
from pulpo.compile.emit_application import sources
from pulpo.errors import PulpoError
from pulpo.graph import order
from pulpo.spec import AppSpec, Edge, FieldSpec, FlowPlan, ModelSpec, OperationSpec

_FOLDER = "generated/graphs"
_STYLES = (
    "classDef path stroke-width:3px",
    "classDef pivot stroke-dasharray:6 3",
    "classDef aside opacity:0.7",
)


def emit_diagrams(app: AppSpec, plans: Mapping[str, FlowPlan]) -> tuple[Artifact, ...]:
    """Hierarchy, data flow, models, a diagram per flow, and a page that shows them all."""
    flows = [plans[name] for name in sorted(plans) if plans[name].steps]
    diagrams = {
        "hierarchy": hierarchy(app, flows),
        "dataflow": data_flow(app),
        "models": relations(app),
        **{f"flow_{names.flow_module(plan.flow)}": flow(plan) for plan in flows},
    }
    files = sources((*app.models, *app.operations))
    page = f"{_FOLDER}/README.md"
    text = render(
        "graphs/README.md.jinja",
        header=header(page, files),
        name=app.name,
        diagrams=diagrams,
        flows=[(plan, f"flow_{names.flow_module(plan.flow)}", _reasons(plan)) for plan in flows],
    )
    return (
        *(
            Artifact(path, header(path, files) + diagram)
            for name, diagram in diagrams.items()
            for path in (f"{_FOLDER}/{name}.mmd",)
        ),
        Artifact(page, text),
    )


def hierarchy(app: AppSpec, flows: Iterable[FlowPlan]) -> str:
    """The operation hierarchy graph: domains hold groups, groups hold operations, arrows say what waits for what."""
    edges = _edges(app, flows)
    ordered = {end for edge in edges for end in edge}
    lines = ["flowchart LR"]
    for domain in dict.fromkeys(operation.domain for operation in app.operations):
        lines.append(f"  subgraph {_id('domain', domain)}[{_label(domain)}]")
        within = [operation for operation in app.operations if operation.domain == domain]
        for group in dict.fromkeys(operation.group for operation in within):
            members = [operation for operation in within if operation.group == group]
            title = group.partition(".")[2] or group
            lines.append(f"    subgraph {_id('group', group)}[{_label(title, _manner(members, edges))}]")
            lines += [f"      {_node(operation, aside=operation.name not in ordered)}" for operation in members]
            lines.append("    end")
        lines.append("  end")
    lines += [f"  {_id('op', before)} --> {_id('op', after)}" for before, after in edges]
    lines += [
        f"  {_id('op', operation.name)} -. undone by .-> {_id('op', operation.compensate)}"
        for operation in app.operations
        if operation.compensate
    ]
    return _text([*lines, *(f"  {style}" for style in _STYLES)])


def data_flow(app: AppSpec) -> str:
    """Which operation reads (towards it), writes (thick) and inserts into (dotted) which model."""
    lines = ["flowchart LR"]
    lines += [f"  {_id('model', model.name)}[({_label(model.name)})]" for model in app.models]
    for operation in app.operations:
        here = _id("op", operation.name)
        lines.append(f"  {here}[{_label(operation.name)}]")
        both = [model for model in operation.reads if model in operation.writes]
        lines += [f"  {_id('model', model)} <==> {here}" for model in both]
        lines += [f"  {_id('model', model)} --> {here}" for model in operation.reads if model not in both]
        lines += [f"  {here} ==> {_id('model', model)}" for model in operation.writes if model not in both]
        lines += [f"  {here} -.-> {_id('model', model)}" for model in operation.adds]
    return _text(lines)


def relations(app: AppSpec) -> str:
    """The models with their fields, what is embedded in them, and what refers to what."""
    known = {model.name for model in app.models}
    embedded: dict[str, tuple[FieldSpec, ...]] = {}
    links: dict[str, None] = {}
    lines = ["erDiagram"]
    for model in app.models:
        lines += _entity(model.name, model.fields, model)
        _walk(model.name, model.fields, embedded, links, known)
    for name, fields in embedded.items():
        lines += _entity(name, fields, None)
    return _text([*lines, *(f"  {link}" for link in links)])


def flow(plan: FlowPlan) -> str:
    """A flow's plan: an arrow for each edge, the critical path drawn thick, gates as rhombuses."""
    lines = ["flowchart TD"]
    for step in plan.steps:
        note = "point of no return" if step.pivot else f"stops unless {step.gate}" if step.gate else ""
        label = _label(step.operation, note)
        shape = f"{{{{{label}}}}}" if step.gate else f"[{label}]"
        lines.append(f"  {_id('op', step.operation)}{shape}")
    lines += [
        f"  {_id('op', edge.before)} -->|{_label(edge.rule)}| {_id('op', edge.after)}"
        for edge in sorted(plan.edges, key=lambda edge: (edge.before, edge.after))
    ]
    if plan.critical_path:
        lines.append(f"  class {','.join(_id('op', step) for step in plan.critical_path)} path")
    if pivots := [_id("op", step.operation) for step in plan.steps if step.pivot]:
        lines.append(f"  class {','.join(pivots)} pivot")
    return _text([*lines, *(f"  {style}" for style in _STYLES[:2])])


def _edges(app: AppSpec, flows: Iterable[FlowPlan]) -> list[tuple[str, str]]:
    """What waits for what in any flow, without what follows from the rest."""
    needs: dict[str, list[str]] = {operation.name: [] for operation in app.operations}
    for plan in flows:
        for edge in plan.edges:
            if edge.before not in needs[edge.after]:
                needs[edge.after].append(edge.before)
    try:
        fewest: Mapping[str, Iterable[str]] = order.reduced(needs)
    except PulpoError:  # two flows that each have an order may contradict one another
        fewest = needs
    return sorted((before, after) for after, befores in fewest.items() for before in befores)


def _manner(members: list[OperationSpec], edges: list[tuple[str, str]]) -> str:
    """How the operations of a group stand to each other, where there are several."""
    own = {operation.name for operation in members if not operation.standalone}
    inside = sum(before in own and after in own for before, after in edges)
    linked = {end for edge in edges for end in edge} & own
    if len(linked) < 2:
        return ""
    return "side by side" if not inside else "one after another" if inside >= len(linked) - 1 else ""


def _node(operation: OperationSpec, *, aside: bool) -> str:
    shape = f"{_id('op', operation.name)}[{_label(operation.short)}]"
    return f"{shape}:::{'pivot' if operation.pivot else 'aside'}" if operation.pivot or aside else shape


def _entity(name: str, fields: tuple[FieldSpec, ...], model: ModelSpec | None) -> list[str]:
    lines = [f"  {name} {{"]
    for field in fields:
        kind = f"{_kind(field.item)}_list" if field.kind == "list" and field.item is not None else _kind(field)
        marks = ["PK"] if model is not None and field.name == "id" else []
        marks += ["FK"] if field.kind == "ref" else []
        marks += ["UK"] if field.unique else []
        lines.append(f"    {kind} {field.name} {','.join(marks)}".rstrip())
    return [*lines, "  }"]


def _kind(field: FieldSpec) -> str:
    return field.embedded or "object" if field.kind == "embedded" else field.kind


def _walk(
    owner: str,
    fields: tuple[FieldSpec, ...],
    embedded: dict[str, tuple[FieldSpec, ...]],
    links: dict[str, None],
    known: set[str],
) -> None:
    """Note what a class embeds and refers to."""
    for field in fields:
        many = field.kind == "list"
        inner = field.item if many and field.item is not None else field
        if inner.kind == "embedded" and inner.embedded:
            links[f"{owner} ||--{'o{' if many else '||'} {inner.embedded} : {_label(field.name)}"] = None
            if inner.embedded not in embedded:
                embedded[inner.embedded] = inner.fields
                _walk(inner.embedded, inner.fields, embedded, links, known)
        elif inner.kind == "ref" and inner.target and (inner.target in known or inner.target in embedded):
            left = "}o" if not field.unique else "|o"
            right = "o{" if many else "o|" if inner.nullable or field.nullable else "||"
            links[f"{owner} {left}--{right} {inner.target} : {_label(field.name)}"] = None


def _reasons(plan: FlowPlan) -> list[Edge]:
    return sorted(plan.edges, key=lambda edge: (edge.before, edge.after))


def _id(kind: str, name: str) -> str:
    """An identifier that is no word of Mermaid's."""
    return f"{kind}_{names.identifier(name)}"


def _label(*lines: str) -> str:
    """Text in quotes, with line breaks between."""
    return '"' + "<br/>".join(line.replace('"', "#quot;") for line in lines if line) + '"'


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
