"""A log is confirmed by the leader of its partition alone, and never by a lost answer.

A broker with another opinion needs a cluster, so the client is a small one in memory; the request
itself meets both embedded brokers in `embedded/kafka/test_behaviour.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.errors import LogReplaced, RetriableSinkError, ServiceUnreachable
from tokentide_jobs.io.kafka import log_identity
from tokentide_jobs.io.kafka.log_identity import LogIdentity

TOPIC = "events"
LOG = LogPartition("old+word", TOPIC, 1)


class Cluster:
    """Brokers by number, each with its own idea of the topic's id and of who leads partition 1."""

    def __init__(self) -> None:
        self.topic_id = {1: "old", 2: "old", 3: "old"}
        self.leader = {1: 2, 2: 2, 3: 2}
        self.error_code = 0
        self.is_away = False
        self.dead = 0
        self.silent = 0
        self.asked: list[int] = []
        self.connections = 0

    @asynccontextmanager
    async def client(self, _bootstrap: str) -> AsyncIterator[Cluster]:
        if self.is_away:
            raise ServiceUnreachable("no broker there")
        self.connections += 1
        yield self

    def get_random_node(self) -> int:
        return 1

    async def send(self, node: int, _request: object) -> SimpleNamespace:
        if self.is_away or node == self.dead:
            raise KafkaConnectionError
        if node == self.silent:
            await asyncio.Event().wait()
        self.asked.append(node)
        partitions = [(0, 0, 3), (0, 1, self.leader[node])]
        no_tags: dict[int, bytes] = {}
        topic = (self.error_code, TOPIC, self.topic_id[node], False, partitions, 0, no_tags)
        return SimpleNamespace(topics=[topic])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster()
    monkeypatch.setattr(log_identity, "plain_client", made.client)
    yield made


@asynccontextmanager
async def asking() -> AsyncIterator[LogIdentity]:
    identity = LogIdentity("anywhere:9092", {TOPIC: "old"}, asyncio.get_running_loop())
    yield identity
    await identity.close()


async def confirm(identity: LogIdentity) -> None:
    await asyncio.to_thread(identity.confirm, LOG)


async def test_the_leader_of_the_partition_is_asked_and_remembered(cluster: Cluster) -> None:
    async with asking() as identity:
        await confirm(identity)
        await confirm(identity)
    assert cluster.asked == [1, 2, 2]
    assert cluster.connections == 1


async def test_a_broker_that_has_not_heard_of_the_new_topic_confirms_nothing(
    cluster: Cluster,
) -> None:
    cluster.topic_id[2] = "new"
    async with asking() as identity:
        with pytest.raises(LogReplaced, match="its id was old and is new"):
            await confirm(identity)


async def test_a_leader_that_moved_is_followed(cluster: Cluster) -> None:
    async with asking() as identity:
        await confirm(identity)
        cluster.leader, cluster.topic_id[3] = dict.fromkeys(cluster.leader, 3), "new"
        with pytest.raises(LogReplaced):
            await confirm(identity)
    assert cluster.asked == [1, 2, 2, 3]


async def test_a_leader_that_died_is_not_asked_for_ever(cluster: Cluster) -> None:
    async with asking() as identity:
        await confirm(identity)
        cluster.dead, cluster.leader = 2, dict.fromkeys(cluster.leader, 3)
        with pytest.raises(RetriableSinkError):
            await confirm(identity)
        await confirm(identity)
    assert cluster.asked == [1, 2, 1, 3]


async def test_a_leader_that_is_silent_is_not_asked_for_ever(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_identity, "_LEADER_S", 0.05)
    async with asking() as identity:
        await confirm(identity)
        cluster.silent, cluster.leader = 2, dict.fromkeys(cluster.leader, 3)
        with pytest.raises(RetriableSinkError):
            await confirm(identity)
        await confirm(identity)
    assert cluster.connections == 2


@pytest.mark.parametrize("leader", [{1: 2, 2: 3, 3: 1}, {1: -1, 2: 2, 3: 2}])
async def test_without_a_leader_nothing_is_confirmed_for_now(
    cluster: Cluster, leader: dict[int, int]
) -> None:
    cluster.leader = leader
    async with asking() as identity:
        with pytest.raises(RetriableSinkError, match="events/1 has no leader"):
            await confirm(identity)


async def test_a_deleted_topic_is_waited_for_and_named(cluster: Cluster) -> None:
    cluster.error_code = UnknownTopicOrPartitionError.errno
    async with asking() as identity:
        with pytest.raises(RetriableSinkError, match="events cannot be read: UnknownTopic"):
            await confirm(identity)


async def test_a_broker_that_is_away_is_connected_to_anew_when_it_is_back(
    cluster: Cluster,
) -> None:
    async with asking() as identity:
        await confirm(identity)
        cluster.is_away = True
        for _ in range(2):  # once by the lost connection, once because no connection can be made
            with pytest.raises(RetriableSinkError, match="cannot confirm that events"):
                await confirm(identity)
        cluster.is_away = False
        await confirm(identity)
    assert cluster.connections == 2
