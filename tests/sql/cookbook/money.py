"""What calls cost, by whom and by what: computed without SQL."""

from __future__ import annotations

import datetime as dt

import polars as pl

from tests.sql.cookbook.frames import (
    DAY,
    calls,
    count_if,
    month_of,
    quantile,
    ranked,
    ratio,
    reported,
    since,
    since_day,
    sum_if,
    this_hour,
    total,
)
from tests.sql.cookbook.registry import answers
from tests.sql.cookbook.stored import Stored

USD = pl.col("usd").fill_null(0)
DOLLARS = 1e12


@answers("What does each team spend this month, against last month up to the same moment?")
def month_against_month(stored: Stored) -> pl.DataFrame:
    until = this_hour(stored)
    month = month_of(until)
    last = month_of(month - DAY)
    same = min(last + (until - month), month)
    frame = stored.requests.filter(pl.col("at").is_between(last, until, closed="left"))
    now, before = pl.col("this_month_usd"), pl.col("last_month_to_date_usd")
    return frame.group_by("team").agg(
        USD.filter(pl.col("at") >= month).sum().alias("this_month_usd"),
        USD.filter(pl.col("at") < same).sum().alias("last_month_to_date_usd"),
        USD.filter(pl.col("at") < month).sum().alias("last_month_usd"),
    ).with_columns((ratio(now, before, 100) - 100).alias("change_percent"))  # fmt: skip


@answers("What will this month cost if it goes on like this?")
def forecast(stored: Stored) -> pl.DataFrame:
    month = month_of(stored.now)
    month_end = month_of(month + 31 * DAY)
    known = stored.requests.filter(pl.col("at") >= month_of(month - DAY))
    rows = []
    for (tenant,), frame in known.group_by("tenant"):
        first = frame["hour"].min()
        assert isinstance(first, dt.datetime)
        spent = frame.filter(pl.col("at") >= month)
        if spent.is_empty():
            continue
        begin = max(first, month)
        usd = sum(spent["usd"].drop_nulls())
        part = (stored.now - begin) / (month_end - begin)
        rows.append(
            {
                "tenant": tenant,
                "spent_usd": usd,
                "days_of_data": (stored.now - first) / DAY,
                "counted_percent": 100 * part,
                "forecast_usd": usd / DOLLARS / part if stored.now - first >= 7 * DAY else None,
            }
        )
    return pl.DataFrame(rows)


@answers("Which models take the money, and which kind of token?")
def by_model(stored: Stored) -> pl.DataFrame:
    classes = ("input", "cache_read", "cache_write", "output", "other")
    return since_day(stored, 30).group_by("provider", "model").agg(
        calls(), USD.sum(),
        *(pl.col(f"cost_{one}_pico_usd").fill_null(0).sum().alias(f"{one}_usd") for one in classes),
    )  # fmt: skip


@answers("How does spend move from day to day?")
def day_to_day(stored: Stored) -> pl.DataFrame:
    today = stored.now.date()
    days = [today - dt.timedelta(days=back) for back in range(36, 0, -1)]
    spent = dict(stored.requests.group_by("day").agg(USD.sum()).iter_rows())
    counts = dict(stored.requests.group_by("day").agg(calls()).iter_rows())
    week = [sum(spent.get(days[place - back], 0) for back in range(7)) for place in range(6, 36)]
    return pl.DataFrame(
        {
            "day": days[6:],
            "usd": [spent.get(day, 0) for day in days[6:]],
            "calls": [counts.get(day, 0) for day in days[6:]],
            "usd_7_day_average": [one / 7 / DOLLARS for one in week],
        }
    )


@answers("Whose spend grew most since last week?")
def growth(stored: Stored) -> pl.DataFrame:
    until = this_hour(stored)
    frame = stored.requests.filter(pl.col("at").is_between(until - 14 * DAY, until, closed="left"))
    is_new = pl.col("at") >= until - 7 * DAY
    return frame.group_by("tenant", "team").agg(
        USD.filter(is_new).sum().alias("this_week_usd"),
        USD.filter(~is_new).sum().alias("last_week_usd"),
    ).with_columns(
        (pl.col("this_week_usd") - pl.col("last_week_usd")).alias("growth_usd")
    ).sort("growth_usd", descending=True).head(10)  # fmt: skip


@answers("What do a thousand requests of each feature cost?")
def by_feature(stored: Stored) -> pl.DataFrame:
    priced = pl.col("usd").count()
    return since(stored, 7, "hour").group_by("feature").agg(
        calls(), USD.sum(),
        ratio(pl.col("usd").sum() / DOLLARS, priced, 1000).alias("usd_per_1k_priced_calls"),
    )  # fmt: skip


@answers("Which prompts are the most expensive?")
def by_prompt(stored: Stored) -> pl.DataFrame:
    return since(stored, 7, "hour").group_by("prompt_name", "prompt_version").agg(
        calls(), USD.sum(), pl.col("usd").mean().truediv(DOLLARS).alias("usd_per_priced_call"),
        reported("usd").alias("each"),
    ).with_columns(
        ranked("each", 0.95).truediv(DOLLARS).alias("p95_usd_of_a_call")
    ).drop("each")  # fmt: skip


@answers("What does each region cost?")
def by_region(stored: Stored) -> pl.DataFrame:
    frame = since_day(stored, 30).group_by("provider", "region").agg(
        calls(), count_if(pl.col("is_unpriced")).alias("calls_without_price"), USD.sum(),
    )  # fmt: skip
    return frame.with_columns(ratio(pl.col("usd"), pl.col("usd").sum(), 100).alias("percent"))


@answers("Which single calls cost the most?")
def most_expensive_calls(stored: Stored) -> pl.DataFrame:
    names = ("tenant", "service", "model", "prompt_name", "input_tokens", "output_tokens",
             "event_id", "trace_id")  # fmt: skip
    frame = since(stored, 1).sort("usd", descending=True, nulls_last=True).head(10)
    return frame.select(pl.col("at").alias("started_at"), *names, pl.col("usd").alias("cost_usd"))


@answers("What does a conversation cost?")
def by_conversation(stored: Stored) -> pl.DataFrame:
    frame = since(stored, 7).filter(pl.col("conversation_id") != "")
    each = frame.group_by("tenant", "conversation_id").agg(
        total("usd").alias("usd"), calls(), pl.col("is_unpriced").any().alias("is_partial")
    )
    known = pl.col("usd").filter(~pl.col("is_partial"))
    return each.select(
        known.implode().alias("known"),
        known.max().alias("max_usd"),
        pl.col("calls").mean().alias("calls_per_conversation"),
        pl.len().alias("conversations"),
        pl.col("is_partial").sum().alias("with_unpriced_calls"),
    ).with_columns(
        quantile("known", 0.5).cast(pl.Int64).alias("median_usd"),
        quantile("known", 0.95).cast(pl.Int64).alias("p95_usd"),
    ).drop("known")  # fmt: skip


@answers("What do prompt caches save?")
def cache_savings(stored: Stored) -> pl.DataFrame:
    frame = (
        since(stored, 30)
        .filter(~pl.col("is_unpriced"))
        .with_columns(pl.col("cache_read_tokens", "cache_write_tokens").fill_null(0))
    )
    rows = []
    for (provider, model), group in frame.group_by("provider", "model"):
        read, written, whole = (
            int(group[name].sum()) for name in ("cache_read_tokens", "cache_write_tokens", "input0")
        )
        uncached = whole - read - written
        if uncached <= 0:
            continue
        rate = group["cost_input_pico_usd"].sum() / uncached
        paid = int(group["cost_cache_read_pico_usd"].sum())
        saved = round(read * rate) - paid
        extra = int(group["cost_cache_write_pico_usd"].sum()) - round(written * rate)
        rows.append(
            {
                "provider": provider, "model": model, "read_tokens": read,
                "read_percent_of_input": 100 * read / whole, "paid_for_reads_usd": paid,
                "saved_by_reads_usd": saved, "extra_for_writes_usd": extra,
                "saved_usd": saved - extra,
            }
        )  # fmt: skip
    return pl.DataFrame(rows)


@answers("Where would a cache help that is not used yet?")
def uncached(stored: Stored) -> pl.DataFrame:
    read, whole = pl.col("cache_read_tokens").fill_null(0).sum(), pl.col("input0").sum()
    return since(stored, 7, "hour").group_by("service", "prompt_name", "model").agg(
        calls(),
        (whole / pl.len()).alias("input_tokens_per_call"),
        ratio(read, whole, 100).alias("read_percent"),
        pl.col("cost_input_pico_usd").fill_null(0).sum().alias("uncached_input_usd"),
    ).filter(
        pl.col("read_percent").round(1) < 50
    ).sort("uncached_input_usd", descending=True).head(10)  # fmt: skip


@answers("What do failed calls cost, and answers that were not used?")
def failures(stored: Stored) -> pl.DataFrame:
    failed = pl.col("is_error")
    unused = pl.col("status").is_in(["refused", "filtered", "cancelled", "abandoned"])
    return since(stored, 7).group_by("provider", "model").agg(
        calls(),
        count_if(failed).alias("errors"),
        sum_if("usd", failed).alias("errors_usd"),
        count_if(unused).alias("unused_answers"),
        sum_if("usd", unused).alias("unused_answers_usd"),
        pl.col("retry_count").count().alias("calls_that_tell_retries"),
        count_if(pl.col("retry_count") > 0).alias("repeated_calls"),
        total("retry_count").alias("attempts_before"),
        total("usd").alias("usd"),
    )  # fmt: skip


@answers("Which failed calls were made again, and did it help?")
def made_again(stored: Stored) -> pl.DataFrame:
    frame = since(stored, 7).filter(pl.col("trace_id") != "").sort("at", "_offset", "_idx")
    family = ["tenant", "trace_id", "parent_span_id", "operation", "prompt_name"]
    following = {
        name: pl.col(name).shift(-1).over(family) for name in ("started_at_us", "status", "model")
    }
    wait_ms = (following["started_at_us"] - pl.col("started_at_us")) / 1000 - pl.col("duration_ms")
    is_again, has_other_model = pl.col("is_again"), pl.col("other") != pl.col("model")
    return frame.with_columns(
        wait_ms.alias("wait_ms"), following["status"].alias("then"),
        following["model"].alias("other"),
        (wait_ms >= 0).fill_null(False).alias("is_again"),
    ).filter(pl.col("is_error")).group_by("provider", "model").agg(
        pl.len().alias("failed_calls"),
        count_if(is_again).alias("made_again"),
        count_if(is_again & (pl.col("then") == "ok")).alias("then_ok"),
        count_if(is_again & has_other_model).alias("made_again_with_another_model"),
        pl.col("wait_ms").filter(is_again).alias("waits"),
        total("usd").alias("failed_usd"),
    ).with_columns(quantile("waits", 0.5).alias("median_wait_ms")).drop("waits")  # fmt: skip


@answers("Does the computed cost agree with what gateways and coding agents report?")
def reported_costs(stored: Stored) -> pl.DataFrame:
    stated = pl.col("reported_cost_pico_usd")
    frame = since_day(stored, 28).filter(stated.is_not_null() & pl.col("usd").is_not_null())
    return frame.group_by(pl.col("reported_cost_source").alias("source"), "model").agg(
        calls(),
        count_if(((pl.col("usd") - stated).abs() * 100) > stated).alias("calls_that_differ"),
        stated.sum().alias("usd_reported"),
        pl.col("usd").sum().alias("usd_computed"),
        (pl.col("usd") - stated).sum().alias("usd_difference"),
    ).sort(pl.col("usd_difference").abs(), descending=True).head(20)  # fmt: skip


@answers("How much traffic has no price, and what might it cost?")
def unpriced(stored: Stored) -> pl.DataFrame:
    inputs = ("input", "cache_read", "cache_write")
    paid_input = pl.sum_horizontal(f"cost_{one}_pico_usd" for one in inputs)
    rates = since(stored, 30).filter(~pl.col("is_unpriced")).group_by("operation").agg(
        ratio(paid_input.sum(), pl.col("input0").sum()).alias("in_rate"),
        ratio(pl.col("cost_output_pico_usd").sum(), pl.col("output0").sum()).alias("out_rate"),
    )  # fmt: skip
    has_no_tokens = pl.col("input_tokens").is_null() & pl.col("output_tokens").is_null()
    cause = pl.when(has_no_tokens).then(pl.lit("usage missing")).otherwise(pl.lit("no price"))
    frame = since_day(stored, 30).filter(pl.col("is_unpriced"))
    guess = pl.col("input").fill_null(0) * pl.col("in_rate")
    guess += pl.col("output").fill_null(0) * pl.col("out_rate").fill_null(0)
    return frame.group_by("provider", "model", "operation", cause.alias("cause")).agg(
        calls(), total("input_tokens").alias("input"), total("output_tokens").alias("output"),
        pl.col("at").max().alias("seen_last"),
    ).join(rates, on="operation", how="left").with_columns(
        (guess / DOLLARS).alias("perhaps_usd")
    ).drop("in_rate", "out_rate")  # fmt: skip


@answers("How much of the spend is exact, and what stands in for the rest?")
def certainty(stored: Stored) -> pl.DataFrame:
    return since_day(stored, 30).group_by("price_status", "provider", "model").agg(
        calls(), total("usd").alias("usd"), pl.col("price_rule").min().alias("for_example")
    )  # fmt: skip


@answers("Which price version priced what?")
def by_price_version(stored: Stored) -> pl.DataFrame:
    return since(stored, 60).group_by("price_version", "price_status", "price_rule").agg(
        calls(), total("usd").alias("usd"),
        pl.col("at").min().alias("first_call"), pl.col("at").max().alias("last_call"),
    )  # fmt: skip


@answers("How sure are the totals: what share of calls has no usage, or an estimated one?")
def usage_sources(stored: Stored) -> pl.DataFrame:
    is_estimated = pl.col("usage_source") == "estimated"
    return since(stored, 7).group_by("service", "model").agg(
        calls(),
        (100 * count_if(pl.col("usage_source") == "missing") / pl.len()).alias("missing_percent"),
        (100 * count_if(is_estimated) / pl.len()).alias("estimated_percent"),
        total("usd").alias("usd"),
        sum_if("usd", is_estimated).alias("estimated_usd"),
    )  # fmt: skip


@answers("What does each release, or any other tag, cost?")
def by_release(stored: Stored) -> pl.DataFrame:
    release = pl.col("tags").str.json_path_match("$.release")
    frame = since(stored, 7).filter(release.is_not_null())
    return frame.group_by(release.alias("release")).agg(calls(), total("usd").alias("usd"))
