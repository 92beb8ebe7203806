"""The short form of the contract proof; `python -m tests.proof.contract` asks every address five hundred times."""

from __future__ import annotations

from pathlib import Path

from tests.proof import contract


def test_the_order_app_keeps_to_its_document(tmp_path: Path) -> None:
    """Addresses of every kind, all checks: no server error, nothing that the document does not say."""
    some = r"^/(products|products/bulk|orders/\{id\}|operations/orders/cancel|runs|flows/orders/runs|livez)$"
    result = contract.prove(tmp_path, examples=15, include=some)
    assert result.failures == []
    assert len(result.cases) == result.operations == 11
    assert min(result.checks[name] for name in contract.CHECKS) > 100
    assert 0 < sum(result.positive.values()) < sum(result.cases.values())
    assert set(result.phases) == set(contract.PHASES)
