"""Whether a log is still the one that a worker began with: asked between reading and storing.

A consumer that reads on over a topic that was deleted and made again notices nothing: Kafka serves
both under one name. A topic never gets an old id back, so a record that was fetched before the
broker says "still the same" belongs to that log. No batch is claimed without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from aiokafka.errors import KafkaError, for_code

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.errors import LogReplaced, RetriableSinkError, ServiceUnreachable
from tokentide_jobs.io.kafka.clients import plain_client
from tokentide_jobs.io.kafka.wire import TopicIdsRequest

__all__ = ["LogIdentity"]

_ANSWER_S: Final = 30.0
_LEADER_S: Final = 20.0
_MOST_LEADERS: Final = 3
"""How often an answer may name another leader than the broker that gave it."""


class LogIdentity:
    """Asks for topic ids from worker threads, through one client that lives on an event loop.

    Args:
        bootstrap: Brokers.
        topic_ids: Identity of every topic when the worker began.
        loop: The loop the client lives on; it must not be the caller's.
    """

    def __init__(
        self, bootstrap: str, topic_ids: Mapping[str, str], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._bootstrap = bootstrap
        self._topic_ids = topic_ids
        self._loop = loop
        self._connection = AsyncExitStack()
        self._client: Any = None
        self._leaders: dict[LogPartition, int] = {}
        self._connecting = asyncio.Lock()

    def confirm(self, log: LogPartition) -> None:
        """Return when what was read of `log` until now is certainly of this log.

        Raises:
            LogReplaced: The topic was made again: which log the records are of is unknown.
            RetriableSinkError: Kafka does not answer for now.
        """
        asking = asyncio.run_coroutine_threadsafe(self._confirm(log), self._loop)
        try:
            asking.result(_ANSWER_S)
        except (KafkaError, ServiceUnreachable, TimeoutError, OSError) as exc:
            asking.cancel()
            raise RetriableSinkError(
                f"Kafka: cannot confirm that {log.topic} is the same log: {exc!r}"
            ) from exc

    async def close(self) -> None:
        """Disconnect; safe to call twice. The next question connects again."""
        connection, self._connection, self._client = self._connection, AsyncExitStack(), None
        self._leaders.clear()
        await connection.aclose()

    async def _confirm(self, log: LogPartition) -> None:
        client = await self._connected()
        try:
            async with asyncio.timeout(_LEADER_S):  # it may be silent without closing
                await self._ask_leader(client, log)
        except (KafkaError, OSError):  # of which TimeoutError is one
            if self._client is client:
                await self.close()  # the leader may be another one now, at another address
            raise

    async def _ask_leader(self, client: Any, log: LogPartition) -> None:
        """Compare the id that the partition's leader knows: it is who serves the records.

        Another broker may not know yet that the topic was made again.
        """
        expected = self._topic_ids[log.topic]
        node = self._leaders.get(log)
        for _ in range(_MOST_LEADERS):
            asked = client.get_random_node() if node is None else node
            answer = await client.send(asked, TopicIdsRequest([log.topic]))
            error_code, _name, topic_id, _is_internal, partitions, *_rest = answer.topics[0]
            if error_code:
                raise RetriableSinkError(
                    f"Kafka: topic {log.topic} cannot be read: {for_code(error_code).__name__}"
                )
            if str(topic_id) != expected:
                raise LogReplaced(
                    f"topic {log.topic} was deleted and made again: its id was {expected} and is "
                    f"{topic_id}. The next worker begins with the new log"
                )
            node = next((p[2] for p in partitions if p[1] == log.partition and p[2] >= 0), None)
            if node == asked:
                self._leaders[log] = asked
                return
        raise RetriableSinkError(f"Kafka: {log.topic}/{log.partition} has no leader that answers")

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None:
                connection = AsyncExitStack()
                client = await connection.enter_async_context(plain_client(self._bootstrap))
                self._connection, self._client = connection, client
            return self._client
