"""`tokentide runs`: runs of agents, one row each, those that run away first."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.screen import console, count, dollars, scaled, seconds, shown
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.detect_file import load_detect_rules
from tokentide_jobs.tasks.runs import RunRow, Runs, read_runs

__all__ = ["runs", "show"]

_STATE_STYLES = {"live": "green", "idle": "", "finished": "dim"}


@click.command(short_help="List runs of agents, and name those that run away.")
@click.option(
    "--hours", type=click.FloatRange(min=0.01, max=24 * 90), default=24.0, show_default=True,
    help="Runs with a call in the last N hours, by event time.", metavar="N",
)  # fmt: skip
@click.option("--agent", default="", metavar="A", help="Only runs of this agent.")
@click.option("--tenant", default="", metavar="T", help="Only runs of this tenant.")
@click.option("--flagged", is_flag=True, help="Only runs that broke a rule.")
@click.option("--limit", type=click.IntRange(min=1, max=100_000), default=20, show_default=True,
              metavar="N", help="Runs to list.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run.")
@data_dir_option
def runs(
    hours: float,
    agent: str,
    tenant: str,
    flagged: bool,
    limit: int,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """List runs of agents: those that broke a rule first, with the reason, then by spend.

    A run is what its calls name: the run, else the conversation, else the trace. A run breaks a
    rule when it spends faster, or more in all, than finished runs of its agent did, or when it
    repeats one step, or a short cycle of steps. docs/runs.md has the rules, which the file that
    TOKENTIDE_DETECT_FILE names can change.
    """
    settings = find_target(data_dir, "clickhouse")
    rules = load_detect_rules(settings.detect_file).guard
    now_us = time.time_ns() // 1_000
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        found = read_runs(
            store, rules, now_us - int(hours * 3.6e9), now_us,
            tenant=tenant, agent=agent, only_flagged=flagged, limit=limit,
        )  # fmt: skip
    if as_json:
        for row in found.listed:
            click.echo(json.dumps(row.to_dict(now_us, rules.idle_us)))
        return
    show(found, rules, now_us, hours, console(), is_filtered=bool(agent or tenant or flagged))


def show(
    found: Runs, rules: GuardRules, now_us: int, hours: float, screen: Console, *, is_filtered: bool
) -> None:
    """Lay out the runs of a range for a terminal.

    Args:
        found: What was read.
        rules: What the guard held them to.
        now_us: The time, epoch µs.
        hours: Length of the range.
        screen: Where to.
        is_filtered: Only some kind of run was asked for.
    """
    clock = time.strftime("%H:%M:%S", time.gmtime(now_us / 1e6))
    screen.print(Text.assemble(("runs", "bold"), f"  last {hours:g} h at {clock} UTC"))
    if not found.listed:
        which = " of this kind" if is_filtered else ""
        screen.print(f"no runs{which} in this range; docs/runs.md says how a call names its run")
        return
    flagged = Text("none broke a rule", "green")
    if found.flagged:
        flagged = Text(f"{count(found.flagged)} broke a rule", "bold red")
    screen.print(
        Text.assemble(
            (dollars(found.cost_pico_usd), "bold green"), ("   spent by ", "dim"),
            (_number(found.found, "run"), "bold"), (" of ", "dim"),
            _number(found.agents, "agent"), "   ", flagged,
        )
    )  # fmt: skip
    for row in found.listed:
        for verdict in row.verdicts:
            at = time.strftime("%d %b %H:%M:%S", time.gmtime(verdict.at_us / 1e6))
            since = row.cost_pico_usd - verdict.spend_pico_usd
            more = f"; {dollars(since)} more since then" if since > 0 else ""
            screen.print()
            screen.print(
                Text.assemble((f"! {at}  ", "bold red"), shown(verdict.sentence), (more, "bold"))
            )
    screen.print()
    screen.print(_table(found, rules, now_us))
    screen.print()
    screen.print(Text(_footnote(found, rules), "dim"))


def _table(found: Runs, rules: GuardRules, now_us: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold dim", padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold", min_width=10)
    table.add_column("agent", max_width=16, overflow="ellipsis", no_wrap=True)
    table.add_column("tenant", max_width=14, overflow="ellipsis", no_wrap=True)
    table.add_column("user", max_width=6, overflow="crop", no_wrap=True)
    for name in ("spend", "calls", "tools", "tokens", "errors", "took"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=8)
    for row in found.listed:
        table.add_row(*_cells(row, rules, now_us))
    if found.found > len(found.listed):
        spent = sum(row.cost_pico_usd for row in found.listed)
        table.add_row(
            Text(f"and {count(found.found - len(found.listed))} more", "dim"), "", "", "",
            dollars(found.cost_pico_usd - spent),
        )  # fmt: skip
    return table


def _cells(row: RunRow, rules: GuardRules, now_us: int) -> list[Text | str]:
    state = row.state(now_us, rules.idle_us)
    no_price = row.unpriced > 0 and row.cost_pico_usd == 0
    others = len(row.agents) - 1
    agent = f"{row.agent} +{others}" if others > 0 else row.agent
    run = shown(row.run, "bold red" if row.verdicts else "")
    if row.parent_run:
        run = Text.assemble(run, "\n", shown(f"started by {row.parent_run}", "dim"))
    return [
        run,
        shown(agent) if agent else Text("(none)", "dim"),
        shown(row.tenant) if row.tenant else Text("(none)", "dim"),
        shown(row.user) if row.user else Text("(none)", "dim"),
        Text("no price", "yellow") if no_price else dollars(row.cost_pico_usd),
        count(row.calls),
        count(row.tool_calls) if row.tool_calls else "-",
        scaled(row.input_tokens + row.output_tokens),
        Text(count(row.errors), "red") if row.errors else "-",
        seconds((row.ended_us - row.first_us) / 1e6),
        Text(state, _STATE_STYLES[state]),
    ]


def _number(number: int, what: str) -> str:
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


def _footnote(found: Runs, rules: GuardRules) -> str:
    if found.learned >= rules.min_runs:
        return f"Limits are learned from runs that are finished: {count(found.learned)} by now."
    return (
        f"Start values hold until {count(rules.min_runs)} runs are finished, which takes "
        f"{seconds(rules.idle_us / 1e6)} without a call ({count(found.learned)} so far): "
        f"{dollars(rules.rate_start_pico_usd)} in ten minutes, "
        f"{dollars(rules.budget_pico_usd or rules.budget_start_pico_usd)} in all."
    )
