"""xAI's chat completions: OpenAI's format, but `completion_tokens` leaves the reasoning out.

The total tells which way an answer counted: where it is prompt plus completion, the reasoning was
included after all (a gateway in between normalised it), and is not added twice.
"""

from __future__ import annotations

from tokentide.usage import openai_chat
from tokentide.usage.openai_chat import chat_flavour
from tokentide.usage.reading import Fields, amount, count, getter, take_counts, total

# Where xAI's own client library has them.
_NATIVE_REASONING = (("reasoning_tokens", "reasoning_tokens"),)
_NATIVE_CACHED = (("cached_prompt_text_tokens", "cache_read_tokens"),)


def read_usage(usage: object) -> Fields:
    """Return xAI's counts, made inclusive."""
    counts = openai_chat.read_usage(usage)
    get = getter(usage)
    prompt, completion = count(get("prompt_tokens")), count(get("completion_tokens"))
    if "reasoning_tokens" not in counts:
        take_counts(counts, get, _NATIVE_REASONING)
    if "cache_read_tokens" not in counts:
        take_counts(counts, get, _NATIVE_CACHED)
    reasoning = count(counts.get("reasoning_tokens"))
    is_included = count(get("total_tokens")) == total(prompt, completion)
    if completion is not None and reasoning and not is_included:
        counts["output_tokens"] = total(completion, reasoning)
    sources = amount(get("num_sources_used"))
    if sources:
        counts["other_units"] = {"search_sources": sources}
    return counts


FLAVOUR = chat_flavour("xai", read_usage)
