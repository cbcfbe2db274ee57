"""How far the ledger is behind the log: offsets that the broker holds and no finished batch does.

Logs are named by their ids as workers name them, with the words under which some were begun again:
by the bare id of its topic, such a log would never be read to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tokentide_jobs.core.record.topics import log_ids
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.kafka.admin import topic_log_id
from tokentide_jobs.io.kafka.offsets import end_offsets

__all__ = ["LogEnds", "ends_of_logs", "unread_offsets"]

LogEnds = Mapping[tuple[str, str], Mapping[int, int]]
"""Where logs end: by (log id, topic), by partition."""


async def ends_of_logs(
    bootstrap: str, topics: Iterable[str], restarted_logs: Mapping[str, str]
) -> dict[tuple[str, str], dict[int, int]]:
    """Return where the logs of some topics end now.

    Args:
        bootstrap: `host:port`, several separated by commas.
        topics: Topics that exist.
        restarted_logs: The words under which topics are read as new logs, by topic.

    Raises:
        ServiceUnreachable: No broker answers.
        ConfigError: A topic does not exist.
    """
    topic_ids = {topic: await topic_log_id(bootstrap, topic) for topic in topics}
    ids = log_ids(topic_ids, restarted_logs)
    return {(ids[topic], topic): await end_offsets(bootstrap, topic) for topic in ids}


def unread_offsets(ledger: LedgerStore, ends: LogEnds) -> int:
    """Return how many offsets lie between the ledger's positions and these ends.

    Raises:
        RetriableSinkError: ClickHouse does not answer.
    """
    unread = 0
    for (log_id, topic), of_partitions in ends.items():
        done = ledger.positions(log_id, topic)
        unread += sum(max(0, end - done.get(part, 0)) for part, end in of_partitions.items())
    return unread
