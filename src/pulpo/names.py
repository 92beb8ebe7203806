"""Names: from a class or a dotted operation name to what is derived from it."""

from __future__ import annotations

import keyword
import re
import sys
from functools import lru_cache

_WORD = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

RESERVED_PATHS = frozenset(
    {"runs", "flows", "operations", "events", "meta", "livez", "readyz", "metrics", "docs", "redoc", "openapi", "api",
     "auth", "users", "tokens", "assets"}
)  # fmt: skip
RESERVED_COMMANDS = frozenset(
    {"cli", "compile", "check", "plan", "up", "down", "status", "logs", "db", "runs", "flows", "doctor", "bench", "new",
     "eject", "explain", "token", "dev", "worker", "serve", "init", "help", "models", "events"}
)  # fmt: skip


def is_operation_name(name: str) -> bool:
    """Whether a name is `domain.verb_noun` or `domain.group.verb_noun`, in snake_case, two segments at least."""
    parts = name.split(".")
    return len(parts) >= 2 and all(_WORD.fullmatch(part) and not keyword.iskeyword(part) for part in parts)


def domain(operation: str) -> str:
    """`orders` of `orders.checkout.validate_items`."""
    return operation.partition(".")[0]


def group(operation: str) -> str:
    """`orders.checkout` of `orders.checkout.validate_items`."""
    return operation.rpartition(".")[0]


def short(operation: str) -> str:
    """`validate_items` of `orders.checkout.validate_items`."""
    return operation.rpartition(".")[2]


def identifier(operation: str) -> str:
    """`orders_checkout_validate_items`: a Python identifier, unique per operation."""
    return operation.replace(".", "_")


def operation_path(operation: str) -> str:
    """`/operations/orders/checkout/validate_items`."""
    return "/operations/" + operation.replace(".", "/")


def flow_module(flow: str) -> str:
    """The module of a flow: its name, or `NAME_flow` where a script of that name would hide a standard module."""
    return f"{flow}_flow" if flow in sys.stdlib_module_names or keyword.iskeyword(flow) else flow


def flow_function(flow: str) -> str:
    """The function of a flow: `orders_flow`."""
    return f"{flow}_flow"


def flow_entrypoint(flow: str) -> str:
    """Where Prefect finds a flow: `generated/flows/orders.py:orders_flow`."""
    return f"generated/flows/{flow_module(flow)}.py:{flow_function(flow)}"


def snake(name: str) -> str:
    """`StockMovement` -> `stock_movement`."""
    return _CAMEL.sub("_", name).lower()


def plural(word: str) -> str:
    """The regular English plural of a snake_case noun: `ledger_entry` -> `ledger_entries`."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word + "s"


def collection(model: str) -> str:
    """The table and the path segment of a model: `StockMovement` -> `stock_movements`."""
    return plural(snake(model))


@lru_cache(maxsize=1024)
def id_prefix(model: str) -> str:
    """What a model's ids begin with: `Product` -> `prod`, `StockMovement` -> `stoc_move`, `Order` -> `order`."""
    words = snake(model).split("_")
    return words[0] if len(words) == 1 and len(words[0]) <= 5 else "_".join(word[:4] for word in words)


def title(name: str) -> str:
    """What a person reads: `validate_items` -> `Validate items`."""
    return name.replace("_", " ").strip().capitalize()


def article(word: str) -> str:
    """`a` or `an`, as it is said before a word: a user, an order."""
    if re.match(r"u(?:ni|s[aeiu]|t[ei]|r[aeio])|eu|one", word):
        return "a"
    return "an" if word[:1] in "aeiou" or re.match("hour|heir|honou?r|honest", word) else "a"


def slug(name: str) -> str:
    """A project's name as images, deployments and work pools have it: `Acme Orders` -> `acme-orders`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "app"
