"""`tokentide prices show|explain|diff`: the prices in force, why, and what the overrides change."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table

from tokentide_jobs.cli.arguments import utc_us
from tokentide_jobs.cli.screen import console, say, shown
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.price.cards import CardTable, Rate
from tokentide_jobs.core.price.compare import Difference, compare, effective_prices, list_only
from tokentide_jobs.core.price.explain import explanation, quoted_rate
from tokentide_jobs.core.price.matching import glob_pattern
from tokentide_jobs.core.price.model_index import find_model, find_provider
from tokentide_jobs.core.price.second_opinion import compare_quotes, disagrees, quotes
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.card_store import load_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.litellm_map import read_price_map
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_schemas.events import DISJOINT, SUBSETS

__all__ = ["prices"]

_MOST_ROWS = 200
_SHOWN_UNITS = (
    ("input", "input_tokens"),
    ("cached", "cache_read_tokens"),
    ("write", "cache_write_tokens"),
    ("write 1h", "cache_write_1h_tokens"),
    ("output", "output_tokens"),
)
_FIRST_HAND = ("openai", "anthropic", "google", "mistral", "x-ai", "deepseek", "cohere", "meta")
"""Lists tried first when a model is named without its provider: its maker, not a reseller."""

_Command = TypeVar("_Command", bound=Callable[..., Any])

_PATTERN_HELP = "Pattern with * for any text."


def _at_option(command: _Command) -> _Command:
    return click.option(
        "--at", metavar="TIME", help="Prices of this moment (UTC date or time).  [default: now]"
    )(command)


@click.group(short_help="Look at the prices in force.")
def prices() -> None:
    """Look at the prices in force: list prices of the pinned release and your overrides file."""


@prices.command(short_help="List prices in USD per million tokens.")
@data_dir_option
@click.option("--provider", metavar="NAME", default="", help=_PATTERN_HELP)
@click.option("--model", metavar="NAME", default="", help=_PATTERN_HELP)
@click.option("--tenant", default="", help="Prices of this tenant.")
@_at_option
def show(data_dir: Path | None, provider: str, model: str, tenant: str, at: str | None) -> None:
    """List prices in USD per million tokens, standard service, overrides applied.

    Without --provider and --model: the price lists, and every override.
    """
    cards = _compiled(data_dir)
    say(f"price version {cards.price_version}")
    if not provider and not model:
        _show_lists(cards)
        _show_overrides(cards)
        say("name --provider or --model (patterns with *) to see rates")
        return
    _show_rates(cards, provider or "*", model or "*", tenant, _moment(at))


@prices.command(short_help="Show how a model is priced.")
@data_dir_option
@click.argument("model")
@click.option("--provider", default="", help="As events name it.  [default: the model's maker]")
@click.option("--tenant", default="")
@_at_option
@click.option("--tier", "service_tier", default="", help="Service tier: flex, priority, …")
@click.option("--processing", default="", help="batch or sync.")
@click.option("--speed", default="")
@click.option("--geo", "inference_geo", default="", help="Where the model ran.")
@click.option("--input-tokens", type=click.IntRange(0), default=1_000_000, show_default=True)
@click.option("--output-tokens", type=click.IntRange(0), default=1_000_000, show_default=True)
@click.option("--cache-read-tokens", type=click.IntRange(0))
@click.option("--cache-write-tokens", type=click.IntRange(0))
@click.option("--cache-write-1h-tokens", type=click.IntRange(0))
@click.option("--reasoning-tokens", type=click.IntRange(0))
@click.option("--input-audio-tokens", type=click.IntRange(0))
@click.option("--output-audio-tokens", type=click.IntRange(0))
@click.option("--web-searches", type=click.IntRange(0))
def explain(data_dir: Path | None, model: str, at: str | None, **fields: Any) -> None:
    """Show which card prices MODEL and what a call with the given usage costs, line by line."""
    cards = _compiled(data_dir)
    fields["provider"] = fields["provider"] or _maker(cards, model)
    usage = {name: fields[name] for name in fields if name.endswith("_tokens")}
    _check_usage(usage)
    event = {"request_model": model, "started_at_us": _moment(at), "status": "ok", **fields}
    for line in explanation(event, cards).lines:
        say(line)


@prices.command(short_help="Compare prices: overrides against the list, or two versions.")
@data_dir_option
@click.argument("old", required=False)
@click.argument("new", required=False)
@_at_option
@click.option(
    "--against",
    metavar="SOURCE",
    help="Compare base rates with LiteLLM's map: `litellm` where it is installed, or its file.",
)
def diff(
    data_dir: Path | None, old: str | None, new: str | None, at: str | None, against: str | None
) -> None:
    """Compare prices.

    Without arguments: what the overrides file changes. With OLD and NEW: two price versions
    stored in ClickHouse; NEW left out is the one of this installation. With --against: every base
    rate of a second list that is more than 1 % apart from ours, list prices without overrides.
    """
    current = _compiled(data_dir)
    if against is not None:
        if old is not None:
            raise ConfigError(f"--against {against} compares one list: leave OLD {old!r} out")
        _draw_disagreements(list_only(current), against, _moment(at))
        return
    if old is None:
        before, after = list_only(current), current
        say(f"list prices -> {current.price_version}")
    else:
        before = _stored(data_dir, old)
        after = current if new is None else _stored(data_dir, new)
        say(f"{before.price_version} -> {after.price_version}")
    differences = compare(before, after, _moment(at))
    if not differences:
        say("no rate differs")
        return
    _draw_differences(differences)


def _compiled(data_dir: Path | None) -> CardTable:
    return compile_cards(find_target(data_dir).prices_file)


def _stored(data_dir: Path | None, version: str) -> CardTable:
    settings = find_target(data_dir, "clickhouse")
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        return load_cards(store, version)


def _moment(at: str | None) -> int:
    return int(time.time() * 1e6) if at is None else utc_us(at, "--at")


def _maker(cards: CardTable, model: str) -> str:
    """Return the provider that has the model: one's own first, then its maker, then resellers.

    Raises:
        ConfigError: No list and no override knows the name.
    """
    ids = [provider.provider for provider in cards.providers]
    ordered = [*(name for name in _FIRST_HAND if name in ids), *ids]
    found = [
        override.provider
        for override in cards.overrides
        if override.rates
        and override.model != "*"
        and find_provider(cards, override.provider) is None
        and glob_pattern(override.model)(model.lower())
    ]
    found += [name for name in dict.fromkeys(ordered) if find_model(cards, name, model.lower())]
    found += [
        entry.provider
        for entry in cards.corrections
        if entry.rates and any(glob_pattern(one)(model.lower()) for one in entry.models)
    ]
    if not found:
        raise ConfigError(f"no price list has a model {model!r}: name --provider, or see `show`")
    others = [name for name in dict.fromkeys(found[1:]) if name in ids and name != found[0]]
    if others:
        listed = ", ".join(others[:6]) + (", …" if len(others) > 6 else "")
        say(f"also listed by {listed} (--provider)")
    return found[0]


def _check_usage(usage: dict[str, int | None]) -> None:
    for detail, total in SUBSETS:
        part, whole = usage.get(detail) or 0, usage.get(total) or 0
        if part > whole:
            flag = detail.replace("_", "-")
            raise ConfigError(f"--{flag} {part} exceeds {total} {whole}: it is a part of it")
    for parts, total in DISJOINT:
        summed, whole = sum(usage.get(part) or 0 for part in parts), usage.get(total) or 0
        if summed > whole:
            raise ConfigError(f"{' + '.join(parts)} = {summed} exceeds {total} {whole}")


def _show_lists(cards: CardTable) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("provider", "models", "with tiers of service"):
        table.add_column(name, justify="left" if name == "provider" else "right")
    for listed in cards.providers:
        tiered = sum(1 for model in listed.models if model.variants)
        table.add_row(
            shown(listed.provider), f"{len(listed.models):,}", str(tiered) if tiered else ""
        )
    console().print(table)


def _show_overrides(cards: CardTable) -> None:
    if not cards.overrides:
        say("no overrides (TOKENTIDE_PRICES_FILE)")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("line", "tenant", "provider", "model", "price", "from", "to", "reason"):
        table.add_column(name, overflow="fold")
    for override in cards.overrides:
        price = f"x {override.multiplier}" if override.multiplier else _rates(override.rates)
        conditions = "".join(f" [{key}={value}]" for key, value in override.context)
        cells = (
            str(override.line),
            override.tenant,
            override.provider,
            override.model,
            price + conditions,
            _day(override.valid_from_us),
            _day(override.valid_to_us),
            override.reason,
        )
        table.add_row(*map(shown, cells))
    console().print(table)


def _show_rates(cards: CardTable, provider: str, model: str, tenant: str, at_us: int) -> None:
    wanted = find_provider(cards, provider) or provider
    is_provider, is_model = glob_pattern(wanted), glob_pattern(model)
    rows = [
        (key, price)
        for key, price in effective_prices(cards, tenant, at_us).items()
        if is_provider(key[0]) and is_model(key[1].lower())
    ]
    if not rows:
        raise ConfigError(
            f"no price list has provider {provider!r} and model {model!r}: see `tokentide prices"
            " show` for the lists; patterns need *, as in 'gpt-4o*'"
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("provider/model", no_wrap=True)
    for name, _ in _SHOWN_UNITS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("other", overflow="fold")
    table.add_column("status", no_wrap=True)
    columns = {unit for _, unit in _SHOWN_UNITS}
    for (list_provider, listed), price in rows[:_MOST_ROWS]:
        others = {unit: rate for unit, rate in price.rates.items() if unit not in columns}
        cells = [_usd(price.rates.get(unit), unit, 0) for _, unit in _SHOWN_UNITS]
        table.add_row(shown(f"{list_provider}/{listed}"), *cells, _rates(others), price.status)
        for above in sorted({a for rate in price.rates.values() for a, _ in rate.tiers}):
            cells = [_usd(price.rates.get(unit), unit, above + 1) for _, unit in _SHOWN_UNITS]
            table.add_row(f"  above {above:,} input tokens", *cells)
    console().print(table)
    if len(rows) > _MOST_ROWS:
        say(f"first {_MOST_ROWS} of {len(rows):,} models; narrow the patterns", to_stderr=True)


def _draw_differences(differences: list[Difference]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("tenant", "provider", "model", "unit", "old", "new", "change"):
        right = name in ("old", "new", "change")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for found in differences[: _MOST_ROWS * 5]:
        change = ""
        if found.old and found.new and found.old.base:
            change = f"{(found.new.base - found.old.base) / found.old.base:+.1%}"
        old, new = _usd(found.old, found.unit), _usd(found.new, found.unit)
        names = (found.tenant or "*", found.provider, found.model)
        table.add_row(*map(shown, (*names, found.unit, old or "-", new or "-", change)))
    console().print(table)
    models = {(found.provider, found.model) for found in differences}
    rates, of = counted(len(differences), "rate"), counted(len(models), "model")
    say(f"{rates} of {of} {'differs' if len(differences) == 1 else 'differ'}")


def _draw_disagreements(cards: CardTable, source: str, at_us: int) -> None:
    judged = list(compare_quotes(cards, quotes(read_price_map(source)), at_us))
    found = [one for one in judged if disagrees(one)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("provider", "model", "place", "unit", "ours", "theirs", "status"):
        right = name in ("ours", "theirs")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for one in found[: _MOST_ROWS * 5]:
        rates = (_usd(Rate(rate or 0), one.unit) for rate in (one.ours, one.theirs))
        cells = (one.provider, one.model, one.place, one.unit, *rates, one.status)
        table.add_row(*map(shown, cells))
    if found:
        console().print(table)
    names = {(one.provider, one.model, one.place) for one in judged}
    exact = sum(1 for one in found if one.status == "exact")
    say(
        f"{counted(len(judged), 'rate')} of {counted(len(names), 'name')} compared:"
        f" {len(found):,} more than 1 % apart, {exact:,} of them exact here"
    )


def _rates(rates: Any) -> str:
    return ", ".join(f"{unit} {_usd(rate, unit)}" for unit, rate in sorted(rates.items()))


def _usd(rate: Rate | None, unit: str, input_tokens: int | None = None) -> str:
    """Write a rate as quoted, tokens without their unit: `3`, and all tiers unless one is asked."""

    def quoted(pico_usd: int) -> str:
        return quoted_rate(unit, pico_usd).removesuffix(" USD/Mtok")

    if rate is None:
        return ""
    if input_tokens is not None or not rate.tiers:
        return quoted(rate.at(input_tokens or 0))
    tiers = ", ".join(f">{above:,}: {quoted(higher)}" for above, higher in rate.tiers)
    return f"{quoted(rate.base)} ({tiers})"


def _day(instant_us: int | None) -> str:
    return "" if instant_us is None else time.strftime("%Y-%m-%d", time.gmtime(instant_us / 1e6))
