"""What LiteLLM keeps beside OpenAI's format of what was used: lifetimes of caches, searches, tools.

Of Gemini's tools LiteLLM leaves what searches brought out of the prompt and in the total, and adds
the rest to the prompt; older versions leave out all of it. Thoughts are in the completion.
"""

from __future__ import annotations

from typing import cast

from tokentide.usage import USAGE_FIELDS
from tokentide.usage.gemini_grounding import billed_searches, may_run_code, place_tool_tokens
from tokentide.usage.reading import Fields, count, items, read, small_count, usage_fields
from tokentide.usage.totals import settle

__all__ = ["whole_usage"]

_GOOGLE = ("gcp.gemini", "gcp.vertex_ai")
_COUNTS_SEARCHES = (*_GOOGLE, "perplexity")
"""Providers whose searches LiteLLM counts among the details of the prompt."""


def whole_usage(
    fields: Fields, response: object, provider: str, model: str, tools: object = None
) -> Fields:
    """Return the usage fields of a response.

    Args:
        fields: What the reader of OpenAI's format says of it.
        response: LiteLLM's response.
        provider: The event's provider.
        model: The model; it decides how Gemini's searches are billed.
        tools: The tools of the call: the response does not say that code was run.
    """
    usage = read(response, "usage")
    details = read(usage, "prompt_tokens_details")
    more = {
        "cache_read_tokens": count(read(usage, "cache_read_input_tokens")),
        "cache_write_tokens": count(read(usage, "cache_creation_input_tokens")),
        "cache_write_1h_tokens": count(
            read(details, "cache_creation_token_details", "ephemeral_1h_input_tokens")
        ),
        "web_searches": small_count(read(usage, "server_tool_use", "web_search_requests")),
    }
    counts: Fields = {name: fields[name] for name in USAGE_FIELDS if name in fields}
    if provider in _COUNTS_SEARCHES and more["web_searches"] is None:
        more["web_searches"] = small_count(read(details, "web_search_requests"))
    for name, number in more.items():
        if number is not None:
            counts.setdefault(name, number)
    prompt, completion = (
        count(read(usage, name)) for name in ("prompt_tokens", "completion_tokens")
    )
    if provider in _GOOGLE and prompt is not None and completion is not None:
        counts.update(input_tokens=prompt, output_tokens=completion)
        _ground(counts, response, usage, model, tools)
    return usage_fields(counts)


def _ground(counts: Fields, response: object, usage: object, model: str, tools: object) -> None:
    """Put right what Gemini read by tools and searched for."""
    prompt, completion = (cast("int", counts[name]) for name in ("input_tokens", "output_tokens"))
    total = count(read(usage, "total_tokens")) or 0
    details = read(usage, "prompt_tokens_details")
    of_tools = count(read(details, "tool_use_tokens"))
    if of_tools and total - prompt - completion == of_tools:
        counts["input_tokens"] = prompt + of_tools
    else:
        settle(counts, total, is_output=False, has_thoughts=True)
    searches = cast("int | None", counts.get("web_searches"))
    maps = small_count(read(details, "google_maps_grounding_requests"))
    if searches:
        counts["web_searches"] = billed_searches(searches, model)
    if maps:
        units = cast("Fields", counts.get("other_units") or {})
        counts["other_units"] = {**units, "map_groundings": billed_searches(maps, model)}
    if searches or maps:
        added = cast("int", counts["input_tokens"]) - prompt
        pages = any(map(_has_pages, items(read(response, "vertex_ai_url_context_metadata"), 64)))
        has_others = bool(maps) or pages or may_run_code(tools)
        place_tool_tokens(counts, added, has_searched=bool(searches), has_others=has_others)


def _has_pages(metadata: object) -> bool:
    named = read(metadata, "urlMetadata")
    return bool(items(read(metadata, "url_metadata") if named is None else named, 1))
