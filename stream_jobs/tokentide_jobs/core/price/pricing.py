"""Pricing a batch of calls: the distinct prices once, then integer arithmetic in columns.

Every cost is an exact Int64 of pico-USD, the five classes always sum to the total, and the result
depends on the rows and the card table alone, never on their order or on what was priced before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import cast

import polars as pl

from tokentide_jobs.core.price.bill import bill
from tokentide_jobs.core.price.cards import DAY_US, CardTable
from tokentide_jobs.core.price.hosts import regions
from tokentide_jobs.core.price.lookup import resolve
from tokentide_jobs.core.price.rate_rows import NO_RATE_ROWS, RateRows, rate_column
from tokentide_jobs.core.price.reported_usage import TOKEN_COLUMNS, reported_usage, text_column
from tokentide_jobs.core.price.statuses import STATUS_CODES
from tokentide_jobs.core.price.units import CACHED_IMAGES, COST_CLASSES, LEAVES, SIZED_REQUESTS
from tokentide_jobs.core.price.vocabulary import CallTerms

__all__ = ["COST_COLUMNS", "LIFETIME_UNKNOWN_SUFFIX", "PRICE_COLUMNS", "price"]

COST_COLUMNS: tuple[str, ...] = tuple(f"cost_{name}_pico_usd" for name in COST_CLASSES)
PRICE_COLUMNS: tuple[str, ...] = (
    "cost_pico_usd",
    *COST_COLUMNS,
    "price_status",
    "price_version",
    "price_rule",
)
"""What `price` adds, in order."""

_SAFE_PICO_USD = 1 << 62
"""Below it neither a product nor a sum of products can leave 64 bits."""
_MAX_PICO_USD = (1 << 63) - 1

_WORDS, _CODES = list(STATUS_CODES), list(STATUS_CODES.values())
_LEAF_OF = {leaf.name: index for index, leaf in enumerate(LEAVES)}
_FEE_LEAF = _LEAF_OF["request fee"]
_TOKENS = (1 << _LEAF_OF["input"]) | (1 << _LEAF_OF["output"])
"""What a card of a model that reads and writes tokens has a rate for."""

_LIFETIME_UNKNOWN = pl.col("is_lifetimeless") & pl.col("priced_lifetimes")
"""Cache writes of unreported lifetime, where that moves the price: billed as short."""
LIFETIME_UNKNOWN_SUFFIX = "!cache_lifetime=unknown"
"""How `price_rule` ends then."""


def price(requests: pl.DataFrame, cards: CardTable) -> pl.DataFrame:
    """Add the cost columns to a frame of request events.

    Args:
        requests: Columns of `RequestEvent` under their own names; optional ones may be missing,
            absent text is "" or null, `other_units` is JSON text. Counts satisfy the event
            contract: no detail exceeds its total.
        cards: The price table.

    Returns:
        The frame with `PRICE_COLUMNS` appended. Costs are null when the call is unpriced, when its
        usage is not known, or beyond 64 bits (9.2 million USD for one call).
    """
    if requests.is_empty():
        types = [pl.Int64] * (1 + len(COST_COLUMNS)) + [pl.String] * 3
        nothing = zip(PRICE_COLUMNS, types, strict=True)
        return requests.with_columns(pl.lit(None, dtype=kind).alias(name) for name, kind in nothing)
    rows, starts = _rate_rows(requests, cards)
    work = reported_usage(requests)
    work = _with_leaves(work)
    work = _with_rates(work, rows, starts)
    work = _with_costs(work)
    work = _with_bills(work, rows)
    return requests.hstack(_verdict(work, cards.price_version).get_columns())


def _rate_rows(requests: pl.DataFrame, cards: CardTable) -> tuple[RateRows, pl.Series]:
    """Return the rate rows of the batch and the first of them for every call."""
    keyed = requests.select(text_column(requests, name) for name in CallTerms._fields)
    keyed = keyed.with_columns(regions(requests).alias("region"))
    known = pl.col("tenant").is_in(sorted(cards.tenants)) if cards.tenants else pl.lit(False)
    started = requests["started_at_us"]
    keyed = keyed.with_columns(
        pl.when(known).then(pl.col("tenant")).otherwise(pl.lit("")).alias("tenant"),
        _slot(started, cards.boundaries_us).alias("slot"),
        _slot(started % DAY_US, cards.daily_boundaries_us).alias("daily_slot"),
    )
    varying = [name for name in keyed.columns if (keyed[name] != keyed[name][0]).any()]
    if varying:
        numbered = keyed.select(varying).with_row_index("position")
        first = numbered.select(pl.col("position").first().over(varying)).to_series()
    else:
        first = pl.repeat(0, len(keyed), dtype=pl.UInt32, eager=True)
    distinct = first.unique()
    keys = keyed[distinct].rows()
    instants = started.gather(distinct)
    memory = cast(RateRows, cards.memo.get("rate_rows", NO_RATE_ROWS))
    rows = memory.extended(keys, lambda i: resolve(cards, CallTerms(*keys[i][:-2]), instants[i]))
    cards.memo["rate_rows"] = rows
    starts = pl.Series([rows.starts[key] for key in keys], dtype=pl.Int64)
    return rows, first.replace_strict(distinct, starts, return_dtype=pl.Int64)


def _slot(instants: pl.Series, boundaries: Sequence[int]) -> pl.Series:
    """Count the validity interval that every instant falls into: equal slots, equal prices."""
    low, high = cast(int, instants.min()), cast(int, instants.max())
    if bisect_right(boundaries, low) == bisect_right(boundaries, high):
        return pl.repeat(0, len(instants), dtype=pl.UInt32, eager=True) + bisect_right(
            boundaries, low
        )
    return pl.Series(boundaries, dtype=pl.Int64).search_sorted(instants, side="right")


def _with_leaves(work: pl.DataFrame) -> pl.DataFrame:
    """Split the counts into `leaf_<n>` columns; unused leaves have none.

    Same rules as `core.price.bill.leaf_counts`, a column at a time.
    """
    present = set(work.columns)

    def count(name: str) -> pl.Expr:
        return pl.col(name) if name in present else pl.lit(0, dtype=pl.Int64)

    read, write = count("cache_read_tokens"), count("cache_write_tokens")
    read_audio = count("cache_read_audio_tokens")
    kinds = count("cache_write_1h_tokens"), count("cache_write_long_tokens")
    work = work.with_columns(
        (count("input_tokens") - read - write).clip(lower_bound=0).alias("leaf_0"),
        count("output_tokens").alias(_leaf("output")),
        pl.lit(False).alias("is_trimmed"),
    )
    direct = {
        "cache_read_tokens": (_leaf("cache read"), read - read_audio),
        "cache_read_audio_tokens": (_leaf("cache read audio"), read_audio),
        "cache_write_tokens": (_leaf("cache write"), write - kinds[0] - kinds[1]),
        "cache_write_1h_tokens": (_leaf("cache write 1h"), kinds[0]),
        "cache_write_long_tokens": (_leaf("cache write long"), kinds[1]),
        "web_searches": (_leaf("web searches"), count("web_searches")),
    }
    work = work.with_columns(
        value.alias(name) for column, (name, value) in direct.items() if column in present
    )
    details = (
        ("input_audio_tokens", "input audio", "leaf_0", read_audio),
        ("input_image_tokens", "input image", "leaf_0", None),
        ("input_video_tokens", "input video", "leaf_0", None),
        ("output_audio_tokens", "output audio", _leaf("output"), None),
        ("output_image_tokens", "output image", _leaf("output"), None),
        ("reasoning_tokens", "reasoning", _leaf("output"), None),
    )
    for column, leaf, room, less in details:
        if column in present:
            wanted = pl.col(column) if less is None else (pl.col(column) - less).clip(lower_bound=0)
            taken = pl.min_horizontal(wanted, pl.col(room))
            work = work.with_columns(
                taken.alias(_leaf(leaf)),
                (pl.col(room) - taken).alias(room),
                (pl.col("is_trimmed") | (taken < wanted)).alias("is_trimmed"),
            )
    return work.rename({"fee": _leaf("request fee")})


def _leaf(name: str) -> str:
    return f"leaf_{_LEAF_OF[name]}"


def _leaves_in(work: pl.DataFrame) -> list[int]:
    return [index for index in range(len(LEAVES)) if f"leaf_{index}" in work.columns]


def _with_rates(work: pl.DataFrame, rows: RateRows, starts: pl.Series) -> pl.DataFrame:
    """Gather the rates of every call, in the band its input reaches."""
    index = starts
    if rows.bands and "input_tokens" in work.columns:
        names = [f"above_{band}" for band in range(rows.bands)]
        above = rows.frame.select(names)[starts].with_columns(work["input_tokens"], starts=starts)
        reached = [(pl.col("input_tokens") > pl.col(name)).fill_null(False) for name in names]
        index = above.select(pl.sum_horizontal(pl.col("starts"), *reached)).to_series()
    needed = [rate_column(leaf) for leaf in _leaves_in(work)]
    needed += ["top", "has_mask", "own_mask", "cached_images", "sized_fees"]
    needed += ["searches_itself", "priced_lifetimes"]
    needed += ["status_code", "rule"]
    gathered = rows.frame.select(needed)[index]
    return work.hstack(gathered.get_columns()).with_columns(index.alias("rate_row"))


def _with_costs(work: pl.DataFrame) -> pl.DataFrame:
    leaves = _leaves_in(work)
    costs = []
    for name, column in zip(COST_CLASSES, COST_COLUMNS, strict=True):
        products = [
            pl.col(f"leaf_{leaf}") * pl.col(rate_column(leaf))
            for leaf in leaves
            if LEAVES[leaf].cost_class == name
        ]
        total = pl.sum_horizontal(products) if products else pl.lit(0, dtype=pl.Int64)
        costs.append(total.alias(column))
    used = [
        (pl.col(f"leaf_{leaf}") > 0).cast(pl.Int32) * (1 << leaf)
        for leaf in leaves
        if leaf != _FEE_LEAF
    ]
    used_mask = pl.sum_horizontal(used).cast(pl.Int32).alias("used_mask")
    return work.with_columns(
        *costs,
        used_mask,
        pl.lit(False).alias("other_priced"),
        pl.lit(False).alias("other_unpriced"),
        pl.lit(False).alias("is_beyond"),
    )


def _with_bills(work: pl.DataFrame, rows: RateRows) -> pl.DataFrame:
    """Bill by hand the calls that used other units or may exceed 64 bits."""
    counts = [name for name in TOKEN_COLUMNS if name in work.columns]
    by_hand = pl.col("has_other")
    peak = sum(cast(int, work[name].max()) for name in counts) + 1
    if peak * cast(int, work["top"].max()) >= _SAFE_PICO_USD:
        estimate = (pl.sum_horizontal(pl.lit(1), *counts)).cast(pl.Float64) * pl.col("top")
        by_hand = by_hand | (estimate >= float(_SAFE_PICO_USD))
    positions = work.select(by_hand.arg_true()).to_series()
    if positions.is_empty():
        return work
    fields = [*counts, "other_units", _leaf("request fee"), "rate_row"]
    updates: dict[str, list[int | bool]] = {
        name: []
        for name in (
            *COST_COLUMNS,
            "is_trimmed",
            "cached_images",
            "sized_fees",
            "other_priced",
            "other_unpriced",
            "is_beyond",
        )
    }
    for *usage, other_units, fee, row in work.select(fields)[positions].iter_rows():
        called = bill(
            dict(zip(counts, usage, strict=True)), other_units, rows.prices[row], fee=bool(fee)
        )
        is_beyond = called.total > _MAX_PICO_USD
        for name, column in zip(COST_CLASSES, COST_COLUMNS, strict=True):
            updates[column].append(0 if is_beyond else called.totals[name])
        updates["is_trimmed"].append(called.is_trimmed)
        is_split = any(line.unit == CACHED_IMAGES for line in called.lines)
        updates["cached_images"].append(CACHED_IMAGES in rows.prices[row].rates and not is_split)
        is_sized = any(line.unit in SIZED_REQUESTS for line in called.lines)
        updates["sized_fees"].append(rows.prices[row].has_sized_fees and not is_sized)
        updates["other_priced"].append(called.other_priced)
        updates["other_unpriced"].append(called.other_unpriced)
        updates["is_beyond"].append(is_beyond)
    return work.with_columns(
        work[name].scatter(positions, pl.Series(values, dtype=work[name].dtype))
        for name, values in updates.items()
    )


def _verdict(work: pl.DataFrame, price_version: str) -> pl.DataFrame:
    """Decide the status of each cost, and blank those that are not known."""
    used, has, own = pl.col("used_mask"), pl.col("has_mask"), pl.col("own_mask")
    fee_only = pl.lit(1 << _FEE_LEAF, dtype=pl.Int32)
    nothing_priced = (
        ((used != 0) | pl.col("other_unpriced"))
        & ((used & has) == 0)
        & ~pl.col("other_priced")
        & ((has & fee_only) == 0)
    )
    work = work.with_columns(nothing_priced.alias("is_nothing_priced"))
    nothing_priced = pl.col("is_nothing_priced")
    code = pl.col("status_code")
    is_unlisted = code == STATUS_CODES["unpriced"]
    is_unpriced = is_unlisted | nothing_priced | pl.col("is_beyond")
    cached_images = pl.lit(False)
    if {"input_image_tokens", "cache_read_tokens"} <= set(work.columns):
        both = (pl.col("input_image_tokens") > 0) & (pl.col("cache_read_tokens") > 0)
        cached_images = pl.col("cached_images") & both
    is_partial = (
        ((used & ~own) != 0)
        | pl.col("is_trimmed")
        | cached_images
        | (pl.col("sized_fees") & (pl.col(_leaf("request fee")) > 0))
        | pl.col("other_unpriced")
        | pl.col("is_incomplete")
        | (pl.col("is_search_unreported") & pl.col("searches_itself"))
        | _LIFETIME_UNKNOWN
        | (pl.col("is_tokenless") & ((has & _TOKENS) != 0))
    )
    # The greater code is the less certain word: the least certain of card and usage is shown.
    partial = pl.lit(STATUS_CODES["partial"], dtype=pl.UInt8)
    certainty = pl.max_horizontal(code, pl.when(is_partial).then(partial).otherwise(code))
    status = (
        pl.when(pl.col("is_free"))
        .then(pl.lit(STATUS_CODES["exact"], dtype=pl.UInt8))
        .when(is_unpriced)
        .then(pl.lit(STATUS_CODES["unpriced"], dtype=pl.UInt8))
        .when(pl.col("is_unknown"))
        .then(partial)
        .otherwise(certainty)
        .replace_strict(_CODES, _WORDS, return_dtype=pl.String)
    )
    is_known = pl.col("is_free") | ~(is_unpriced | pl.col("is_unknown"))
    costs = [pl.when(is_known).then(pl.col(name)).alias(name) for name in COST_COLUMNS]
    total = pl.when(is_known).then(pl.sum_horizontal(COST_COLUMNS)).alias("cost_pico_usd")
    return work.select(
        total,
        *costs,
        status.alias("price_status"),
        pl.lit(price_version).alias("price_version"),
        _rules(work).alias("price_rule"),
    )


def _rules(work: pl.DataFrame) -> pl.Series:
    """Name the card of every call, after the reason why its cost is not simply that card's."""
    rules = work["rule"]
    lifetimeless = work.select(_LIFETIME_UNKNOWN).to_series()
    if lifetimeless.any():
        marked = rules + LIFETIME_UNKNOWN_SUFFIX
        rules = marked.zip_with(lifetimeless, rules)
    # In rising order of precedence; texts are only built for what occurs.
    for flag, reason in (
        ("is_unknown", "usage missing: "),
        ("is_nothing_priced", "unpriced: no rate for what was used: "),
        ("is_beyond", "unpriced: beyond 64 bits: "),
    ):
        holds = work[flag] & (work["status_code"] != STATUS_CODES["unpriced"])
        if holds.any():
            prefixed = work.select(pl.lit(reason) + pl.col("rule")).to_series()
            rules = prefixed.zip_with(holds, rules)
    if work["is_free"].any():
        free = pl.repeat("failed without usage", len(work), eager=True)
        rules = free.zip_with(work["is_free"], rules)
    return rules
