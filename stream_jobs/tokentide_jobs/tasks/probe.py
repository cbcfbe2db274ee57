"""How soon an event can be queried: notes when each was emitted, and looks for its row."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["Probe"]

_LOOK_EVERY_S: Final = 0.05


class Probe:
    """Looks for rows from a thread of its own while events are sent.

    Args:
        store: ClickHouse; shared, as it may be.
        since_us: Event times of the probes are not before this (epoch µs).
    """

    def __init__(self, store: ClickHouse, since_us: int) -> None:
        self._store = store
        self._since_us = since_us
        self._emitted_s: dict[str, float] = {}
        self._seen_s: dict[str, float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="probe")
        self._error: BaseException | None = None

    def record_sends(
        self, events: Iterable[tuple[float, dict[str, Any]]]
    ) -> Iterator[tuple[float, dict[str, Any]]]:
        """Pass events on; a request is noted when the next event is asked for, after its emit."""
        for at_s, event in events:
            yield at_s, event
            if event["type"] == "request":
                self._emitted_s[event["event_id"]] = time.monotonic()

    def wait(self, timeout_s: float) -> bool:
        """Wait until every noted event was seen; False when the time is up first."""
        until_s = time.monotonic() + timeout_s
        while len(self._seen_s) < len(self._emitted_s) and self._error is None:
            if time.monotonic() > until_s:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    def delays(self) -> list[float]:
        """Return seconds from emit to the answer of the first query that held the row, ascending.

        Raises:
            PipelineError: The query failed.
        """
        if self._error is not None:
            raise self._error
        emitted = self._emitted_s
        return sorted(seen - emitted[key] for key, seen in self._seen_s.items() if key in emitted)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join(10.0)

    def _look(self) -> None:
        try:
            while not self._is_over.is_set():
                rows = self._store.select("probe/event_ids", {"since_us": self._since_us})
                now_s = time.monotonic()
                for row in rows:
                    self._seen_s.setdefault(row["event_id"], now_s)
                time.sleep(_LOOK_EVERY_S)
        except Exception as exc:
            self._error = exc
