"""`tokentide doctor`: one line a check of a running Grafana, and one of the pipeline behind it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from tokentide_dashboards.boards.every import boards_of
from tokentide_dashboards.live.examine import examine
from tokentide_dashboards.live.finding import Finding, State, some
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_jobs.cli.arguments import json_option
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_NOTHING_PROVEN, EXIT_UNREACHABLE
from tokentide_jobs.cli.screen import console, say, shown
from tokentide_jobs.cli.status import read_settings_status
from tokentide_jobs.cli.target import data_dir_option, not_named, read_settings
from tokentide_jobs.core.status import Status
from tokentide_jobs.counted import counted
from tokentide_jobs.io.grafana.access import grafana_access
from tokentide_jobs.io.grafana.by_grafana_api import GrafanaByApi
from tokentide_jobs.settings import Settings
from tokentide_jobs.urls import redact_text

__all__ = ["doctor"]

_MARKS: Final[dict[State, tuple[str, str]]] = {
    "ok": ("✓ ok     ", "green"),
    "problem": ("✗ problem", "bold red"),
    "unknown": ("? unknown", "yellow"),
}


@click.command(short_help="Check a running Grafana against boards and rules.")
@click.option(
    "--grafana-only", is_flag=True, help="Leave out the pipeline, where only Grafana is in reach."
)
@click.option(
    "--within", "within_s", type=click.FloatRange(min=1), default=300.0, show_default=True,
    metavar="S", help="Begin no further query after S seconds.",
)  # fmt: skip
@json_option
@data_dir_option
def doctor(grafana_only: bool, within_s: float, as_json: bool, data_dir: Path | None) -> None:
    """Check a running Grafana against the boards and alert rules of this version.

    Its address is in TOKENTIDE_GRAFANA_URL, and the token of a service account in the file that
    TOKENTIDE_GRAFANA_TOKEN_FILE names: the role Viewer reads boards and data, Admin is needed for
    alert rules. Checked are the pipeline (as `tokentide status` does), Grafana, the token, the
    ClickHouse plugin, the data source, the boards, the rules (there, as in our files, evaluated
    without an error, and no others in our folder), whether their alerts have a receiver, and every
    query of boards and rules, sent as a browser sends it. Nothing is changed. One line a check: ok,
    problem or unknown, and what to do.

    Exits with 0 when everything is ok, with 1 when there is a problem, with 3 when Grafana, Kafka
    or ClickHouse does not answer, and with 5 when something could not be looked at.
    """
    settings = read_settings(data_dir)
    ends_s = time.monotonic() + within_s
    found = []
    with closing(GrafanaByApi(grafana_access(settings, os.environ))) as server:
        for finding in _findings(settings, server, grafana_only=grafana_only, ends_s=ends_s):
            found.append(finding)
            if not as_json:
                _show(finding)
    counts = {state: sum(one.state == state for one in found) for state in _MARKS}
    if as_json:
        checks = [
            {name: _redacted(value) for name, value in asdict(finding).items()} for finding in found
        ]
        click.echo(json.dumps({"grafana": server.address, **counts, "checks": checks}, indent=2))
    else:
        say(", ".join(f"{count} {state}" for state, count in counts.items()))
    if code := _exit_code(found):
        raise click.exceptions.Exit(code)


def _findings(
    settings: Settings, server: GrafanaByApi, *, grafana_only: bool, ends_s: float
) -> Iterator[Finding]:
    if not grafana_only:
        yield _pipeline(settings)
    now_ms = int(time.time() * 1_000)
    boards = boards_of(settings.trace_url)
    yield from examine(server, boards, RULES, now_ms, lambda: time.monotonic() > ends_s)


def _pipeline(settings: Settings) -> Finding:
    """Report the outcome of `tokentide status` in one line."""
    if why_not := not_named(settings, "kafka", "clickhouse"):
        remedy = "set them, name the stack with --data-dir, or leave it out with --grafana-only"
        return Finding("pipeline", "unknown", why_not, remedy)
    return _judged(read_settings_status(settings))


def _judged(status: Status) -> Finding:
    problems = tuple(problem.words for problem in status.problems)
    if any(not problem.is_unknown for problem in status.problems):
        return Finding(
            "pipeline", "problem", some(problems), "tokentide status", problems,
            is_unreachable=not status.is_reachable,
        )  # fmt: skip
    if problems or status.unknown:
        words = some(problems) or f"could not be read: {', '.join(status.unknown)}"
        return Finding("pipeline", "unknown", words, "tokentide status", problems)
    wait = counted(status.lag_records or 0, "record waits", "records wait")
    return Finding("pipeline", "ok", f"nothing is wrong, {wait}")


def _exit_code(found: list[Finding]) -> int:
    if any(one.is_unreachable for one in found):
        return EXIT_UNREACHABLE
    states = {one.state for one in found}
    if "problem" in states:
        return EXIT_CHECK_FAILED
    return EXIT_NOTHING_PROVEN if "unknown" in states else 0


def _show(finding: Finding) -> None:
    mark, style = _MARKS[finding.state]
    remedy = f"\n            {finding.remedy}" if finding.remedy else ""
    line = Text.assemble((mark, style), f"  {finding.check}: ")
    line.append_text(shown(redact_text(finding.words)))
    console().print(line.append(remedy, "dim"), soft_wrap=True)


def _redacted(value: object) -> object:
    """Hide passwords of addresses in what Grafana answered."""
    if isinstance(value, str):
        return redact_text(value)
    return [redact_text(one) for one in value] if isinstance(value, tuple) else value
