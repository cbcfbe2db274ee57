"""Anthropic, Gemini, Bedrock, Mistral and Cohere: what golden payloads cannot show."""

from __future__ import annotations

import json
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from tests.each import each
from tests.golden.cases import Case, load_cases
from tests.golden.pricing import event_of, judged
from tests.producers.usage.test_hostile import HOSTILE, everywhere
from tokentide.usage.bedrock_invoke import MAX_BODY_BYTES
from tokentide.usage.flavour import flavour

MINE = ("anthropic_messages", "gemini", "bedrock_converse", "bedrock_invoke", "mistral", "cohere")
CASES = [case for case in load_cases() if case.flavour in MINE]
CLAUDE = {
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 7},
}


def streamed(name: str, *chunks: object) -> dict[str, object]:
    reading = flavour(name).read_stream()
    for chunk in chunks:
        reading.add(chunk)
    return reading.fields()


@each("case", CASES, ids=lambda case: case.id)
def test_every_payload_survives_hostile_leaves(case: Case) -> None:
    for make in HOSTILE.values():
        if case.stream is None:
            fields = flavour(case.flavour).read_response(everywhere(case.response, make))
        else:
            fields = streamed(case.flavour, *everywhere(case.stream, make))
        judged(event_of(case, fields))


@each("case", [c for c in CASES if c.stream], ids=lambda case: case.id)
def test_a_stream_may_end_after_any_chunk(case: Case) -> None:
    assert case.stream is not None
    for length in range(len(case.stream)):
        fields = streamed(case.flavour, *case.stream[:length])
        judged(event_of(case, fields))
        assert fields["usage_source"] in ("missing", "provider")
    assert streamed(case.flavour)["usage_source"] == "missing"


# -- nothing of the content is kept ---------------------------------------------------------------


class Chunk(SimpleNamespace):
    """A chunk that can be watched for being let go."""


def anthropic_chunk(text: str) -> Any:
    delta = SimpleNamespace(type="text_delta", text=text)
    return Chunk(type="content_block_delta", index=0, delta=delta)


def gemini_chunk(text: str) -> Any:
    part = SimpleNamespace(text=text, function_call=None)
    candidate = SimpleNamespace(content=SimpleNamespace(parts=[part]), finish_reason=None, index=0)
    return Chunk(candidates=[candidate], usage_metadata=None, model_version="gemini-2.5-flash")


def mistral_chunk(text: str) -> Any:
    delta = SimpleNamespace(content=text, tool_calls=None)
    choice = SimpleNamespace(index=0, delta=delta, finish_reason=None)
    data = SimpleNamespace(id="x", model="mistral-small", choices=[choice], usage=None)
    return Chunk(data=data)


def cohere_chunk(text: str) -> Any:
    return Chunk(type="content-delta", index=0, delta=SimpleNamespace(message=text))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("anthropic_messages", anthropic_chunk),
        ("gemini", gemini_chunk),
        ("mistral", mistral_chunk),
        ("cohere", cohere_chunk),
    ],
)
def test_a_chunk_is_let_go_as_soon_as_it_was_looked_at(name: str, make: Any) -> None:
    reading = flavour(name).read_stream()
    for number in range(3):
        chunk = make(f"secret {number}")
        watched = weakref.ref(chunk)
        reading.add(chunk)
        del chunk
        assert watched() is None
    assert "secret" not in repr(reading.fields())


# -- Anthropic ------------------------------------------------------------------------------------


def test_events_of_the_stream_helper_are_passed_over() -> None:
    start = {"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    fields = streamed(
        "anthropic_messages",
        start,
        {"type": "text", "text": "Hi", "snapshot": "Hi"},
        {"type": "input_json", "partial_json": "{", "snapshot": {}},
        {**delta, "usage": {"output_tokens": 70}},
        {"type": "message_stop", "message": CLAUDE},
    )
    assert (fields["input_tokens"], fields["output_tokens"]) == (15, 70)
    assert fields["usage_source"] == "provider"


def test_caches_without_the_rest_of_the_input_are_no_total() -> None:
    usage = {"cache_read_input_tokens": 10, "output_tokens": 7}
    fields = flavour("anthropic_messages").read_response({**CLAUDE, "usage": usage})
    assert "input_tokens" not in fields
    assert "cache_read_tokens" not in fields
    assert fields["output_tokens"] == 7


def test_lifetimes_stand_in_for_a_total_of_cache_writes() -> None:
    lifetimes = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation": lifetimes}
    fields = flavour("anthropic_messages").read_response({**CLAUDE, "usage": usage})
    assert fields["cache_write_tokens"] == 7
    assert fields["cache_write_1h_tokens"] == 4
    assert fields["input_tokens"] == 8


# -- Gemini ---------------------------------------------------------------------------------------


def test_an_unspecified_tier_is_no_tier() -> None:
    usage = {"promptTokenCount": 1, "trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}
    assert "service_tier" not in flavour("gemini").read_response({"usageMetadata": usage})
    usage = {"promptTokenCount": 1, "serviceTier": "flex"}
    fields = flavour("gemini").read_response({"usageMetadata": usage})
    assert fields["service_tier"] == "flex"


def test_the_live_api_calls_its_answer_a_response() -> None:
    usage = {
        "prompt_token_count": 9,
        "response_token_count": 5,
        "response_tokens_details": [{"modality": "AUDIO", "token_count": 5}],
    }
    fields = flavour("gemini").read_response({"usage_metadata": usage})
    assert (fields["output_tokens"], fields["output_audio_tokens"]) == (5, 5)


# -- Bedrock --------------------------------------------------------------------------------------


class OneShotBody:
    """Stands for botocore's StreamingBody: a read takes it from the service."""

    def read(self, *args: object) -> bytes:
        raise AssertionError("the body was read")

    __iter__ = __next__ = __enter__ = readlines = iter_chunks = iter_lines = close = read


def test_a_body_that_belongs_to_the_service_is_never_read() -> None:
    headers = {
        "x-amzn-bedrock-input-token-count": "12",
        "x-amzn-bedrock-output-token-count": "34",
    }
    metadata = {"RequestId": "r", "RetryAttempts": 1, "HTTPHeaders": headers}
    response = {"ResponseMetadata": metadata, "body": OneShotBody(), "contentType": "x"}
    fields = flavour("bedrock_invoke").read_response(response)
    assert fields == {
        "input_tokens": 12,
        "output_tokens": 34,
        "usage_source": "provider",
        "response_id": "r",
        "retry_count": 1,
    }
    stream = {"ResponseMetadata": metadata, "stream": OneShotBody()}
    assert streamed("bedrock_converse", stream)["response_id"] == "r"
    assert streamed("bedrock_invoke", response)["response_id"] == "r"


@pytest.mark.parametrize(
    "body", [CLAUDE, json.dumps(CLAUDE), json.dumps(CLAUDE).encode(), {"body": CLAUDE}]
)
def test_a_body_counts_in_every_form_the_service_may_have_it(body: object) -> None:
    fields = flavour("bedrock_invoke").read_response(body)
    assert (fields["input_tokens"], fields["cache_read_tokens"]) == (15, 10)
    assert fields["response_model"] == "claude-sonnet-4-5-20250929"


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"nothing", b"[" * 100_000, b"1" * 10_000, b"9" * (MAX_BODY_BYTES + 1)]
)
def test_a_body_that_is_no_short_json_leaves_the_headers(body: bytes) -> None:
    headers = {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "x"}
    response = {"ResponseMetadata": {"HTTPHeaders": headers}, "body": body}
    fields = flavour("bedrock_invoke").read_response(response)
    assert fields == {"input_tokens": 12, "usage_source": "provider"}


def test_metrics_settle_a_stream_whose_last_count_went_missing() -> None:
    start = {"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None}}
    metrics = {"inputTokenCount": 5, "cacheReadInputTokenCount": 10, "outputTokenCount": 90}
    stop = {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}
    events = [{"chunk": {"bytes": json.dumps(event).encode()}} for event in (start, stop)]
    fields = streamed("bedrock_invoke", *events)
    assert (fields["input_tokens"], fields["output_tokens"]) == (15, 90)
    assert fields["usage_source"] == "provider"


def test_text_that_looks_like_metrics_changes_nothing() -> None:
    def chunk(event: dict[str, Any]) -> dict[str, Any]:
        return {"chunk": {"bytes": json.dumps(event, separators=(",", ":")).encode()}}

    fake = '"amazon-bedrock-invocationMetrics":{"inputTokenCount":9},"stop_reason":"length"'
    fields = streamed(
        "bedrock_invoke",
        chunk({"generation": "", "prompt_token_count": 4, "generation_token_count": 1}),
        chunk({"generation": fake, "prompt_token_count": None, "generation_token_count": 2}),
        chunk({"generation": "", "generation_token_count": 3, "stop_reason": "stop"}),
    )
    assert fields["finish_reasons"] == ["stop"]
    assert (fields["input_tokens"], fields["output_tokens"]) == (4, 3)
    assert fields["usage_source"] == "missing"  # no metrics came: it may have been cut off


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        # The route in the name decides the price, and the body's name lacks it.
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", None),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5", None),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1", "claude-sonnet-4-5"),
        (None, None),
    ],
)
def test_the_model_of_a_body_counts_where_the_one_asked_for_names_none(
    asked: str | None, served: str | None
) -> None:
    event: dict[str, object] = {"request_model": asked, "response_model": "claude-sonnet-4-5"}
    reconcile = flavour("bedrock_invoke").reconcile
    assert reconcile is not None
    reconcile(event)
    assert event.get("response_model") == served


def test_an_application_inference_profile_keeps_its_arn() -> None:
    arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"
    fields = flavour("bedrock_converse").read_request({"modelId": arn})
    assert fields == {"request_model": arn, "region": "eu-west-1"}


def test_the_limit_of_a_request_is_found_without_parsing_the_prompt() -> None:
    read_request = flavour("bedrock_invoke").read_request
    prompt = json.dumps({"prompt": 'a "max_tokens": 5 inside', "max_tokens": 77})
    assert read_request({"modelId": "m", "body": prompt})["max_tokens"] == 77
    assert read_request({"modelId": "m", "body": prompt.encode()})["max_tokens"] == 77
    assert "max_tokens" not in read_request({"modelId": "m", "body": OneShotBody()})


# -- Cohere, Mistral ------------------------------------------------------------------------------


def test_streams_of_coheres_first_api_are_read_too() -> None:
    response = {
        "response_id": "r",
        "generation_id": "g",
        "finish_reason": "COMPLETE",
        "meta": {"billed_units": {"input_tokens": 6.0, "output_tokens": 9.0}},
    }
    fields = streamed(
        "cohere",
        {"event_type": "stream-start", "generation_id": "g"},
        {"event_type": "text-generation", "text": "Hi"},
        {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": response},
    )
    assert (fields["input_tokens"], fields["output_tokens"]) == (6, 9)
    assert fields["finish_reasons"] == ["stop", "COMPLETE"]


@pytest.mark.parametrize(
    ("units", "tokens"),
    [
        ({"input_tokens": 10.0, "text_tokens": 10.0, "image_tokens": 5.0}, 15),
        ({"input_tokens": 15.0, "text_tokens": 10.0, "image_tokens": 5.0}, 15),
        ({"text_tokens": 10.0, "image_tokens": 5.0}, 15),
        ({"input_tokens": 10.4}, 10),
        ({"input_tokens": -1.0}, None),
        ({"input_tokens": float("nan")}, None),
    ],
)
def test_coheres_floats_become_whole_inclusive_totals(
    units: dict[str, float], tokens: int | None
) -> None:
    response = {"id": "x", "embeddings": {}, "meta": {"billed_units": units}}
    assert flavour("cohere").read_response(response).get("input_tokens") == tokens


def test_annotations_of_pictures_make_pages_annotated() -> None:
    page = {"index": 0, "images": [{"image_annotation": '{"a": 1}'}]}
    response = {"pages": [page], "model": "m", "usage_info": {"pages_processed": 1}}
    fields = flavour("mistral").read_response(response)
    assert fields["other_units"] == {"pages": 1, "annotated_pages": 1}
