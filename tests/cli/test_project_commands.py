"""The commands of a project: what they are called, what they take, what they send and print."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from pulpo.errors import FieldError, PulpoError
from pulpo.runtime import target
from pulpo.runtime.target import Answer

from .conftest import Run


@dataclass
class Recorder:
    """A target that keeps what it was asked and answers as it is told."""

    place: str = "a test"
    answer: Answer | PulpoError = field(default_factory=lambda: Answer('{"valid": true}'))
    calls: list[tuple[str, Any, str | None]] = field(default_factory=list)
    local: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held."""

    def call(self, operation: str, raw: str, key: str | None = None) -> Answer:
        self.calls.append((operation, json.loads(raw), key))
        if isinstance(self.answer, PulpoError):
            raise self.answer
        return self.answer


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Where commands work in these tests."""
    recorder = Recorder()

    def find(root: Path, *, local: bool = False, execute: bool = False) -> Recorder:
        recorder.local = local
        return recorder

    monkeypatch.setattr(target, "find", find)
    return recorder


@pytest.mark.usefixtures("shop")
class TestCommands:
    """Inside a compiled project."""

    def test_help_lists_groups_and_operations(self, run: Run) -> None:
        """A group says what it is, or what is in it; an operation its first sentence."""
        listed = run("orders", "--help").out
        assert "checkout  Before anything is held." in listed
        assert "cancel    Cancel an order." in listed
        assert "validate_items    Check that the items can be had." in run("orders", "checkout", "--help").out

    def test_root_help_lists_the_project_s_commands_apart(self, run: Run) -> None:
        """`pulpo --help` shows them under a heading of their own."""
        assert "Commands of this project:\n  orders  " in run("--help").out

    @pytest.mark.parametrize("name", ["validate_items", "validate-items"])
    def test_dashes_are_as_good_as_underscores(self, run: Run, recorder: Recorder, name: str) -> None:
        """Both spellings are the operation."""
        ran = run("orders", "checkout", name, "--input", '{"order_id": "ORD-1", "items": []}')
        assert (ran.code, ran.err) == (0, "")
        assert recorder.calls == [("orders.checkout.validate_items", {"order_id": "ORD-1", "items": []}, None)]

    def test_typed_options_are_fields(self, run: Run, recorder: Recorder) -> None:
        """Each goes out as its kind: amounts and numbers as numbers; one whose name is taken is prefixed."""
        ran = run(
            *("orders", "checkout", "validate_payment", "--order-id", "ORD-1", "--payment-method", "invoice"),
            *("--amount", "19.99", "--parts", "3", "--weight", "1.5", "--no-express", "--field-key", "k"),
        )
        assert ran.code == 0, ran.err
        expected: Mapping[str, Any] = {
            "order_id": "ORD-1",
            "payment_method": "invoice",
            "amount": 19.99,
            "parts": 3,
            "weight": 1.5,
            "express": False,
            "key": "k",
        }
        assert recorder.calls == [("orders.checkout.validate_payment", expected, None)]

    def test_options_win_over_input(self, run: Run, recorder: Recorder) -> None:
        """Input is the base, options are laid over it."""
        run("orders", "cancel", "--input", '{"order_id": "ORD-1", "note": "x"}', "--order-id", "ORD-2")
        assert recorder.calls[0][1] == {"order_id": "ORD-2", "note": "x"}

    def test_input_from_a_file_and_from_standard_input(
        self, run: Run, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`@FILE` and `-`."""
        (tmp_path / "input.json").write_text('{"order_id": "ORD-3"}')
        monkeypatch.setattr("sys.stdin", io.StringIO('{"order_id": "ORD-4"}'))
        assert run("orders", "cancel", "--input", f"@{tmp_path / 'input.json'}").code == 0
        assert run("orders", "cancel", "--input", "-").code == 0
        assert [raw["order_id"] for _, raw, _ in recorder.calls] == ["ORD-3", "ORD-4"]

    def test_key_and_local_are_passed_on(self, run: Run, recorder: Recorder) -> None:
        """`--key` is the idempotency key, `--local` keeps to this process."""
        run("orders", "cancel", "--order-id", "ORD-1", "--key", "once", "--local")
        assert recorder.calls[0][2] == "once"
        assert recorder.local

    def test_json_is_the_output_and_nothing_else(self, run: Run, recorder: Recorder) -> None:
        """One JSON object on standard output."""
        recorder.answer = Answer('{"valid": true, "total": 39.98}', already=True)
        ran = run("orders", "cancel", "--order-id", "ORD-1", "--json")
        assert (ran.out, ran.err) == ('{"valid": true, "total": 39.98}\n', "")

    def test_people_read_fields_line_by_line(self, run: Run, recorder: Recorder) -> None:
        """Nested values are indented; what was there already is said on the side."""
        recorder.answer = Answer(
            '{"valid": true, "note": null, "lines": [{"sku": "A", "wanted": 2}, {"sku": "B", "wanted": 1}],'
            ' "none": []}',
            already=True,
        )
        ran = run("orders", "cancel", "--order-id", "ORD-1")
        assert ran.out == (
            "valid  true\nnote   -\nlines\n  - sku     A\n    wanted  2\n  - sku     B\n    wanted  1\nnone   []\n"
        )
        assert ran.err == "(it was there already: nothing changed)\n"

    def test_a_refusal_ends_with_3(self, run: Run, recorder: Recorder) -> None:
        """Code, sentence and hint on standard error."""
        recorder.answer = PulpoError("insufficient_stock", "fewer than 2 left", hint="order fewer", status=409)
        ran = run("orders", "cancel", "--order-id", "ORD-1")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == "insufficient_stock  fewer than 2 left\n  hint  order fewer\n"

    def test_a_refusal_is_the_problem_with_json(self, run: Run, recorder: Recorder) -> None:
        """The same object as HTTP answers."""
        recorder.answer = PulpoError("declined", "the card was declined", status=402)
        ran = run("orders", "cancel", "--order-id", "ORD-1", "--json")
        assert ran.code == 3
        assert json.loads(ran.out) == {
            "type": "about:blank",
            "title": "Declined",
            "status": 402,
            "code": "declined",
            "detail": "the card was declined",
        }

    def test_invalid_fields_are_pointed_at(self, run: Run, recorder: Recorder) -> None:
        """A pointer and a sentence for each; exit code 2."""
        recorder.answer = PulpoError(
            "PULPO602", "one field is invalid", errors=[FieldError("/order_id", "missing", "Field required")]
        )
        ran = run("orders", "cancel")
        assert ran.code == 2
        assert ran.err == "PULPO602  one field is invalid\n  field /order_id  Field required\n"

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("{x}", "the input is not valid JSON at line 1, column 2"),
            ("[1]", "the input must be a JSON object"),
            ("@nowhere.json", "the file nowhere.json cannot be read: No such file or directory"),
        ],
    )
    def test_unreadable_input_ends_with_2(self, run: Run, recorder: Recorder, given: str, said: str) -> None:
        """PULPO801, and nothing is sent."""
        ran = run("orders", "cancel", "--input", given)
        assert ran.code == 2
        assert ran.err.startswith(f"PULPO801  {said}")
        assert "hint  for example --input" in ran.err
        assert recorder.calls == []

    def test_an_unknown_operation_names_the_nearest(self, run: Run) -> None:
        """As for Pulpo's own commands."""
        ran = run("orders", "checkout", "validate_item")
        assert ran.code == 2
        assert "Did you mean 'validate_items'" in ran.err

    def test_a_choice_is_checked_before_anything_is_sent(self, run: Run, recorder: Recorder) -> None:
        """An enum's values are known to the command."""
        ran = run("orders", "checkout", "validate_payment", "--payment-method", "cash")
        assert ran.code == 2
        assert "--payment-method" in ran.err
        assert recorder.calls == []


def test_a_project_that_was_not_compiled_says_so(run: Run, shop: Path) -> None:
    """Commands without an application: PULPO802, exit code 1."""
    ran = run("orders", "cancel", "--order-id", "ORD-1")
    assert ran.code == 1
    assert ran.err == f"PULPO802  the project in {shop} has not been compiled\n  hint  run `pulpo compile`\n"


def test_a_broken_index_leaves_pulpo_s_own_commands(run: Run, shop: Path) -> None:
    """An index that another version wrote, or nobody, must not keep `pulpo compile` from repairing it."""
    (shop / "generated" / "cli" / "index.json").write_text("{")
    ran = run("--help")
    assert ran.code == 0
    assert "Commands of this project" not in ran.out


def test_a_module_that_does_not_import_is_named(run: Run, shop: Path) -> None:
    """PULPO101 with the line in the project's own code."""
    (shop / "generated" / "application.py").write_text("import operations.broken\n")
    (shop / "operations" / "broken.py").write_text("from __future__ import annotations\n\nraise ValueError('no')\n")
    ran = run("orders", "cancel")
    assert ran.code == 1
    assert ran.err.startswith("PULPO101  ValueError: no\n  at    operations/broken.py:3\n")
