"""Google's Interactions API, for models and agents of the Gemini API and of Vertex AI.

Thoughts and the results of tools are counted beside output and input, as in generateContent, and
searches are counted by the API itself. One event is one request: a long answer may take several,
each billed by its own usage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokentide._contract import MAX_IDENTIFIER, MAX_LABEL
from tokentide.usage.flavour import Flavour
from tokentide.usage.gemini_grounding import billed_searches, place_tool_tokens
from tokentide.usage.openai_parts import error_fields, limit_asked, read_common_request
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
    read_first,
    take_labels,
    total,
    usage_fields,
)
from tokentide.usage.totals import settle

_IDENTITY = (
    ("id", "response_id", MAX_IDENTIFIER),
    ("model", "response_model", MAX_IDENTIFIER),
    ("service_tier", "service_tier", MAX_LABEL),
    ("previous_interaction_id", "previous_response_id", MAX_IDENTIFIER),
)
_RUNNING = frozenset({"queued", "in_progress", "idle"})
_REASONS = {
    "completed": "stop",
    "requires_action": "tool_call",
    "incomplete": "length",
    "requires_continuation": "length",
    "budget_exceeded": "length",
}


_BILLED_TOOLS = ("url_context", "code_execution", "file_search", "mcp_server")
"""How the types of steps of other tools than searches begin."""


def _modalities(get: Get, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in items(get(name), 64):
        modality, tokens = label(read(entry, "modality")), count(read(entry, "tokens"))
        if modality and tokens is not None:
            # Documents are read as images of their pages, and billed as such.
            kind = "image" if modality == "document" else modality
            found[kind] = found.get(kind, 0) + tokens
    return found


def read_usage(
    usage: object, model: str, steps: Sequence[object] = (), *, has_billed_tools: bool = False
) -> Fields:
    """Return usage fields of the `usage` of an interaction.

    Args:
        usage: The object.
        model: The model that answered; it decides whether searches are billed one by one.
        steps: What it did: the tokens of some tools are billed, and those of searches are not.
        has_billed_tools: A stream reported such a tool before: its end does not repeat the steps.
    """
    get = getter(usage)
    thoughts = count(get("total_thought_tokens"))
    if thoughts is None:  # its name in the first versions
        thoughts = count(get("total_reasoning_tokens"))
    inputs, tools = (
        _modalities(get, name)
        for name in ("input_tokens_by_modality", "tool_use_tokens_by_modality")
    )
    outputs = _modalities(get, "output_tokens_by_modality")
    used = {
        label(read(t, "type")): count(read(t, "count"))
        for t in items(get("grounding_tool_count"), 16)
    }
    has_searched, of_tools = bool(used.get("google_search")), count(get("total_tool_use_tokens"))
    if has_searched or used.get("google_maps"):
        tools = {}  # they are no part of the input
    counts: Fields = {
        "input_tokens": total(count(get("total_input_tokens")), of_tools),
        "output_tokens": total(count(get("total_output_tokens")), thoughts),
        "cache_read_tokens": count(get("total_cached_tokens")),
        "cache_read_audio_tokens": _modalities(get, "cached_tokens_by_modality").get("audio"),
        "reasoning_tokens": thoughts,
        "input_audio_tokens": total(inputs.get("audio"), tools.get("audio")),
        "input_image_tokens": total(inputs.get("image"), tools.get("image")),
        "input_video_tokens": total(inputs.get("video"), tools.get("video")),
        "output_audio_tokens": outputs.get("audio"),
        "output_image_tokens": outputs.get("image"),
    }
    settle(counts, get("total_tokens"), beside=thoughts or 0)
    units: dict[str, int | None] = {"output_video_tokens": outputs.get("video")}
    counts["web_searches"] = billed_searches(used.get("google_search"), model)
    units["map_groundings"] = billed_searches(used.get("google_maps"), model)
    units["retrievals"] = used.get("retrieval")
    counts["other_units"] = {name: number for name, number in units.items() if number}
    if has_searched or used.get("google_maps"):
        has_others = any(number for kind, number in used.items() if kind != "google_search")
        has_others |= has_billed_tools or any(map(_is_billed_tool, steps))
        place_tool_tokens(counts, of_tools or 0, has_searched=has_searched, has_others=has_others)
    return usage_fields(counts)


def read_response(response: object, *, has_billed_tools: bool = False) -> Fields:
    """Return the event fields of an interaction in whatever state it is."""
    get = getter(response)
    fields: Fields = {}
    take_labels(fields, get, _IDENTITY)
    steps = items(get("steps")) or items(get("outputs"))  # the second until May 2026
    model = str(fields.get("response_model", ""))
    fields.update(read_usage(get("usage"), model, steps, has_billed_tools=has_billed_tools))
    status = label(get("status"))
    if status is None or status in _RUNNING:
        return fields
    if steps:
        fields["tool_calls_count"] = sum(map(_is_call, steps))
    return fields | _ending(get, status)


def _ending(get: Get, status: str) -> Fields:
    if status == "cancelled":
        return {**finish_fields(("error",)), "status": "cancelled", "error_type": "cancelled"}
    if status == "failed":
        return {**finish_fields(("error",)), **error_fields(read_first(get("errors")))}
    return finish_fields((_REASONS.get(status, status),))


def _is_billed_tool(step: object) -> bool:
    """Return whether a step is one of a tool whose tokens are billed as input."""
    return (label(read(step, "type")) or "").startswith(_BILLED_TOOLS)


def _is_call(step: object) -> bool:
    return label(read(step, "type")) == "function_call"


class InteractionStream:
    """Implements `StreamReading` for the events of a streamed interaction."""

    __slots__ = ("_calls", "_end", "_fields", "_has_billed_tools")

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._end: Fields = {}
        self._calls = 0
        self._has_billed_tools = False

    def add(self, event: Any) -> None:
        """Look at one event; deltas cost a comparison."""
        try:
            kind = event.get("event_type") if type(event) is dict else event.event_type
            # The second name of each pair is that of the API until May 2026.
            if kind in ("step.delta", "content.delta"):
                return
            if kind in ("step.start", "content.start"):
                step = read(event, kind[:-6])
                self._calls += _is_call(step)
                self._has_billed_tools |= _is_billed_tool(step)
            elif kind in ("interaction.created", "interaction.start"):
                take_labels(self._fields, getter(read(event, "interaction")), _IDENTITY)
            elif kind in ("interaction.completed", "interaction.complete"):
                self._end = read_response(
                    read(event, "interaction"), has_billed_tools=self._has_billed_tools
                )
            elif kind == "error" or (kind is None and error_fields(event["error"])):  # a gateway's
                self._end = {
                    **NOTHING_READ,
                    **finish_fields(("error",)),
                    **error_fields(read(event, "error")),
                }
        except Exception:  # an event of the host's own making; the others still count
            return

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        ending = self._end or {**NOTHING_READ, **cut_off()}
        return {**self._fields, "tool_calls_count": self._calls, **ending}


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `interactions.create`."""
    get = getter(arguments)
    body = read(get("request"), "body")  # the object that versions in between pass on
    if body is not None:
        get = getter(body)
    config = getter(get("generation_config"))
    fields = read_common_request(config)
    agent = label(get("agent"))
    fields.update(
        kept(
            {
                "request_model": label(get("model"), MAX_IDENTIFIER) or agent,
                "agent_name": agent,
                "stream": get("stream") is True or None,
                "max_tokens": limit_asked(config, "max_output_tokens"),
                "reasoning_level": label(config("thinking_level")),
                "service_tier_requested": label(get("service_tier")),
                "previous_response_id": label(get("previous_interaction_id"), MAX_IDENTIFIER),
            }
        )
    )
    return fields


FLAVOUR = Flavour(
    name="gemini_interactions",
    operation="chat",
    read_request=read_request,
    read_response=read_response,
    read_stream=InteractionStream,
)
