"""`tokentide reprice --from --to`: stored requests get the prices in force here, windows follow."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import polars as pl
from rich.table import Table

from tokentide_jobs.cli.arguments import utc_us
from tokentide_jobs.cli.screen import console, count, dollars, say, shown
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.money import format_usd
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.process_name import process_name
from tokentide_jobs.tasks.reprice.reprice import Reprice

__all__ = ["reprice"]

_TIMEOUT_S = 3_600.0
"""Rewriting the raw rows of a chunk is one statement; on a busy server it may have to wait."""
_SHOWN_MODELS = 30


@click.command(short_help="Price stored requests again.")
@data_dir_option
@click.option("--from", "from_text", required=True, metavar="TIME", help="First start (UTC).")
@click.option("--to", "to_text", required=True, metavar="TIME", help="End of starts, exclusive.")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def reprice(
    data_dir: Path | None, from_text: str, to_text: str, dry_run: bool, as_json: bool
) -> None:
    """Price the requests that started in [from, to) with the cards in force here.

    TIME is a UTC date or time, or a time ago such as 7d. Raw rows and windows change together;
    `tokentide verify` holds afterwards. An interrupted run is finished by any later run. Restart
    workers with the new prices file first: they go on pricing new events with the old one.
    """
    from_us, to_us = utc_us(from_text, "--from"), utc_us(to_text, "--to")
    if from_us >= to_us:
        raise ConfigError(f"--from {from_text} is not before --to {to_text} (which is exclusive)")
    settings = find_target(data_dir, "clickhouse")
    cards = compile_cards(settings.prices_file)
    say(f"price version {cards.price_version}", to_stderr=as_json)
    with closing(
        ClickHouse(settings.clickhouse_url, settings.database, timeout_s=_TIMEOUT_S)
    ) as store:
        work = Reprice(store, cards, process_name(), progress=_show_progress)
        table = work.preview(from_us, to_us) if dry_run else work.run(from_us, to_us)
    if as_json:
        click.echo(json.dumps(_as_dict(table, cards.price_version, dry_run)))
    else:
        _report(table, dry_run)


def _as_dict(table: pl.DataFrame, price_version: str, dry_run: bool) -> dict[str, Any]:
    """Return the JSON form: totals by model; money in integer pico-USD."""
    models = [
        {name: value if isinstance(value, str) else int(value) for name, value in row.items()}
        for row in table.iter_rows(named=True)
    ]
    return {"price_version": price_version, "dry_run": dry_run, "models": models}


def _show_progress(step: str, chunk: int, chunks: int) -> None:
    if step in ("price", "apply", "windows"):
        say(f"chunk {chunk + 1} of {chunks}: {step}", to_stderr=True)


def _report(table: pl.DataFrame, dry_run: bool) -> None:
    if table.is_empty():
        say("no request of another price version in that time: nothing to do")
        return
    _draw(table)
    totals = {
        name: int(table[name].sum())
        for name in ("requests", "changed", "old_pico_usd", "new_pico_usd", "new_unknown")
    }
    delta = totals["new_pico_usd"] - totals["old_pico_usd"]
    would = "would cost" if dry_run else "cost"
    say(
        f"{counted(totals['requests'], 'request')}, {totals['changed']:,} with another cost: "
        f"they {would} {format_usd(totals['new_pico_usd'])} USD instead of "
        f"{format_usd(totals['old_pico_usd'])} USD, a difference of {format_usd(delta)} USD"
    )
    if totals["new_unknown"]:
        stay = counted(totals["new_unknown"], "request stays", "requests stay")
        say(f"{stay} without a cost (no price, or no usage reported)")
    if dry_run:
        say("dry run: nothing was written")


def _draw(table: pl.DataFrame) -> None:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("provider", "model"):
        drawn.add_column(name, overflow="fold")
    for name in ("requests", "changed", "old", "new", "delta", "no cost"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in table.head(_SHOWN_MODELS).iter_rows(named=True):
        old, new = int(row["old_pico_usd"]), int(row["new_pico_usd"])
        drawn.add_row(
            shown(row["provider"]),
            shown(row["model"]),
            count(row["requests"]),
            count(row["changed"]),
            dollars(old),
            dollars(new),
            dollars(new - old),
            _unknown(row["old_unknown"], row["new_unknown"]),
        )
    console().print(drawn)
    if table.height > _SHOWN_MODELS:
        say(f"and {counted(table.height - _SHOWN_MODELS, 'more model')}")


def _unknown(old: int, new: int) -> str:
    return f"{old:,}" if old == new else f"{old:,} -> {new:,}"
