"""The SDK's copy of the contract is the one that the models give."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokentide import _contract
from tokentide_schemas import sdk_contract
from tokentide_schemas.events import DISJOINT, SUBSETS


def test_the_sdk_carries_the_contract_of_the_models() -> None:
    assert sdk_contract.SDK_FILE.read_text(encoding="utf-8") == sdk_contract.text()
    assert sdk_contract.main(["--check"]) == 0


def test_a_copy_that_differs_is_found_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "_contract.py"
    copy.write_text(sdk_contract.text().replace("MAX_TAGS = 32", "MAX_TAGS = 64"))
    monkeypatch.setattr(sdk_contract, "SDK_FILE", copy)
    assert sdk_contract.main(["--check"]) == 1
    assert "run python -m tokentide_schemas.sdk_contract" in capsys.readouterr().err
    assert sdk_contract.main([]) == 0
    assert sdk_contract.main(["--check"]) == 0


def test_every_rule_between_counts_is_in_the_copy() -> None:
    pairs = {(part, total) for parts, total in _contract.DETAILS_OF_TOTALS for part in parts}
    assert pairs == set(SUBSETS)
    assert set(DISJOINT) <= set(_contract.DETAILS_OF_TOTALS)
