"""A function's signature -> how the operation is called: its input, its output, its context."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from pulpo.declare.hints import UnresolvedHint, fields_of, is_model, unwrap
from pulpo.spec import Shape

Problem = tuple[str, str, str | None]
"""Code, message, hint."""

NOTHING = Shape(None, None)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_UNKNOWN = object()


@dataclass(frozen=True, slots=True)
class Signature:
    """What an operation's function takes and gives, and what is wrong with saying so."""

    input: Shape
    output: Shape
    takes: Literal["model", "fields", "nothing"]
    context: str | None
    problems: tuple[Problem, ...] = ()


def read(
    function: Callable[..., Any],
    local: Mapping[str, Any],
    inputs: type[BaseModel] | None = None,
    outputs: type[BaseModel] | None = None,
) -> Signature:
    """Read a function's annotations.

    Args:
        function: An operation's function.
        local: Names around the function, for annotations that use them.
        inputs: The input class, where the signature does not say it.
        outputs: The output class, likewise.
    """
    return _Reader(function, {**function.__globals__, **local}).read(inputs, outputs)


class _Reader:
    def __init__(self, function: Callable[..., Any], namespace: dict[str, Any]) -> None:
        self.function = function
        self.namespace = namespace
        self.problems: list[Problem] = []

    def read(self, inputs: type[BaseModel] | None, outputs: type[BaseModel] | None) -> Signature:
        context: str | None = None
        given: dict[str, tuple[inspect.Parameter, Any]] = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            hint = self.resolve(parameter.annotation, f"parameter {name!r}", quiet=_says_context(parameter.annotation))
            if _is_context(hint, parameter.annotation):
                context = name
            elif parameter.kind not in _BY_NAME:
                self.problem("PULPO209", f"takes {str(parameter).partition(':')[0]}, which no caller can fill by name")
            else:
                given[name] = (parameter, hint)
        output = self.output(outputs)
        if inputs is not None and len(given) == 1:
            return self.signature(self.shape(inputs), output, "model", context)
        hints = {name: hint for name, (_, hint) in given.items()}
        if len(given) == 1 and is_model(next(iter(hints.values()))):
            return self.signature(self.shape(next(iter(hints.values()))), output, "model", context)
        return self.signature(
            self.made({name: (hint, parameter) for name, (parameter, hint) in given.items()}),
            output,
            "fields" if given else "nothing",
            context,
        )

    def signature(
        self, taken: Shape, output: Shape, takes: Literal["model", "fields", "nothing"], context: str | None
    ) -> Signature:
        return Signature(taken, output, takes, context, tuple(self.problems))

    def output(self, outputs: type[BaseModel] | None) -> Shape:
        if outputs is not None:
            return self.shape(outputs)
        hint = self.resolve(inspect.signature(self.function).return_annotation, "its result")
        if hint is _UNKNOWN:
            return Shape(None, Any)
        return self.shape(hint) if is_model(hint) else Shape(None, None if hint is types.NoneType else hint)

    def shape(self, cls: type[BaseModel]) -> Shape:
        try:
            return Shape(cls, cls, fields_of(cls, self.namespace))
        except UnresolvedHint as error:
            self.problem("PULPO209", f"uses {cls.__name__}, but {error.detail}", "declare the class above its use")
            return Shape(cls, cls)

    def made(self, parameters: Mapping[str, tuple[Any, inspect.Parameter]]) -> Shape:
        """The input model made from plain parameters."""
        if not parameters or any(hint is _UNKNOWN for hint, _ in parameters.values()):
            return NOTHING
        title = "".join(word.capitalize() for word in self.function.__name__.split("_")) + "Input"
        definitions: dict[str, Any] = {
            name: (hint, ... if parameter.default is inspect.Parameter.empty else parameter.default)
            for name, (hint, parameter) in parameters.items()
        }
        try:
            with warnings.catch_warnings(action="ignore"):  # a parameter may be called `copy` or `json`
                cls: type[BaseModel] = create_model(
                    title,
                    __config__=ConfigDict(extra="forbid", protected_namespaces=(), arbitrary_types_allowed=False),
                    __module__=self.function.__module__,
                    **definitions,
                )
        except (PydanticUserError, PydanticSchemaGenerationError, NameError, TypeError) as error:
            reason = str(error).partition("\n")[0].partition(". ")[0]
            self.problem(
                "PULPO209", f"takes parameters that no JSON can fill: {reason}", "use types that Pydantic knows"
            )
            return NOTHING
        return self.shape(cls)

    def resolve(self, annotation: Any, what: str, *, quiet: bool = False) -> Any:
        """The type that an annotation names, `_UNKNOWN` where it is missing or names nothing."""
        if annotation is inspect.Signature.empty:
            hint = "write `-> None` if it gives nothing" if what == "its result" else "annotate it"
            self.problem("PULPO209", f"has no annotation for {what}", hint)
            return _UNKNOWN
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            return typing.get_type_hints(holder, self.namespace, include_extras=True)["it"]
        except Exception as error:  # noqa: BLE001 - an annotation is any expression, evaluated here
            if not quiet:
                self.problem(
                    "PULPO209",
                    f"annotates {what} with {annotation!r}, which cannot be read: {error}",
                    "import it there",
                )
            return _UNKNOWN

    def problem(self, code: str, message: str, hint: str | None = None) -> None:
        self.problems.append((code, message, hint))


def _says_context(annotation: Any) -> bool:
    """Whether the text of an annotation is `Context`, `pulpo.Context` or `Context | None`."""
    if not isinstance(annotation, str):
        return False
    text = annotation.strip("\"' ").removesuffix("| None").strip()
    return text.rpartition(".")[2] == "Context"


def _is_context(hint: Any, annotation: Any) -> bool:
    """Whether a parameter takes the context; told by name, so that reading needs nothing of the runtime."""
    if hint is _UNKNOWN:
        return _says_context(annotation)
    core = unwrap(hint).type
    return isinstance(core, type) and core.__name__ == "Context" and core.__module__.partition(".")[0] == "pulpo"
