"""What a worker says about itself: alive, ready, and why not.

`/healthz` is red when waiting does not help: the store refuses until a person acts, or a partition
is stopped because a promise was broken. An outage that passes leaves it green and `/readyz` red.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

__all__ = ["Health"]


@dataclass(frozen=True, slots=True)
class _SinkFailure:
    code: int | None
    message: str
    needs_a_person: bool


class Health:
    """The state of one worker. Safe to write from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starting = "not started"
        self._sink: _SinkFailure | None = None
        self._stopped: dict[int | str, str] = {}
        self._resting: set[int | str] = set()
        self._disk_low = ""

    def starting(self, waits_for: str) -> None:
        """Note what the worker waits for before it reads; empty: it reads."""
        with self._lock:
            self._starting = waits_for

    def sink_failed(self, code: int | None, message: str, needs_a_person: bool) -> None:
        """Note that a write failed and is retried."""
        with self._lock:
            self._sink = _SinkFailure(code, message, needs_a_person)

    def sink_works(self) -> None:
        """Note that a write succeeded."""
        if self._sink is not None:
            with self._lock:
                self._sink = None

    def partition_stopped(self, partition: int | str, reason: str) -> None:
        """Note that a partition is not read because going on would hide a fault."""
        with self._lock:
            self._stopped[partition] = reason

    def partition_reads(self, partition: int | str) -> None:
        """Note that a partition is read, or belongs to another worker."""
        with self._lock:
            self._stopped.pop(partition, None)
            self._resting.discard(partition)

    def partition_rests(self, partition: int | str) -> None:
        """Note that the breaker pauses a partition."""
        with self._lock:
            self._resting.add(partition)

    def disk_low(self, words: str) -> None:
        """Note why nothing is stored while the store's disk is nearly full; empty: it has room."""
        with self._lock:
            self._disk_low = words

    @property
    def is_retrying(self) -> bool:
        """Whether lack of progress is explained by a store that fails."""
        return self._sink is not None

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Tell whether the worker is healthy, with the reasons when it is not."""
        with self._lock:
            problems = [
                f"partition {partition}: {reason}" for partition, reason in self._stopped.items()
            ]
            if self._sink is not None and self._sink.needs_a_person:
                problems.append(f"ClickHouse: {self._sink.message}")
        return not problems, {"status": "bad" if problems else "ok", "problems": problems}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Tell whether the worker takes records now, with what it waits for when it does not."""
        is_live, report = self.live()
        with self._lock:
            waits = [self._starting] if self._starting else []
            if self._sink is not None and not self._sink.needs_a_person:
                waits.append(f"trying again: {self._sink.message}")
            if self._disk_low:
                waits.append(self._disk_low)
            resting = sorted(self._resting, key=str)
        is_ready = is_live and not waits
        return is_ready, {
            **report,
            "status": "ready" if is_ready else "not ready",
            "waits_for": waits,
            "resting_partitions": resting,
        }
