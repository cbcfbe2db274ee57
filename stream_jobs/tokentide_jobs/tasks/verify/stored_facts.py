"""What `verify` reads from ClickHouse: ledger, rows per batch, and windows against raw rows.

The order matters while ingest is running: finished batches are read before rows and intents after
them, because a batch writes its intent first and its ledger row last. So every finished batch seen
has all its rows, and every row seen has its intent. `core/verify/windows.py` says what follows for
the windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.merge.balance import Consumed
from tokentide_jobs.core.tables import (
    DAY_US,
    END_OF_TIME_US,
    ROWS_KEPT_DAYS,
    SUBJECTS_S,
    WINDOW_S,
    WINDOW_US,
    WINDOWS_KEPT_DAYS,
)
from tokentide_jobs.core.verify.facts import Batch, Intended, ReadTwice, StoredCounts
from tokentide_jobs.core.verify.subject_hours import KindHour, subject_differences
from tokentide_jobs.core.verify.windows import (
    Rollup,
    Sums,
    WindowComparison,
    WindowRows,
    compare_windows,
)
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.void_reads import newest_void_revision, unfinished_voids

__all__ = ["Positions", "StoreReader", "VerifyScope"]

_SUBJECTS_US: Final = SUBJECTS_S * 1_000_000

Positions = Mapping[LogPartition, int]
"""Where each partition of the present logs is finished: the end of its last finished batch."""


@dataclass(frozen=True, slots=True)
class VerifyScope:
    """What is verified: everything, a range of event time, or ranges of offsets.

    Attributes:
        from_us: First event time (epoch µs), None: no bound.
        until_us: End of event time, exclusive.
        offsets: By partition of the events topic as it is now: (start, end); the key None means
            all of them.
    """

    from_us: int | None = None
    until_us: int | None = None
    offsets: Mapping[int | None, tuple[int, int]] | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no bound is set."""
        return self.from_us is None and self.until_us is None and self.offsets is None

    def holds(self, batch: Batch, current: tuple[str, str]) -> bool:
        """Tell whether a batch belongs to the scope; `current` is (log id, topic)."""
        if self.offsets is not None:
            bounds = self.offsets.get(batch.log.partition, self.offsets.get(None))
            if bounds is None or (batch.log.log_id, batch.log.topic) != current:
                return False
            return batch.start < bounds[1] and bounds[0] < batch.end
        until_us = self.until_us if self.until_us is not None else END_OF_TIME_US
        return batch.first_us < until_us and batch.last_us >= (self.from_us or 0)


class StoreReader:
    """Reads the facts of one verification. Nothing here retries or writes."""

    def __init__(self, store: ClickHouse) -> None:
        self._store = store

    def batches(self, now_us: int) -> list[Batch]:
        """Return every finished batch; those whose rows may have expired are marked."""
        horizon_us = now_us - (self._kept_days() - 1) * DAY_US
        return [
            Batch(
                log=LogPartition(row["log_id"], row["topic"], row["partition"]),
                start=row["start_offset"],
                end=row["end_offset"],
                accepted=row["events"],
                dead_letters=row["dead_letters"],
                cost_pico_usd=row["cost_pico_usd"],
                records=row["records"],
                sealed_at_us=row["sealed_at_us"],
                first_us=row["first_us"],
                last_us=row["last_us"],
                has_expired=row["first_us"] < horizon_us,
            )
            for row in self._store.select("verify/batches")
        ]

    def stored(
        self, first_us: int, last_us: int, unfinished: Sequence[str] = ()
    ) -> tuple[
        dict[tuple[LogPartition, int], StoredCounts], dict[LogPartition, tuple[int, int, int]]
    ]:
        """Count rows by batch, for events that began in [first_us, last_us].

        Args:
            first_us: Epoch µs.
            last_us: Inclusive.
            unfinished: Places of rows that are being taken out and are still there.

        Returns:
            Rows by (log, start of batch), and by log those that no finished batch holds: (rows,
            smallest, largest offset).
        """
        stored: dict[tuple[LogPartition, int], StoredCounts] = {}
        beyond: dict[LogPartition, tuple[int, int, int]] = {}
        bounds = {"first_us": first_us, "last_us": last_us, "unfinished": list(unfinished)}
        for row in self._store.select("verify/stored", bounds):
            log = LogPartition(row["log_id"], row["topic"], row["partition"])
            if row["is_beyond"]:
                low, high = row["first_offset"], row["last_offset"]
                rows, first, last = beyond.get(log, (0, low, high))
                rows += row["raw_rows"] + row["dead_rows"]
                beyond[log] = (rows, min(first, low), max(last, high))
            else:
                stored[log, row["start_offset"]] = StoredCounts(
                    raw_rows=row["raw_rows"],
                    raw_distinct=row["raw_distinct"],
                    dead_rows=row["dead_rows"],
                    dead_distinct=row["dead_distinct"],
                    distinct=row["distinct"],
                    cost_pico_usd=row["cost_pico_usd"],
                    repriced=row["repriced"],
                    voided=row["voided"],
                    voided_cost_pico_usd=row["voided_cost_pico_usd"],
                )
        return stored, beyond

    def unfinished_voids(self) -> list[tuple[str, str]]:
        """Return (event id, place) of rows that are being taken out and are still there."""
        return unfinished_voids(self._store)

    def returned_voids(self) -> dict[str, int]:
        """Count rows by event that is out, and was stored again all the same."""
        if not newest_void_revision(self._store):
            return {}
        return {str(row["id"]): int(row["rows"]) for row in self._store.select("void/returned")}

    def consumed(self) -> tuple[Consumed | None, int]:
        """Return what the newest snapshot of the detect job reports as merged, and when; 0: never.

        What is not readable is ignored.
        """
        rows = self._store.select("verify/detect")
        if not rows:
            return None, 0
        try:
            return Consumed.from_json(rows[0]["consumed"]), rows[0]["taken_at_us"]
        except ValueError:
            return None, rows[0]["taken_at_us"]

    def intents(self) -> list[Intended]:
        """Return the winning intent of every start."""
        return [
            Intended(
                LogPartition(row["log_id"], row["topic"], row["partition"]),
                row["start_offset"],
                row["end_offset"],
            )
            for row in self._store.select("verify/intents")
        ]

    def windows(
        self, from_us: int | None, until_us: int | None, now_us: int, positions: Positions
    ) -> WindowComparison:
        """Compare raw rows with windows_10s, window by window, and the rollups day by day.

        The bounds are widened to whole windows; days that may have left windows_10s, or whose rows
        may have expired, are left out.

        Args:
            from_us: First event time (epoch µs), None: no bound.
            until_us: End of event time, exclusive. Rollups are compared only without it.
            now_us: The present.
            positions: Read from the ledger before this call.
        """
        kept_days = min(WINDOWS_KEPT_DAYS, self._kept_days())
        kept_from_us = (now_us // DAY_US - (kept_days - 1)) * DAY_US
        low_us = max(from_us or 0, kept_from_us) // WINDOW_US * WINDOW_US
        high_us = -(-(END_OF_TIME_US if until_us is None else until_us) // WINDOW_US) * WINDOW_US
        bounds = {"low_us": low_us, "high_us": high_us}
        whole_days = {"low_us": -(-low_us // DAY_US) * DAY_US, "high_us": high_us}
        repricing = [
            (row["run_id"], row["from_us"] // 1_000_000, -(-row["to_us"] // 1_000_000))
            for row in self._store.select("verify/repricing")
        ]
        rollups = None
        if until_us is None:
            rollups = {
                Rollup(row["table_name"], row["day_start_s"]): Sums(
                    events=row["events"], cost_pico_usd=row["cost_pico_usd"]
                )
                for row in self._store.select("verify/rollups", whole_days)
            }
        windows = {
            row["window_start_s"]: Sums(row["events"], row["tokens"], row["cost_pico_usd"])
            for row in self._store.select("verify/windows", bounds)
        }
        hours = {
            "low_us": low_us // _SUBJECTS_US * _SUBJECTS_US,
            "high_us": -(-high_us // _SUBJECTS_US) * _SUBJECTS_US,
        }
        subjects = {
            KindHour(row["kind"], row["hour_s"]): Sums(
                row["requests"], row["tokens"], row["cost_pico_usd"]
            )
            for row in self._store.select("verify/subjects", hours)
        }
        compared = compare_windows(
            self._rows_by_window(low_us, high_us, positions),
            windows,
            rollups=rollups,
            whole_days_from_s=whole_days["low_us"] // 1_000_000,
            repricing=repricing,
        )
        subject_rows = self._rows_by_kind(hours, positions)
        differing = subject_differences(subject_rows, subjects, repricing)
        return replace(compared, differences=(*compared.differences, *differing))

    def repeated_event_ids(self) -> int:
        """Count rows beyond the first of each event id, over all types."""
        (row,) = self._store.select("verify/repeated_event_ids")
        return int(row["repeated"])

    def read_twice(self) -> list[ReadTwice]:
        """Return events stored under two identities of one topic, by topic."""
        return [
            ReadTwice(str(row["topic"]), tuple(map(str, row["log_ids"])), int(row["events"]))
            for row in self._store.select("verify/read_twice")
        ]

    def _rows_by_window(
        self, low_us: int, high_us: int, positions: Positions
    ) -> dict[int, WindowRows]:
        rows = self._store.select(
            "verify/rows_by_window",
            {"low_us": low_us, "high_us": high_us, "window_s": WINDOW_S, **_given(positions)},
        )
        return {row["window_start_s"]: _window_rows(row) for row in rows}

    def _rows_by_kind(
        self, hours: Mapping[str, int], positions: Positions
    ) -> dict[KindHour, WindowRows]:
        rows = self._store.select("verify/subject_rows", {**hours, **_given(positions)})
        return {KindHour(row["kind"], row["hour_s"]): _window_rows(row) for row in rows}

    def _kept_days(self) -> int:
        """Return the shortest retention in force: of the tables, or of any tenant."""
        (row,) = self._store.select("verify/shortest_retention")
        return min(ROWS_KEPT_DAYS, row["kept_days"] or ROWS_KEPT_DAYS)


def _given(positions: Positions) -> dict[str, list[str] | list[int]]:
    """Return positions as the parameters of a query."""
    return {
        "partitions": [f"{p.log_id} {p.topic} {p.partition}" for p in positions],
        "positions": list(positions.values()),
    }


def _window_rows(row: Mapping[str, Any]) -> WindowRows:
    done, in_flight = (
        Sums(*(row[f"{state}_{what}"] for what in ("events", "tokens", "cost_pico_usd")))
        for state in ("done", "in_flight")
    )
    return WindowRows(done, in_flight)
