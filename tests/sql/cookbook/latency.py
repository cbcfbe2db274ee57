"""How long calls take, and which got slower: computed without SQL."""

from __future__ import annotations

import polars as pl

from tests.sql.cookbook.frames import (
    DAY,
    calls,
    count_if,
    quantile,
    ranked,
    reported,
    since,
    speed,
    this_hour,
)
from tests.sql.cookbook.registry import answers
from tests.sql.cookbook.stored import Stored

LATENCIES = reported("duration_ms").alias("latencies")


@answers("What are p95 latency and time to first token by model?")
def by_model(stored: Stored) -> pl.DataFrame:
    frame = since(stored, 1, "minute").with_columns(speed().alias("speed"))
    lists = frame.group_by("provider", "model").agg(
        calls(), LATENCIES, reported("ttft_ms").alias("ttfts"), reported("speed").alias("speeds")
    )
    return lists.with_columns(
        *(ranked("latencies", q / 100).alias(f"latency_p{q}_ms") for q in (50, 95, 99)),
        *(ranked("ttfts", q / 100).alias(f"ttft_p{q}_ms") for q in (50, 95)),
        ranked("speeds", 0.5).alias("output_tokens_per_second"),
    ).drop("latencies", "ttfts", "speeds")


@answers("Which minute was the slowest?")
def slowest_minute(stored: Stored) -> pl.DataFrame:
    lists = since(stored, 1, "minute").group_by("minute", "service").agg(calls(), LATENCIES)
    return lists.filter(pl.col("calls") >= 10).with_columns(
        ranked("latencies", 0.95).alias("latency_p95_ms")
    ).drop("latencies").sort("latency_p95_ms", descending=True).head(10)  # fmt: skip


@answers("How does p95 latency move, hour by hour?")
def by_hour(stored: Stored) -> pl.DataFrame:
    lists = since(stored, 2, "hour").group_by("hour").agg(calls(), LATENCIES)
    return lists.with_columns(
        ranked("latencies", 0.5).alias("latency_p50_ms"),
        ranked("latencies", 0.95).alias("latency_p95_ms"),
    ).drop("latencies")  # fmt: skip


@answers("What got slower?")
def slower(stored: Stored) -> pl.DataFrame:
    a_day_ago = this_hour(stored) - DAY
    frame = stored.requests.filter(pl.col("hour") >= a_day_ago - 7 * DAY)
    is_new = pl.col("hour") >= a_day_ago
    lists = frame.group_by("service", "model", "prompt_name").agg(
        count_if(is_new).alias("calls"), count_if(~is_new).alias("calls_before"),
        pl.col("duration_ms").filter(is_new).alias("now"),
        pl.col("duration_ms").filter(~is_new).alias("before"),
    )  # fmt: skip
    now, before = ranked("now", 0.95), ranked("before", 0.95)
    return lists.filter((pl.col("calls") >= 20) & (pl.col("calls_before") >= 20)).with_columns(
        now.alias("latency_p95_ms"), before.alias("latency_p95_ms_before"),
        (100 * (now / before - 1)).alias("slower_percent"),
    ).drop("now", "before").sort("slower_percent", descending=True).head(20)  # fmt: skip


@answers("How fast does each region answer?")
def by_region(stored: Stored) -> pl.DataFrame:
    frame = since(stored, 1, "hour").filter(pl.col("region") != "")
    lists = frame.group_by("region", "model").agg(
        calls(), LATENCIES, reported("ttft_ms").alias("ttfts")
    )
    return lists.with_columns(
        ranked("latencies", 0.95).alias("latency_p95_ms"),
        ranked("ttfts", 0.95).alias("ttft_p95_ms"),
    ).drop("latencies", "ttfts")  # fmt: skip


@answers("Which streams fall silent while a person waits?")
def silent_streams(stored: Stored) -> pl.DataFrame:
    gap = pl.col("max_chunk_gap_ms")
    frame = since(stored, 7).filter(gap.is_not_null()).sort("max_chunk_gap_ms", "event_id")
    return frame.group_by("provider", "model").agg(
        pl.len().alias("streams"), reported("max_chunk_gap_ms").alias("gaps"),
        count_if(gap > 5000).alias("longer_than_5_s"),
        pl.col("event_id").last().alias("worst_call"),
    ).with_columns(
        quantile("gaps", 0.5).alias("median_gap_ms"), quantile("gaps", 0.99).alias("p99_gap_ms")
    ).drop("gaps")  # fmt: skip


@answers("What share of calls answered within three seconds?")
def quick_enough(stored: Stored) -> pl.DataFrame:
    good = (pl.col("status") == "ok") & (pl.col("duration_ms") <= 3000)
    return since(stored, 7).group_by("service").agg(
        calls(), (100 * count_if(good) / pl.len()).alias("good_percent")
    )  # fmt: skip
