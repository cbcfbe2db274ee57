"""How the cost of one call came about, line by line, for people.

The lines show the same decisions and products that `pricing` made: the card by `resolve`, the
units by `bill`, the verdict by `price` itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from tokentide_jobs.core.money import format_usd
from tokentide_jobs.core.price.bill import Line, bill
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.hosts import region_of_host
from tokentide_jobs.core.price.lookup import Price, resolve
from tokentide_jobs.core.price.pricing import (
    COST_COLUMNS,
    LIFETIME_UNKNOWN_SUFFIX,
    PRICE_COLUMNS,
    price,
)
from tokentide_jobs.core.price.reported_usage import (
    TOKEN_COLUMNS,
    bills_a_block,
    is_half_reported,
    lacks_tokens,
)
from tokentide_jobs.core.price.statuses import STATUS_MEANINGS
from tokentide_jobs.core.price.units import PER_REQUEST, UNIT_DENOMINATORS, price_key
from tokentide_jobs.core.price.vocabulary import CallTerms

__all__ = ["Explanation", "explanation", "quoted_rate", "request_frame"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Lines for people, and what the given cards say of the call.

    Attributes:
        lines: In the order of the decisions.
        priced: `PRICE_COLUMNS` of the call.
    """

    lines: tuple[str, ...]
    priced: Mapping[str, Any]


def explanation(event: Mapping[str, Any], cards: CardTable) -> Explanation:
    """Explain the price of one request event.

    Args:
        event: Fields of `RequestEvent` by name; absent ones may be missing, None or "".
        cards: The price table.
    """
    priced = price(request_frame(event), cards).select(PRICE_COLUMNS).row(0, named=True)
    terms = {name: str(event.get(name) or "") for name in CallTerms._fields}
    terms["region"] = region_of_host(str(event.get("server_address") or "")) or terms["region"]
    call = CallTerms(**terms)
    trace: list[str] = []
    found = resolve(cards, call, int(event["started_at_us"]), trace)
    lines = [f"price version {cards.price_version}", *trace]
    lines += _usage_lines(event, found, priced)
    lines += _total_lines(priced)
    return Explanation(tuple(lines), priced)


def request_frame(event: Mapping[str, Any]) -> pl.DataFrame:
    """Return a frame of one row that `price` accepts."""
    columns: dict[str, pl.Series] = {
        "started_at_us": pl.Series([int(event["started_at_us"])], dtype=pl.Int64)
    }
    for name in (*CallTerms._fields, "operation", "server_address", "status", "usage_source"):
        columns[name] = pl.Series([str(event.get(name) or "")], dtype=pl.String)
    for name in (*TOKEN_COLUMNS, "chunks"):
        columns[name] = pl.Series([event.get(name)], dtype=pl.Int64)
    columns["other_units"] = pl.Series([_other_units(event)], dtype=pl.String)
    return pl.DataFrame(columns)


def _other_units(event: Mapping[str, Any]) -> str:
    units = event.get("other_units") or {}
    return units if isinstance(units, str) else json.dumps(dict(units), sort_keys=True)


def _usage_lines(event: Mapping[str, Any], found: Price, priced: Mapping[str, Any]) -> list[str]:
    if priced["price_rule"] == "failed without usage":
        return ["the call failed before the model answered and reported no usage: it cost nothing"]
    if priced["price_rule"].startswith("usage missing"):
        return ["no usage was reported for a call that may have been billed: the cost is unknown"]
    usage = {name: int(event[name]) for name in TOKEN_COLUMNS if event.get(name) is not None}
    is_due = event.get("status") == "ok" or any(usage.values())
    billed = bill(usage, _other_units(event), found, fee=is_due)
    tier = _tier_line(found, usage.get("input_tokens", 0))
    lines = [tier] if tier else []
    width = max((len(line.name) for line in billed.lines), default=0)
    lines += [_unit_line(line, width) for line in billed.lines]
    if billed.is_trimmed:
        lines.append("details overlap (cached images or audio): they were cut to fit the total")
    if billed.other_unpriced:
        lines.append("some other_units have no price of their own")
    frame = request_frame(event)
    if frame.select(is_half_reported(frame)).item():
        lines.append("one total of input and output is not reported: what it costs is not billed")
    if frame.select(lacks_tokens(frame)).item():
        lines.append("neither input nor output tokens are reported: what they cost is not billed")
    if frame.select(bills_a_block(frame)).item():
        lines.append(
            "a search is billed 8,000 input tokens here: whether they are in it is unknown"
        )
    if found.searches_itself and "web_searches" not in usage:
        lines.append("this model searches by itself, how often is not reported: not billed")
    if priced["price_rule"].endswith(LIFETIME_UNKNOWN_SUFFIX):
        lines.append("how long the cache writes live is not reported: billed as the shortest")
    if any(line.unit == PER_REQUEST for line in billed.lines) and found.has_sized_fees:
        lines.append("the fee depends on how much was searched, which is not reported")
    return lines


def _tier_line(found: Price, input_tokens: int) -> str:
    starts = {above for rate in found.rates.values() for above, _ in rate.tiers}
    reached = [above for above in starts if input_tokens > above]
    if reached:
        return f"{input_tokens:,} input tokens: long-context rates above {max(reached):,} hold"
    if starts:
        return f"{input_tokens:,} input tokens: below the long-context rates from {min(starts):,}"
    return ""


def _unit_line(line: Line, width: int) -> str:
    amount = f"{line.amount:,}" if isinstance(line.amount, int) else f"{_decimal(line.amount):,}"
    if not line.unit:
        return f"{line.name:<{width}}  {amount:>12} has no price and is not billed"
    note = "" if line.is_own else f"  (no price of its own: rate of {line.unit})"
    return (
        f"{line.name:<{width}}  {amount:>12} x {quoted_rate(line.unit, line.rate)}"
        f" = {format_usd(line.cost)} USD{note}"
    )


def _total_lines(priced: Mapping[str, Any]) -> list[str]:
    lines = []
    if priced["cost_pico_usd"] is None:
        lines.append("cost: unknown (null)")
    else:
        classes = ", ".join(
            f"{name.removeprefix('cost_').removesuffix('_pico_usd')} {format_usd(priced[name])}"
            for name in COST_COLUMNS
            if priced[name]
        )
        cost = priced["cost_pico_usd"]
        shares = f" ({classes})" if classes else ""
        lines.append(f"cost: {format_usd(cost)} USD = {cost:,} pico-USD{shares}")
    status = priced["price_status"]
    lines.append(f"status {status}: {STATUS_MEANINGS[status]}")
    lines.append(f"rule {priced['price_rule']}")
    return lines


def quoted_rate(unit: str, rate: int) -> str:
    """Write a rate the way it is quoted: `2.5 USD/Mtok`, `10 USD/1,000`."""
    _, per = UNIT_DENOMINATORS[price_key(unit)]
    if unit.endswith("_tokens"):
        return f"{_plain(Decimal(rate * per).scaleb(-12))} USD/Mtok"
    if per == 3_600:
        # Hourly prices are kept per second; shown per second, the product comes out as billed.
        return f"{_plain(Decimal(rate).scaleb(-12))} USD/s"
    return f"{_plain(Decimal(rate * per).scaleb(-12))} USD/{per:,}"


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal(amount: Fraction) -> Decimal:
    return Decimal(_plain(Decimal(amount.numerator) / Decimal(amount.denominator)))
