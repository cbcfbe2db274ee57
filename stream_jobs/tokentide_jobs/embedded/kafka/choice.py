"""Which of the two embedded brokers serves: Kafka, or Tansu where Kafka cannot be had.

A directory that holds a Kafka log is never served by the other broker, which would hide the log.
"""

from __future__ import annotations

from pathlib import Path

from tokentide_jobs.embedded.artifacts.cache import default_cache_dir
from tokentide_jobs.embedded.artifacts.locked_jars import ArtifactsUnavailable
from tokentide_jobs.embedded.kafka.apache import KafkaBroker
from tokentide_jobs.embedded.kafka.broker import Broker, BrokerKind, Notify
from tokentide_jobs.embedded.kafka.tansu import TansuBroker
from tokentide_jobs.errors import ConfigError, StackError

__all__ = ["choose_broker"]


def choose_broker(
    kind: BrokerKind | None,
    data_dir: Path,
    *,
    port: int = 0,
    cache_dir: Path | None = None,
    notify: Notify = lambda _: None,
) -> Broker:
    """Return the broker that was asked for; unasked, Kafka, or Tansu where Kafka is missing.

    Args:
        kind: None leaves the choice open.
        data_dir: Everything the broker keeps and logs goes below it.
        port: Where clients connect; 0 takes a free port.
        cache_dir: Where Kafka's jars are kept between starts.
        notify: Called with a line about a long download or the fallback.

    Raises:
        StackError: Kafka was asked for, or the directory holds a Kafka log, and its jars or Java
            cannot be had.
    """
    if kind == "tansu":
        return TansuBroker(data_dir, port=port)
    if kind not in ("kafka", None):
        raise ConfigError(f"broker is {kind!r}: use kafka or tansu")
    kafka = KafkaBroker(
        data_dir, port=port, cache_dir=cache_dir or default_cache_dir(), notify=notify
    )
    try:
        kafka.prepare()
    except ArtifactsUnavailable as exc:
        if kind == "kafka":
            raise
        if kafka.has_log():
            raise StackError(
                f"{data_dir} holds a Kafka log, and Kafka cannot be started: {exc}"
            ) from exc
        notify(f"{exc}; using Tansu instead: its log is in memory and ends with the stack")
        return TansuBroker(data_dir, port=port)
    return kafka
