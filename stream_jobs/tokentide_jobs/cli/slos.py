"""`tokentide slos list|check|show`: what is left of each error budget, and how fast it goes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from tokentide_jobs.cli.arguments import json_option, only_named
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_NOTHING_PROVEN
from tokentide_jobs.cli.screen import console, say, seconds, shown
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.slo.slo_status import SloBurn, SloStatus
from tokentide_jobs.counted import counted
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.slo_reads import read_slos, store_slos
from tokentide_jobs.io.files.slo_file import load_slos

__all__ = ["slos"]

_TIMEOUT_S: Final = 120.0
_STYLES: Final = {"ok": "green", "no events": "dim", "burning": "bold red", "missed": "yellow"}


@click.group(short_help="See what is left of every error budget.")
def slos() -> None:
    """See how service level objectives stand, by the windows that are stored.

    SLOs are in the file that TOKENTIDE_SLOS_FILE names; docs/slos.md has one.
    """


@slos.command("list", short_help="List all SLOs.")
@json_option
@data_dir_option
def list_slos(as_json: bool, data_dir: Path | None) -> None:
    """List all SLOs: good events, what is left of the error budget, and how fast it goes."""
    _print(_read(data_dir), as_json)


@slos.command(short_help="Exit with a code that says whether an error budget burns.")
@json_option
@data_dir_option
def check(as_json: bool, data_dir: Path | None) -> None:
    """Say which SLOs burn or were missed, for cron and CI, and keep a row of each in slo_status.

    Exits with 0 when all is well, with 1 when one burns or was missed, and with 5 when there was no
    event to judge.
    """
    found = _read(data_dir, keep=True)
    _print(found, as_json)
    if any(one.verdict in ("burning", "missed") for one in found):
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)
    if not any(one.total for one in found):
        raise click.exceptions.Exit(EXIT_NOTHING_PROVEN)


@slos.command(short_help="Show one SLO in full.")
@click.argument("name")
@json_option
@data_dir_option
def show(name: str, as_json: bool, data_dir: Path | None) -> None:
    """Show one SLO in full: the burn of every rule over its long and its short stretch."""
    (found,) = _read(data_dir, name)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    say(found.sentence)
    for burn in found.burns:
        say(f"  {_burn(burn)}{'  BURNING' if burn.is_burning else ''}")


def _print(found: list[SloStatus], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"slos": [one.to_dict() for one in found]}, indent=2))
        return
    screen = console()
    for line in _lines(found):
        screen.print(line, soft_wrap=True)
    if not found:
        say("the file holds no SLO")


def _lines(found: list[SloStatus]) -> Iterator[Text]:
    for one in found:
        yield Text.assemble(shown(one.slo.name, "bold"), shown(f"  {one.slo}", "dim"))
        share = "-" if one.good_share is None else f"{100 * one.good_share:.4g} % good"
        burn = one.burning or one.burns[-1]
        yield Text.assemble(
            "  ", (f"{one.verdict:<9}", _STYLES[one.verdict]),
            f"  {share} of {counted(one.total, 'event')}  "
            f"{100 * one.budget_left:.3g} % of the budget left  burns {burn.long:.3g}x in "
            f"{seconds(burn.rule.long_s)}",
        )  # fmt: skip


def _burn(burn: SloBurn) -> str:
    rule = burn.rule
    return (
        f"{rule.severity:<6}  above {rule.factor:g}x: {burn.long:.3g}x in {seconds(rule.long_s)}, "
        f"{burn.short:.3g}x in {seconds(rule.short_s)}"
    )


def _read(data_dir: Path | None, name: str | None = None, *, keep: bool = False) -> list[SloStatus]:
    """Read all SLOs, or the one of a name; the file is checked before ClickHouse is asked."""
    settings = find_target(data_dir)
    wanted = only_named(load_slos(settings.slos_file), name, "SLO", settings.slos_file)
    settings = find_target(data_dir, "clickhouse")
    with closing(
        ClickHouse(settings.clickhouse_url, settings.database, timeout_s=_TIMEOUT_S)
    ) as store:
        found = read_slos(store, wanted, time.time_ns() // 1_000)
        if keep:
            store_slos(store, found)
        return found
