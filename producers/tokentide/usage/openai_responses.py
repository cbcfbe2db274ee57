"""OpenAI's Responses API, which Azure, xAI, OpenRouter and vLLM offer too.

Counts are inclusive. Tools that the provider runs itself are billed beside the tokens: web searches
by `tool_usage` (or by the search calls among the output), file searches per call. A response that
is still running, as a background one is when it was created, has no usage yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from tokentide._contract import MAX_IDENTIFIER, MAX_LABEL
from tokentide.usage.flavour import Flavour
from tokentide.usage.openai_parts import (
    error_fields,
    identity_fields,
    limit_asked,
    read_common_request,
    server_tools,
    take_input_details,
)
from tokentide.usage.reading import (
    NOTHING_READ,
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
    take_counts,
    take_labels,
    usage_fields,
)
from tokentide.usage.reported_cost import take_cost
from tokentide.usage.totals import settle

_CALLS_FOR_THE_CALLER = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "function_call",
        "local_shell_call",
        "shell_call",
    }
)
"""Output items that ask the caller to run a tool, as `tool_calls` do in chat completions."""
_SOCIAL_SEARCHES = frozenset(
    {"x_keyword_search", "x_semantic_search", "x_thread_fetch", "x_user_search"}
)
"""xAI's own tools, which it runs itself and shows as calls of custom tools all the same."""
_PREVIEW = "web_search_preview"
"""The older search tool, which costs more on some models; named alike with a date behind it."""

_TOTALS = (("input_tokens", "input_tokens"), ("output_tokens", "output_tokens"))
_INPUTS = (
    ("cached_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("audio_tokens", "input_audio_tokens"),
    ("image_tokens", "input_image_tokens"),
)
_OUTPUTS = (
    ("reasoning_tokens", "reasoning_tokens"),
    ("audio_tokens", "output_audio_tokens"),
    ("image_tokens", "output_image_tokens"),
)


def read_usage(usage: object) -> Fields:
    """Return the counts of `ResponseUsage`."""
    get = getter(usage)
    counts: Fields = {}
    take_counts(counts, get, _TOTALS)
    take_input_details(counts, get("input_tokens_details"), _INPUTS)
    details = get("output_tokens_details")
    if details is not None:
        take_counts(counts, getter(details), _OUTPUTS)
    settle(counts, get("total_tokens"))
    take_cost(counts, get)
    return counts


class _Output:
    """What is counted among the output items of a response."""

    __slots__ = (
        "calls",
        "code_runs",
        "file_searches",
        "has_refusal",
        "is_any",
        "searches",
        "social_searches",
    )

    def __init__(self) -> None:
        self.calls = self.searches = self.file_searches = self.code_runs = 0
        self.social_searches = 0
        self.has_refusal = self.is_any = False

    def add(self, item: object) -> None:
        get = getter(item)
        self.is_any = True
        kind = label(get("type"))
        if kind == "message":
            for part in items(get("content")):
                if label(getter(part)("type")) == "refusal":
                    self.has_refusal = True
        elif kind == "custom_tool_call" and label(get("name")) in _SOCIAL_SEARCHES:
            self.social_searches += 1
        elif kind in _CALLS_FOR_THE_CALLER:
            self.calls += 1
        elif kind == "web_search_call":
            # Opening a page and looking for words in it are not billed.
            self.searches += label(read(get("action"), "type")) in (None, "search")
        elif kind == "file_search_call":
            self.file_searches += 1
        elif kind == "code_interpreter_call":
            self.code_runs += 1

    def fields(self, get: Get) -> Fields:
        """Return the usage of tools.

        Args:
            get: Reads the response; what it says of its tools decides over their calls.
        """
        tool_usage = get("tool_usage")
        reported = server_tools(getter(get("usage")))
        searches = cast("int | None", reported.get("web_searches"))
        units: dict[str, int | None] = {
            "social_searches": self.social_searches,
            "storage_searches": self.file_searches,
            "code_interpreter_calls": self.code_runs,
        }
        if reported:
            units = cast("dict[str, int | None]", reported.get("other_units", {}))
        if tool_usage is not None:
            searches = small_count(read(tool_usage, "web_search", "num_requests"))
            # Tokens of another model, at its rates: no part of this one's.
            pictures = getter(read(tool_usage, "image_gen"))
            units["image_gen_input_tokens"] = count(pictures("input_tokens"))
            units["image_gen_output_tokens"] = count(pictures("output_tokens"))
        if searches is None and self.searches:
            searches = self.searches
        if searches and _is_preview(get("tools")):
            units["preview_web_searches"] = searches
        fields: Fields = {} if searches is None else {"web_searches": searches}
        if used := {name: number for name, number in units.items() if number}:
            fields["other_units"] = used
        return fields


def _is_preview(tools: object) -> bool:
    """Return whether a response had the older search tool and not the newer one as well."""
    kinds = [kind for tool in items(tools, 64) if (kind := label(read(tool, "type")))]
    return any(kind.startswith(_PREVIEW) for kind in kinds) and "web_search" not in kinds


_PREVIOUS = (("previous_response_id", "previous_response_id", MAX_IDENTIFIER),)
_CONVERSATION = (("id", "conversation_id", MAX_IDENTIFIER),)
_REASONING = (("effort", "reasoning_level", MAX_LABEL),)


def read_response(response: object) -> Fields:
    """Return the event fields of one response object in whatever state it is."""
    get = getter(response)
    output = _Output()
    for item in items(get("output")):
        output.add(item)
    usage = get("usage")
    counts = read_usage(usage)
    if usage is not None:
        counts.update(output.fields(get))
    fields = identity_fields(get)
    fields.update(usage_fields(counts))
    take_labels(fields, get, _PREVIOUS)
    conversation, reasoning = get("conversation"), get("reasoning")
    if conversation is not None:
        take_labels(fields, getter(conversation), _CONVERSATION)
    if reasoning is not None:
        take_labels(fields, getter(reasoning), _REASONING)
    fields.update(_ending(get, output))
    return fields


def read_fetched(response: object) -> Fields:
    """Return the fields of a response that is fetched again: its usage was counted before.

    The first fetch that finds a background response finished is the one to read with
    `read_response`; this is for every other.
    """
    fields = identity_fields(getter(response))
    return fields | {
        "operation": "fetch_response",
        "input_tokens": 0,
        "output_tokens": 0,
        "usage_source": "provider",
    }


def _ending(get: Get, output: _Output) -> Fields:
    status = label(get("status"))
    if status in ("queued", "in_progress"):
        return {}
    fields: Fields = {"tool_calls_count": output.calls}
    if status == "incomplete":
        reason = label(read(get("incomplete_details"), "reason")) or "incomplete"
    elif status in ("failed", "cancelled"):
        reason = "error"
    elif output.has_refusal:
        reason = "refusal"
    elif status is None and not output.is_any:
        return {}  # no response at all
    else:
        reason = "tool_call" if output.calls else "stop"
    fields.update(finish_fields([reason]))
    if status == "cancelled":
        fields.update(status="cancelled", error_type="cancelled")
    elif status == "failed":
        fields.update(error_fields(get("error")) or {"status": "error", "error_type": "unknown"})
    return fields


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `responses.create`."""
    get = getter(arguments)
    fields = read_common_request(get)
    limit = limit_asked(get, "max_output_tokens")
    if limit is not None:
        fields["max_tokens"] = limit
    take_labels(fields, get, _PREVIOUS)
    take_labels(fields, getter(get("reasoning")), _REASONING)
    conversation = get("conversation")
    if conversation is not None:
        name = label(conversation, MAX_IDENTIFIER) or label(
            read(conversation, "id"), MAX_IDENTIFIER
        )
        fields.update(kept({"conversation_id": name}))
    return fields


class ResponseStream:
    """Implements `StreamReading` for the events of a streamed response."""

    __slots__ = ("_fields", "_output")

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._output: _Output | None = None

    def add(self, event: Any) -> None:
        """Look at one event; all but a few kinds say nothing that is kept."""
        try:
            kind = event.get("type") if type(event) is dict else event.type
            look = _LOOKS.get(kind)
            if look is not None:
                look(self, getter(event))
            elif kind is None and error_fields(event["error"]):  # gateways send an error bare
                self.look_at_error(getter(event))
        except Exception:  # noqa: S110 - an event that cannot be read is skipped
            pass

    def look_at_start(self, get: Get) -> None:
        """Keep who answers, for a stream that is left before its end."""
        self._fields.update(identity_fields(getter(get("response"))))

    def look_at_item(self, get: Get) -> None:
        """Count a finished output item, for a stream that is left before its end."""
        if self._output is None:
            self._output = _Output()
        self._output.add(get("item"))

    def look_at_end(self, get: Get) -> None:
        """Read the response that the last event carries whole."""
        self._fields = read_response(get("response"))

    def look_at_error(self, get: Get) -> None:
        """Read an error event, or the error object inside it."""
        error = get("error")
        inner = error if error is not None else {"code": get("code"), "type": get("error_type")}
        self._fields.update(finish_fields(["error"]) | error_fields(inner))

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        fields = dict(self._fields)
        if "usage_source" not in fields:
            fields.update({**NOTHING_READ, **cut_off(), **self._fields})
            if self._output is not None:
                fields["tool_calls_count"] = self._output.calls
                fields.update(kept({"web_searches": self._output.searches or None}))
        return fields


_LOOKS: dict[object, Callable[[ResponseStream, Get], None]] = {
    "response.created": ResponseStream.look_at_start,
    "response.output_item.done": ResponseStream.look_at_item,
    "response.completed": ResponseStream.look_at_end,
    "response.incomplete": ResponseStream.look_at_end,
    "response.failed": ResponseStream.look_at_end,
    "error": ResponseStream.look_at_error,
}

FLAVOUR = Flavour(
    name="openai_responses",
    operation="chat",
    read_request=read_request,
    read_response=read_response,
    read_stream=ResponseStream,
)
