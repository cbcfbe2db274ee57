"""OpenAI's chat completions, and everybody who answers in that format.

Azure OpenAI, Groq, DeepSeek, OpenRouter, Moonshot, LiteLLM's proxy, vLLM: one format, told apart by
the event's provider. Counts are inclusive there: cached and written tokens are part of the prompt,
reasoning and rejected predictions part of the completion. xAI and Perplexity, which count
otherwise, pass a reader of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokentide.usage.flavour import Flavour, StreamReading
from tokentide.usage.openai_parts import (
    UsageReader,
    choices_asked,
    error_fields,
    identity_fields,
    limit_asked,
    read_common_request,
    usage_of,
    with_native,
)
from tokentide.usage.openai_stream import ChatStream
from tokentide.usage.reading import (
    MAX_REASONS,
    Fields,
    Get,
    count,
    finish_fields,
    getter,
    items,
    kept,
    label,
    read,
    small_count,
    usage_fields,
)


def read_usage(usage: object) -> Fields:
    """Returns the counts of OpenAI's `CompletionUsage` and of its imitations."""
    get = getter(usage)
    prompt = getter(get("prompt_tokens_details"))
    completion = getter(get("completion_tokens_details"))
    return {
        "input_tokens": count(get("prompt_tokens")),
        "output_tokens": count(get("completion_tokens")),
        "cache_read_tokens": _cache_read(get, prompt),
        "cache_write_tokens": _cache_write(get, prompt),
        "cache_write_long_tokens": count(
            read(prompt("cache_write_tokens_details"), "ttl_12h_tokens")
        ),
        "reasoning_tokens": count(completion("reasoning_tokens")),
        "input_audio_tokens": count(prompt("audio_tokens")),
        "input_image_tokens": count(prompt("image_tokens")),
        "input_video_tokens": count(prompt("video_tokens")),
        "output_audio_tokens": count(completion("audio_tokens")),
        "output_image_tokens": count(completion("image_tokens")),
        # OpenRouter's search plug-in.
        "web_searches": small_count(read(get("server_tool_use"), "web_search_requests")),
    }


def _cache_read(get: Get, prompt: Get) -> int | None:
    found = count(prompt("cached_tokens"))
    # DeepSeek; Moonshot; gateways that pass Anthropic's names on.
    for name in ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"):
        if found is not None:
            break
        found = count(get(name))
    return found


def _cache_write(get: Get, prompt: Get) -> int | None:
    found = count(prompt("cache_write_tokens"))
    return found if found is not None else count(get("cache_creation_input_tokens"))


def read_response(response: object, read_usage: UsageReader = read_usage) -> Fields:
    """Returns the event fields of one answer, streamed or not."""
    get = getter(response)
    fields = identity_fields(get)
    fields.update(usage_fields(read_usage(usage_of(get))))
    reasons: list[object] = []
    native: list[str] = []
    tool_calls = 0
    for choice in items(get("choices"), MAX_REASONS):
        of_choice = getter(choice)
        message = getter(of_choice("message"))
        # A refusal comes with the reason `stop`, which would hide it.
        reasons.append("refusal" if label(message("refusal")) else of_choice("finish_reason"))
        tool_calls += len(items(message("tool_calls")))
        tool_calls += message("function_call") is not None
        if word := label(of_choice("native_finish_reason")):
            native.append(word)
    if reasons:
        fields["tool_calls_count"] = tool_calls
    fields.update(with_native(finish_fields(reasons), native))
    fields.update(error_fields(get("error")))
    if label(get("object")) == "text_completion":
        fields["operation"] = "text_completion"
    return fields


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Returns the event fields of the keyword arguments of a chat completion."""
    get = getter(arguments)
    effort = label(get("reasoning_effort"))
    return read_common_request(get) | kept(
        {
            "max_tokens": limit_asked(get, "max_completion_tokens", "max_tokens"),
            "choices": choices_asked(get),
            "reasoning_level": effort or label(read(get("extra_body"), "reasoning", "effort")),
        }
    )


def chat_flavour(name: str, read_usage: UsageReader) -> Flavour:
    """Returns a flavour that differs from OpenAI's in what its counts include."""

    def read_stream() -> StreamReading:
        return ChatStream(read_usage)

    return Flavour(
        name=name,
        operation="chat",
        read_request=read_request,
        read_response=lambda response: read_response(response, read_usage),
        read_stream=read_stream,
    )


FLAVOUR = chat_flavour("openai_chat", read_usage)
