"""The generated API and its OpenAPI document."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from pulpo import project
from pulpo.compile.emit_api import emit_api
from pulpo.runtime.http.custom import merged
from pulpo.runtime.http.openapi import openapi
from pulpo.settings import Settings
from pulpo.spec import AppSpec

from .conftest import forget_modules


def test_there_is_a_module_per_model_and_per_group(shop: Path) -> None:
    """No more and no less."""
    found = {path.name for path in (shop / "generated" / "api").glob("*.py")}
    models = {"customers.py", "products.py", "movements.py", "orders.py"}
    assert found == models | {"shop.py", "shop_payments.py", "app.py", "__init__.py"}


def test_generated_code_is_strictly_typed_and_formatted(shop: Path) -> None:
    """Mypy --strict, ruff check and ruff format have nothing to say."""
    folder = str(shop / "generated" / "api")
    bin = Path(sys.executable).parent
    ruff = [str(bin / "ruff")]
    config = ["--no-cache", "--config", str(shop / "generated" / "ruff.toml"), folder]
    rules = ["--select", "E,F,W,I,D,UP,B", "--ignore", "D203,D213,D301"]
    assert subprocess.run([*ruff, "check", *rules, *config], check=False).returncode == 0
    assert subprocess.run([*ruff, "format", "--check", *config], check=False).returncode == 0
    cache = str(shop.parent / "mypy")
    mypy = [str(bin / "mypy"), "--strict", "--follow-imports=silent", "--cache-dir", cache, "-p", "generated.api"]
    done = subprocess.run(mypy, cwd=shop, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_group_and_a_model_of_one_name_have_two_modules() -> None:
    """The model keeps the name; the same declarations give the same files."""
    from pulpo import Model
    from pulpo.spec import ModelSpec, OperationSpec, Shape

    async def cancel() -> None: ...

    empty = Shape(None, None)
    app = AppSpec(
        "x",
        models=(ModelSpec("Order", type("Order", (Model,), {}), "orders", ()),),
        operations=(OperationSpec("orders.cancel", cancel, "operations.x", empty, empty, takes="nothing"),),
    )
    emitted = emit_api(app, {}, Settings())
    paths = [artifact.path for artifact in emitted]
    assert sorted(paths) == [
        "generated/api/__init__.py",
        "generated/api/app.py",
        "generated/api/orders.py",
        "generated/api/orders_operations.py",
        "openapi.json",
    ]
    assert emit_api(app, {}, Settings()) == emitted


def test_the_openapi_document_is_valid_and_the_served_one(shop: Path) -> None:
    """OpenAPI 3.1 by a standard validator; no `default` answers; every reference leads somewhere."""
    document = json.loads((shop / "openapi.json").read_text())
    OpenAPIV31SpecValidator(document).validate()
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                assert "default" not in operation["responses"]
    components = document["components"]["schemas"]
    assert "status" not in components["OrderCreate"]["properties"]
    assert "id" in components["OrderCreate"]["properties"]
    assert "id" not in components["OrderReplace"]["properties"]
    assert "required" not in components["OrderPatch"]
    assert components["Order"]["properties"]["status"]["readOnly"] is True
    assert "MovementCreate" not in components
    forget_modules()
    loaded = project.load(shop)
    assert merged(openapi(loaded.app, loaded.plans, loaded.settings), loaded.app.routes) == document
    forget_modules()


async def test_the_document_says_which_routes_there_are(client: httpx.AsyncClient, app: FastAPI, shop: Path) -> None:
    """Every generated and built-in route is described, and nothing that is not served."""
    document = (await client.get("/openapi.json")).json()
    assert document == json.loads((shop / "openapi.json").read_text())
    described = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }
    for path, method in described:
        answer = await client.options(path)
        assert answer.status_code == 405, path
        assert method.upper() in answer.headers["allow"].split(", "), (path, method)
    served = {(route.path, method.lower()) for route in _routes(app.router) for method in route.methods}
    assert served - {("/flows/{name}/runs", "post")} <= described


def _routes(router: object) -> list[APIRoute]:
    found = []
    for route in getattr(router, "routes", []):
        if isinstance(route, APIRoute):
            found.append(route)
        elif (inner := getattr(route, "original_router", None)) is not None:
            found += _routes(inner)
    return found
