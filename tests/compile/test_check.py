"""`check` and `diff`: what is stale, in words, and nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.compile.projects import Result, compile_project, compiled, files

CONFIRM = "operations/payments.py"


def sentences(result: Result) -> list[str]:
    return [finding.message for finding in result.findings]


def edit(root: Path, path: str, before: str, after: str) -> None:
    text = (root / path).read_text()
    assert before in text
    (root / path).write_text(text.replace(before, after))


def test_a_fresh_compile_is_current(tmp_path: Path) -> None:
    """Right after a compile nothing is found, with `generated/` and without."""
    root = compiled("orders", tmp_path)
    assert compile_project(root, check=True).findings == ()
    shutil.rmtree(root / "generated")
    shutil.rmtree(root / ".pulpo")
    assert compile_project(root, check=True).findings == ()


@pytest.mark.parametrize("clone", [False, True], ids=["working copy", "fresh clone"])
def test_an_edge_taken_away_is_named(tmp_path: Path, clone: bool) -> None:
    """The lock is compared with the code, edge by edge, and says why the edge was there."""
    root = compiled("orders", tmp_path)
    if clone:
        shutil.rmtree(root / "generated")
    edit(root, CONFIRM, '    after=["orders.fulfillment.reserve_items"],\n', "")
    before = files(root)
    result = compile_project(root, check=True)
    assert (
        "flow order_to_cash: edge orders.fulfillment.reserve_items -> payments.processing.confirm "
        "(after: confirm is declared after orders.fulfillment.reserve_items) is gone"
    ) in sentences(result)
    assert {finding.code for finding in result.findings} == {"PULPO303"}
    assert "pulpo compile" in (result.findings[0].hint or "")
    assert files(root) == before


def test_a_model_that_is_no_longer_written_takes_its_edge_along(tmp_path: Path) -> None:
    """An edge by models is named with the model."""
    root = compiled("orders", tmp_path)
    edit(root, CONFIRM, "    models_out=[Payment],\n    models_add", "    models_add")
    gone = "edge payments.processing.charge -> payments.processing.confirm (models: both write Payment) is gone"
    assert f"flow order_to_cash: {gone}" in sentences(compile_project(root, check=True))


def test_steps_and_flows_that_come_and_go_are_named(tmp_path: Path) -> None:
    """A flow declared anew and a step taken out of one are a sentence each."""
    root = compiled("orders", tmp_path)
    edit(
        root,
        "operations/tracking.py",
        'name="orders.tracking.update_customer",',
        'name="orders.tracking.update_customer", standalone=True,',
    )
    edit(
        root,
        "flows.py",
        'flow("orders", includes=["orders"], one_per="order_id")',
        'flow("cash", includes=["payments"])',
    )
    found = sentences(compile_project(root, check=True))
    assert "flow cash is new" in found
    assert "flow order_to_cash: step orders.tracking.update_customer is gone" in found
    assert "flow orders: its `one_per` changed from order_id to nothing" in found
    assert "flow order_to_cash: the critical path has 5 steps, it had 6" in found


def test_stale_files_are_counted_and_named(tmp_path: Path) -> None:
    """A change that no plan shows is found in the files."""
    root = compiled("notes", tmp_path)
    edit(root, "operations/desk.py", "Write a note down.", "Put a note on paper.")
    (sentence,) = sentences(compile_project(root, check=True))
    assert "generated files are out of date: " in sentence
    assert "generated/flows/notes.py" in sentence
    shutil.rmtree(root / "generated")
    assert "generated/flows/notes.py" in sentences(compile_project(root, check=True))[0]


def test_hand_edits_missing_files_and_a_missing_lock_are_found(tmp_path: Path) -> None:
    """`check` sees what was edited, what was deleted, and a lock that was not committed."""
    root = compiled("notes", tmp_path)
    (root / "generated/flows/notes.py").write_text("mine\n")
    (root / "generated/plans.json").unlink()
    found = compile_project(root, check=True).findings
    assert [finding.code for finding in found] == ["PULPO302", "PULPO303"]
    assert found[1].message == "1 generated file is out of date: generated/plans.json"
    (root / "pulpo.lock").unlink()
    assert "pulpo.lock is missing" in sentences(compile_project(root, check=True))
    (root / "pulpo.lock").write_text("<<<<<<<\n")
    assert "pulpo.lock cannot be read" in sentences(compile_project(root, check=True))


def test_a_lock_of_another_version_is_stale(tmp_path: Path) -> None:
    """Where the files are the same and only the lock differs, that is said."""
    root = compiled("notes", tmp_path)
    edit(root, "pulpo.lock", '"generator": "0.6.0"', '"generator": "0.5.9"')
    assert sentences(compile_project(root, check=True)) == ["pulpo.lock is stale"]


def test_diff_shows_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    """One unified diff over all files, the lock included; nothing where nothing would change."""
    root = compiled("notes", tmp_path)
    assert compile_project(root, diff=True).diff == ""
    edit(root, "operations/desk.py", "Write a note down.", "Put a note on paper.")
    before = files(root)
    text = compile_project(root, diff=True).diff
    assert '-    """Write a note down."""\n+    """Put a note on paper."""' in text
    assert "--- a/generated/flows/notes.py\n+++ b/generated/flows/notes.py\n" in text
    assert "+++ b/pulpo.lock" in text
    assert files(root) == before
