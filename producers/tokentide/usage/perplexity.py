"""Perplexity's chat completions: OpenAI's format, but `completion_tokens` is the answer alone.

Reasoning is billed beside it, so it is added; `total_tokens` leaves it out too. Citations are read
and not written, at a rate of their own: no part of the output. Every request costs a fee by how
much of the web it took into account.
"""

from __future__ import annotations

from tokentide.usage import openai_chat
from tokentide.usage.openai_chat import chat_flavour
from tokentide.usage.reading import Fields, count, getter, label, small_count, total

_CONTEXTS = frozenset({"low", "medium", "high"})


def read_usage(usage: object) -> Fields:
    """Return Perplexity's counts, made inclusive."""
    counts = openai_chat.read_parts(usage)
    get = getter(usage)
    completion = count(get("completion_tokens"))
    reasoning = count(get("reasoning_tokens"))
    citations = count(get("citation_tokens"))
    if completion is not None:
        counts["output_tokens"] = total(completion, reasoning)
    if reasoning is not None:
        counts["reasoning_tokens"] = reasoning
    units: Fields = {}
    if citations:
        units["citation_tokens"] = citations
    size = label(get("search_context_size"))
    if size in _CONTEXTS:
        units[f"{size}_context_requests"] = 1
    if units:
        counts["other_units"] = units
    counts["web_searches"] = small_count(get("num_search_queries"))
    return counts


FLAVOUR = chat_flavour("perplexity", read_usage)
