"""The SDK's copy of the contract is the one that the models give."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokentide import _contract, fields
from tokentide_schemas import sdk_contract, sdk_types
from tokentide_schemas.events import DISJOINT, EVENT_MODELS, SUBSETS

PARAMETERS = {
    "request": (),
    "evaluation": ("name", "score", "label", "target_event_id"),
    "feedback": ("name", "score", "label", "target_event_id"),
    "change": ("kind", "subject", "from_version", "to_version"),
}
"""What `Telemetry` takes as parameters of their own."""


def test_the_sdk_carries_the_contract_of_the_models() -> None:
    assert sdk_contract.stale_files() == []
    assert sdk_contract.main(["--check"]) == 0


def test_a_copy_that_differs_is_found_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sdk_contract, "SDK_DIR", tmp_path)
    assert sdk_contract.main([]) == 0
    for name, current in sdk_contract.files().items():
        (tmp_path / name).write_text(current.replace("tenant", "tenat"))
        assert sdk_contract.stale_files() == [name]
        assert sdk_contract.main(["--check"]) == 1
        assert "run python -m tokentide_schemas.sdk_contract" in capsys.readouterr().err
        assert sdk_contract.main([]) == 0
        assert sdk_contract.main(["--check"]) == 0


def test_every_field_of_every_event_is_known_and_typed_where_it_can_be_given() -> None:
    for event_type, model in EVENT_MODELS.items():
        assert set(_contract.FIELDS[event_type]) == {"type", *model.model_fields}
    typed = {
        "request": fields.CallFields.__annotations__,
        "evaluation": fields.EvaluationFields.__annotations__,
        "feedback": fields.FeedbackFields.__annotations__,
        "change": fields.ChangeFields.__annotations__,
    }
    for event_type, names in typed.items():
        # `user` becomes `user_hash`; the other way round each function takes, sets or measures.
        assert names.keys() - {"user"} <= set(_contract.FIELDS[event_type])
        missing = set(_contract.FIELDS[event_type]) - names.keys() - sdk_types.OF_THE_PRODUCER
        assert missing <= {*PARAMETERS[event_type]} | sdk_types.MEASURED, event_type
    assert fields.ContextFields.__annotations__.keys() <= set(_contract.FIELDS["request"])


def test_every_rule_between_counts_is_in_the_copy() -> None:
    pairs = {(part, total) for parts, total in _contract.DETAILS_OF_TOTALS for part in parts}
    assert pairs == set(SUBSETS)
    assert set(DISJOINT) <= set(_contract.DETAILS_OF_TOTALS)
