"""`tokentide explain EVENT_ID`: how the stored cost of one request came about, line by line."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED
from tokentide_jobs.cli.screen import say
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.money import format_usd
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.explain import Explanation, explanation
from tokentide_jobs.core.price.pricing import PRICE_COLUMNS
from tokentide_jobs.core.tables import RAW_REQUESTS
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.card_store import load_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.stored_requests import find_requests
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.settings import Settings

__all__ = ["explain"]


@click.command(short_help="Show how the cost of one event came about.")
@data_dir_option
@click.argument("event_id")
@click.option("--current", is_flag=True, help="Price it with today's cards instead of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per row.")
def explain(data_dir: Path | None, event_id: str, current: bool, as_json: bool) -> int:
    """Show how the cost of the request EVENT_ID came about, line by line.

    Uses the cards of the row's own price version and says whether they give the stored cost; the
    exit code is 1 when they do not.
    """
    try:
        wanted = str(UUID(event_id))
    except ValueError:
        raise ConfigError(f"EVENT_ID is {event_id!r}: expected a UUID with hyphens") from None
    settings = find_target(data_dir, "clickhouse")
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        found = find_requests(store, wanted)
        if not found:
            raise ConfigError(_why_none(store, wanted, settings.database))
        all_equal = True
        for row in found:
            if len(found) > 1 and not as_json:
                say(f"one of {len(found)} rows with this id:")
            version = "" if current else row["price_version"]
            explained = explanation(row, _cards(store, settings, version))
            differing = [name for name in PRICE_COLUMNS if explained.priced[name] != row[name]]
            all_equal &= not differing
            if as_json:
                click.echo(json.dumps(_as_dict(row, explained, differing)))
            else:
                _show(row, explained, differing, current)
    return 0 if all_equal or current else EXIT_CHECK_FAILED


def _why_none(store: ClickHouse, wanted: str, database: str) -> str:
    for out in store.select("void/of_event", {"event_id": wanted}):
        return (
            f"{wanted} was taken out by {out['decided_by']} at {out['decided_at']} UTC: "
            f"{out['reason']} (view voided_events; `tokentide void --undo` lets it in again)"
        )
    return (
        f"no request {wanted} in {database}.{RAW_REQUESTS}: it may be another type of event, a "
        "dead letter, not ingested yet, or older than the retention"
    )


def _cards(store: ClickHouse, settings: Settings, version: str) -> CardTable:
    cards = compile_cards(settings.prices_file)
    return cards if version in ("", cards.price_version) else load_cards(store, version)


def _as_dict(row: dict[str, Any], explained: Explanation, differing: list[str]) -> dict[str, Any]:
    return {
        "topic": row["_topic"],
        "partition": row["_partition"],
        "offset": row["_offset"],
        "idx": row["_idx"],
        "service": row["service"],
        "status": row["status"],
        "lines": explained.lines,
        "stored": {name: row[name] for name in PRICE_COLUMNS},
        "priced": {name: explained.priced[name] for name in PRICE_COLUMNS},
        "differing": differing,
    }


def _show(row: dict[str, Any], explained: Explanation, differing: list[str], current: bool) -> None:
    """Print one row's explanation, and whether its cards give what is stored."""
    place = f"{row['_topic']} partition {row['_partition']} offset {row['_offset']}"
    say(f"{place} index {row['_idx']}, service {row['service']!r}, status {row['status']}")
    for line in explained.lines:
        say(line)
    if not differing:
        say("the stored cost is the same")
        return
    stored, now = row["cost_pico_usd"], explained.priced["cost_pico_usd"]
    for name in differing:
        say(f"stored {name}: {row[name]}, these cards give {explained.priced[name]}")
    if stored is not None and now is not None and stored != now:
        say(f"difference: {format_usd(now - stored)} USD")
    if not current:
        say("the stored cost is NOT what its cards give", to_stderr=True)
