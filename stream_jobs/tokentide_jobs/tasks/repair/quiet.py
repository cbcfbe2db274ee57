"""Looking at tables while ingest runs, and knowing that no batch was half written meanwhile.

The ledger shows it: a batch writes its intent before any row and its done row after all. So a
look is whole when no batch that was open at its end, or was finished since its beginning, has
events in the span that was looked at. A span that is written to all the time gets quiet by a hold:
workers finish what they have begun and rest, for seconds, at most until the hold ends by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.tables import HOLDS
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.window_sums import OpenBatch

__all__ = ["NotQuiet", "Quiet"]

T = TypeVar("T")

_HOLD_S: Final = 20.0
"""How long one request holds ingest when it is not ended: a repair that was killed costs this."""
_TIMEOUT_S: Final = 60.0
_PAUSE_S: Final = 0.3
_SLACK_US: Final = 100_000
"""Clock of the ledger's rows: milliseconds, and taken a little before a row can be seen."""
_LOOKS_WITHOUT_HOLD: Final = 2


class NotQuiet(RetriableSinkError):
    """A batch stays half written where a look is wanted."""


class Quiet:
    """Looks that see whole batches only.

    Args:
        store: The database of the pipeline.
        worker: `host:pid`, for the holds.
        token_window_us: A batch older than this is finished by comparing rows and windows; until
            then a worker that takes it up repeats its inserts.
        may_hold: Whether ingest may be asked to rest.
        timeout_s: How long to try one look.
    """

    def __init__(
        self,
        store: ClickHouse,
        worker: str,
        token_window_us: int,
        *,
        may_hold: bool = True,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._store = store
        self._worker = worker
        self._token_window_us = token_window_us
        self._may_hold = may_hold
        self._timeout_s = timeout_s
        self._is_held = False

    def look(self, from_us: int, to_us: int, read: Callable[[Sequence[OpenBatch]], T]) -> T:
        """Return what `read` returns, at a moment when no batch is half written in [from, to).

        Args:
            from_us: Event time in epoch µs.
            to_us: Exclusive.
            read: Reads; is given batches so old that their windows are still to come.

        Raises:
            NotQuiet: No such moment came.
        """
        give_up_at = time.monotonic() + self._timeout_s
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
            if looks >= _LOOKS_WITHOUT_HOLD and self._may_hold:
                self._hold(_HOLD_S)
            time.sleep(_PAUSE_S)

    @contextmanager
    def session(self) -> Iterator[None]:
        """End the hold, if one was needed, when the work is done or fails."""
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let ingest go on until the next look needs a rest."""
        if self._is_held:
            self._hold(0.0)
            self._is_held = False

    def _hold(self, seconds: float) -> None:
        until = datetime.fromtimestamp(0, UTC)
        if seconds:
            self._is_held = True
            now_us, _open = self._ledger()
            until = datetime.fromtimestamp(now_us / 1e6, UTC) + timedelta(seconds=seconds)
        row = {
            "held_until": pa.array([until], pa.timestamp("ms", "UTC")),
            "held_by": [self._worker],
            "reason": ["repair"],
        }
        self._store.insert(HOLDS, pa.table(row), f"hold/{self._worker}/{time.time_ns()}")

    def _is_abandoned(self, batch: OpenBatch, now_us: int) -> bool:
        return now_us - batch.sealed_at_us >= self._token_window_us

    def _ledger(self) -> tuple[int, list[OpenBatch]]:
        """Return the server's time and the batches that are begun and not done."""
        rows = self._store.select("repair/open_batches")
        batches = [
            OpenBatch(
                LogPartition(str(row["log_id"]), str(row["topic"]), int(row["partition"])),
                int(row["start"]),
                int(row["end"]),
                int(row["sealed_at_us"]),
            )
            for row in rows
            if row["partition"] >= 0
        ]
        return min(int(row["now_us"]) for row in rows), batches

    def _has_rows(self, batch: OpenBatch, from_us: int, to_us: int) -> bool:
        """Tell whether a batch has written raw rows of [from, to): they come before its windows."""
        (row,) = self._store.select(
            "repair/rows_of_batch",
            {
                "log_id": batch.log.log_id,
                "topic": batch.log.topic,
                "partition": batch.log.partition,
                "start": batch.start,
                "end": batch.end,
                "from_us": from_us,
                "to_us": to_us,
            },
        )
        return bool(row["found"])

    def _finished_since(self, since_us: int, from_us: int, to_us: int) -> bool:
        bounds = {"since_us": since_us - _SLACK_US, "from_us": from_us, "to_us": to_us}
        (row,) = self._store.select("repair/finished_since", bounds)
        return bool(row["batches"])

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
