"""`tokentide viewer`: the boards in a browser on this machine, without Grafana."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

import click

from tokentide_dashboards.boards.every import texts_of
from tokentide_dashboards.viewer.board_files import BoardFiles
from tokentide_dashboards.viewer.serving import serve
from tokentide_dashboards.viewer.source import Source
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.embedded.artifacts import uplot
from tokentide_jobs.embedded.artifacts.cache import default_cache_dir

__all__ = ["viewer"]


@click.command(short_help="Show the boards in a browser, without Grafana.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True,
    help="Where to listen on 127.0.0.1; 0: any free port.",
)  # fmt: skip
@data_dir_option
def viewer(port: int, data_dir: Path | None) -> None:
    """Show the boards in a browser on this machine, until Ctrl-C; `tokentide up` runs it, too.

    It asks ClickHouse as the account `grafana`, which only reads, with the password in
    TOKENTIDE_GRAFANA_PASSWORD where it has one. The first start fetches the chart library uPlot
    (0.2 MB); without it there are tables in place of charts.
    """
    settings = find_target(data_dir, "clickhouse")
    source = partial(
        Source,
        settings.clickhouse_url,
        settings.database,
        os.environ.get("TOKENTIDE_GRAFANA_PASSWORD", ""),
    )

    def fetch_charts() -> Path:
        (jar,) = uplot.LOCK.fetched(default_cache_dir(), partial(click.echo, err=True))
        return jar

    boards = BoardFiles(texts=texts_of(settings.trace_url))
    asyncio.run(serve(boards, source, port, fetch_charts, _say))
    # A download may still hang; what it fetches is kept or fetched again.
    sys.stderr.flush()
    os._exit(0)


def _say(address: str) -> None:
    click.echo(f"the boards are at {address}", err=True)
