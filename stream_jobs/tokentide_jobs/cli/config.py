"""`tokentide config`: every setting in force, redacted, with where it comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from rich.table import Table

from tokentide_jobs.cli.screen import console, shown
from tokentide_jobs.cli.target import data_dir_option
from tokentide_jobs.settings import Settings

__all__ = ["config"]


@click.command(short_help="Show the settings in force and where they come from.")
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--all", "show_all", is_flag=True, help="Also say what each setting does.")
def config(data_dir: Path | None, as_json: bool, show_all: bool) -> None:
    """Show the settings in force and where they come from.

    A value comes from (first match) an option, a TOKENTIDE_* variable, the running embedded stack
    in the data directory, the default. Passwords are shown as three stars.
    """
    items = list(Settings.from_env(os.environ, data_dir).items())
    if as_json:
        rows = {i.variable: {"value": i.value, "source": i.source, "unit": i.unit} for i in items}
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    if show_all:
        table.add_column("what it does", overflow="fold", ratio=1)
    for item in items:
        is_default = item.source == "default"
        value = f"{item.value} {item.unit}".strip() if item.value else "-"
        cells = [shown(item.variable), shown(value), shown(item.source)]
        style = "dim" if is_default and not show_all else ""
        doc = item.doc + (f" ({item.allowed})" if item.allowed else "")
        table.add_row(*cells, *([shown(doc)] if show_all else []), style=style)
    console().print(table)
