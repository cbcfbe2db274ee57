"""What the stack asks of a broker, and which of the two embedded ones serves.

`start` blocks until the broker serves, `stop` until it is gone; both are safe to call twice. What
one broker can do and the other can not is data (`Capabilities`), so that callers and tests ask for
the ability and not for the name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tokentide_jobs.embedded.cache import default_cache_dir
from tokentide_jobs.embedded.processes import ChildRecord
from tokentide_jobs.errors import ConfigError, StackError

__all__ = ["Broker", "BrokerKind", "Capabilities", "choose_broker"]

BrokerKind = Literal["kafka", "tansu"]
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a broker can do beyond carrying records and consumer groups.

    Attributes:
        persistent: Records and committed offsets survive a restart on the same data directory.
        idempotent_producer: InitProducerId is answered (needed for `enable_idempotence`).
        transactions: Transactional producers and read_committed consumers work.
        retention: Old records are deleted by time; without it memory grows with every record.
    """

    persistent: bool
    idempotent_producer: bool
    transactions: bool
    retention: bool


class Broker(Protocol):
    """An embedded broker on 127.0.0.1."""

    @property
    def kind(self) -> BrokerKind:
        """Which one it is."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`, valid once started."""
        ...

    @property
    def exit_code(self) -> int | None:
        """None while it runs; else how its process ended."""
        ...

    @property
    def survives_restart(self) -> bool:
        """Same as `capabilities.persistent`: supervision asks every service this."""
        ...

    def start(self) -> ChildRecord:
        """Start and wait until it serves.

        Raises:
            StackError: It can not start; the message says why and shows the end of its log.
        """
        ...

    def stop(self, deadline_s: float = 10.0) -> None:
        """Stop it in order, by force once the deadline has passed."""
        ...

    def kill(self) -> None:
        """End it without asking, as a crash would."""
        ...


def choose_broker(
    kind: BrokerKind | None,
    data_dir: Path,
    *,
    port: int = 0,
    cache_dir: Path | None = None,
    notify: Notify = lambda _: None,
) -> Broker:
    """The broker that was asked for; unasked, Kafka, or Tansu where Kafka can not be had.

    Args:
        kind: None leaves the choice open.
        data_dir: Everything the broker keeps and logs goes below it.
        port: Where clients connect; 0 takes a free port.
        cache_dir: Where Kafka's jars are kept between starts.
        notify: Told in one line of a long download or of the fallback.

    Raises:
        StackError: Kafka was asked for, or the directory holds a Kafka log, and its jars or Java
            can not be had.
    """
    from tokentide_jobs.embedded.kafka_artifacts import ArtifactsUnavailable
    from tokentide_jobs.embedded.kafka_broker import KafkaBroker
    from tokentide_jobs.embedded.tansu_broker import TansuBroker

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
                f"{data_dir} holds a Kafka log, and Kafka can not be started: {exc}"
            ) from exc
        notify(f"{exc}; using Tansu instead: its log is in memory and ends with the stack")
        return TansuBroker(data_dir, port=port)
    return kafka
