"""The pipeline itself: computed without SQL, from what was put into the store."""

from __future__ import annotations

import datetime as dt

import polars as pl

from tests.sql.cookbook.frames import DAY, quantile, ratio, since
from tests.sql.cookbook.registry import answers
from tests.sql.cookbook.stored import LOG, OPEN_BATCH, Stored
from tokentide_jobs.core.tables import RAW_TABLES


def _done(row: dict[str, int]) -> dt.datetime:
    return dt.datetime.fromtimestamp(row["done_at_us"] / 1e6, dt.UTC)


@answers("Is every partition being ingested, without holes?")
def partitions(stored: Stored) -> pl.DataFrame:
    rows = []
    for partition in sorted({row["partition"] for row in stored.ledger}):
        mine = [row for row in stored.ledger if row["partition"] == partition]
        covered = {
            offset for row in mine for offset in range(row["start_offset"], row["end_offset"])
        }
        first, position = min(covered), max(covered) + 1
        rows.append(
            {
                "topic": LOG.topic, "partition": partition, "position": position,
                "open_batches": int(partition == OPEN_BATCH[0] and position == OPEN_BATCH[1] - 100),
                "missing_offsets": position - first - len(covered),
                "batches": len(mine), "adopted_batches": sum(row["adopted"] for row in mine),
                "events": sum(row["events"] for row in mine),
                "dead_letters": sum(row["dead_letters"] for row in mine),
                "last_done_at": max(_done(row) for row in mine),
            }
        )  # fmt: skip
    return pl.DataFrame(rows)


@answers("How long until an event can be queried?")
def delays(stored: Stored) -> pl.DataFrame:
    rows = [
        {
            "hour": _done(row).replace(minute=0, second=0, microsecond=0),
            "insert": row["insert_ms"],
            "events": row["events"], "adopted": row["adopted"],
            "delay": row["done_at_us"] / 1000 - row["last_record_ms"],
        }
        for row in stored.ledger
        if _done(row) >= stored.now - DAY
    ]  # fmt: skip
    return pl.DataFrame(rows).group_by("hour").agg(
        pl.len().alias("batches"), pl.col("events").sum().alias("events_stored"),
        pl.col("delay"), pl.col("insert"), pl.col("adopted").sum().alias("replayed"),
    ).with_columns(
        quantile("delay", 0.5).alias("p50_delay_ms"), quantile("delay", 0.99).alias("p99_delay_ms"),
        quantile("insert", 0.99).alias("p99_insert_ms"),
    ).drop("delay", "insert")  # fmt: skip


@answers("What is refused, and why?")
def refused(stored: Stored) -> pl.DataFrame:
    # The first one in the log was replayed.
    frame = stored.frames["dead_letters"].sort("_offset").slice(1).with_columns(
        pl.col("ingested_at").cast(pl.Datetime("us", "UTC"))
    ).filter(pl.col("ingested_at") >= stored.now - 7 * DAY)  # fmt: skip
    return frame.group_by("reason", "field").agg(
        pl.len().alias("dead_letters"), pl.col("record_at").min().alias("first_seen"),
        pl.col("record_at").max().alias("last_seen"), pl.col("detail").min().alias("for_example"),
    )  # fmt: skip


@answers("Do producers drop events?")
def dropped(stored: Stored) -> pl.DataFrame:
    frame = stored.of("stats").filter(pl.col("at") >= stored.now - 7 * DAY)
    last = frame.group_by("service", "producer_id").agg(pl.col("emitted", "dropped").max())
    return last.group_by("service").agg(
        pl.len().alias("producers"), pl.col("emitted").sum().alias("emitted_in_all"),
        pl.col("dropped").sum().alias("dropped_in_all"),
    ).with_columns(
        ratio(pl.col("dropped_in_all"), pl.col("emitted_in_all"), 100).alias("dropped_percent")
    )  # fmt: skip


@answers("Which producers lag: when did each service last report?")
def lag(stored: Stored) -> pl.DataFrame:
    late_us = pl.col("ingested_at_us") - pl.col("started_at_us") - pl.col("duration_ms") * 1000
    return since(stored, 1).group_by("service").agg(
        pl.col("at").max().alias("last_call"), (late_us.mean() / 1000).alias("mean_delay_ms")
    )  # fmt: skip


@answers("Do windows and raw rows agree, to the last pico-dollar?")
def windows_agree(stored: Stored) -> pl.DataFrame:
    first = (stored.now - 7 * DAY).date()
    frame = stored.requests.filter(pl.col("day") >= first)
    cost = pl.col("usd").fill_null(0).sum()
    return frame.group_by("day").agg(
        *(pl.len().alias(f"{of}_calls") for of in ("raw", "window")),
        *(cost.alias(f"{of}_pico_usd") for of in ("raw", "window")),
    ).with_columns(agree=True)  # fmt: skip


@answers("How much room does an event take on disk?", unknown="size bytes_per_row")
def room(stored: Stored) -> pl.DataFrame:
    """Of tables whose rows never merge."""
    tables = [name for name in (*RAW_TABLES.values(), "dead_letters") if name in stored.frames]
    rows = [{"table": name, "stored_rows": stored.frames[name].height} for name in tables]
    return pl.DataFrame(rows)
