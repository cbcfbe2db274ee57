"""Perplexity's chat completions: OpenAI's format, but `completion_tokens` is the answer alone.

Reasoning and citation tokens are billed beside it, so they are added; `total_tokens` leaves them
out too. Searches are counted, and the fee per request is the price list's affair.
"""

from __future__ import annotations

from tokentide.usage import openai_chat
from tokentide.usage.openai_chat import chat_flavour
from tokentide.usage.reading import Fields, count, getter, small_count, total


def read_usage(usage: object) -> Fields:
    """Return Perplexity's counts, made inclusive."""
    counts = openai_chat.read_usage(usage)
    get = getter(usage)
    completion = count(get("completion_tokens"))
    reasoning = count(get("reasoning_tokens"))
    citations = count(get("citation_tokens"))
    if completion is not None:
        counts["output_tokens"] = total(completion, reasoning, citations)
    if reasoning is not None:
        counts["reasoning_tokens"] = reasoning
    if citations:
        # They have a rate of their own: named here, so that their price counts as uncertain.
        counts["other_units"] = {"citation_tokens": citations}
    counts["web_searches"] = small_count(get("num_search_queries"))
    return counts


FLAVOUR = chat_flavour("perplexity", read_usage)
