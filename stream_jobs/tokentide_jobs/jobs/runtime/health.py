"""What a worker reports about itself: alive, ready, and why not.

`/healthz` is red when waiting does not help: the store refuses until a person acts, or a partition
is stopped because a promise was broken. An outage that passes leaves it green and `/readyz` red.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["Health"]

_START_S: Final = 60.0
"""What a worker waits for after so long is no start any more, but something to look at."""
_KAFKA_SILENT_S: Final = 15.0
"""A leader that moves, or a broker that is started again, is silent for less; rebalances do not
matter, because the ends of the log are asked for without the group."""


@dataclass(frozen=True, slots=True)
class _SinkFailure:
    code: int | None
    message: str
    needs_a_person: bool


class Health:
    """The state of one worker. Safe to write from any thread.

    Args:
        min_free_bytes: With less free disk the worker stores nothing; for `tokentide status`.
            None: it does not look.
        clock_s: Epoch seconds.
        role: What the worker does; for `tokentide status`.
    """

    def __init__(
        self,
        min_free_bytes: int | None = None,
        clock_s: Callable[[], float] = time.time,
        role: str = "ingest",
    ) -> None:
        self._role = role
        self._lock = threading.Lock()
        self._min_free_bytes = min_free_bytes
        self._clock_s = clock_s
        self._starting = "not started"
        self._began_s = self._kafka_answered_s = clock_s()
        self._kafka_silent = ""
        self._sink: _SinkFailure | None = None
        self._stopped: dict[int | str, str] = {}
        self._resting: dict[int | str, float] = {}
        self._disk_low = ""
        self._behind = ""
        self._refused = ""
        self._full = ""
        self._clock = ""

    def starting(self, waits_for: str) -> None:
        """Note what the worker waits for before it reads; empty: it reads."""
        with self._lock:
            self._starting = waits_for

    def stopping(self) -> None:
        """Note that the worker ends."""
        with self._lock:
            self._starting, self._began_s = "stopping", -_START_S

    def kafka_answers(self) -> None:
        """Note that the broker said where the log ends."""
        with self._lock:
            self._kafka_answered_s, self._kafka_silent = self._clock_s(), ""

    def kafka_silent(self, words: str) -> None:
        """Note that the broker did not say where the log ends, and how that showed."""
        with self._lock:
            self._kafka_silent = words

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
            self._resting.pop(partition, None)

    def partition_rests(self, partition: int | str, pause_s: float) -> None:
        """Note that the breaker pauses a partition for so long."""
        with self._lock:
            self._resting[partition] = self._clock_s() + pause_s

    def disk_low(self, words: str) -> None:
        """Note why nothing is stored while the store's disk is nearly full; empty: it has room."""
        with self._lock:
            self._disk_low = words

    def behind(self, words: str) -> None:
        """Note how far decisions lag behind the stream; empty: they do not."""
        with self._lock:
            self._behind = words

    def refused_rules(self, words: str) -> None:
        """Note why a file of rules that is there is not in force; empty: all are."""
        with self._lock:
            self._refused = words

    def full(self, words: str) -> None:
        """Note what is passed over since too much is held already; empty: nothing is."""
        with self._lock:
            self._full = words

    def wrong_clock(self, words: str) -> None:
        """Note whose clock is not believed; empty: every clock is."""
        with self._lock:
            self._clock = words

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
        now_s = self._clock_s()
        with self._lock:
            waits = []
            silent_s = now_s - self._kafka_answered_s
            if self._kafka_silent and silent_s >= _KAFKA_SILENT_S:
                waits.append(f"Kafka has not answered for {silent_s:.0f} s: {self._kafka_silent}")
            if self._sink is not None and not self._sink.needs_a_person:
                waits.append(f"trying again: {self._sink.message}")
            waits += [words for words in (self._disk_low, self._behind) if words]
            is_starting = bool(self._starting) and is_live and not waits
            if self._starting:
                waits.insert(0, self._starting)
            resting = [
                {"partition": partition, "until": _utc(until_s)}
                for partition, until_s in sorted(self._resting.items(), key=str)
                if until_s > now_s
            ]
        is_ready = is_live and not waits
        is_starting = is_starting and now_s - self._began_s < _START_S
        return is_ready, {
            **report,
            "status": "ready" if is_ready else "starting" if is_starting else "not ready",
            "waits_for": waits,
            "resting_partitions": resting,
            "role": self._role,
            "notes": [
                *self._refused.splitlines(),
                *filter(None, (self._full, self._clock)),
            ],
            "min_free_bytes": self._min_free_bytes,
        }


def _utc(epoch_s: float) -> str:
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
