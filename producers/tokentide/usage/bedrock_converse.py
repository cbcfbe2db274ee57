"""Amazon Bedrock's Converse and ConverseStream, one format for every model.

boto3 answers with a dict. `inputTokens` leaves out what was read from or written to a cache, so
both are added. In a stream the counts come in the last event, `metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokentide._contract import MAX_IDENTIFIER
from tokentide.usage.flavour import Flavour
from tokentide.usage.openai_parts import error_fields, read_common_request
from tokentide.usage.reading import (
    Fields,
    Get,
    count,
    cut_off,
    finish_fields,
    getter,
    items,
    kept,
    label,
    read,
    small_count,
    total,
    usage_fields,
)
from tokentide.usage.totals import settle

_LONG_TTLS = frozenset({"12h", "24h"})
_EXCEPTIONS = (
    "internalServerException",
    "modelStreamErrorException",
    "modelTimeoutException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
)
"""Events that break a stream; boto3 raises them, other clients may hand them over."""
_NAMED_IN_ARN = ("foundation-model/", "inference-profile/")


def add_caches(
    uncached: int | None, cache_read: int | None, cache_write: int | None, output: int | None
) -> Fields:
    """Return inclusive counts from Bedrock's, which leave the caches out of the input."""
    return {
        # Caches without the rest of the input are no total.
        "input_tokens": None if uncached is None else total(uncached, cache_read, cache_write),
        "cache_read_tokens": cache_read,
        "cache_write_tokens": cache_write,
        "output_tokens": output,
    }


def _first_count(get: Get, *names: str) -> int | None:
    return next((number for name in names if (number := count(get(name))) is not None), None)


def read_usage(usage: object) -> Fields:
    """Return usage fields of a `TokenUsage`, also of the one in bodies of Amazon Nova."""
    get = getter(usage)
    by_ttl: dict[str, int | None] = {}
    for entry in items(get("cacheDetails"), 16):
        of_entry = getter(entry)
        ttl = label(of_entry("ttl")) or ""
        kind = "long" if ttl in _LONG_TTLS else ttl
        by_ttl[kind] = total(by_ttl.get(kind), count(of_entry("inputTokens")))
    written = _first_count(get, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    listed = total(*by_ttl.values())
    fields = add_caches(
        count(get("inputTokens")),
        _first_count(get, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        listed if written is None else written,
        count(get("outputTokens")),
    )
    settle(fields, get("totalTokens"))
    if listed is not None and written in (None, listed):
        by_ttl.setdefault("1h", 0)  # what all the others add up to leaves none for an hour
    fields["cache_write_1h_tokens"] = by_ttl.get("1h")
    fields["cache_write_long_tokens"] = by_ttl.get("long")
    return usage_fields(fields)


def read_envelope(response: object) -> Fields:
    """Return what boto3 says of the exchange itself: the request id and its own retries."""
    get = getter(read(response, "ResponseMetadata"))
    retries = small_count(get("RetryAttempts"))
    return kept({"response_id": label(get("RequestId"), MAX_IDENTIFIER), "retry_count": retries})


def _served(get: Get) -> Fields:
    """Return how the call was served, from a response or from a stream's last event."""
    router = read(get("trace"), "promptRouter", "invokedModelId")
    return kept(
        {
            "response_model": model_name(router) if router is not None else None,
            "service_tier": label(read(get("serviceTier"), "type")),
            "speed": label(read(get("performanceConfig"), "latency")),
        }
    )


def read_response(response: object) -> Fields:
    """Return the event fields of the dict that `converse` returns."""
    get = getter(response)
    fields = read_envelope(response)
    fields.update(_served(get))
    fields.update(read_usage(get("usage")))
    fields.update(finish_fields((get("stopReason"),)))
    blocks = items(read(get("output"), "message", "content"))
    if blocks:
        fields["tool_calls_count"] = sum(read(b, "toolUse") is not None for b in blocks)
    return fields


class ConverseStream:
    """Reads the events of a ConverseStream.

    `add` takes first what boto3 returns, for its request id and retries (its `stream` is not
    touched), and then every event of that stream.
    """

    __slots__ = ("_calls", "_failure", "_fields", "_reason", "_seen")

    def __init__(self) -> None:
        self._failure: Fields = {}
        self._fields: Fields = {}
        self._reason: object = None
        self._calls = 0
        self._seen = False

    def add(self, chunk: Any) -> None:
        """Look at one event, or at the response whose stream follows."""
        try:
            if type(chunk) is dict and "contentBlockDelta" in chunk:
                return
            self._look(getter(chunk))
        except Exception:  # an event of the host's own making; the others still count
            return

    def _look(self, get: Get) -> None:
        if get("ResponseMetadata") is not None:
            self._fields.update(read_envelope({"ResponseMetadata": get("ResponseMetadata")}))
            return
        self._seen = True
        if read(get("contentBlockStart"), "start", "toolUse") is not None:
            self._calls += 1
        reason = read(get("messageStop"), "stopReason")
        if reason is not None:
            self._reason = reason
        for code in _EXCEPTIONS:
            if get(code) is not None:
                self._failure = error_fields({"code": code})
        metadata = get("metadata")
        if metadata is not None:
            self._fields.update(_served(getter(metadata)))
            self._fields.update(read_usage(read(metadata, "usage")))

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        fields: Fields = {"usage_source": "missing", **self._fields}
        if self._seen:
            fields["tool_calls_count"] = self._calls
        fields.update(cut_off() if self._reason is None else finish_fields((self._reason,)))
        fields.update(self._failure)
        return fields


def model_name(identifier: object) -> str | None:
    """Return a model id as prices name it: an ARN of a model or of a profile loses its front.

    An application inference profile has a name of the customer's own, so its ARN stays whole.
    """
    name = label(identifier, 2048)
    if name is not None and name.startswith("arn:"):
        for part in _NAMED_IN_ARN:
            before, found, model = name.partition(part)
            if found and before[-1:] in ":/":
                return model[:MAX_IDENTIFIER] or None
    return name[:MAX_IDENTIFIER] if name else None


def read_identifiers(get: Get) -> Fields:
    """Return the model and the region that a `modelId` names."""
    name = label(get("modelId"), 2048) or ""
    is_arn = name.startswith("arn:")
    region = name.split(":", 4)[3:4] if is_arn else []
    return kept(
        {
            "request_model": model_name(get("modelId")),
            "region": (label(region[0]) if region else None),
        }
    )


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `converse` or `converse_stream`."""
    get = getter(arguments)
    config = getter(get("inferenceConfig"))
    extra = getter(get("additionalModelRequestFields"))
    effort = read(extra("output_config"), "effort") or extra("reasoning_effort")
    fields = read_identifiers(get)
    fields.update(read_common_request(config))
    fields.update(
        kept(
            {
                "max_tokens": count(config("maxTokens")),
                "service_tier_requested": label(read(get("serviceTier"), "type")),
                "reasoning_level": label(effort) or label(read(extra("thinking"), "type")),
            }
        )
    )
    return fields


FLAVOUR = Flavour(
    name="bedrock_converse",
    operation="chat",
    read_request=read_request,
    read_response=read_response,
    read_stream=ConverseStream,
)
