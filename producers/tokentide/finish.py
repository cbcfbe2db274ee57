"""Why a model stopped, in one vocabulary for all providers.

The raw word is kept behind the normalised one when they differ, because providers invent new ones.
"""

from __future__ import annotations

from collections.abc import Iterable

_NORMALISED = {
    "stop": "stop end_turn complete stop_sequence finish finished stop_criteria_met endoftext",
    "length": "length max_tokens max_output_tokens model_length model_context_window_exceeded",
    "tool_call": "tool_call tool_calls tool_use function_call",
    "content_filter": "content_filter safety recitation blocklist prohibited_content spii "
    "guardrail_intervened content_filtered image_safety image_prohibited_content image_recitation "
    "model_armor jailbreak escalation error_toxic",
    "refusal": "refusal",
    "error": "error insufficient_system_resource error_limit timeout",
}
_BY_RAW = {raw: reason for reason, raws in _NORMALISED.items() for raw in raws.split()}


def normalise(reasons: Iterable[object]) -> list[str]:
    """Return one normalised reason per choice, then the raw words that differ from them."""
    raw = [reason for reason in reasons if type(reason) is str and reason]
    known = [_BY_RAW.get(reason.lower(), "other") for reason in raw]
    extra = [word for word, reason in zip(raw, known, strict=True) if word != reason]
    return known + list(dict.fromkeys(extra))


def status_from(reasons: Iterable[str]) -> str:
    """Return the status of a call that raised nothing and finished for these reasons."""
    found = set(reasons)
    if "refusal" in found:
        return "refused"
    return "filtered" if "content_filter" in found else "ok"
