"""What the pipeline asks of Kafka besides records: topics, offsets and the identity of a log.

Topics come from the registry: what is missing is created, what differs on a cluster of the user's
own is reported and left alone. Offsets mean something only within one incarnation of a topic;
`topic_log_id` names that incarnation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.kafka.clients import admin_client, plain_client, unreadable_topic
from tokentide_jobs.io.kafka.offsets import offset_ranges
from tokentide_jobs.io.kafka.wire import NO_TOPIC_ID, TopicIdsRequest
from tokentide_schemas.topics import TOPICS, TopicSpec

__all__ = [
    "TopicDifference",
    "TopicReport",
    "ensure_topics",
    "has_topic",
    "topic_log_id",
    "topic_names",
]

_MAX_REPLICAS = 3
"""Copies of a new topic on a cluster of the user's, where it has that many brokers."""


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One setting of an existing topic that is not what the registry says."""

    topic: str
    setting: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return (
            f"topic {self.topic}: {self.setting} is {self.found}, the registry says {self.wanted}"
        )


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `ensure_topics` did and saw."""

    created: tuple[str, ...]
    differing: tuple[TopicDifference, ...]


async def ensure_topics(bootstrap: str, specs: Sequence[TopicSpec] = TOPICS) -> TopicReport:
    """Create the topics that are missing, compare the others; safe to repeat and to race.

    Args:
        bootstrap: `host:port`, several separated by commas.
        specs: Wanted topics.

    Raises:
        ServiceUnreachable: No broker answers.
        ConfigError: The broker refuses to create a topic; the message gives its reason.
    """
    async with admin_client(bootstrap) as admin:
        # Listing all of them: asking Tansu about one topic creates it.
        present = set(await admin.list_topics())
        brokers = len((await admin.describe_cluster())["brokers"])
        missing = [spec for spec in specs if spec.name not in present]
        if missing:
            await _create(admin, missing, replicas=min(_MAX_REPLICAS, brokers))
        for spec in missing:
            # Creation is answered before the leaders know of it: a record sent now would fail.
            await offset_ranges(bootstrap, spec.name, is_new=True)
        existing = [spec for spec in specs if spec.name in present]
        differing = await _differences(admin, existing) if existing else ()
    return TopicReport(
        created=tuple(spec.name for spec in missing),
        differing=differing,
    )


async def topic_names(bootstrap: str) -> set[str]:
    """Return the names of all topics.

    Raises:
        ServiceUnreachable: No broker answers.
    """
    async with admin_client(bootstrap) as admin:
        return set(await admin.list_topics())


async def has_topic(bootstrap: str, topic: str) -> bool:
    """Tell whether a topic exists; asking does not create it.

    Raises:
        ServiceUnreachable: No broker answers.
    """
    return topic in await topic_names(bootstrap)


async def topic_log_id(bootstrap: str, topic: str) -> str:
    """Return the identity of this incarnation of a topic: it changes when it is made again.

    It is the topic id (KIP-516), which Kafka 3 and later and Tansu give. Tansu starts empty, so
    there the id is new after every start.

    Raises:
        ServiceUnreachable: No broker answers.
        ConfigError: There is no such topic, or the broker knows no topic ids.
    """
    async with plain_client(bootstrap) as client:
        try:
            answer = await client.send(client.get_random_node(), TopicIdsRequest([topic]))
        except (IncompatibleBrokerVersion, NotImplementedError) as exc:
            raise ConfigError(
                f"the broker at {bootstrap} gives no topic ids: it must be Kafka 3 or later"
            ) from exc
    error_code, _name, topic_id, *_rest = answer.topics[0]
    if error_code:
        raise unreadable_topic(bootstrap, topic, error_code)
    if topic_id == NO_TOPIC_ID:
        raise ConfigError(
            f"the broker at {bootstrap} gives {topic} no topic id: it must be Kafka 3 or later"
        )
    return str(topic_id)


async def _create(admin: AIOKafkaAdminClient, specs: list[TopicSpec], replicas: int) -> None:
    wanted = [
        NewTopic(spec.name, spec.partitions, replicas, topic_configs=_configs(spec))
        for spec in specs
    ]
    answer = await admin.create_topics(wanted)
    for topic, error_code, detail in answer.topic_errors:
        if error_code not in (0, TopicAlreadyExistsError.errno):
            reason = detail or for_code(error_code).__name__
            raise ConfigError(f"Kafka refuses to create topic {topic}: {reason}")


async def _differences(
    admin: AIOKafkaAdminClient, specs: Iterable[TopicSpec]
) -> tuple[TopicDifference, ...]:
    by_name = {spec.name: spec for spec in specs}
    found: list[TopicDifference] = []
    for topic in await admin.describe_topics(list(by_name)):
        spec, partitions = by_name[topic["topic"]], len(topic["partitions"])
        if partitions != spec.partitions:
            found.append(
                TopicDifference(spec.name, "partitions", str(spec.partitions), str(partitions))
            )
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, configs=dict.fromkeys(_configs(spec), None))
        for name, spec in by_name.items()
    ]
    try:
        answers = await admin.describe_configs(resources)
    except KafkaError:
        return tuple(found)  # Tansu does not answer; it keeps no such settings either
    for answer in answers:
        for _code, _message, _kind, name, entries in answer.resources:
            wanted = _configs(by_name[name])
            for setting, value, *_rest in entries:
                if setting in wanted and value != wanted[setting]:
                    found.append(TopicDifference(name, setting, wanted[setting], str(value)))
    return tuple(found)


def _configs(spec: TopicSpec) -> dict[str, str]:
    configs = {
        "cleanup.policy": spec.cleanup_policy,
        "max.message.bytes": str(spec.max_message_bytes),
    }
    if spec.cleanup_policy == "delete":
        configs["retention.ms"] = str(spec.retention_ms)
    return configs
