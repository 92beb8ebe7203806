"""`pulpo explain`: what an error code means."""

from __future__ import annotations

import json

import pytest

from pulpo.cli.main import main
from pulpo.errors import CODES


@pytest.mark.parametrize("given", ["PULPO404", "pulpo404", "404"])
def test_a_code_is_explained_as_text(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In capitals or not, with Pulpo's name or without; the text has no markup that only a browser needs."""
    assert main(["explain", given]) == 0
    out = capsys.readouterr().out
    assert out.startswith("PULPO404: Nothing has this id or key\n")
    assert "in a document's body that is PULPO510" in out
    assert "\nWhat to do. " in out
    assert "**" not in out


def test_every_code_is_explained_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object with the page as it is written."""
    for code, known in CODES.items():
        assert main(["explain", code, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["code"], told["title"], told["status"]) == (code, known.title, known.status)
        assert told["page"].startswith(f"# {code}: ")


def test_what_is_no_code_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest code is named; an application's own word is its own affair."""
    assert main(["explain", "PULPO4044"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert main(["explain", "insufficient_stock"]) == 2
    assert "application" in capsys.readouterr().err
