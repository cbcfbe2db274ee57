"""`tokentide budgets [list|check|show NAME]`: what was spent of each budget, and where it ends."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from tokentide_jobs.cli.arguments import json_option, only_named
from tokentide_jobs.cli.budget_view import budget_lines, budget_view, remarks
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_NOTHING_PROVEN, EXIT_SOFT_BUDGET
from tokentide_jobs.cli.screen import console, say, shown
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.budget.budget_status import BudgetStatus
from tokentide_jobs.counted import counted
from tokentide_jobs.io.clickhouse.budget_spend import read_budgets
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.budget_file import load_budgets

__all__ = ["budgets"]

_TIMEOUT_S: Final = 120.0


@click.group(short_help="See what was spent of every budget.", invoke_without_command=True)
@json_option
@data_dir_option
@click.pass_context
def budgets(context: click.Context, as_json: bool, data_dir: Path | None) -> None:
    """See what was spent of every budget in its present period, how fast, and where it will end.

    Budgets are in the file that TOKENTIDE_BUDGETS_FILE names. This command notifies no receiver:
    the detect job does, of thresholds that are reached, and Grafana, where its rule
    tokentide-budget-burn is set up, of a budget that burns too fast. Without a command: list.
    """
    if context.invoked_subcommand is None:
        _list(as_json, data_dir)


@budgets.command("list", short_help="List all budgets.")
@json_option
@data_dir_option
def list_budgets(as_json: bool, data_dir: Path | None) -> None:
    """List all budgets: spent of the amount, burn, and the forecast of the period's end."""
    _list(as_json, data_dir)


@budgets.command(short_help="Exit with a code that says whether a budget is over.")
@json_option
@data_dir_option
def check(as_json: bool, data_dir: Path | None) -> None:
    """Say which budgets are over, for cron and CI.

    Exits with 0 when no budget is over, with 1 when a hard one is, with 6 when only soft ones are,
    and with 5 when the file holds no budget. A budget is over when more than its amount is spent.
    """
    found = _read(data_dir)
    over = [one for one in found if one.verdict == "over"]
    hard = [one for one in over if one.budget.kind == "hard"]
    if as_json:
        _print_json(found)
    else:
        screen = console()
        for one in found:
            if lines := list(remarks(one)):
                screen.print(shown(one.budget.name, "bold"))
                for line in lines:
                    screen.print(line, soft_wrap=True)
        say(
            f"{counted(len(found), 'budget')}, {len(over)} over"
            if found
            else "the file holds no budget"
        )
    if not found:
        raise click.exceptions.Exit(EXIT_NOTHING_PROVEN)
    if over:
        raise click.exceptions.Exit(EXIT_CHECK_FAILED if hard else EXIT_SOFT_BUDGET)


@budgets.command(short_help="Show one budget in full.")
@click.argument("name")
@json_option
@data_dir_option
def show(name: str, as_json: bool, data_dir: Path | None) -> None:
    """Show one budget in full: exact sums, reached thresholds, burn rates and the forecast."""
    (found,) = _read(data_dir, name)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        console().print(budget_view(found))


def _list(as_json: bool, data_dir: Path | None) -> None:
    found = _read(data_dir)
    if as_json:
        _print_json(found)
        return
    screen = console()
    if not found:
        say("the file holds no budget")
        return
    for line in budget_lines(found):
        screen.print(line, soft_wrap=True)


def _print_json(found: list[BudgetStatus]) -> None:
    click.echo(json.dumps({"budgets": [one.to_dict() for one in found]}, indent=2))


def _read(data_dir: Path | None, name: str | None = None) -> list[BudgetStatus]:
    """Read all budgets, or the one of a name; the file is checked before ClickHouse is asked."""
    settings = find_target(data_dir)
    wanted = only_named(load_budgets(settings.budgets_file), name, "budget", settings.budgets_file)
    settings = find_target(data_dir, "clickhouse")
    with closing(
        ClickHouse(settings.clickhouse_url, settings.database, timeout_s=_TIMEOUT_S)
    ) as store:
        return read_budgets(store, wanted, time.time_ns() // 1_000)
