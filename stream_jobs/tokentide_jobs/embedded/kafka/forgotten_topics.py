"""Whether Kafka still knows every topic whose records its log directory holds.

The list of topics is a log like any other. A broker that lost it starts, sets the records aside and
looks like new: making the topics again would hide that acknowledged records are gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["forgotten_topics"]

_PARTITION: Final = re.compile(r"(?P<topic>.+)-\d+(\.[0-9a-f]{32}-stray)?")
"""Kafka renames the directory of a partition that it does not know; one that is being deleted ends
in `-delete`."""
_TOPIC_LIST: Final = "__cluster_metadata"


def forgotten_topics(log_dir: Path, known: Iterable[str]) -> dict[str, list[Path]]:
    """Return the directories that hold records of topics that are not known, by topic.

    Args:
        log_dir: Where the broker keeps a directory for each partition.
        known: The topics that the broker names.
    """
    known = {*known, _TOPIC_LIST}
    found: dict[str, list[Path]] = {}
    for directory in sorted(log_dir.iterdir()):
        name = _PARTITION.fullmatch(directory.name)
        if name is not None and name["topic"] not in known and _holds_records(directory):
            found.setdefault(name["topic"], []).append(directory)
    return found


def _holds_records(partition: Path) -> bool:
    return any(segment.stat().st_size > 0 for segment in partition.glob("*.log"))
