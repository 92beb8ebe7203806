"""The short form of the contract proof; `python -m tests.proof.contract` asks every address five hundred times."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.proof import contract


def test_the_order_app_keeps_to_its_document(tmp_path: Path) -> None:
    """Addresses of every kind, all checks: no server error, nothing that the document does not say."""
    some = r"^/(products|products/bulk|orders/\{id\}|operations/orders/cancel|runs|flows/orders/runs|livez)$"
    result = contract.prove(tmp_path, examples=15, include=some)
    assert result.failures == []
    assert len(result.cases) == result.operations == 11
    assert min(result.checks[name] for name in contract.CHECKS) > 100
    done = {key.split("|")[0] for key in result.answers if key.split("|")[1].startswith("2")}
    assert result.cases.keys() - done <= {"POST /operations/orders/cancel"}
    assert 0 < sum(result.positive.values()) < sum(result.cases.values())
    assert set(result.phases) == set(contract.PHASES)


@pytest.mark.parametrize(
    ("address", "answers", "found"),
    [
        ("GET /orders", ("200|-", "400|PULPO603"), False),
        ("GET /orders", ("400|PULPO603", "503|PULPO612"), True),
        ("GET /orders", (), True),
        ("POST /operations/orders/cancel", ("404|PULPO404",), False),
        ("POST /operations/orders/cancel", ("409|order_shipped",), False),
        ("POST /operations/orders/cancel", ("422|PULPO602",), True),
        ("POST /operations/orders/cancel/bulk", ("404|PULPO404",), True),
    ],
)
def test_an_address_that_never_does_what_it_is_for_is_found(
    address: str, answers: tuple[str, ...], found: bool
) -> None:
    """A success at least once, or, of what needs a state, a refusal for that state."""
    result = contract.Result(answers=Counter({f"{address}|{answer}": 1 for answer in answers}))
    assert bool(contract.in_vain(result, [address])) is found
