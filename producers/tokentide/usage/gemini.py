"""Google's generateContent, of the Gemini API and of Vertex AI, and its embeddings.

JSON has camelCase names, the SDK's objects snake_case ones: both are read. `promptTokenCount`
contains what was read from a cache; thoughts and the results of tools are counted beside the
answer and the prompt, so they are added. Streams repeat running totals: the last ones hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokentide._contract import MAX_IDENTIFIER
from tokentide.usage.flavour import Flavour
from tokentide.usage.gemini_grounding import Grounding, either
from tokentide.usage.openai_parts import error_fields, read_common_request
from tokentide.usage.reading import (
    MAX_REASONS,
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
    whole,
)
from tokentide.usage.totals import settle

_UNSPECIFIED = frozenset({"TRAFFIC_TYPE_UNSPECIFIED", "SERVICE_TIER_UNSPECIFIED", "unspecified"})
_TIER_HEADER = "x-gemini-service-tier"
_OF_AN_ENDING = ("status", "finish_reasons", "error_type", "error_code")


def _modalities(get: Get, camel: str, snake: str) -> dict[str, int]:
    """Return the tokens of each modality of one list of details, as the lists state them."""
    found: dict[str, int] = {}
    for entry in items(either(get, camel, snake), 64):
        of_entry = getter(entry)
        number = count(either(of_entry, "tokenCount", "token_count"))
        modality = label(of_entry("modality"))
        if number is not None and modality is not None:
            # Documents are read as images of their pages, and billed as such.
            name = "IMAGE" if modality.upper() == "DOCUMENT" else modality.upper()
            found[name] = found.get(name, 0) + number
    return found


def read_usage(usage: object, grounding: Grounding | None = None) -> Fields:
    """Return usage fields of a usage metadata object, also of the Live API's.

    Args:
        usage: The object.
        grounding: What the answer is grounded on, which decides what is billed of its tools.
    """
    get = getter(usage)
    cached = count(either(get, "cachedContentTokenCount", "cached_content_token_count"))
    answer = count(either(get, "candidatesTokenCount", "candidates_token_count"))
    if answer is None:
        answer = count(either(get, "responseTokenCount", "response_token_count"))
    thoughts = count(either(get, "thoughtsTokenCount", "thoughts_token_count"))
    prompt = _modalities(get, "promptTokensDetails", "prompt_tokens_details")
    tools = _modalities(get, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details")
    output = _modalities(get, "candidatesTokensDetails", "candidates_tokens_details")
    output = output or _modalities(get, "responseTokensDetails", "response_tokens_details")
    in_cache = _modalities(get, "cacheTokensDetails", "cache_tokens_details")
    of_tools = count(either(get, "toolUsePromptTokenCount", "tool_use_prompt_token_count"))
    if grounding is not None and grounding.has_searched:
        tools = {}  # they are no part of the input
    counts: Fields = {
        "input_tokens": total(
            count(either(get, "promptTokenCount", "prompt_token_count")), of_tools
        ),
        "output_tokens": total(answer, thoughts),
        "cache_read_tokens": cached,
        "cache_read_audio_tokens": in_cache.get("AUDIO"),
        "reasoning_tokens": thoughts,
        "input_audio_tokens": total(prompt.get("AUDIO"), tools.get("AUDIO")),
        "input_image_tokens": total(prompt.get("IMAGE"), tools.get("IMAGE")),
        "input_video_tokens": total(prompt.get("VIDEO"), tools.get("VIDEO")),
        "output_audio_tokens": count(output.get("AUDIO")),
        "output_image_tokens": count(output.get("IMAGE")),
    }
    if output.get("VIDEO"):
        counts["other_units"] = {"output_video_tokens": count(output["VIDEO"])}
    settle(counts, either(get, "totalTokenCount", "total_token_count"), beside=thoughts or 0)
    if grounding is not None:
        grounding.place(counts, of_tools or 0)
    return usage_fields(counts)


def _identity(get: Get, usage: object) -> Fields:
    of_usage = getter(usage)
    tier = label(either(of_usage, "trafficType", "traffic_type"))
    tier = tier or label(either(of_usage, "serviceTier", "service_tier"))
    if tier is None:
        http = either(get, "sdkHttpResponse", "sdk_http_response")
        tier = label(read(http, "headers", _TIER_HEADER))
    return kept(
        {
            "response_model": label(either(get, "modelVersion", "model_version"), MAX_IDENTIFIER),
            "response_id": label(either(get, "responseId", "response_id"), MAX_IDENTIFIER),
            "service_tier": None if tier in _UNSPECIFIED else tier,
        }
    )


def _blocked(get: Get) -> Fields:
    """Return the fields of a prompt that was blocked before anything was generated."""
    feedback = getter(either(get, "promptFeedback", "prompt_feedback"))
    reason = label(either(feedback, "blockReason", "block_reason"))
    if reason is None:
        return {}
    return {"status": "filtered", "finish_reasons": ["content_filter", reason]}


def _calls(candidate: Get) -> int:
    """Return how many functions a candidate wants to be called."""
    parts = items(read(candidate("content"), "parts"))
    return sum(either(getter(p), "functionCall", "function_call") is not None for p in parts)


def _embedding_tokens(get: Get) -> int | None:
    """Return the tokens of an embedding on Vertex, which states them for every text."""
    counts = [
        whole(either(getter(read(entry, "statistics")), "tokenCount", "token_count"))
        for entry in items(get("embeddings"))
    ]
    return total(*counts)


def _images(pictures: Sequence[object]) -> Fields:
    """Return the event fields of an answer of Imagen's, which is billed by the picture."""
    made = sum(read(picture, "image") is not None for picture in pictures)
    fields: Fields = {"operation": "image_generation"}
    if pictures and not made:
        fields.update(finish_fields(("image_safety",)))
    return {**fields, **usage_fields({"other_units": {"images": made or None}})}


def read_response(response: object) -> Fields:
    """Return the event fields of a `GenerateContentResponse` or an `EmbedContentResponse`."""
    get = getter(response)
    usage = either(get, "usageMetadata", "usage_metadata")
    candidates = [getter(candidate) for candidate in items(get("candidates"), MAX_REASONS)]
    grounding = Grounding()
    for candidate in candidates:
        grounding.add(candidate)
    fields = _identity(get, usage)
    fields.update(read_usage(usage, grounding))
    if get("embeddings") is not None:
        fields["operation"] = "embeddings"
        tokens = _embedding_tokens(get)
        if fields["usage_source"] == "missing" and tokens is not None:
            fields.update(input_tokens=tokens, usage_source="provider")
    pictures = either(get, "generatedImages", "generated_images")
    if pictures is not None:
        fields.update(_images(items(pictures)))
    reasons = [either(candidate, "finishReason", "finish_reason") for candidate in candidates]
    fields.update(finish_fields(reasons))
    if candidates:
        fields["tool_calls_count"] = sum(map(_calls, candidates))
    grounding.add_to(fields, str(fields.get("response_model", "")))
    fields.update(_blocked(get))
    return fields


class ContentStream:
    """Reads the chunks of `generate_content_stream`, objects of the SDK or JSON."""

    __slots__ = ("_calls", "_fields", "_grounding", "_has_candidates", "_reasons", "_usage")

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._usage: object = None
        self._reasons: dict[int, object] = {}
        self._calls = 0
        self._grounding = Grounding()
        self._has_candidates = False

    def add(self, chunk: Any) -> None:
        """Look at one chunk; one that only continues a text costs a few attribute reads."""
        try:
            if type(chunk) is not dict and self._has_candidates:
                self._usage = chunk.usage_metadata or self._usage
                (candidate,) = chunk.candidates
                (part,) = candidate.content.parts
                if (
                    candidate.finish_reason is None
                    and part.text is not None
                    and candidate.grounding_metadata is None
                    and getattr(candidate, "url_context_metadata", None) is None
                ):
                    return
        except Exception:  # noqa: S110 - no text alone: looked at below, every read guarded
            pass
        try:
            self._add(getter(chunk))
        except Exception:  # a chunk of the host's own making; the others still count
            return

    def _add(self, get: Get) -> None:
        usage = either(get, "usageMetadata", "usage_metadata")
        if usage is not None:
            self._usage = usage
        self._fields.update(_identity(get, usage))
        self._fields.update(_blocked(get))
        self._fields.update(error_fields(get("error")))
        for position, candidate in enumerate(map(getter, items(get("candidates"), MAX_REASONS))):
            self._has_candidates = True
            reason = either(candidate, "finishReason", "finish_reason")
            if reason is not None:
                index = small_count(candidate("index"))
                self._reasons[position if index is None else min(index, MAX_REASONS)] = reason
            self._calls += _calls(candidate)
            self._grounding.add(candidate)

    def fields(self) -> Fields:
        """Return the event fields; the running totals of an unfinished answer are no bill."""
        fields = read_usage(self._usage, self._grounding)
        fields.update(self._fields)
        fields.update(finish_fields(self._reasons[index] for index in sorted(self._reasons)))
        fields.update(_blocked_status(self._fields))
        if self._has_candidates:
            fields["tool_calls_count"] = self._calls
        if not self._reasons and "status" not in fields:
            fields.update(cut_off(), usage_source="missing")
        self._grounding.add_to(fields, str(fields.get("response_model", "")))
        return fields


def _blocked_status(fields: Fields) -> Fields:
    return {name: fields[name] for name in _OF_AN_ENDING if name in fields}


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `models.generate_content`."""
    get = getter(arguments)
    config = getter(get("config"))
    thinking = getter(either(config, "thinkingConfig", "thinking_config"))
    model = label(get("model"), MAX_IDENTIFIER)
    fields = read_common_request(config)
    fields.update(
        kept(
            {
                # `publishers/google/models/…` and `models/…` name the model in their last part.
                "request_model": model.rpartition("models/")[2] or model if model else None,
                "max_tokens": count(either(config, "maxOutputTokens", "max_output_tokens")),
                "choices": small_count(either(config, "candidateCount", "candidate_count")),
                "reasoning_level": label(either(thinking, "thinkingLevel", "thinking_level")),
            }
        )
    )
    return fields


FLAVOUR = Flavour(
    name="gemini",
    operation="generate_content",
    read_request=read_request,
    read_response=read_response,
    read_stream=ContentStream,
)
