"""Columns are derived from the models and from nothing else."""

from __future__ import annotations

import polars as pl

from tests.each import each
from tokentide_jobs.core.decode.columns import (
    COLUMNS,
    Column,
    parse_schema,
    storage_schema,
)
from tokentide_jobs.core.decode.nested import NESTED_COLUMNS
from tokentide_jobs.core.decode.predicates import CROSS_FIELD_RULES
from tokentide_jobs.core.decode.scan import GROUPS, PADDING, key_ending_at, scan
from tokentide_schemas import EVENT_MODELS


def column(event_type: str, name: str) -> Column:
    return next(column for column in COLUMNS[event_type] if column.name == name)


def test_every_field_of_every_model_is_a_column_in_its_order() -> None:
    assert COLUMNS.keys() == EVENT_MODELS.keys()
    for event_type, model in EVENT_MODELS.items():
        assert [column.name for column in COLUMNS[event_type]] == list(model.model_fields)


def test_bounds_are_read_from_the_annotations() -> None:
    service = column("request", "service")
    assert (service.kind, service.min_length, service.max_length) == ("text", 1, 128)
    assert service.is_required
    assert not service.is_nullable
    tokens = column("request", "input_tokens")
    assert (tokens.kind, tokens.ge, tokens.le, tokens.is_nullable) == ("int", 0, 100_000_000, True)
    assert column("request", "sample_rate").gt == 0
    assert column("request", "status").choices is not None
    tags = column("stats", "tags")
    assert (tags.kind, tags.max_length) == ("text_map", 32)
    assert tags.key is not None
    assert tags.item is not None
    assert (tags.key.max_length, tags.item.max_length) == (64, 256)
    reasons = column("request", "finish_reasons")
    assert reasons.item is not None
    assert (reasons.kind, reasons.item.max_length) == ("texts", 128)


def test_storage_has_one_dtype_per_kind_and_the_place_in_the_log() -> None:
    schema = storage_schema("request")
    assert list(schema)[-3:] == ["_partition", "_offset", "_idx"]
    assert schema["finish_reasons"] == pl.List(pl.String)
    assert schema["tags"] == pl.String
    assert schema["stream"] == pl.Boolean


def test_a_name_has_the_same_kind_in_every_event_type() -> None:
    parsed = parse_schema()
    for columns in COLUMNS.values():
        for one in columns:
            assert parsed[one.name] == one.dtype


def test_maps_and_lists_have_the_same_bounds_in_every_event_type() -> None:
    for columns in COLUMNS.values():
        for one in columns:
            if one.name in NESTED_COLUMNS:
                assert NESTED_COLUMNS[one.name] == one


def test_every_validator_of_a_model_has_its_rule_over_columns() -> None:
    """A new cross-field rule in a model must come with its vectorised twin."""
    for event_type, model in EVENT_MODELS.items():
        decorators = model.__pydantic_decorators__
        assert not decorators.field_validators
        assert not decorators.validators
        assert decorators.model_validators.keys() == CROSS_FIELD_RULES.get(event_type, {}).keys()


@each("name", sorted(parse_schema()))
def test_the_byte_scan_finds_every_field_and_tells_it_from_its_neighbours(name: str) -> None:
    buffer = PADDING + b'{"x":1,"' + name.encode() + b'":null}\n' + PADDING
    seen = scan(buffer)
    assert name in seen.present
    assert len(seen.null_quotes) == 1
    group = GROUPS[int(seen.null_groups[0])]
    hits = [one for one in group if key_ending_at(buffer, seen.null_quotes, one)[0]]
    assert hits == [name]


@each("name", ["user_name", "x", "my_version", "_type", "types", "typ", "ype"])
def test_the_byte_scan_ignores_fields_it_does_not_know(name: str) -> None:
    buffer = PADDING + b'{"' + name.encode() + b'":1}\n' + PADDING
    assert scan(buffer).value_count == 0
