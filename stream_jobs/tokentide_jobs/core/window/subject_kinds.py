"""Which kinds of subject there are, and how a list of them is written: names alone, no table.

Settings are read with these by every command, so nothing here may load polars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["SUBJECT_FIELDS", "SUBJECT_KINDS", "kinds_of", "kinds_text"]

SUBJECT_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("user_hash",),
    "key": ("key_id",),
    "agent": ("agent_name", "agent_id"),
    "run": ("run_id", "conversation_id", "trace_id"),
    "tool": ("tool_name",),
    "mcp_server": ("mcp_server",),
}
"""Kind -> fields that name the subject: the first that is not empty. A call names one tool at most,
the one whose result led to it, and its spend is that tool's."""
SUBJECT_FIELDS: Final = tuple(field for fields in SUBJECT_KINDS.values() for field in fields)


def kinds_text(kinds: Iterable[str]) -> str:
    """Return kinds as settings, intents and rows hold them: `user,run`."""
    return ",".join(kinds)


def kinds_of(text: str) -> tuple[str, ...]:
    """Return the kinds that a text holds: the other way around."""
    return tuple(kind for kind in text.split(",") if kind)
