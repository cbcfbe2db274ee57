"""OpenAI's chat completions, and all servers that answer in that format.

Azure OpenAI, Groq, DeepSeek, OpenRouter, Moonshot, LiteLLM's proxy, vLLM: one format; the event's
provider names the server. Counts are inclusive there: cached and written tokens are part of the
prompt, reasoning and rejected predictions part of the completion. xAI and Perplexity, which count
otherwise, pass a reader of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any

from tokentide.usage.flavour import Flavour, StreamReading
from tokentide.usage.openai_parts import (
    UsageReader,
    add_native,
    choices_asked,
    error_fields,
    identity_fields,
    limit_asked,
    read_common_request,
    take_input_details,
    usage_of,
)
from tokentide.usage.openai_stream import ChatStream
from tokentide.usage.reading import (
    MAX_REASONS,
    Fields,
    finish_fields,
    getter,
    items,
    label,
    read,
    small_count,
    take_counts,
    usage_fields,
)
from tokentide.usage.reported_cost import take_cost
from tokentide.usage.totals import settle

_TOTALS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
_PROMPT = (
    ("cached_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("audio_tokens", "input_audio_tokens"),
    ("image_tokens", "input_image_tokens"),
    ("video_tokens", "input_video_tokens"),
)
_COMPLETION = (
    ("reasoning_tokens", "reasoning_tokens"),
    ("audio_tokens", "output_audio_tokens"),
    ("image_tokens", "output_image_tokens"),
)
_READS_ELSEWHERE = (
    ("cache_read_input_tokens", "cache_read_tokens"),  # gateways that pass Anthropic's names on
    ("cached_tokens", "cache_read_tokens"),  # Moonshot
    ("prompt_cache_hit_tokens", "cache_read_tokens"),  # DeepSeek
)
_WRITES_ELSEWHERE = (("cache_creation_input_tokens", "cache_write_tokens"),)


def read_usage(usage: object) -> Fields:
    """Return the counts of OpenAI's `CompletionUsage` and of its imitations."""
    counts = read_parts(usage)
    settle(counts, read(usage, "total_tokens"))
    return counts


def read_parts(usage: object) -> Fields:
    """Return the counts as they stand there, for providers that count otherwise."""
    get = getter(usage)
    counts: Fields = {}
    take_counts(counts, get, _TOTALS)
    take_input_details(counts, get("prompt_tokens_details"), _PROMPT)
    details = get("completion_tokens_details")
    if details is not None:
        take_counts(counts, getter(details), _COMPLETION)
    if "cache_read_tokens" not in counts:
        take_counts(counts, get, _READS_ELSEWHERE)
    if "cache_write_tokens" not in counts:
        take_counts(counts, get, _WRITES_ELSEWHERE)
    tools = get("server_tool_use")
    if tools is not None:  # OpenRouter's search plug-in
        counts["web_searches"] = small_count(read(tools, "web_search_requests"))
    take_cost(counts, get)
    return counts


def read_response(response: object, read_usage: UsageReader = read_usage) -> Fields:
    """Return the event fields of one answer, streamed or not."""
    # A tuple comes of `condense`: "Condensed responses" in docs/producer-internals.md.
    get = getter(_answer(response) if type(response) is tuple else response)
    fields = identity_fields(get)
    fields.update(usage_fields(read_usage(usage_of(get))))
    reasons: list[object] = []
    native: list[str] = []
    error = get("error")
    tool_calls = 0
    for choice in items(get("choices"), MAX_REASONS):
        of_choice = getter(choice)
        message = getter(of_choice("message"))
        refusal = message("refusal")
        # A refusal comes with the reason `stop`, which would hide it.
        is_refused = type(refusal) is str and refusal
        reasons.append("refusal" if is_refused else of_choice("finish_reason"))
        if message("tool_calls") is not None:
            tool_calls += len(items(message("tool_calls")))
        if message("function_call") is not None:
            tool_calls += 1
        if word := label(of_choice("native_finish_reason")):
            native.append(word)
        if error is None:
            error = of_choice("error")  # OpenRouter, when the provider behind it broke off
    if reasons:
        fields["tool_calls_count"] = tool_calls
        fields.update(finish_fields(reasons))
        if native:
            add_native(fields, native)
    if error is not None:
        fields.update(error_fields(error))
    kind = get("object")
    if type(kind) is str and kind == "text_completion":
        fields["operation"] = "text_completion"
    return fields


_PLAIN_FIELDS = ("id", "model", "system_fingerprint", "service_tier", "object")
_MESSAGE = ("refusal", "function_call", "tool_calls")
_plain_fields = itemgetter(*_PLAIN_FIELDS)
_of_answer = itemgetter("choices", "usage")
_of_choice = itemgetter("finish_reason", "message")
_of_message = itemgetter(*_MESSAGE)


def condense(response: Any) -> object:
    """Return what an ordinary answer says of itself as a tuple, for `read_response`.

    An unusual answer, or one that is no object of the client's, is returned as it is. Declared
    fields are in an object's own dictionary; what else was sent is in another, and is unusual.
    """
    try:
        answer = response.__dict__
        (choice,), usage = _of_answer(answer)
        reason, message = _of_choice(choice.__dict__)
        if response.__pydantic_extra__ or choice.__pydantic_extra__ or usage.__pydantic_extra__:
            return response
        return _plain_fields(answer), reason, _of_message(message.__dict__), usage.__dict__
    except Exception:
        return response


def _answer(condensed: tuple[Any, ...]) -> Fields:
    """Return the parsed answer that a condensed one stands for."""
    values, reason, message, usage = condensed
    held = dict(zip(_MESSAGE, message, strict=True))
    return {
        **dict(zip(_PLAIN_FIELDS, values, strict=True)),
        "choices": [{"finish_reason": reason, "message": held}],
        "usage": usage,
    }


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of a chat completion."""
    get = getter(arguments)
    fields = read_common_request(get)
    limit = limit_asked(get, "max_completion_tokens", "max_tokens")
    if limit is not None:
        fields["max_tokens"] = limit
    choices = choices_asked(get)
    if choices is not None:
        fields["choices"] = choices
    effort = label(get("reasoning_effort")) or label(read(get("extra_body"), "reasoning", "effort"))
    if effort is not None:
        fields["reasoning_level"] = effort
    return fields


def chat_flavour(name: str, read_usage: UsageReader) -> Flavour:
    """Return a flavour that differs from OpenAI's in what its counts include."""

    def read_stream() -> StreamReading:
        return ChatStream(read_usage)

    return Flavour(
        name=name,
        operation="chat",
        read_request=read_request,
        read_response=lambda response: read_response(response, read_usage),
        read_stream=read_stream,
    )


FLAVOUR = replace(chat_flavour("openai_chat", read_usage), condense=condense)
