"""Routes of a project's own: in the document as they are served, named apart where names collide, never rewritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from pulpo import project
from pulpo.errors import ProjectErrors
from tests.compile.projects import compile_project, compiled, copied

ROUTES = '''\
"""Routes beside the generated ones."""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from pydantic import BaseModel

router = APIRouter()
bearer = HTTPBearer()


class Problem(BaseModel):
    """Not Pulpo's."""

    puzzle: str


class Answer(BaseModel):
    """An answer to one."""

    to: Problem
    text: str


@router.get("/notes/{number}")
async def a_note(number: str, loud: bool = False) -> dict[str, str]:
    """Stand before the generated route."""
    return {"number": number.upper() if loud else number}


@router.get("/notes/newest")
async def newest() -> dict[str, str]:
    """Stand beside it."""
    return {}


SEEN = {404: {"description": "None"}}


@router.post("/puzzles/{name}/answer", tags=["puzzles"], dependencies=[Depends(bearer)], responses=SEEN)
async def answer(name: str, body: Answer) -> Problem:
    """Take an answer."""
    return body.to


@router.get("/hidden", include_in_schema=False)
async def hidden() -> None:
    """Serve without saying so."""
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The notes project with routes of its own."""
    root = copied("notes", tmp_path)
    (root / "routes.py").write_text(ROUTES)
    return root


def document(root: Path) -> dict[str, Any]:
    """The committed OpenAPI document."""
    found: dict[str, Any] = json.loads((root / "openapi.json").read_text())
    return found


def test_they_are_in_the_document_and_it_stays_valid(root: Path) -> None:
    """Paths, parameters, schemas, tags and security; answers that are problems, as the edge gives them."""
    compile_project(root)
    made = document(root)
    OpenAPIV31SpecValidator(made).validate()
    answer = made["paths"]["/puzzles/{name}/answer"]["post"]
    assert answer["tags"] == ["puzzles"]
    assert answer["security"] == [{"HTTPBearer": []}]
    assert made["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert set(answer["responses"]) == {"200", "400", "403", "404", "413", "414", "422", "431", "500", "503"}
    assert answer["responses"]["404"] == {"description": "None"}
    assert answer["responses"]["422"]["description"].startswith("PULPO602")
    assert answer["responses"]["422"]["content"]["application/problem+json"]
    assert {"puzzles", "routes"} <= {tag["name"] for tag in made["tags"]}
    assert "/hidden" not in made["paths"]
    assert made["paths"]["/notes/newest"]["get"]["tags"] == ["routes"]
    assert "HTTPValidationError" not in json.dumps(made)


def test_schemas_of_one_name_are_told_apart(root: Path) -> None:
    """Pulpo's keeps its name and meaning, the project's is prefixed wherever it is meant."""
    compile_project(root)
    schemas = document(root)["components"]["schemas"]
    assert "status" in schemas["Problem"]["properties"]
    assert set(schemas["routes.Problem"]["properties"]) == {"puzzle"}
    assert schemas["Answer"]["properties"]["to"] == {"$ref": "#/components/schemas/routes.Problem"}
    answer = document(root)["paths"]["/puzzles/{name}/answer"]["post"]
    assert answer["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/routes.Problem"
    }


def test_one_that_stands_before_a_generated_one_takes_its_place(root: Path) -> None:
    """Under the address as the document has it, once; the other methods there stay. `check` says so and is content."""
    compile_project(root)
    item = document(root)["paths"]["/notes/{id}"]
    assert "/notes/{number}" not in document(root)["paths"]
    assert item["get"]["summary"] == "A Note"
    assert [parameter["name"] for parameter in item["get"]["parameters"]] == ["loud"]
    assert [parameter["name"] for parameter in item["parameters"]] == ["id"]
    assert item["patch"]["operationId"] == "patch_note"
    loaded = project.load(root)
    assert not loaded.findings
    before = "routes.py serves GET /notes/{number} before the generated GET"
    assert loaded.notices == (f"{before} /notes/aggregate", f"{before} /notes/export", f"{before} /notes/{{id}}")
    command = [sys.executable, "-m", "pulpo.cli.main", "check"]
    checked = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert checked.stdout.splitlines()[1:] == [f"note  {notice}" for notice in loaded.notices]
    checked = subprocess.run([*command, "--json"], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(checked.stdout) == {"findings": [], "notices": list(loaded.notices)}


def test_the_document_that_is_served_is_the_committed_one(root: Path) -> None:
    """Made anew in a process that never compiled."""
    compile_project(root)
    script = """
import sys
from pathlib import Path
from starlette.testclient import TestClient
from pulpo.runtime.http.serve import load_app
with TestClient(load_app(Path(".")), base_url="http://localhost:8000", client=("127.0.0.1", 1)) as client:
    sys.stdout.write(client.get("/openapi.json").text)
    assert client.get("/notes/abc?loud=true").json() == {"number": "ABC"}
    assert client.post("/puzzles/x/answer", json={}).status_code in (401, 403)
"""
    environ = {**os.environ, "PULPO_DATABASE_URL": "sqlite:///.pulpo/served.db"}
    served = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(served.stdout) == document(root)


def test_compiling_leaves_routes_and_hooks_as_they_are(root: Path) -> None:
    """Neither a compile nor one by force touches a file of the project's; a change of a route shows in the document."""
    own = {path: path.read_bytes() for path in root.rglob("*.py")}
    compile_project(root)
    compile_project(root, force=True)
    assert {path: path.read_bytes() for path in own} == own
    (root / "routes.py").write_text(ROUTES.replace("/puzzles/", "/riddles/"))
    assert [finding.message for finding in compile_project(root, check=True).findings]
    compile_project(root)
    assert "/riddles/{name}/answer" in document(root)["paths"]
    (root / "routes.py").unlink()
    compile_project(root)
    assert document(root) == document(compiled("notes", root / "again"))


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("router = 3\n", "routes.py has no `router` that is a fastapi.APIRouter", None),
        ("import nowhere_to_be_found\n", "routes.py does not import: ModuleNotFoundError", "installed"),
        ("from generated.application import application\n", "does not import", "request.app.state.application"),
    ],
)
def test_routes_that_cannot_be_read_are_a_finding(root: Path, text: str, said: str, hint: str | None) -> None:
    """With the place; nothing is compiled."""
    (root / "routes.py").write_text(text)
    with pytest.raises(ProjectErrors) as refused:
        compile_project(root)
    (finding,) = refused.value.findings
    assert finding.code == "PULPO101"
    assert said in finding.message
    assert finding.source is not None
    assert finding.source.file == "routes.py"
    assert hint is None or hint in (finding.hint or "")
