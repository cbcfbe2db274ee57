"""What the stack asks of a broker.

`start` blocks until the broker serves, `stop` until it is gone; both are safe to call twice. What
one broker can do and the other cannot is data (`Capabilities`), so that callers and tests ask for
the ability and not for the name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from tokentide_jobs.embedded.processes.supervisor import Service

__all__ = ["Broker", "BrokerKind", "Capabilities", "Notify"]

BrokerKind = Literal["kafka", "tansu"]
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a broker can do beyond carrying records and consumer groups.

    Attributes:
        persistent: Records and committed offsets survive a restart on the same data directory.
        idempotent_producer: InitProducerId is answered (needed for `enable_idempotence`).
        retention: Old records are deleted by time; without it memory grows with every record.
    """

    persistent: bool
    idempotent_producer: bool
    retention: bool


class Broker(Service, Protocol):
    """An embedded broker on 127.0.0.1: a service that names its kind and its address."""

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

    def stop(self, deadline_s: float = 10.0) -> None:
        """Stop it in order, by force once the deadline has passed."""
        ...
