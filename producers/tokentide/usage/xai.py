"""xAI's chat completions: OpenAI's format, but `completion_tokens` leaves the reasoning out.

The total tells which way an answer counted: where it is prompt plus completion, the reasoning was
included after all (a gateway in between normalised it), and is not added twice.
"""

from __future__ import annotations

from tokentide.usage import openai_chat
from tokentide.usage.openai_chat import chat_flavour
from tokentide.usage.reading import Fields, amount, count, getter, total


def read_usage(usage: object) -> Fields:
    """Returns xAI's counts, made inclusive."""
    counts = openai_chat.read_usage(usage)
    get = getter(usage)
    prompt, completion = count(get("prompt_tokens")), count(get("completion_tokens"))
    if counts["reasoning_tokens"] is None:
        counts["reasoning_tokens"] = count(get("reasoning_tokens"))  # the native SDK's place
    if counts["cache_read_tokens"] is None:
        counts["cache_read_tokens"] = count(get("cached_prompt_text_tokens"))
    reasoning = count(counts["reasoning_tokens"])
    is_included = count(get("total_tokens")) == total(prompt, completion)
    if completion is not None and reasoning and not is_included:
        counts["output_tokens"] = total(completion, reasoning)
    sources = amount(get("num_sources_used"))
    if sources:
        counts["other_units"] = {"search_sources": sources}
    return counts


FLAVOUR = chat_flavour("xai", read_usage)
