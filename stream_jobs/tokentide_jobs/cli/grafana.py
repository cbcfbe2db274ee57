"""`tokentide grafana push`: our boards in a Grafana that takes none from files."""

from __future__ import annotations

import json
import os
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from tokentide_dashboards.boards.every import boards_of
from tokentide_dashboards.generated import board_files
from tokentide_dashboards.live.push import apply, plan
from tokentide_jobs.cli.arguments import json_option
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_UNREACHABLE
from tokentide_jobs.cli.screen import console, say, shown
from tokentide_jobs.cli.target import data_dir_option, read_settings
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.grafana.access import grafana_access

__all__ = ["grafana"]

_STYLES: Final = {"make": "green", "change": "yellow", "keep": "dim", "cannot": "red"}


@click.group(short_help="Bring the boards into a running Grafana.")
def grafana() -> None:
    """Bring the boards into a running Grafana.

    Its address is in TOKENTIDE_GRAFANA_URL, and the token of a service account in the file that
    TOKENTIDE_GRAFANA_TOKEN_FILE names. A Grafana that takes boards from files gets those of
    dashboards/tokentide_dashboards/json, or those that `tokentide grafana write` made.
    """


@grafana.command(short_help="Write all boards as files for Grafana.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@data_dir_option
def write(directory: Path, data_dir: Path | None) -> None:
    """Write all boards into DIRECTORY, for a Grafana that takes them from there.

    They are those of dashboards/tokentide_dashboards/json, with what your settings say:
    TOKENTIDE_TRACE_URL. Files of the same names are replaced, others are left alone.
    """
    settings = read_settings(data_dir)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in board_files(boards_of(settings.trace_url)).items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{directory}: boards cannot be written ({exc.strerror})") from None
    say(f"{len(board_files())} boards are in {directory}")


@grafana.command(short_help="Save all boards in Grafana.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option(
    "--overwrite", is_flag=True,
    help="Save every board, also over changes that are saved meanwhile.",
)  # fmt: skip
@json_option
@data_dir_option
def push(dry_run: bool, overwrite: bool, as_json: bool, data_dir: Path | None) -> None:
    """Save all boards in Grafana, into the folder Tokentide, which is made where there is none.

    A board that is there as in this version is left alone, and so is one that others save while
    this runs. Boards that Grafana has from files cannot be saved: replace the files. Alert rules
    come from files alone. The service account needs the role Editor. Exits with 1 when a board
    could not be saved, and with 3 when Grafana does not answer.
    """
    # Needs the extra `grafana`, which writing files does not need.
    from tokentide_jobs.io.grafana.by_grafana_api import GrafanaByApi  # noqa: PLC0415 - as said

    settings = read_settings(data_dir)
    done = []
    screen = console()
    with closing(GrafanaByApi(grafana_access(settings, os.environ))) as server:
        planned = plan(server, boards_of(settings.trace_url), overwrite=overwrite)
        message = f"tokentide {version('tokentide')}"
        saved = apply(server, planned, message, overwrite=overwrite)
        for step in planned.steps if dry_run else saved:
            done.append(step)
            if not as_json:
                line = Text.assemble((f"{step.action:<7}", _STYLES[step.action]), " ")
                screen.print(line.append_text(shown(f"{step.what}: {step.words}")), soft_wrap=True)
    failed = sum(step.action == "cannot" for step in done)
    changed = sum(step.action in ("make", "change") for step in done)
    if as_json:
        listed = [{"what": one.what, "action": one.action, "words": one.words} for one in done]
        found = {"grafana": server.address, "folder_uid": planned.folder_uid, "dry_run": dry_run}
        click.echo(json.dumps({**found, "steps": listed}, indent=2))
    else:
        verb = "would be saved" if dry_run else "saved"
        missed = f"; {failed} cannot be saved" if failed else ""
        say(f"{server.address}: {changed} of {len(done)} {verb}{missed}")
    if any(step.is_unreachable for step in done):
        raise click.exceptions.Exit(EXIT_UNREACHABLE)
    if failed:
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)
