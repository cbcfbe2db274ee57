"""Why Kafka did not take a record, in words for a person: what, at which topic, and what to do."""

from __future__ import annotations

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from tokentide_schemas.topics import TOPICS

__all__ = ["refusal"]


def refusal(exc: BaseException, topic: str) -> str:
    """Return one line about an error of sending to a topic."""
    name = type(exc).__name__
    if isinstance(exc, TopicAuthorizationFailedError | ClusterAuthorizationFailedError):
        return f"this account may not write to topic {topic}: allow it to ({name})"
    if isinstance(exc, UnknownTopicOrPartitionError):
        return f"there is no topic {topic}: `tokentide topics` makes it ({name})"
    if isinstance(exc, MessageSizeTooLargeError | RecordListTooLargeError):
        largest = max(spec.max_message_bytes for spec in TOPICS)
        return (
            f"a record is larger than topic {topic} takes: set its max.message.bytes to "
            f"{largest} ({name})"
        )
    if isinstance(exc, TimeoutError | KafkaTimeoutError):
        return f"topic {topic} did not acknowledge in time ({name})"
    text = " ".join(str(exc).split())
    return f"topic {topic}: {text if name in text else f'{name} {text}'.rstrip()}"
