"""The contract's tooling: JSON Schemas, examples, field table and compatibility are current."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from referencing import Registry, Resource

from tests.each import each
from tests.places import ROOT
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.record.dead_letter import Refusal
from tokentide_schemas import EVENT_MODELS, compatibility, export, reference
from tokentide_schemas.control import CONTROL_ADAPTER, CONTROL_MODELS, budget_key, run_key
from tokentide_schemas.descriptions import DESCRIPTIONS
from tokentide_schemas.examples import Example, load_examples
from tokentide_schemas.fields import MAX_EPOCH_US

WINDOW = AcceptedWindow(0, MAX_EPOCH_US)
EXAMPLES = [(name, example) for name in EVENT_MODELS for example in load_examples(name)]


def schema_file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((export.JSON_DIR / f"{name}.schema.json").read_text())
    return content


REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema))
    for schema in map(schema_file, [*EVENT_MODELS, "event"])
)


@pytest.mark.parametrize("event_type", sorted(EVENT_MODELS))
def test_every_type_has_a_dozen_examples_good_and_bad(event_type: str) -> None:
    examples = load_examples(event_type)
    assert len(examples) >= 12
    assert sum(example.reason is None for example in examples) >= 6
    assert sum(example.reason is not None for example in examples) >= 5
    assert all(example.event["type"] == event_type for example in examples)
    assert len({example.about for example in examples}) > 10


@each(("event_type", "example"), EXAMPLES, ids=[f"{name}-{one.name}" for name, one in EXAMPLES])
def test_examples_are_judged_as_they_say(event_type: str, example: Example) -> None:
    verdict = judge_line(json.dumps(example.event).encode(), WINDOW)
    if example.reason is None:
        assert isinstance(verdict, dict), verdict
        assert verdict["type"] == event_type
    else:
        assert isinstance(verdict, Refusal)
        assert verdict[:2] == (example.reason, example.field)


@each(("event_type", "example"), EXAMPLES, ids=[f"{name}-{one.name}" for name, one in EXAMPLES])
def test_json_schemas_agree_with_the_models(event_type: str, example: Example) -> None:
    is_taken = example.reason is None or example.beyond_json_schema
    for name in (event_type, "event"):
        validator = Draft202012Validator(schema_file(name), registry=REGISTRY)
        assert validator.is_valid(example.event) is is_taken, name


@pytest.mark.parametrize("name", [*EVENT_MODELS, "event"])
def test_json_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema_file(name))


@pytest.mark.parametrize("name", sorted(CONTROL_MODELS))
def test_states_are_taken_and_refused_by_models_and_json_schemas_alike(name: str) -> None:
    validator = Draft202012Validator(schema_file(name))
    Draft202012Validator.check_schema(schema_file(name))
    examples = load_examples(name)
    assert {example.reason is None for example in examples} == {True, False}
    for example in examples:
        value = json.dumps(example.event).encode()
        assert validator.is_valid(example.event) is (example.reason is None), example.name
        if example.reason is None:
            state = CONTROL_ADAPTER.validate_json(value)
            assert type(state) is CONTROL_MODELS[name]
            again = state.model_dump_json(by_alias=True, exclude_unset=True)
            known = {key: found for key, found in example.event.items() if key != "mood"}
            assert json.loads(again) | {"schema": example.event["schema"]} == known
        else:
            with pytest.raises(ValidationError) as refused:
                CONTROL_ADAPTER.validate_json(value)
            assert refused.value.errors()[0]["loc"][-1] == example.field


def test_keys_of_states_never_meet() -> None:
    assert run_key("acme", "nightly-7") == "run/acme/nightly-7"
    assert run_key("a/b", "c") != run_key("a", "b/c")
    assert run_key("", "Zürich 1") == "run//Z%C3%BCrich%201"
    assert budget_key("search team") == "budget/search%20team"


def test_committed_json_schemas_are_what_the_models_say() -> None:
    assert export.stale_files() == []
    assert export.main(["--check"]) == 0


def test_a_stale_schema_file_is_named(tmp_path: Path) -> None:
    for name, text in export.files().items():
        (tmp_path / name).write_text(text)
    assert export.stale_files(tmp_path) == []
    (tmp_path / "stats.schema.json").write_text("{}")
    (tmp_path / "gone.schema.json").write_text("{}")
    (tmp_path / "change.schema.json").unlink()
    expected = ["change.schema.json", "gone.schema.json", "stats.schema.json"]
    assert export.stale_files(tmp_path) == expected


def test_every_field_is_described_and_nothing_else() -> None:
    fields = {name for model in EVENT_MODELS.values() for name in model.model_fields}
    assert fields == DESCRIPTIONS.keys()


def test_the_field_table_in_the_docs_is_current() -> None:
    assert reference.main([str(ROOT / "docs" / "events.md"), "--check"]) == 0


def test_a_stale_field_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.md"
    assert reference.main([str(path), "--check"]) == 1
    assert "is not current: run" in capsys.readouterr().err
    assert reference.main([str(path)]) == 0
    assert reference.main([str(path), "--check"]) == 0


def test_older_producers_still_work() -> None:
    """Fails the build when a change of the models breaks producers of the released contract."""
    assert compatibility.main([]) == 0


def change(event_type: str, field: str, **changes: Any) -> dict[str, Any]:
    """Return today's contract with one field's schema changed."""
    contract = copy.deepcopy(compatibility.contract())
    schema = contract["events"][event_type]["properties"][field]
    plain = next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
    plain.update(changes)
    return contract


@each(
    ("event_type", "field", "changes", "complaint"),
    [
        ("request", "input_tokens", {"maximum": 1000}, "maximum was 100000000 and is 1000"),
        ("request", "input_tokens", {"minimum": 1}, "minimum was 0 and is 1"),
        ("request", "duration_ms", {"type": "integer"}, "the type was number and is integer"),
        ("request", "service", {"maxLength": 64}, "maxLength was 128 and is 64"),
        ("request", "tenant", {"minLength": 1}, "minLength was unlimited and is 1"),
        ("request", "status", {"enum": ["ok", "error"]}, "are refused now"),
        ("request", "tenant", {"enum": ["a"]}, "only ['a'] are taken now"),
        ("request", "tenant", {"pattern": "^a"}, "pattern was any and is ^a"),
        ("request", "trace_id", {"pattern": "^[0-9]{32}$"}, "pattern was"),
        ("request", "tags", {"maxProperties": 8}, "maxProperties was 32 and is 8"),
        ("request", "tags", {"additionalProperties": {"type": "string", "maxLength": 9}}, "is 9"),
        ("request", "tags", {"propertyNames": {"maxLength": 9}}, "is 9"),
        ("request", "finish_reasons", {"items": {"type": "integer"}}, "the type was string"),
        ("stats", "sample_rate", {"exclusiveMinimum": 0.5}, "exclusiveMinimum was 0 and is 0.5"),
        ("stats", "emitted", {"multipleOf": 2}, "multipleOf was None and is 2"),
        ("change", "kind", {"enum": ["deploy"]}, "are refused now"),
    ],
)
def test_a_narrowed_field_breaks_older_producers(
    event_type: str, field: str, changes: dict[str, Any], complaint: str
) -> None:
    found = compatibility.breaks(compatibility.contract(), change(event_type, field, **changes))
    assert found
    assert all(sentence.startswith(f"{event_type}.{field}") for sentence in found)
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("input_tokens", {"maximum": 1 << 50}),
        ("input_tokens", {"type": "number"}),
        ("service", {"maxLength": 256, "minLength": 0}),
        ("status", {"enum": ["ok", "error", "refused", "filtered", "cancelled", "abandoned", "x"]}),
        ("tags", {"maxProperties": 64}),
        ("service", {"description": "other words"}),
    ],
)
def test_a_widened_field_breaks_no_reader(field: str, changes: dict[str, Any]) -> None:
    assert compatibility.breaks(compatibility.contract(), change("request", field, **changes)) == []


def test_removed_and_newly_required_things_break_older_producers() -> None:
    released, current = compatibility.contract(), copy.deepcopy(compatibility.contract())
    request = current["events"]["request"]
    del request["properties"]["tenant"]
    request["required"].append("team")
    request["additionalProperties"] = False
    request["allOf"].append({"$comment": "A new rule."})
    current["events"]["change"]["properties"]["actor"] = {"type": "string"}
    del current["events"]["stats"]
    current["rules"]["subsets"].append(["web_searches", "input_tokens"])
    current["rules"]["disjoint"].append([["web_searches", "chunks"], "input_tokens"])
    current["rules"]["validators"]["change"] = ["_is_serious"]
    assert compatibility.breaks(released, current) == [
        "request.tenant: the field was removed",
        "request.team: the field is required now",
        "request: unknown fields are refused now",
        "request: a rule was added: A new rule.",
        "change.actor: the type was null and is string",
        "change.actor: values of type null are refused now",
        "stats: the event type was removed",
        "request.web_searches: it must not exceed input_tokens now",
        "request.web_searches + chunks: together they must not exceed input_tokens now",
        "change: the rule _is_serious was added",
    ]


def test_new_optional_fields_and_types_break_no_reader() -> None:
    released, current = compatibility.contract(), copy.deepcopy(compatibility.contract())
    current["events"]["request"]["properties"]["mood"] = {"type": "string", "maxLength": 5}
    current["events"]["weather"] = current["events"]["change"]
    current["rules"]["subsets"].append(["mood_tokens", "input_tokens"])
    assert compatibility.breaks(released, current) == []


def test_a_break_can_not_be_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    released = compatibility.contract()
    released["events"]["stats"]["properties"]["mood"] = {"type": "string"}
    path = tmp_path / "v1.json"
    path.write_text(json.dumps(released))
    monkeypatch.setattr(compatibility, "RELEASED", path)
    assert compatibility.main(["--release"]) == 1
    assert "stats.mood: the field was removed" in capsys.readouterr().err
    assert json.loads(path.read_text()) == released
    path.unlink()
    assert compatibility.main(["--release"]) == 0
    assert compatibility.main([]) == 0
