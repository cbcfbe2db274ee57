"""Repairing sums of windows and subjects: what differs from its raw rows gets the difference.

Nothing is swapped: a table rebuilt beside the live one would miss what ingest adds between the
building and the swap, a difference stays right whatever is added meanwhile. And nothing is
remembered: each step looks at what differs *now*, so a run that died is simply run again.

Raw rows are what everything is made from, so they are counted against the ledger first: a repair
must not make windows follow rows that are lost. Where it is unknown whether rows are lost or
expired, a day whose windows differ is left as it is, and reported.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from tokentide_jobs.core.tables import (
    DAY_US,
    HOUR_US,
    ROLLUPS,
    SUBJECTS,
    WINDOW_LENGTH_S,
    WINDOW_US,
    WINDOWS,
    WINDOWS_KEPT_DAYS,
)
from tokentide_jobs.core.window.difference import minus, plus, rolled
from tokentide_jobs.errors import RetriableSinkError, WrongData
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.subject_sums import SubjectSums
from tokentide_jobs.io.clickhouse.window_sums import (
    OpenBatch,
    Span,
    WindowSums,
    money_and_events,
)
from tokentide_jobs.tasks.repair.lost_rows import LostRowsOfLog, RecordSource, Restored
from tokentide_jobs.tasks.repair.quiet import Quiet
from tokentide_jobs.tasks.repair.records import RepairRecords

__all__ = ["TABLES", "Correction", "Progress", "Repair"]

_WINDOWS = (WINDOWS, *ROLLUPS)
TABLES = (*_WINDOWS, SUBJECTS)
"""What can be repaired: windows, the finest first, and the sums by subject."""
SPAN_ROWS = 100_000
"""Raw rows folded, or windows compared, at a time: some 500 MB at most in this process."""
_ATTEMPTS = 5

Progress = Callable[[str], None]
"""Called before each step with what it does and where."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What one table lacked, or held too much, in one span."""

    table: str
    span: Span
    rows: int
    events: int
    cost_pico_usd: int


@dataclass
class Repair:
    """Corrects the window tables of one database.

    Attributes:
        store: The database; give it a long timeout.
        worker: `host:pid`, for the records.
        token_window_us: How long inserts of unfinished batches may be repeated by their workers.
        tables: Which tables to correct; coarser ones than the first always follow.
        dry_run: Look and report; write nothing.
        span_rows: Raw rows folded, or windows compared, at a time.
        progress: Called with every step before it is taken.
        clock_us: Epoch microseconds, for what retention has not touched yet.
    """

    store: ClickHouse
    worker: str
    token_window_us: int
    tables: Sequence[str] = TABLES
    dry_run: bool = False
    span_rows: int = SPAN_ROWS
    progress: Progress = lambda _step: None
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    quiet: Quiet = field(init=False)

    def __post_init__(self) -> None:
        self._sums = WindowSums(self.store)
        self._subjects = SubjectSums(self.store)
        self._records = RepairRecords(self.store, self.worker)
        self._run_id = secrets.token_hex(8)
        self._would_add: dict[str, pl.DataFrame] = {}
        """Of a dry run: what each table of the day would get, and pass on to the coarser ones."""
        self.quiet = Quiet(self.store, self.worker, self.token_window_us, may_hold=not self.dry_run)

    def run(self, from_us: int | None = None, to_us: int | None = None) -> Iterator[Correction]:
        """Correct what differs between two times, yielding each correction when it is in.

        Args:
            from_us: First event time; None, or older than retention leaves raw rows: that far.
            to_us: Exclusive; None: no bound. Both are widened to whole UTC days.

        Raises:
            ConfigError: The tables of repair are missing.
            WrongData: Raw rows are missing or stand twice, or a repricing is unfinished. Or, at the
                end, days were left as they are; corrections of others are in.
            NotQuiet: A batch stays half written.
            RetriableSinkError: ClickHouse does not answer, or a sum does not hold still.
        """
        self._records.check()
        self._records.check_voids()
        span = self._span(from_us, to_us)
        if span is None:
            return
        self.progress("count the raw rows against the ledger")
        kept_us = self.kept_from_us()
        uncertain = self.quiet.look(
            span.from_us, span.to_us, lambda _old: self._records.check_rows(span, kept_us)
        )
        uncertain_until_us = max((batch.last_us for batch in uncertain), default=-1)
        left: list[Span] = []
        windows_from_us = self._windows_from_us()
        with self.quiet.session():
            for day_us in self._records.days(span):
                day = Span(day_us, day_us + DAY_US)
                has_windows = day_us >= windows_from_us
                if day_us <= uncertain_until_us and self._differs(day, has_windows=has_windows):
                    left.append(day)
                    continue
                if any(table in _WINDOWS for table in self.tables):
                    yield from self._repair_day(day, has_windows=has_windows)
                if SUBJECTS in self.tables:
                    yield from self._repair_subjects(day)
        if left:
            self._records.refuse_uncertain(left, uncertain)

    def restore_rows(
        self, log: RecordSource, from_us: int | None = None, to_us: int | None = None
    ) -> Iterator[Restored]:
        """Bring raw rows back that are lost, from the log; times, and what is raised, as in `run`.

        Rows come back at the price that they were stored at: reprice them again where they were
        repriced. What was taken out (`tokentide void`) stays out.

        Args:
            log: Where records are.
            from_us: First event time.
            to_us: Exclusive.
        """
        self._records.check()
        self._records.check_voids()
        if (span := self._span(from_us, to_us)) is not None:
            lost = LostRowsOfLog(self.store, self._records, log, dry_run=self.dry_run)
            yield from lost.run(span, self.kept_from_us(), self.progress)

    def check_around(self, moments_us: Collection[int]) -> None:
        """Make sure that windows may follow the raw rows around some moments; changes nothing.

        Raises:
            WrongData: Rows of batches with events there are lost or stand twice, or it is unknown
                whether they have expired; or a repricing is unfinished.
        """
        self._records.check()
        for hour_us in sorted({moment // HOUR_US * HOUR_US for moment in moments_us}):
            hour = Span(hour_us, hour_us + HOUR_US)
            if uncertain := self._records.check_rows(hour, self.kept_from_us()):
                raise WrongData(
                    f"{hour}: {uncertain[0]}, with older events: retention may have taken the "
                    "others, so windows of that hour cannot follow their rows any more"
                )

    def follow(self, moments_us: Collection[int]) -> Iterator[Correction]:
        """Correct only the windows and hours around some moments; else as `run`.

        Args:
            moments_us: Event times. Call `check_around` with them before their rows change.
        """
        windows_from_us = self._windows_from_us()
        with self.quiet.session():
            for table in _WINDOWS:
                grain_us = WINDOW_LENGTH_S[table] * 1_000_000
                for start_us in sorted({moment // grain_us * grain_us for moment in moments_us}):
                    base = _base(has_windows=start_us // DAY_US * DAY_US >= windows_from_us)
                    if _WINDOWS.index(table) < _WINDOWS.index(base):
                        continue
                    span = Span(start_us, start_us + grain_us)
                    found = self._repair_span(table, base, span, is_wanted=True)
                    if found is not None:
                        yield found
            for hour_us in sorted({moment // HOUR_US * HOUR_US for moment in moments_us}):
                hour = Span(hour_us, hour_us + HOUR_US)
                found = self._repair_span(SUBJECTS, SUBJECTS, hour, is_wanted=True)
                if found is not None:
                    yield found

    def _windows_from_us(self) -> int:
        """Return the start of the oldest day that has all of its ten-second windows."""
        return self._today_us() - (WINDOWS_KEPT_DAYS - 1) * DAY_US

    def _today_us(self) -> int:
        return self.clock_us() // DAY_US * DAY_US

    def kept_from_us(self) -> int:
        """Return the start of the oldest day of which no raw row may have expired."""
        return self._today_us() - (self._records.rows_kept_days() - 1) * DAY_US

    def _span(self, from_us: int | None, to_us: int | None) -> Span | None:
        """Return whole days in which raw rows are still kept; None: there are none."""
        low_us = max(self.kept_from_us(), (from_us or 0) // DAY_US * DAY_US)
        latest_us = self._today_us() + 30 * DAY_US
        high_us = -(-(to_us if to_us is not None else latest_us) // DAY_US) * DAY_US
        return Span(low_us, high_us) if low_us < high_us else None

    def _repair_day(self, day: Span, *, has_windows: bool) -> Iterator[Correction]:
        self._would_add.clear()
        base = _base(has_windows=has_windows)
        asked = [_WINDOWS.index(table) for table in self.tables if table in _WINDOWS]
        wanted = _WINDOWS[min(asked) :]
        for table in _WINDOWS[_WINDOWS.index(base) :]:
            for span in self._spans(table, base, day):
                found = self._repair_span(table, base, span, is_wanted=table in wanted)
                if found is not None:
                    yield found
            self.quiet.release()

    def _differs(self, day: Span, *, has_windows: bool) -> bool:
        """Tell whether the windows of a day are other than its raw rows make them."""
        base = _base(has_windows=has_windows)
        try:
            return any(
                not self._difference(base, base, span).is_empty()
                for span in self._spans(base, base, day)
            )
        finally:
            self.quiet.release()

    def _repair_subjects(self, day: Span) -> Iterator[Correction]:
        for span in self._cut(self._subjects.rows(day), HOUR_US):
            found = self._repair_span(SUBJECTS, SUBJECTS, span, is_wanted=True)
            if found is not None:
                yield found
        self.quiet.release()

    def _spans(self, table: str, base: str, day: Span) -> list[Span]:
        """Cut a day into spans of whole windows that a look can hold in memory."""
        if table == base:
            return self._pieces(day, WINDOW_LENGTH_S[base] * 1_000_000)
        if table == ROLLUPS[0]:
            return self._cut(self._records.window_rows(day, HOUR_US), HOUR_US)
        return [day]

    def _pieces(self, span: Span, grain_us: int = WINDOW_US) -> list[Span]:
        return self._cut(self._records.raw_rows(span, grain_us), grain_us)

    def _cut(self, rows: Sequence[tuple[int, int]], grain_us: int) -> list[Span]:
        spans: list[Span] = []
        held = 0
        for start, count in rows:
            if spans and held + count <= self.span_rows:
                spans[-1] = Span(spans[-1].from_us, start + grain_us)
                held += count
            else:
                spans.append(Span(start, start + grain_us))
                held = count
        return spans

    def _repair_span(
        self, table: str, base: str, span: Span, *, is_wanted: bool
    ) -> Correction | None:
        """Bring one table to its source in one span; None when it was right."""
        first: Correction | None = None
        # Damage may come again just as it was, and its correction then needs a new token. Asked
        # before looking: a repair that sees what another corrects now must use the same one.
        earlier = self._records.corrections(table, span)
        for attempt in range(_ATTEMPTS):
            self.progress(f"look at {table} {span}")
            deltas = self._difference(table, base, span)
            if deltas.is_empty():
                if first is not None and not self.dry_run:
                    self.progress(f"record {table} {span}")
                    self._records.write(self._run_id, first.table, span, money_of(first))
                return first
            if first is None:
                counted = "requests" if table == SUBJECTS else "events"
                first = Correction(table, span, **money_and_events(deltas, counted))
            if self.dry_run:
                earlier_spans = self._would_add.get(table, deltas.clear())
                self._would_add[table] = pl.concat([earlier_spans, deltas])
                return first
            if not is_wanted:
                self._records.refuse_finer(table, self.tables)
            self.progress(f"correct {table} {span}")
            self._insert(table, span, deltas, f"{earlier}.{attempt}")
        raise RetriableSinkError(
            f"{table} {span} differs again after {_ATTEMPTS} corrections: is another repair "
            "or a repricing running? Repair again when it has ended"
        )

    def _insert(self, table: str, span: Span, deltas: pl.DataFrame, nth: str) -> None:
        if table == SUBJECTS:
            self._subjects.insert(span, deltas, nth)
        else:
            self._sums.insert(table, span, deltas, nth)

    def _difference(self, table: str, base: str, span: Span) -> pl.DataFrame:
        if table == SUBJECTS:
            return self.quiet.look(
                span.from_us,
                span.to_us,
                lambda old: self._subjects.difference(span, self._pieces(span), old),
            )
        if table != base:
            finer = _WINDOWS[_WINDOWS.index(table) - 1]
            gap = self.quiet.look(
                span.from_us, span.to_us, lambda _old: self._sums.gap(table, finer, span)
            )
            if finer not in self._would_add:
                return gap
            # The finer table is wrong itself: what counts is what it would be.
            start_us = pl.col("window_start").dt.epoch("us")
            added = self._would_add[finer].filter(
                start_us.is_between(span.from_us, span.to_us, closed="left")
            )
            return plus(gap, rolled(added, WINDOW_LENGTH_S[table]))

        def compare(old: Sequence[OpenBatch]) -> pl.DataFrame:
            expected = self._sums.expected(span, old)
            if base != WINDOWS:
                expected = rolled(expected, WINDOW_LENGTH_S[base])
            return minus(expected, self._sums.present(table, span))

        return self.quiet.look(span.from_us, span.to_us, compare)


def _base(*, has_windows: bool) -> str:
    """Return what is made from the rows: minutes where retention took the ten-second windows."""
    return WINDOWS if has_windows else ROLLUPS[0]


def money_of(correction: Correction) -> dict[str, int]:
    """Return the measures of a correction by the columns of window_repairs."""
    return {
        "rows": correction.rows,
        "events": correction.events,
        "cost_pico_usd": correction.cost_pico_usd,
    }
