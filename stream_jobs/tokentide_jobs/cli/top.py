"""`tokentide top`: spend, latency and errors of the last minutes, live in the terminal."""

from __future__ import annotations

import json
import time
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from tokentide_jobs.cli.alert_view import alerts_line
from tokentide_jobs.cli.screen import console, shown
from tokentide_jobs.cli.status import StatusLine
from tokentide_jobs.cli.summary import pipeline_line, summary_view
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.alert.ticket_order import in_order
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.summary import Pipeline, Summary, read_pipeline, read_summary

__all__ = ["top"]

_PIPELINE_MINUTES = 5


@click.command(short_help="Watch spend, latency and errors in the terminal.")
@click.option(
    "--minutes", type=click.FloatRange(min=0.2, max=14 * 1440), default=60.0, show_default=True,
    help="How far to look back, by event time.",
)  # fmt: skip
@click.option(
    "--every", "every_s", type=click.FloatRange(min=0.2), default=2.0, show_default=True,
    metavar="S", help="Seconds between two looks.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Print one view and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one view as a JSON object and end.")
@click.option("--models", type=click.IntRange(min=1), default=12, show_default=True,
              help="Models to list.")  # fmt: skip
@data_dir_option
def top(
    minutes: float, every_s: float, once: bool, as_json: bool, models: int, data_dir: Path | None
) -> None:
    """Watch spend, latency and errors in the terminal, until Ctrl-C.

    Without a terminal (a pipe, a file) it prints one view, as with --once.
    """
    settings = find_target(data_dir, "clickhouse")
    screen = console()
    health = StatusLine(settings)
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        if as_json:
            summary, pipeline = _read(store, minutes)
            click.echo(json.dumps({**summary.to_dict(), "pipeline": asdict(pipeline)}))
            return
        is_one_view = once or not screen.is_terminal
        health(wait=is_one_view)  # a broker that does not answer delays no first view
        view = _view(store, settings, minutes, models, health)
        if is_one_view:
            screen.print(view)
            return
        live = Live(view, console=screen, screen=True, auto_refresh=False)
        with suppress(KeyboardInterrupt), live:
            while True:
                time.sleep(every_s)
                view = _next(view, store, settings, minutes, models, health)
                live.update(view, refresh=True)


def _next(
    last: RenderableType,
    store: ClickHouse,
    settings: Settings,
    minutes: float,
    models: int,
    health: StatusLine,
) -> RenderableType:
    """Return the next view; while ClickHouse is away, the last one with a note above it."""
    try:
        return _view(store, settings, minutes, models, health)
    except RetriableSinkError as exc:
        return Group(shown(f"no answer, still trying: {exc}"[:200], "yellow"), last)


def _view(
    store: ClickHouse, settings: Settings, minutes: float, models: int, health: StatusLine
) -> RenderableType:
    """Read and lay out the last minutes."""
    summary, pipeline = _read(store, minutes)
    clock = time.strftime("%H:%M:%S", time.gmtime(summary.until_us / 1e6))
    title = Text.assemble(
        ("tokentide", "bold"), f"  last {minutes:g} minutes at {clock} UTC  ",
        (settings.database, "dim"),
    )  # fmt: skip
    spend = summary_view(summary, rows=models)
    found = in_order(AlertStore(store).listed(summary.until_us))
    return Group(
        title,
        health(),
        alerts_line(found),
        Text(),
        spend,
        Text(),
        pipeline_line(pipeline, _PIPELINE_MINUTES),
    )


def _read(store: ClickHouse, minutes: float) -> tuple[Summary, Pipeline]:
    now_us = time.time_ns() // 1_000
    summary = read_summary(store, now_us - int(minutes * 60e6), now_us)
    return summary, read_pipeline(store, now_us - _PIPELINE_MINUTES * MINUTE_US)
