"""What a topic's name says about its records.

The name alone decides, so that whoever finishes somebody else's batch, with whatever settings,
reads it the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["is_otlp", "log_ids", "partition_label"]

_PARTS: Final = re.compile(r"[._-]")


def is_otlp(topic: str) -> bool:
    """Tell whether the records of a topic are OTLP: one part of its name is `otlp`."""
    return "otlp" in _PARTS.split(topic.lower())


def partition_label(topic: str, partition: int) -> str:
    """Return the name of a partition in metrics and health: `3`, or `otlp-3`."""
    return f"otlp-{partition}" if is_otlp(topic) else str(partition)


def log_ids(topic_ids: Mapping[str, str], events_topic: str, configured: str) -> dict[str, str]:
    """Return the identity of every topic's log.

    It is the topic's own id. A configured one that is not just the events topic's own id is
    somebody's decision to begin anew, and holds for all topics.

    Args:
        topic_ids: What the broker says, by topic.
        events_topic: One of them.
        configured: `TOKENTIDE_LOG_ID`, or "".
    """
    is_decision = configured not in ("", topic_ids[events_topic])
    return {topic: configured if is_decision else own for topic, own in topic_ids.items()}
