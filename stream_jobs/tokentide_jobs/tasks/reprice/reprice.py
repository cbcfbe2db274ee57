"""Repricing history: stored requests get the prices of other cards, and the windows follow.

The promise: whatever instant it dies at, running it again finishes the same work, and in the end
every window is the sum of its raw rows. Per chunk: corrections (old and new price of each row) are
stored before anything changes; raw rows are set to them; the windows get the difference, once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import polars as pl

from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.reprice.corrections import (
    changes,
    corrections,
    subject_corrections,
    window_corrections,
)
from tokentide_jobs.core.tables import PRICE_CORRECTIONS, SUBJECTS, WINDOWS
from tokentide_jobs.errors import InvariantViolation, RetriableSinkError
from tokentide_jobs.io.clickhouse.card_store import load_cards, write_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.reprice.store import (
    APPLIED,
    CORRECTED,
    DONE,
    Chunk,
    RepriceStore,
    Run,
)

__all__ = ["CHUNK_ROWS", "Progress", "Reprice"]

CHUNK_ROWS = 100_000
"""Requests of one chunk: at most some 500 MB in this process, when each is a series of its own."""

_SETTLE_S = 15.0
"""How long batches in flight may keep raw rows and windows of a day apart."""

Progress = Callable[[str, int, int], None]
"""Called before each step with its name, the chunk's number and the number of chunks."""


@dataclass
class Reprice:
    """Prices stored requests again.

    Attributes:
        store: The ClickHouse database.
        cards: The prices to apply.
        worker: `host:pid`, for the run's rows.
        chunk_rows: Most requests of one chunk.
        progress: Called with every step before it is taken.
    """

    store: ClickHouse
    cards: CardTable
    worker: str
    chunk_rows: int = CHUNK_ROWS
    progress: Progress = lambda step, chunk, chunks: None

    def __post_init__(self) -> None:
        self._tables = RepriceStore(self.store, self.worker)

    def preview(self, from_us: int, to_us: int) -> pl.DataFrame:
        """Say what `run` would change, by model; writes nothing. See `core.reprice.corrections`."""
        version = self.cards.price_version
        spans = self._tables.spans(from_us, to_us, version, self.chunk_rows)
        found = []
        for number, (start, end, _) in enumerate(spans):
            self.progress("price", number, len(spans))
            rows = self._tables.requests(start, end, version)
            found.append(changes(corrections(rows, self.cards)))
        return _summed(found)

    def run(self, from_us: int, to_us: int) -> pl.DataFrame:
        """Price the requests that started in [from_us, to_us) again and return what changed.

        Finishes interrupted runs first, so the result may include theirs.

        Raises:
            ConfigError: The store cannot be repriced.
            RetriableSinkError: Run it again: it goes on where it stopped.
        """
        self._tables.check()
        found = [table for run in self._tables.unfinished() for table in self._finish(run)]
        version = self.cards.price_version
        write_cards(self.store, self.cards, self.worker)
        spans = self._tables.spans(from_us, to_us, version, self.chunk_rows)
        if spans:
            run = Run(secrets.token_hex(8), from_us, to_us, version, len(spans))
            self.progress("plan", 0, len(spans))
            self._tables.plan(run, spans)
            found += self._finish(run)
        return _summed(found)

    def _finish(self, run: Run) -> Iterator[pl.DataFrame]:
        """Bring every chunk of a run to its end, yielding what it changed."""
        for chunk in self._tables.chunks(run):
            yield changes(self._finish_chunk(run, chunk))
        self.progress("finish", run.chunks, run.chunks)
        self._tables.drop_lookups(run)
        self._tables.mark_run(run, "done")

    def _finish_chunk(self, run: Run, chunk: Chunk) -> pl.DataFrame:
        is_resumed = chunk.state == APPLIED
        corrected = self._tables.corrections(run, chunk)
        if chunk.state < CORRECTED:
            if corrected.is_empty():
                self.progress("price", chunk.number, run.chunks)
                cards = self._cards_of(run.price_version)
                rows = self._tables.requests(chunk.from_us, chunk.to_us, run.price_version)
                corrected = corrections(rows, cards)
                self.progress("correct", chunk.number, run.chunks)
                if not corrected.is_empty():
                    self._tables.write_corrections(run, chunk, corrected)
                    # Another process may have been first: what is stored is what counts.
                    corrected = self._tables.corrections(run, chunk)
            chunk = self._reach(run, chunk, CORRECTED, corrected.height)
        if corrected.height != chunk.rows:
            raise InvariantViolation(
                f"chunk {chunk.number} of repricing {run.run_id} had {chunk.rows} corrections and"
                f" has {corrected.height}: restore {PRICE_CORRECTIONS} from a backup"
            )
        if chunk.state < APPLIED:
            self.progress("apply", chunk.number, run.chunks)
            if corrected.height:
                self._tables.apply(run, chunk)
            chunk = self._reach(run, chunk, APPLIED, corrected.height)
        if chunk.state < DONE:
            for step, table, deltas in (
                ("windows", WINDOWS, window_corrections(corrected)),
                ("subjects", SUBJECTS, subject_corrections(corrected)),
            ):
                # The token would do, had not the table forgotten it after 10,000 other inserts.
                if not (is_resumed and self._deltas_are_in(chunk, table, deltas)):
                    self.progress(step, chunk.number, run.chunks)
                    self._tables.insert_deltas(run, chunk, table, deltas)
            self._reach(run, chunk, DONE, corrected.height)
        return corrected

    def _reach(self, run: Run, chunk: Chunk, state: int, rows: int) -> Chunk:
        self.progress(f"mark {state}", chunk.number, run.chunks)
        self._tables.mark(run, chunk, state, rows)
        return replace(chunk, state=state, rows=rows)

    def _deltas_are_in(self, chunk: Chunk, table: str, deltas: pl.DataFrame) -> bool:
        """Tell whether a table holds a chunk's deltas: its day then equals its raw rows.

        Chunks before it are done and those after it not begun, so the day is off by these deltas
        or not at all, batches in flight apart.
        """
        if deltas.is_empty():
            return True
        expected = (int(deltas["cost_pico_usd"].sum()), int(deltas["unpriced"].sum()))
        if expected == (0, 0):
            return False
        deadline = time.monotonic() + _SETTLE_S
        while True:
            gap = self._tables.day_gap(chunk, table)
            if gap in ((0, 0), expected):
                return gap == (0, 0)
            if time.monotonic() > deadline:
                raise RetriableSinkError(
                    f"raw rows and {table} of the day of chunk {chunk.number} differ by {gap}"
                    f" (pico-USD, calls without cost), not by {expected}: let ingest come to rest,"
                    " see `tokentide verify`, then reprice again"
                )
            time.sleep(0.5)

    def _cards_of(self, price_version: str) -> CardTable:
        if price_version == self.cards.price_version:
            return self.cards
        return load_cards(self.store, price_version)


def _summed(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Add up the changes of several chunks."""
    if not parts:
        return pl.DataFrame()
    sums = [name for name in parts[0].columns if name not in ("provider", "model")]
    total = pl.concat(parts).group_by("provider", "model").agg(pl.col(sums).sum())
    difference = (pl.col("new_pico_usd") - pl.col("old_pico_usd")).abs()
    return total.sort(difference, "provider", "model", descending=[True, False, False])
