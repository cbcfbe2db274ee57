"""Everything a batch turns into: `(records, intent, cards) -> rows`, and nothing else decides.

Two workers that process the same batch, at any time and with any settings, get equal rows in equal
order; that is what lets a replay repeat an insert under the same token. Pure.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import polars as pl

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.change.change_rows import change_rows
from tokentide_jobs.core.decode.decode import decode
from tokentide_jobs.core.decode.judge import AcceptedWindow
from tokentide_jobs.core.guard.step_rows import STEPS_SCHEMA, step_rows
from tokentide_jobs.core.outcome.codes import without_texts
from tokentide_jobs.core.outcome.dead_letter_rows import dead_letter_frame
from tokentide_jobs.core.outcome.voided import without_voided
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.pricing import price
from tokentide_jobs.core.record.agent_logs import HashUser, no_user_hash
from tokentide_jobs.core.record.contents import events_in, readable
from tokentide_jobs.core.record.dead_letter import (
    REFUSED_BY_STORE,
    UNREADABLE,
    VOIDED,
    DeadLetter,
)
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.stand_in import bytes_behind
from tokentide_jobs.core.tables import RAW_REQUESTS, RAW_TABLES, TYPE_OF_TABLE
from tokentide_jobs.core.window.fold import fold
from tokentide_jobs.core.window.subject_kinds import kinds_text
from tokentide_jobs.core.window.subjects import fold_subjects

__all__ = ["Outcome", "RefusedRow", "process"]


class RefusedRow(NamedTuple):
    """A row that a raw table cannot hold."""

    table: str
    offset: int
    idx: int
    detail: str

    @classmethod
    def of(cls, table: str, row: Mapping[str, Any], detail: str) -> RefusedRow:
        """Name the refused row by its place in the log."""
        return cls(table, row["_offset"], row["_idx"], detail)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows of one batch."""

    intent: Intent
    records: Sequence[Record]
    raw: Mapping[str, pl.DataFrame]
    """Rows by raw table, each in order of (offset, idx); tables without rows are absent."""
    dead_letters: pl.DataFrame
    """Rows for `dead_letters` of events the judge refused."""
    refused: tuple[RefusedRow, ...] = ()
    """Rows left out of `raw` because the store cannot hold them."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """What the records hold besides events, by kind; it is counted and goes nowhere."""
    replaced_texts: int = 0
    """Texts of which a character could not be encoded and was replaced."""
    cleared_codes: int = 0
    """Codes and kinds of errors that are not stored, because they have no code's shape."""

    @property
    def events(self) -> int:
        """Rows in all raw tables together."""
        return sum(rows.height for rows in self.raw.values())

    @property
    def dead_letter_count(self) -> int:
        """Events that were refused, by the judge or by the store."""
        return self.dead_letters.height + len(self.refused)

    def refused_by_record(self) -> list[int]:
        """Count the refused events of each record; one that people took out is none."""
        if not self.dead_letter_count:
            return []
        refused = self.dead_letters.filter(pl.col("reason") != VOIDED)
        counts = Counter(refused["_offset"].to_list())
        counts.update(row.offset for row in self.refused)
        return list(counts.values())

    def rows(self, table: str) -> int:
        """Count the rows that go to `table`."""
        return self.raw[table].height if table in self.raw else 0

    def without(self, refused: Iterable[RefusedRow]) -> Outcome:
        """Return the outcome less some rows; they are remembered as refused.

        Rows of a table that the batch has none of are passed over: no row of it was refused.
        """
        found = tuple(row for row in refused if row.table in self.raw)
        if not found:
            return self
        raw = dict(self.raw)
        for table in {row.table for row in found}:
            places = pl.DataFrame(
                [(row.offset, row.idx) for row in found if row.table == table],
                schema={"_offset": pl.Int64, "_idx": pl.Int32},
                orient="row",
            )
            raw[table] = raw[table].join(
                places, on=["_offset", "_idx"], how="anti", maintain_order="left"
            )
        return replace(self, raw=raw, refused=(*self.refused, *found))

    def refused_of(self, table: str) -> tuple[RefusedRow, ...]:
        """Return the rows left out of one table."""
        return tuple(row for row in self.refused if row.table == table)

    def dead_letters_of(self, refused: Iterable[RefusedRow]) -> pl.DataFrame:
        """Build the dead letters of the rows that a table refused, with the events' own bytes."""
        values = {record.offset: record.value for record in self.records}
        dead_letters = [
            DeadLetter(
                self.intent.log.partition,
                row.offset,
                row.idx,
                REFUSED_BY_STORE,
                row.table,
                row.detail,
                events_in(self.intent.log.topic, values[row.offset])[row.idx],
            )
            for row in refused
        ]
        return dead_letter_frame(dead_letters, self.intent, self.records)

    def fold(self) -> pl.DataFrame:
        """Compute the window deltas of exactly the rows in `raw`."""
        return fold({TYPE_OF_TABLE[table]: rows for table, rows in self.raw.items()})

    def fold_subjects(self) -> pl.DataFrame:
        """Compute the subject deltas of exactly the requests in `raw`."""
        requests = self.raw.get(RAW_REQUESTS, pl.DataFrame())
        return fold_subjects(requests, self.intent.subject_kinds, self.intent.max_subjects)

    def steps(self) -> pl.DataFrame:
        """Return the steps of runs, where the batch is counted by run; else none."""
        requests = self.raw.get(RAW_REQUESTS)
        if requests is None or "run" not in self.intent.subject_kinds:
            return pl.DataFrame(schema=dict(STEPS_SCHEMA))
        return step_rows(requests)

    def changes(self) -> pl.DataFrame:
        """Return what people changed: what may explain the other events."""
        return change_rows(self.raw.get(RAW_TABLES["change"], pl.DataFrame()))

    def cost_pico_usd(self) -> int:
        """Sum over the priced requests."""
        requests = self.raw.get(RAW_REQUESTS)
        if requests is None:
            return 0
        # Int64 per event, but a batch may hold a million of them.
        total = requests.select(pl.col("cost_pico_usd").cast(pl.Int128).sum()).item()
        return int(total or 0)

    def started_range_us(self) -> tuple[int, int]:
        """Return the smallest and the largest event time, (0, 0) when there is no event."""
        columns = [rows["started_at_us"] for rows in self.raw.values() if rows.height]
        if not columns:
            return 0, 0
        bounds = [(column.min(), column.max()) for column in columns]
        first = min(low for low, _high in bounds if isinstance(low, int))
        last = max(high for _low, high in bounds if isinstance(high, int))
        return first, last


def process(
    records: Sequence[Record],
    intent: Intent,
    cards: CardTable,
    hash_user: HashUser = no_user_hash,
    voided: Collection[str] = (),
) -> Outcome:
    """Decode, judge, price and place every event of a batch.

    A record that makes the program itself fail ends as dead letters (`unreadable`): met again at
    every try, it would stop its partition for ever.

    Args:
        records: All records of the intent's range, in offset order.
        intent: Gives the accepted window, the price version and the time of the rows.
        cards: The table of the intent's price version.
        hash_user: What stands for a user that a log record of OTLP names; by default nothing does.
        voided: Ids of the events that were out at the intent's void_revision, in small letters.
    """
    assert cards.price_version == intent.price_version
    try:
        return _process(records, intent, cards, hash_user, voided, [])
    except MemoryError:
        raise
    except (Exception, pl.exceptions.PanicException):
        unreadable = _unreadable(records, intent, cards)
        if not unreadable:
            raise
        return _process(records, intent, cards, hash_user, voided, unreadable)


def _unreadable(records: Sequence[Record], intent: Intent, cards: CardTable) -> list[DeadLetter]:
    """Try every record alone; return the events of those that cannot be processed."""
    unreadable: list[DeadLetter] = []
    for record in records:
        try:
            _process([record], intent, cards, no_user_hash, (), [])
        except MemoryError:
            raise
        except (Exception, pl.exceptions.PanicException) as exc:
            detail = f"the program failed on this record: {type(exc).__name__} at {_place(exc)}"
            place = (record.partition, record.offset)
            unreadable += [
                DeadLetter(*place, idx, UNREADABLE, "", detail, bytes_behind(line))
                for idx, line in enumerate(events_in(intent.log.topic, record.value))
            ]
    return unreadable


def _place(exc: BaseException) -> str:
    """Say which line failed, the last of ours and the last of all: no data, no path of a machine.

    An exception's own words may quote what the record holds.
    """
    lines = [
        f"{frame.f_globals.get('__name__')}:{line}"
        for frame, line in traceback.walk_tb(exc.__traceback__)
    ]
    ours = [line for line in lines if line.startswith("tokentide_jobs.")]
    return " > ".join(dict.fromkeys([*ours[-1:], *lines[-1:]]))


def _process(
    records: Sequence[Record],
    intent: Intent,
    cards: CardTable,
    hash_user: HashUser,
    voided: Collection[str],
    unreadable: Sequence[DeadLetter],
) -> Outcome:
    window = AcceptedWindow(intent.accepted_from_us, intent.accepted_until_us)
    left_out = {dead_letter.offset for dead_letter in unreadable}
    sound = [record for record in records if record.offset not in left_out]
    read = readable(intent.log.topic, sound, hash_user)
    decoded = decode(read.records, window)
    frames, taken_out = without_voided(decoded.frames, voided, intent.log.topic, records)
    raw: dict[str, pl.DataFrame] = {}
    cleared_codes = 0
    for event_type, table in RAW_TABLES.items():
        rows = frames.get(event_type)
        if rows is None or rows.height == 0:
            continue
        rows, cleared = without_texts(rows)
        cleared_codes += cleared
        if event_type == "request":
            counted_under = pl.lit(kinds_text(intent.subject_kinds)).alias("subject_kinds")
            rows = price(rows, cards).with_columns(counted_under)
        raw[table] = rows.with_columns(
            pl.lit(intent.log.log_id).alias("log_id"),
            pl.lit(intent.log.topic).alias("_topic"),
            pl.lit(intent.sealed_at_us, dtype=pl.Int64).alias("ingested_at_us"),
        )
    return Outcome(
        intent=intent,
        records=records,
        raw=raw,
        dead_letters=dead_letter_frame(
            sorted([*read.dead_letters, *decoded.dead_letters, *unreadable, *taken_out]),
            intent,
            records,
        ),
        ignored=read.ignored,
        replaced_texts=read.replaced_texts + decoded.replaced_texts,
        cleared_codes=cleared_codes,
    )
