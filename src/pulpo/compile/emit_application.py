"""`generated/application.py`: the user's models and operations, imported by name, and the plans beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pulpo.compile.artifact import WIDTH, Artifact, header, json_text, render
from pulpo.compile.identifiers import Identifiers, imports
from pulpo.spec import AppSpec, FlowPlan, ModelSpec, OperationSpec

_OWN = ("Path", "annotations", "application", "assemble")


def emit_application(app: AppSpec, plans: Mapping[str, FlowPlan]) -> tuple[Artifact, ...]:
    """The module that everything generated runs on, `plans.json`, and what makes the folder a package."""
    taken = Identifiers(_OWN)
    models = _names(((model.cls.__module__, model.cls.__name__) for model in app.models), taken)
    operations = _names(((spec.module, spec.function.__name__) for spec in app.operations), taken)
    path = "generated/application.py"
    return (
        Artifact(
            path,
            render(
                "application.py.jinja",
                header=header(path, sources((*app.models, *app.operations))),
                imports="\n".join(imports({**models, **operations})),
                name=app.name,
                models=_listed("models", models.values()),
                operations=_listed("operations", operations.values()),
            ),
        ),
        Artifact("generated/plans.json", json_text({name: plans[name].as_json() for name in sorted(plans)})),
        package("generated/__init__.py", f"What `pulpo compile` made of {app.name}."),
        Artifact("generated/ruff.toml", render("ruff.toml.jinja", header=header("generated/ruff.toml"), width=WIDTH)),
    )


def package(path: str, text: str) -> Artifact:
    """An `__init__.py` with nothing but its docstring."""
    return Artifact(path, f'{header(path)}"""{text}"""\n')


def sources(specs: Iterable[ModelSpec | OperationSpec]) -> tuple[str, ...]:
    """The files in which these were declared, sorted."""
    return tuple(sorted({spec.source.file for spec in specs if spec.source is not None}))


def _names(wanted: Iterable[tuple[str, str]], taken: Identifiers) -> dict[tuple[str, str], str]:
    """(module, name) -> the name in `application.py`: its own, or with the module where two share one."""
    found: dict[tuple[str, str], str] = {}
    for module, name in wanted:
        if (module, name) not in found:
            found[module, name] = taken.free(name, f"{module.replace('.', '_')}_{name}")
    return found


def _listed(name: str, values: Iterable[str]) -> str:
    """`    models=[Order, Product],`, an entry a line where that is too long."""
    values = list(values)
    line = f"    {name}=[{', '.join(values)}],"
    if len(line) <= WIDTH:
        return line
    return f"    {name}=[\n" + "".join(f"        {value},\n" for value in values) + "    ],"
