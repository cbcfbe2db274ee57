"""Amazon Bedrock's InvokeModel and InvokeModelWithResponseStream: each model's own format.

The body of a response can be read once, and that belongs to the service: it is never read here.
Token counts are in the HTTP headers; finish reasons and lifetimes of caches come with the body when
the service has read it. The model a body names lacks the route (`us.`, `global.`) that decides the
price on Bedrock, so it is kept only where a profile of the customer's own was asked, which names no
model at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tokentide.usage import USAGE_FIELDS, anthropic_messages, bedrock_converse
from tokentide.usage.bedrock_bodies import GUARDRAIL, read_body
from tokentide.usage.flavour import Flavour, StreamReading, flavour
from tokentide.usage.reading import (
    Fields,
    Get,
    count,
    cut_off,
    finish_fields,
    getter,
    kept,
    label,
    read,
    usage_fields,
)

MAX_BODY_BYTES = 256 * 1024
"""Longest body that is parsed, about 2 ms; longer ones are embeddings and images."""
_MAX_CHUNK_BYTES = 64 * 1024
_MAX_REQUEST_BYTES = 64 * 1024

_OWN_PROFILE = ":application-inference-profile/"
"""Part of the ARN of a profile that a customer made, whose name says nothing of its model."""
_HEADER = "x-amzn-bedrock-"
_METRICS = "amazon-bedrock-invocationMetrics"

_CONTENT = (b'{"type":"content_block_delta"', b'{"contentBlockDelta"')
"""How chunks begin that only continue a text: Anthropic's, Amazon Nova's."""
_NO_REASON = (b":null}", b":null}]}")
"""How chunks of other models end while there is no reason to stop: Llama's, Mistral's, Titan's."""
_EVENTS = (b'{"type":"', b'{"messageStop', b'{"metadata', b'{"contentBlockStart')
# What other chunks contain when they say more than text.
_METRICS_MARK = _METRICS.encode()
_REASON_MARK = b'eason":"'
_USAGE_MARK = b'"usage":{'
_GUARDRAIL_MARK = f'"{GUARDRAIL}":"I'.encode()
_CALLS_MARK = b'"tool_calls":['

_LIMIT = (
    r'"(?:max_tokens|max_gen_len|max_tokens_to_sample|maxTokens|maxTokenCount)"\s*:\s*(\d{1,9})'
)
_LIMIT_IN_TEXT = re.compile(_LIMIT)
_LIMIT_IN_BYTES = re.compile(_LIMIT.encode())
"""The limit on the answer in a request: within a prompt its quotation marks would be escaped."""


def parse_json(raw: object, most_bytes: int) -> object:
    """Return text as JSON, None when it is too long or not JSON; anything else as it is."""
    if type(raw) not in (bytes, bytearray, str):
        return raw
    if len(raw) > most_bytes:  # type: ignore[arg-type]
        return None
    try:
        return json.loads(raw)  # type: ignore[arg-type]
    except (ValueError, RecursionError):
        return None


def _number(text: object) -> int | None:
    """Return the count in a header."""
    word = label(text, 20)
    return count(int(word)) if word is not None and word.isascii() and word.isdigit() else None


def _from_headers(response: object) -> Fields:
    """Return usage fields of the token count headers, which leave caches out of the input."""
    headers = getter(read(response, "ResponseMetadata", "HTTPHeaders"))
    return bedrock_converse.add_caches(
        _number(headers(f"{_HEADER}input-token-count")),
        _number(headers(f"{_HEADER}cache-read-input-token-count")),
        _number(headers(f"{_HEADER}cache-write-input-token-count")),
        _number(headers(f"{_HEADER}output-token-count")),
    )


def _from_metrics(metrics: object) -> Fields:
    get = getter(metrics)
    return bedrock_converse.add_caches(
        count(get("inputTokenCount")),
        count(get("cacheReadInputTokenCount")),
        count(get("cacheWriteInputTokenCount")),
        count(get("outputTokenCount")),
    )


def _served(response: object) -> Fields:
    get = getter(response)
    fields = bedrock_converse.read_envelope(response)
    fields.update(
        kept(
            {
                "service_tier": label(get("serviceTier")),
                "speed": label(get("performanceConfigLatency")),
            }
        )
    )
    return fields


def completed(fields: Fields, others: Fields) -> Fields:
    """Return the fields with the totals they lack taken from elsewhere; what they have stays.

    Args:
        fields: From the body, which divides the counts most finely.
        others: Counts of the headers or of the invocation metrics; None is not reported.
    """
    lacks_input, lacks_output = "input_tokens" not in fields, "output_tokens" not in fields
    taken = usage_fields(
        {
            name: number
            for name, number in others.items()
            if (lacks_output if name == "output_tokens" else lacks_input)
        }
    )
    return fields if taken["usage_source"] == "missing" else {**fields, **taken}


def read_response(response: object) -> Fields:
    """Return the event fields of an InvokeModel response.

    Args:
        response: What boto3 returns, its body untouched: the headers count. Or the same with
            what the service has read of the body by then, `{**response, "body": raw}`, where
            `raw` is bytes, text or parsed JSON. Or that body alone. Longer text than
            `MAX_BODY_BYTES` is not parsed.
    """
    get = getter(response)
    body = get("body")
    is_envelope = body is not None or get("ResponseMetadata") is not None
    parsed = parse_json(body if is_envelope else response, MAX_BODY_BYTES)
    fields = completed(read_body(parsed), _from_metrics(read(parsed, _METRICS)))
    if is_envelope:
        fields = completed(fields, _from_headers(response))
        fields.update(_served(response))
    return fields


class InvokeStream:
    """Reads the chunks of InvokeModelWithResponseStream, whichever model sends them.

    `add` takes first what boto3 returns, for its request id, tier and retries, and then every event
    of its `body`, `{"chunk": {"bytes": ...}}`, as the service iterates over it.
    """

    __slots__ = ("_found", "_guarded", "_inner", "_metrics", "_response", "_seen")

    def __init__(self) -> None:
        self._inner: StreamReading | None = None
        self._response: Fields = {}
        self._metrics: Fields = {}
        self._found: Fields = {}
        self._guarded: Fields = {}
        self._seen = False

    def add(self, chunk: Any) -> None:
        """Look at one event; a chunk of text is recognised by its first bytes."""
        try:
            if self._seen and type(chunk) is dict:
                data = chunk["chunk"]["bytes"]
                if type(data) is bytes and _GUARDRAIL_MARK not in data:
                    if data.startswith(_CONTENT) or data.endswith(_NO_REASON):
                        return
                    if not (
                        data.startswith(_EVENTS)
                        or _METRICS_MARK in data
                        or _REASON_MARK in data
                        or _USAGE_MARK in data
                        or _CALLS_MARK in data
                    ):
                        return
            self._look(chunk)
        except Exception:  # an event of the host's own making; the others still count
            return

    def _look(self, chunk: object) -> None:
        if read(chunk, "ResponseMetadata") is not None:
            self._response = _served(chunk)
            return
        event = parse_json(read(chunk, "chunk", "bytes"), _MAX_CHUNK_BYTES)
        if event is None:
            return
        metrics = read(event, _METRICS)
        if metrics is not None:
            self._metrics = _from_metrics(metrics)
        if label(read(event, GUARDRAIL)) == "INTERVENED":
            self._guarded = finish_fields(("guardrail_intervened",))
        if not self._seen:
            self._seen = True
            self._inner = _inner_stream(getter(event))
        if self._inner is None:
            self._found.update(read_body(event))
        else:
            self._inner.add(event)

    def fields(self) -> Fields:
        """Return the event fields; running counts of an answer that never ended are no bill."""
        if self._inner is None:
            fields: Fields = {**self._found, "usage_source": "missing"}
            if "finish_reasons" not in fields:
                fields.update(cut_off())
        else:
            fields = self._inner.fields()
        if fields["usage_source"] == "missing" and self._metrics:
            known = {name: fields.pop(name) for name in USAGE_FIELDS if name in fields}
            fields.update(usage_fields(known | kept(self._metrics)))
        fields.update(self._response)
        fields.update(self._guarded)
        return fields


def _inner_stream(get: Get) -> StreamReading | None:
    """Return a reading of the format that the first event of a stream shows, None for others."""
    if label(get("type")) == "message_start":
        return anthropic_messages.FLAVOUR.read_stream()
    if get("messageStart") is not None or get("contentBlockDelta") is not None:
        return bedrock_converse.FLAVOUR.read_stream()
    if get("choices") is not None and label(get("object")):
        return flavour("openai_chat").read_stream()
    return None


_OPERATIONS = (("embed", "embeddings"), ("rerank", "rerank"), ("image", "image_generation"))


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `invoke_model`.

    The operation is among them when the name of the model tells it.
    """
    get = getter(arguments)
    fields = bedrock_converse.read_identifiers(get)
    model = str(fields.get("request_model", "")).lower()
    operation = next((found for part, found in _OPERATIONS if part in model), None)
    fields.update(
        kept(
            {
                "operation": operation,
                "max_tokens": _limit_asked(get("body")),
                "service_tier_requested": label(get("serviceTier")),
            }
        )
    )
    return fields


def reconcile(event: Fields) -> None:
    """Leave out the model that a body names, unless the one that was asked for names none."""
    if _OWN_PROFILE not in str(event.get("request_model")):
        event.pop("response_model", None)


def _limit_asked(body: object) -> int | None:
    """Return the limit on output tokens in a request, without parsing the prompt around it."""
    found: re.Match[str] | re.Match[bytes] | None = None
    if type(body) is str:
        found = _LIMIT_IN_TEXT.search(body, 0, _MAX_REQUEST_BYTES)
    elif type(body) is bytes:
        found = _LIMIT_IN_BYTES.search(body, 0, _MAX_REQUEST_BYTES)
    return None if found is None else int(found[1])


FLAVOUR = Flavour(
    name="bedrock_invoke",
    operation="chat",
    read_request=read_request,
    read_response=read_response,
    read_stream=InvokeStream,
    reconcile=reconcile,
)
