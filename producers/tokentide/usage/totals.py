"""Where a provider's total and the sum of its parts differ, the total decides.

Gateways lose parts: Gemini behind OpenAI's format leaves its thoughts out of the completion, others
leave caches out of the prompt, what tools brought, or have added already what a format counts
beside. Invariant: no total is made smaller than its own details, and a total below its parts, or
far beyond what a model can read or write, decides nothing. Clients, bridges and spans share this
rule, and pass what is known of theirs.
"""

from __future__ import annotations

from typing import cast

from tokentide.usage.reading import Fields, count

_CACHES = ("cache_read_tokens", "cache_write_tokens")

MAX_ADDED = 2_000_000
"""Most tokens that a total may add to the parts: more than a model reads or writes in a call."""


def settle(
    counts: Fields,
    stated: object,
    beside: int = 0,
    *,
    is_output: bool = True,
    has_thoughts: bool = False,
) -> None:
    """Change the totals of input and output to what details and the provider's own total say.

    Where the total cannot be true, or what it has beyond the parts is unknown, the parts stay, and
    `usage_source` is `missing`.

    Args:
        counts: Totals and details under the event's names.
        stated: The provider's total of the call, or anything else when there is none.
        beside: Tokens that were added to the output because the format counts them beside it.
        is_output: Whether what nothing else explains was written. Else it is unknown whether it
            was read or written.
        has_thoughts: Whether the output is known to have all that was thought, so that the rest
            was read by tools.
    """
    inputs, outputs = _number(counts, "input_tokens"), _number(counts, "output_tokens")
    cached = sum(_number(counts, name) or 0 for name in _CACHES)
    thought = _number(counts, "reasoning_tokens") or 0
    if inputs is not None and cached > inputs:  # no part of it, so it stands beside it
        counts["input_tokens"] = inputs = inputs + cached
        cached = 0
    if outputs is not None and thought > outputs:
        counts["output_tokens"] = outputs = outputs + thought
    total = count(stated)
    if not total or (inputs is None and outputs is None):
        return  # gateways that do not fill it in send 0
    missing = total - (inputs or 0) - (outputs or 0)
    if missing < 0:
        if beside and missing == -beside and (outputs or 0) >= 2 * beside:
            counts["output_tokens"] = (outputs or 0) - beside  # they were in it already
    elif missing > MAX_ADDED:
        counts["usage_source"] = "missing"
    elif missing and inputs is None and (is_output or has_thoughts):
        counts["input_tokens"] = missing
    elif missing and missing == cached and missing != thought:
        counts["input_tokens"] = (inputs or 0) + cached
    elif thought and cached and missing == cached + thought:
        counts["input_tokens"] = (inputs or 0) + cached
        counts["output_tokens"] = (outputs or 0) + thought
    elif missing and thought and missing != thought and (has_thoughts or beside):
        counts["input_tokens"] = (inputs or 0) + missing  # the thoughts are there: tools read it
    elif missing and missing != thought and (thought or not is_output):
        counts["usage_source"] = "missing"  # thoughts, or what tools read: unknown
    elif missing:
        counts["output_tokens"] = (outputs or 0) + missing


def _number(counts: Fields, name: str) -> int | None:
    return cast("int | None", counts.get(name))
