"""How extractors read what they were given, and what they make of a value."""

from __future__ import annotations

import ast
import enum
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pydantic
import pytest

import tokentide.usage
from tests.each import each
from tests.golden.cases import load_cases
from tests.sources import source_of
from tokentide._contract import MAX_TOKENS
from tokentide.usage.flavour import FLAVOUR_NAMES, flavour, for_provider
from tokentide.usage.openai_parts import failure_in
from tokentide.usage.openai_responses import read_fetched
from tokentide.usage.reading import (
    amount,
    count,
    finish_fields,
    getter,
    items,
    label,
    read,
    small_count,
    total,
    usage_fields,
    whole,
)


class Tier(enum.StrEnum):
    FLEX = "flex"


class Usage(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    prompt_tokens: int

    @property
    def expensive(self) -> int:
        raise RuntimeError("the host's code ran")


def test_fields_that_a_model_does_not_declare_are_found() -> None:
    get = getter(Usage(prompt_tokens=3, prompt_cache_hit_tokens=2))
    assert (get("prompt_tokens"), get("prompt_cache_hit_tokens"), get("absent")) == (3, 2, None)


def test_reading_a_pydantic_object_runs_none_of_its_code() -> None:
    assert getter(Usage(prompt_tokens=3))("expensive") is None


@pytest.mark.parametrize(
    "holder",
    [{"a": {"b": 1}}, SimpleNamespace(a=SimpleNamespace(b=1)), SimpleNamespace(a={"b": 1})],
    ids=["dict", "attributes", "mixed"],
)
def test_a_path_goes_through_dicts_and_objects_alike(holder: Any) -> None:
    assert read(holder, "a", "b") == 1
    assert read(holder, "a", "c") is None
    assert read(holder, "x", "b") is None


def test_a_count_is_a_whole_number_in_range_and_nothing_else() -> None:
    assert [count(value) for value in (0, 7, MAX_TOKENS)] == [0, 7, MAX_TOKENS]
    for value in (-1, MAX_TOKENS + 1, 1.0, True, "7", None, [7]):
        assert count(value) is None
    assert small_count(1_000_000) == 1_000_000
    assert small_count(1_000_001) is None


def test_counts_that_come_as_floats_are_rounded() -> None:
    assert (whole(12.0), whole(12), whole(0.6)) == (12, 12, 1)
    assert [whole(value) for value in (float("nan"), float("inf"), -1.0, True)] == [None] * 4
    assert (amount(4.5), amount(1e13)) == (4.5, None)


def test_a_total_needs_something_reported() -> None:
    assert (total(1, None, 2), total(None, None), total(0)) == (3, None, 0)
    assert total(MAX_TOKENS, 1) is None


def test_a_label_is_text_of_bounded_length() -> None:
    assert (label("x" * 200), label("x" * 300, 256)) == ("x" * 128, "x" * 256)
    text = label(Tier.FLEX)
    assert text == "flex"
    assert type(text) is str
    assert [label(value) for value in ("", None, 5, b"x")] == [None] * 4


def test_only_lists_and_tuples_are_looked_into() -> None:
    assert list(items([1, 2, 3], 2)) == [1, 2]
    assert list(items((1, 2))) == [1, 2]
    assert not items({"a": 1})
    assert not items("abc")
    assert not items(None)


def test_details_are_cut_to_their_totals_in_the_order_of_the_contract() -> None:
    counts = {
        "input_tokens": 10,
        "cache_read_tokens": 8,
        "cache_write_tokens": 5,
        "cache_write_1h_tokens": 4,
        "reasoning_tokens": 3,
    }
    assert usage_fields(counts) == {
        "input_tokens": 10,
        "cache_read_tokens": 8,
        "cache_write_tokens": 2,
        "cache_write_1h_tokens": 2,
        "usage_source": "provider",
    }


def test_without_totals_the_usage_is_missing_whatever_else_is_known() -> None:
    assert usage_fields({"web_searches": 2}) == {"web_searches": 2, "usage_source": "missing"}
    assert usage_fields({"other_units": {}}) == {"usage_source": "missing"}
    assert usage_fields({"output_tokens": 0})["usage_source"] == "provider"


def test_finish_reasons_say_when_a_call_was_refused_or_filtered() -> None:
    assert finish_fields(["stop"]) == {"finish_reasons": ["stop"]}
    assert finish_fields(["stop", "SAFETY"])["status"] == "filtered"
    assert finish_fields(["refusal", "content_filter"])["status"] == "refused"
    assert finish_fields([None, "", 5]) == {}
    assert len(finish_fields(f"r{n}" for n in range(1000))["finish_reasons"]) == 128  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FLAVOUR_NAMES)
def test_every_flavour_has_its_name_and_its_golden_payloads(name: str) -> None:
    assert flavour(name).name == name
    assert any(case.flavour == name for case in load_cases())


def test_extractors_import_the_standard_library_and_nothing_else() -> None:
    for path in sorted(Path(tokentide.usage.__file__).parent.glob("*.py")):
        for node in source_of(path).imports:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            roots = {name.partition(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "tokentide"}, f"{path.name}: {roots}"


def chat_answer() -> dict[str, Any]:
    return {"object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 1}}


@each(
    ("provider", "found"),
    [
        ("openai", "openai_chat"),
        ("azure.ai.openai", "openai_chat"),
        ("openrouter", "openai_chat"),
        ("x_ai", "xai"),
        ("xai", "xai"),
        ("perplexity", "perplexity"),
        ("mistral_ai", "mistral"),
    ],
)
def test_answers_that_look_alike_are_distinguished_by_the_provider(
    provider: str, found: str
) -> None:
    assert for_provider(provider, chat_answer()).name == found


@pytest.mark.parametrize(
    ("provider", "found"),
    [
        ("anthropic", "anthropic_messages"),
        ("gcp.vertex_ai", "gemini"),
        ("gcp.gemini", "gemini"),
        ("aws.bedrock", "bedrock_invoke"),
        ("cohere", "cohere"),
        ("", "openai_chat"),
    ],
)
def test_an_answer_without_a_shape_of_its_own_is_read_as_its_provider_answers(
    provider: str, found: str
) -> None:
    assert for_provider(provider, {}).name == found


def test_a_shape_of_its_own_outweighs_the_provider() -> None:
    message = {"type": "message", "role": "assistant", "usage": {"input_tokens": 1}}
    assert for_provider("gcp.vertex_ai", message).name == "anthropic_messages"
    assert for_provider("x_ai", {"object": "response"}).name == "openai_responses"


def test_a_response_fetched_again_costs_nothing_again() -> None:
    response = {
        "id": "resp_1",
        "model": "gpt-5",
        "status": "completed",
        "usage": {"input_tokens": 9},
    }
    assert read_fetched(response) == {
        "response_id": "resp_1",
        "response_model": "gpt-5",
        "operation": "fetch_response",
        "input_tokens": 0,
        "output_tokens": 0,
        "usage_source": "provider",
    }


def test_a_stream_may_be_asked_before_any_chunk_and_again_at_the_end() -> None:
    reading = flavour("openai_chat").read_stream()
    assert reading.fields() == {
        "usage_source": "missing",
        "finish_reasons": ["error"],
        "status": "error",
        "error_type": "connection",
    }
    reading.add({"model": "gpt-5", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert reading.fields() == reading.fields()
    assert reading.fields()["finish_reasons"] == ["stop"]


def test_a_model_that_is_never_named_ends_the_search_for_it() -> None:
    reading = flavour("openai_chat").read_stream()
    for _ in range(20):
        reading.add({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]})
    assert "response_model" not in reading.fields()


@pytest.mark.parametrize("name", FLAVOUR_NAMES)
def test_an_error_where_an_answer_is_expected_is_one_in_every_format(name: str) -> None:
    reader = flavour(name)
    body = {"error": {"code": "429", "message": "m"}}
    for response in (body, SimpleNamespace(error=SimpleNamespace(**body["error"]))):
        fields = reader.read_response(response)
        assert (fields["status"], fields["error_type"]) == ("error", "rate_limit")
        assert "finish_reasons" not in fields


# Bedrock's failures come as exceptions of its client, and Cohere's streams have none of this form.
@pytest.mark.parametrize(
    "name", sorted({*FLAVOUR_NAMES} - {"bedrock_converse", "bedrock_invoke", "cohere"})
)
@pytest.mark.parametrize(
    ("code", "kind"), [(429, "rate_limit"), ("429", "rate_limit"), (503, "overloaded")]
)
def test_a_number_in_the_middle_of_a_stream_has_its_kind_in_every_format(
    name: str, code: object, kind: str
) -> None:
    reading = flavour(name).read_stream()
    reading.add({"error": {"code": code, "message": "m"}})
    fields = reading.fields()
    assert (fields["status"], fields["error_type"]) == ("error", kind)


@pytest.mark.parametrize("name", FLAVOUR_NAMES)
def test_what_says_nothing_of_an_error_is_no_error(name: str) -> None:
    silent: list[Any] = [MagicMock(), {"error": None}, {"error": MagicMock()}, {"error": {}}]
    for response in silent:
        assert flavour(name).read_response(response).get("status") != "error"


@pytest.mark.parametrize("name", FLAVOUR_NAMES)
def test_what_says_nothing_of_an_error_in_the_middle_of_a_stream_is_none(name: str) -> None:
    ended_early = flavour(name).read_stream().fields().get("error_type")
    silent: list[Any] = [None, MagicMock(), {}, "", False, True]
    for error in silent:
        reading = flavour(name).read_stream()
        reading.add({"error": error})
        # Of formats whose last chunk says all, any chunk is an end.
        assert reading.fields().get("error_type") in (None, ended_early), error


@pytest.mark.parametrize(
    ("total", "output", "source"),
    [
        (15, 5, "provider"),
        (1_000_015, 1_000_005, "provider"),
        (2_000_016, 5, "missing"),
        (99_999_999, 5, "missing"),
    ],
)
def test_a_total_that_cannot_be_true_decides_nothing(total: int, output: int, source: str) -> None:
    openai = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": total}
    google = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": total}
    for fields in (
        flavour("openai_chat").read_response({"usage": openai}),
        flavour("gemini").read_response({"usageMetadata": google}),
    ):
        assert (fields["input_tokens"], fields["output_tokens"]) == (10, output)
        assert fields["usage_source"] == source


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        ({"code": "data_inspection_failed", "message": "m"}, "filtered", None),
        ({"code": "InternalError", "message": "m"}, "error", "server_error"),
        ({"code": 429, "message": "m"}, "error", "rate_limit"),
        ({"detail": "Not authenticated"}, "error", "unknown"),
        ({"detail": [{"loc": ["body"], "msg": "m"}]}, "error", "unknown"),
        ({"detail": "high", "choices": [{"finish_reason": "stop"}]}, None, None),
        ({"code": "abc", "message": "m", "usage": {"prompt_tokens": 1}}, None, None),
        ({"code": "abc"}, None, None),
        ({"code": 200, "message": "m"}, None, None),
        ({"detail": []}, None, None),
    ],
)
def test_a_failure_without_anything_of_an_answer_is_one(
    answer: dict[str, Any], status: str | None, kind: str | None
) -> None:
    for response in (answer, SimpleNamespace(**answer)):
        fields = flavour("openai_chat").read_response(response)
        assert (fields.get("status"), fields.get("error_type")) == (status, kind)


def test_calls_that_fail_alike_share_no_list() -> None:
    sensitive = {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}
    reasons = failure_in(sensitive)["finish_reasons"]
    assert reasons == ["content_filter"]
    assert isinstance(reasons, list)
    reasons.append("of this call alone")
    assert failure_in(sensitive)["finish_reasons"] == ["content_filter"]
