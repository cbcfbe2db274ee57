"""What LangChain's messages say that was used: its usage, and the searches that stand elsewhere.

LangChain has normalised the counts, so totals are inclusive. Searches that providers bill beside
the tokens are no part of its usage: they are counted by the kinds of what stands in the message, of
which nothing else is looked at.
"""

from __future__ import annotations

from typing import cast

from tokentide._contract import MAX_IDENTIFIER
from tokentide.usage.gemini_grounding import Grounding
from tokentide.usage.reading import count, getter, items, label, read, small_count
from tokentide.usage.totals import settle

__all__ = ["has_older_search", "read_usage"]

_GOOGLE = ("gcp.gemini", "gcp.vertex_ai")
_OLDER_SEARCH = "web_search_preview"
_SEARCH = "web_search"
_CODE = frozenset({"executable_code", "code_execution_result"})
"""Parts of a message of Gemini's that ran code."""
_OF_A_SERVER = ("server_tool_use", "server_tool_call")
"""Parts of a message that stand for a tool which the provider runs: Anthropic's, LangChain's."""


def read_usage(
    message: object,
    fallback: object,
    provider: object,
    *,
    is_older_search: bool,
    may_run_code: bool = False,
) -> dict[str, object]:
    """Return the counts of one answer, None where they are not reported.

    Args:
        message: LangChain's message, None where there is none.
        fallback: The usage of integrations that have none in the message.
        provider: The event's provider.
        is_older_search: Whether the call had the older of OpenAI's search tools alone.
        may_run_code: Whether the call let Gemini run code.
    """
    usage, about = read(message, "usage_metadata"), read(message, "response_metadata")
    is_google = provider in _GOOGLE
    counts = _counts(usage, fallback, is_output=not is_google)
    if is_google:
        parts = items(read(message, "content"))
        has_run = may_run_code or any(label(read(part, "type")) in _CODE for part in parts)
        _ground(counts, count(read(usage, "input_tokens")), about, has_code=has_run)
        return counts
    reported = small_count(read(about, "usage", "server_tool_use", "web_search_requests"))
    searches = reported if reported is not None else _searches(message)
    if searches:
        counts["web_searches"] = searches
        if is_older_search:
            counts["other_units"] = {"preview_web_searches": searches}
    return counts


def has_older_search(tools: object) -> bool:
    """Return whether a call had the older of OpenAI's search tools and not the newer one."""
    kinds = [kind for tool in items(tools, 64) if (kind := label(read(tool, "type")))]
    return any(kind.startswith(_OLDER_SEARCH) for kind in kinds) and _SEARCH not in kinds


def _searches(message: object) -> int:
    """Count the searches that the provider made for a message, by the kinds of its parts."""
    parts = (
        *items(read(message, "content")),
        *items(read(message, "additional_kwargs", "tool_outputs")),
    )
    return sum(map(_is_search, parts))


def _is_search(part: object) -> bool:
    kind = label(read(part, "type"))
    if kind == "web_search_call":
        # Opening a page and looking for words in it are not billed.
        return label(read(part, "action", "type")) in (None, "search")
    return kind in _OF_A_SERVER and label(read(part, "name")) == _SEARCH


def _ground(
    counts: dict[str, object], reported: int | None, about: object, *, has_code: bool
) -> None:
    """Add Gemini's searches, whose tokens are not billed.

    Older versions of its integration leave what tools brought out of the input and in the total, so
    that it was added; newer ones have it in the input, and do not say how much it is.
    """
    grounding = Grounding()
    grounding.add(getter(about))
    if has_code:
        grounding.add_code()
    if not grounding.has_searched:
        return
    added = (cast("int | None", counts.get("input_tokens")) or 0) - (reported or 0)
    if added > 0:
        grounding.place(counts, added)
    else:
        counts["usage_source"] = "missing"
    grounding.add_to(counts, label(read(about, "model_name"), MAX_IDENTIFIER) or "")


def _counts(usage: object, fallback: object, *, is_output: bool) -> dict[str, object]:
    given, made = read(usage, "input_token_details"), read(usage, "output_token_details")
    if usage is None:
        return {
            "input_tokens": count(read(fallback, "prompt_tokens")),
            "output_tokens": count(read(fallback, "completion_tokens")),
        }
    short = count(read(given, "ephemeral_5m_input_tokens"))
    hour = count(read(given, "ephemeral_1h_input_tokens"))
    written = count(read(given, "cache_creation"))
    if not written and (short or hour):
        written = (short or 0) + (hour or 0)
    if hour is None and short is not None and short == written:
        hour = 0
    counts: dict[str, object] = {
        "input_tokens": count(read(usage, "input_tokens")),
        "output_tokens": count(read(usage, "output_tokens")),
        "cache_read_tokens": count(read(given, "cache_read")),
        "cache_write_tokens": written,
        "cache_write_1h_tokens": hour,
        "input_audio_tokens": count(read(given, "audio")),
        "output_audio_tokens": count(read(made, "audio")),
        "reasoning_tokens": count(read(made, "reasoning")),
    }
    settle(counts, read(usage, "total_tokens"), is_output=is_output, has_thoughts=not is_output)
    return counts
