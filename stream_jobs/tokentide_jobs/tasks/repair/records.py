"""What repair asks before it begins, and what it writes down: its preconditions and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.tables import ROWS_KEPT_DAYS, WINDOW_REPAIRS
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import WrongData
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.void_reads import unfinished_voids
from tokentide_jobs.io.clickhouse.window_sums import Span

__all__ = ["FinishedBatch", "MiscountedBatch", "RepairRecords"]

_NAMED_BATCHES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedBatch:
    """A batch that is done by the ledger.

    Attributes:
        log: Its partition.
        start: First offset.
        end: Exclusive.
        events: Rows that it had.
        first_us: Time of its oldest event.
        last_us: Time of its newest.
    """

    log: LogPartition
    start: int
    end: int
    events: int
    first_us: int
    last_us: int

    def __str__(self) -> str:
        """Return its place, as messages name it."""
        return f"{self.log.topic}/{self.log.partition} [{self.start}, {self.end})"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiscountedBatch(FinishedBatch):
    """One whose raw rows are not as many as it had: fewer, or some twice.

    Attributes:
        found: Rows that are there.
    """

    found: int

    @property
    def lacks_rows(self) -> bool:
        """Whether rows are lost; else some stand twice."""
        return self.found < self.events

    def __str__(self) -> str:
        """Return its place and what is wrong with it."""
        return f"{FinishedBatch.__str__(self)}: {self.found} of {self.events} rows"


class RepairRecords:
    """Preconditions and records of repairs in one database.

    Args:
        store: Where everything is.
        worker: `host:pid`, for the records.
    """

    def __init__(self, store: ClickHouse, worker: str) -> None:
        self._store = store
        self._worker = worker

    def check(self) -> None:
        """Refuse to begin while a repricing is unfinished.

        Raises:
            WrongData: One is.
            ConfigError: The tables of repair are missing.
        """
        self.corrections("", Span(0, 0))
        if unfinished := self._store.select("reprice/unfinished_runs"):
            raise WrongData(
                f"repricing {unfinished[0]['run_id']} is unfinished, and its rows and windows "
                "differ for that: finish it with `tokentide reprice`, then repair"
            )

    def check_voids(self) -> None:
        """Refuse to begin while rows that are written down as taken out are still there.

        Raises:
            WrongData: Some are.
        """
        if unfinished := unfinished_voids(self._store):
            ids = sorted({event_id for event_id, _place in unfinished})
            raise WrongData(
                f"{counted(len(ids), 'event is', 'events are')} being taken out and not gone yet: "
                f"run `tokentide void {' '.join(ids[:_NAMED_BATCHES])} …` again, then repair"
            )

    def rows_kept_days(self) -> int:
        """Return for how many days no raw row may have expired: of any table, for any tenant."""
        (row,) = self._store.select("verify/shortest_retention")
        shortest = int(row["kept_days"] or 0)
        return min(ROWS_KEPT_DAYS, shortest) if shortest else ROWS_KEPT_DAYS

    def days(self, span: Span) -> list[int]:
        """Return the starts (µs) of the UTC days with raw rows or windows, in order."""
        return [int(row["start_us"]) for row in self._store.select("repair/days", _bounds(span))]

    def raw_rows(self, span: Span, grain_us: int) -> list[tuple[int, int]]:
        """Return (start of a grain in µs, raw rows and ten-second windows in it), in order."""
        return self._counted("repair/raw_rows", span, grain_us)

    def window_rows(self, span: Span, grain_us: int) -> list[tuple[int, int]]:
        """Return (start of a grain in µs, windows of ten seconds and a minute in it), in order."""
        return self._counted("repair/window_rows", span, grain_us)

    def check_rows(self, span: Span, kept_from_us: int) -> list[MiscountedBatch]:
        """Count the raw rows of every finished batch with events in a span.

        Args:
            span: Event times.
            kept_from_us: Retention has taken no row of this time or later.

        Returns:
            Batches with older events and with fewer rows than they had: whether retention took the
            others or they are lost is unknown.

        Raises:
            WrongData: A batch has lost rows, or has some twice; windows may be all that is right.
        """
        wrong = self._miscounted_batches(span)
        fewer = [batch for batch in wrong if batch.lacks_rows]
        lacking = [batch for batch in fewer if batch.first_us >= kept_from_us]
        doubled = [batch for batch in wrong if not batch.lacks_rows]
        found_wrong = []
        if lacking:
            found_wrong.append(
                f"{counted(len(lacking), 'batch lacks', 'batches lack')} raw rows "
                f"({_named(lacking)}): bring them back first (--from-log, or from a backup)"
            )
        if doubled:
            found_wrong.append(
                f"{counted(len(doubled), 'batch has', 'batches have')} raw rows twice "
                f"({_named(doubled)}): remove the duplicate rows first (docs/operations.md, "
                "Doubled, changed and foreign rows)"
            )
        if found_wrong:
            raise WrongData(
                f"{'; '.join(found_wrong)}. Windows made from such rows would be wrong too. "
                "`tokentide verify` names all batches; --from and --to repair a range without them"
            )
        return [batch for batch in fewer if batch.first_us < kept_from_us]

    def batches_lacking_rows(self, span: Span, kept_from_us: int) -> list[MiscountedBatch]:
        """Return the batches with fewer rows than they had, that have no older events."""
        return [
            batch
            for batch in self._miscounted_batches(span)
            if batch.lacks_rows and batch.first_us >= kept_from_us
        ]

    def _miscounted_batches(self, span: Span) -> list[MiscountedBatch]:
        unfinished = [place for _event_id, place in unfinished_voids(self._store)]
        values = {**_bounds(span), "unfinished": unfinished}
        return [
            MiscountedBatch(
                log=LogPartition(str(row["log_id"]), str(row["topic"]), int(row["partition"])),
                **{
                    name: int(row[name])
                    for name in ("start", "end", "events", "found", "first_us", "last_us")
                },
            )
            for row in self._store.select("repair/miscounted_batches", values)
        ]

    def corrections(self, table: str, span: Span) -> int:
        """Return how many corrections of a table are written down that touch a span."""
        (row,) = self._store.select("repair/corrections", {"table": table, **_bounds(span)})
        return int(row["corrections"])

    def restorations(self, prefix: str) -> int:
        """Return how many times rows came back by runs whose id begins so."""
        (row,) = self._store.select("repair/restorations", {"prefix": prefix})
        return int(row["restorations"])

    def refuse_uncertain(self, days: Sequence[Span], uncertain: Sequence[MiscountedBatch]) -> None:
        """Say which days were left alone, for rows that may be lost.

        Raises:
            WrongData: Always.
        """
        among = [batch for batch in uncertain if batch.last_us >= days[0].from_us]
        raise WrongData(
            f"left as they are: {', '.join(map(str, days))}. Windows differ from the raw rows "
            f"there, and {counted(len(among), 'batch', 'batches')} with events of these days and "
            f"older ones ({_named(among)}) lack rows. Retention may have taken them, or they are "
            "lost: the windows may be all that is right. All other days are repaired"
        )

    def refuse_finer(self, table: str, asked: Sequence[str]) -> None:
        """Refuse to make coarse windows from finer ones that are wrong themselves.

        Raises:
            WrongData: Always.
        """
        raise WrongData(
            f"{table} is wrong too, and {', '.join(asked)} would be made from it: repair it as "
            "well, or leave out --table"
        )

    def write(self, run_id: str, table: str, span: Span, measures: Mapping[str, int]) -> None:
        """Write down one correction."""
        row = {
            "run_id": [run_id],
            "table": [table],
            "from_us": [span.from_us],
            "to_us": [span.to_us],
            "rows": pa.array([measures["rows"]], pa.uint64()),
            "events": [measures["events"]],
            "cost_pico_usd": pa.array([measures["cost_pico_usd"]], pa.decimal128(38, 0)),
            "worker": [self._worker],
        }
        token = f"repair/{run_id}/{table}/{span.from_us}"
        self._store.insert(WINDOW_REPAIRS, pa.table(row), token)

    def _counted(self, query: str, span: Span, grain_us: int) -> list[tuple[int, int]]:
        rows = self._store.select(query, {"grain_us": grain_us, **_bounds(span)})
        return [(int(row["start_us"]), int(row["rows"])) for row in rows]


def _named(batches: Sequence[MiscountedBatch]) -> str:
    return ", ".join(map(str, batches[:_NAMED_BATCHES]))


def _bounds(span: Span) -> dict[str, int]:
    return {"from_us": span.from_us, "to_us": span.to_us}
