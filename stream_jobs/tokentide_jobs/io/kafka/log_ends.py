"""Asks where logs end, again and again, over connections that stay open.

Beside `offsets`, which opens a connection for each question: a worker asks every second. What
is not known at the moment is left out, never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from tokentide_jobs.io.kafka.offsets import stable_ends

__all__ = ["LogEnds"]


class LogEnds:
    """The ends of some topics; belongs to one event loop.

    Args:
        bootstrap: Brokers.
        topics: Existing topics.
    """

    def __init__(self, bootstrap: str, topics: Iterable[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = tuple(topics)
        self._client: Any = None

    async def start(self) -> None:
        """Connect; raises KafkaConnectionError when no broker answers."""
        client = AIOKafkaClient(bootstrap_servers=self._bootstrap)
        try:
            await client.bootstrap()
            await client.set_topics(self._topics)
        except BaseException:
            await client.close()
            raise
        self._client = client

    async def stop(self) -> None:
        """Disconnect; safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def partitions(self) -> Mapping[str, int]:
        """Return how many partitions each topic has, as far as the brokers have reported it."""
        found = {topic: self._client.cluster.partitions_for_topic(topic) for topic in self._topics}
        return {topic: len(partitions) for topic, partitions in found.items() if partitions}

    async def ask(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return the offset the next record gets, by topic and partition.

        Args:
            wanted: Topics and partitions.

        Raises:
            KafkaError: A broker does not answer.
            ConfigError: A topic cannot be read.
        """
        led: dict[tuple[int, str], list[int]] = defaultdict(list)
        for topic, partition in wanted:
            leader = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
            if leader is not None and leader >= 0:
                led[leader, topic].append(partition)
        ends: dict[tuple[str, int], int] = {}
        for (leader, topic), partitions in led.items():
            answer = await stable_ends(self._client, leader, topic, partitions)
            ends |= {(topic, partition): found.end for partition, found in answer.items()}
            if len(answer) < len(partitions):
                self._client.force_metadata_update()  # another broker leads them now
        return ends
