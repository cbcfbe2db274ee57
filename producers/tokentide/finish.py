"""Why a model stopped, in one vocabulary for all providers.

The raw word is kept behind the normalised one when they differ, because providers invent new ones.
Gateways write the same words in cases of their own, with a class in front of them or a detail
behind: `FinishReason.SAFETY`, `REASON_STOP`, `ContentFilter`, `content_filter: RECITATION`.
Only words are kept: a provider, a gateway or a host may put a sentence there, which stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tokentide._contract import REASON_PATTERN

OTHER: Final = "other"

_NORMALISED = {
    "stop": "stop end_turn complete completed stop_sequence finish finished stop_criteria_met "
    "endoftext eos eos_token end_of_turn",
    "length": "length max_tokens max_output_tokens model_length model_context_window_exceeded "
    "max_len max_context",
    "tool_call": "tool_call tool_calls tool_use function_call",
    "content_filter": "content_filter safety recitation blocklist prohibited_content spii "
    "guardrail_intervened content_filtered image_safety image_prohibited_content image_recitation "
    "model_armor jailbreak escalation error_toxic sensitive content_moderation blocked "
    "content_policy_violation policy_violation input_sensitive output_sensitive unsafe",
    "refusal": "refusal refused",
    "error": "error server_error insufficient_system_resource error_limit timeout network_error "
    "abort",
}
_BY_RAW = {raw: reason for reason, raws in _NORMALISED.items() for raw in raws.split()}
_ERROR_TYPES = {
    "insufficient_system_resource": "overloaded",
    "error_limit": "context_length",
    "server_error": "server_error",
    "timeout": "timeout",
    "network_error": "connection",
}
_WORDS = frozenset((*_BY_RAW, *map(str.upper, _BY_RAW), OTHER))
_CAMEL: Final = re.compile("(?<=[a-z])(?=[A-Z])")
_REASON: Final = re.compile(REASON_PATTERN.removesuffix("$") + r"\Z", re.ASCII)


def is_reason(text: str) -> bool:
    """Return whether a text is a known reason, or has the shape of one."""
    return text in _WORDS or _REASON.match(text) is not None


def normalise(reasons: Iterable[object]) -> list[str]:
    """Return one normalised reason per choice, then the raw words that differ from them."""
    raw = [reason for reason in reasons if type(reason) is str and reason]
    known = [_BY_RAW.get(reason) or _BY_RAW.get(_plain(reason), OTHER) for reason in raw]
    words = [word if is_reason(word) else _known(word) for word in raw]
    extra = [word for word, reason in zip(words, known, strict=True) if word and word != reason]
    return known + list(dict.fromkeys(extra))


def status_from(reasons: Iterable[str]) -> str:
    """Return the status of a call that raised nothing and finished for these reasons."""
    found = set(reasons)
    if "refusal" in found:
        return "refused"
    if "content_filter" in found:
        return "filtered"
    return "error" if "error" in found else "ok"


def error_type_from(reasons: Iterable[str]) -> str:
    """Return the kind of failure that a raw reason names, `unknown` where none does."""
    return next((kind for word in reasons if (kind := _ERROR_TYPES.get(_plain(word)))), "unknown")


def _known(text: str) -> str:
    """Return the known word that something surrounds; empty: a text that names none stays."""
    word = _plain(text)
    return word if word in _BY_RAW else ""


def _plain(reason: str) -> str:
    """Return a reason without what surrounds it, in the spelling of the table."""
    word = reason.partition(":")[0].rpartition(".")[2].strip().replace("-", "_")
    word = _CAMEL.sub("_", word).lower()
    return word.removeprefix("finish_").removeprefix("blocked_").removeprefix("reason_") or word
