"""What a topic's name says about its records.

The name alone decides, so that a worker that finishes another one's batch, whatever its settings,
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


def log_ids(topic_ids: Mapping[str, str], restarted_logs: Mapping[str, str]) -> dict[str, str]:
    """Return the identity of every topic's log: the topic's own id.

    Beginning a log again adds a word to the id and does not replace it: a topic that is made again
    has another identity whatever word is configured, and the word of one topic touches no other.

    Args:
        topic_ids: What the broker says, by topic.
        restarted_logs: The configured words, by topic.
    """
    words = {topic: restarted_logs.get(topic, "") for topic in topic_ids}
    return {
        # The id itself as a word was copied from `up --json`: it begins no new log.
        topic: own if words[topic] in ("", own) else f"{own}+{words[topic]}"
        for topic, own in topic_ids.items()
    }
