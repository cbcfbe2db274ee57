"""xAI's chat completions: OpenAI's format, but `completion_tokens` leaves the reasoning out.

The total shows which way an answer counted: where it is prompt plus completion, the reasoning was
included after all (a gateway in between normalised it), and is not added twice.
"""

from __future__ import annotations

from tokentide.usage import openai_chat
from tokentide.usage.openai_chat import chat_flavour
from tokentide.usage.openai_parts import server_tools
from tokentide.usage.reading import Fields, amount, count, getter, take_counts, total
from tokentide.usage.totals import settle

# Where xAI's own client library has them.
_NATIVE_REASONING = (("reasoning_tokens", "reasoning_tokens"),)
_NATIVE_CACHED = (("cached_prompt_text_tokens", "cache_read_tokens"),)


def read_usage(usage: object) -> Fields:
    """Return xAI's counts, made inclusive."""
    counts = openai_chat.read_parts(usage)
    get = getter(usage)
    if "reasoning_tokens" not in counts:
        take_counts(counts, get, _NATIVE_REASONING)
    if "cache_read_tokens" not in counts:
        take_counts(counts, get, _NATIVE_CACHED)
    completion, reasoning = (
        count(counts.get("output_tokens")),
        count(counts.get("reasoning_tokens")),
    )
    if completion is not None and reasoning:
        counts["output_tokens"] = total(completion, reasoning)
    settle(counts, get("total_tokens"), beside=reasoning or 0)
    counts.update(server_tools(get))
    sources = amount(get("num_sources_used"))
    if sources:
        counts["other_units"] = {**_units(counts), "search_sources": sources}
    return counts


def _units(counts: Fields) -> Fields:
    found = counts.get("other_units")
    return found if type(found) is dict else {}


FLAVOUR = chat_flavour("xai", read_usage)
