"""Looking at tables while ingest runs, and knowing that no batch was half written meanwhile.

The ledger tells: a batch writes its intent before any row and its done row after all of them. So a
look is whole when no batch that was open at its end, or was finished since its beginning, has
events in the span that was looked at. A span that is written to all the time gets quiet by a hold:
workers finish what they have begun and rest, for seconds, at most until the hold ends by itself.
"""

# ruff: noqa: S608 -- the database name is validated by the settings; every value is a parameter
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import pyarrow as pa

from tokentide_jobs.core.tables import HOLDS, INTENTS, POSITIONS, RAW_TABLES
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["NotQuiet", "OpenBatch", "Quiet"]

T = TypeVar("T")

_HOLD_S: Final = 20.0
"""How long one request holds ingest when nobody ends it: a repair that was killed costs this."""
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.3
_SLACK_US: Final = 100_000
"""Clock of the ledger's rows: milliseconds, and taken a little before a row can be seen."""
_UNHELD_LOOKS: Final = 2


class NotQuiet(RetriableSinkError):
    """A batch stays half written where somebody wants to look."""


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch with an intent and no done row: offsets [start, end) of one partition."""

    log_id: str
    topic: str
    partition: int
    start: int
    end: int
    sealed_at_us: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition} [{self.start}, {self.end}) of log {self.log_id}"


class Quiet:
    """Looks that see whole batches only.

    Args:
        store: The database of the pipeline.
        worker: `host:pid`, for the holds.
        token_window_us: A batch older than this is finished by comparing rows and windows; until
            then whoever takes it up repeats its inserts.
        may_hold: Whether ingest may be asked to rest.
        patience_s: How long to try one look.
    """

    def __init__(
        self,
        store: ClickHouse,
        worker: str,
        token_window_us: int,
        *,
        may_hold: bool = True,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._store = store
        self._worker = worker
        self._token_window_us = token_window_us
        self._may_hold = may_hold
        self._patience_s = patience_s
        self._db = f"`{store.database}`"
        self._is_held = False

    def look(self, from_us: int, to_us: int, read: Callable[[Sequence[OpenBatch]], T]) -> T:
        """Return what `read` returns, at a moment when no batch is half written in [from, to).

        Args:
            from_us: Event time in epoch µs.
            to_us: Exclusive.
            read: Reads; is told of batches so old that their windows are still to come.

        Raises:
            NotQuiet: No such moment came.
        """
        give_up_at = time.monotonic() + self._patience_s
        looks = 0
        while True:
            since_us, open_before = self._ledger()
            abandoned = [b for b in open_before if self._is_abandoned(b, since_us)]
            value = read(abandoned)
            looks += 1
            _now_us, open_after = self._ledger()
            busy = [
                batch
                for batch in open_after
                if batch not in abandoned and self._has_rows(batch, from_us, to_us)
            ]
            if not busy and not self._finished_since(since_us, from_us, to_us):
                return value
            if time.monotonic() > give_up_at:
                raise NotQuiet(self._why(busy, from_us, to_us, since_us))
            if looks >= _UNHELD_LOOKS and self._may_hold:
                self._hold(_HOLD_S)
            time.sleep(_PAUSE_S)

    @contextmanager
    def session(self) -> Iterator[None]:
        """End the hold, if one was needed, when the work is done or fails."""
        try:
            yield
        finally:
            if self._is_held:
                self._hold(0.0)
                self._is_held = False

    def release(self) -> None:
        """Let ingest go on until the next look needs a rest."""
        if self._is_held:
            self._hold(0.0)
            self._is_held = False

    def _hold(self, seconds: float) -> None:
        until = datetime.fromtimestamp(0, UTC)
        if seconds:
            self._is_held = True
            until = datetime.fromtimestamp(self._server_now_us() / 1e6, UTC)
            until += timedelta(seconds=seconds)
        row = {
            "held_until": pa.array([until], pa.timestamp("ms", "UTC")),
            "held_by": [self._worker],
            "reason": ["repair"],
        }
        self._store.insert(HOLDS, pa.table(row), f"hold/{self._worker}/{time.time_ns()}")

    def _server_now_us(self) -> int:
        return int(self._store.rows("SELECT toUnixTimestamp64Micro(now64(6))")[0][0])

    def _is_abandoned(self, batch: OpenBatch, now_us: int) -> bool:
        return now_us - batch.sealed_at_us >= self._token_window_us

    def _ledger(self) -> tuple[int, list[OpenBatch]]:
        """Return the server's time and the batches that are begun and not done.

        Those are the intents beyond the ledger's positions.
        """
        rows = self._store.rows(
            "SELECT i.log_id, i.topic, i.partition, i.start_offset, i.end_offset, i.sealed_at_us, "
            f"toUnixTimestamp64Micro(now64(6)) FROM {self._db}.{INTENTS} AS i LEFT JOIN ("
            "SELECT log_id, topic, partition, max(end_offset) AS done "
            f"FROM {self._db}.{POSITIONS} GROUP BY log_id, topic, partition) AS p "
            "ON i.log_id = p.log_id AND i.topic = p.topic AND i.partition = p.partition "
            "WHERE i.start_offset >= p.done "
            # One row more, so that the time is told when no batch is open.
            "UNION ALL SELECT '', '', -1, 0, 0, 0, toUnixTimestamp64Micro(now64(6))"
        )
        found = [
            OpenBatch(str(r[0]), str(r[1]), int(r[2]), int(r[3]), int(r[4]), int(r[5]))
            for r in rows
            if r[2] >= 0
        ]
        return min(int(row[6]) for row in rows), found

    def _has_rows(self, batch: OpenBatch, from_us: int, to_us: int) -> bool:
        """Whether a batch has written raw rows of [from, to): they come before its windows."""
        sources = " UNION ALL ".join(
            f"SELECT 1 FROM {self._db}.{table} WHERE log_id = {{log_id:String}} "
            "AND _topic = {topic:String} AND _partition = {part:Int32} "
            "AND _offset >= {start:Int64} AND _offset < {end:Int64} "
            "AND started_at >= fromUnixTimestamp64Micro({low:Int64}, 'UTC') "
            "AND started_at < fromUnixTimestamp64Micro({high:Int64}, 'UTC') LIMIT 1"
            for table in RAW_TABLES.values()
        )
        parameters = {
            "log_id": batch.log_id,
            "topic": batch.topic,
            "part": batch.partition,
            "start": batch.start,
            "end": batch.end,
            "low": from_us,
            "high": to_us,
        }
        return bool(self._store.rows(f"SELECT 1 FROM ({sources}) LIMIT 1", parameters))

    def _finished_since(self, since_us: int, from_us: int, to_us: int) -> bool:
        rows = self._store.rows(
            f"SELECT count() FROM {self._db}.{POSITIONS} "
            "WHERE written_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') "
            "AND events > 0 AND first_started_at_us < {high:Int64} "
            "AND last_started_at_us >= {low:Int64}",
            {"since": since_us - _SLACK_US, "low": from_us, "high": to_us},
        )
        return bool(rows[0][0])

    def _why(self, busy: list[OpenBatch], from_us: int, to_us: int, now_us: int) -> str:
        where = f"events between {_time(from_us)} and {_time(to_us)}"
        if not busy:
            return (
                f"batches with {where} are written all the time: repair them later, or without "
                "--dry-run, which lets ingest rest for some seconds"
            )
        age_s = (now_us - busy[0].sealed_at_us) // 1_000_000
        return (
            f"batch {busy[0]} has {where}, was begun {age_s} s ago and is not finished: let a "
            "worker finish it, then repair again"
        )


def _time(epoch_us: int) -> str:
    return datetime.fromtimestamp(epoch_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
