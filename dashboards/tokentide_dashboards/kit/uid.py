"""The uids of all boards: links and alert rules name them, so they stay for ever."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Uid"]


class Uid(StrEnum):
    """A board, by what never changes about it; its file is named after what follows the dash."""

    OVERVIEW = "tokentide-overview"
    COST = "tokentide-cost"
    LATENCY = "tokentide-latency"
    AGENTS = "tokentide-agents"
    REQUESTS = "tokentide-requests"
    PROMPTS = "tokentide-prompts"
    ALERTS = "tokentide-alerts"
    GOVERNANCE = "tokentide-governance"
    PIPELINE = "tokentide-pipeline"
