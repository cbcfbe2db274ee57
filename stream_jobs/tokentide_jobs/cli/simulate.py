"""`tokentide simulate`: made-up traffic with declared faults, and what the detectors make of it."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tokentide_jobs.cli.progress import counting_progress
from tokentide_jobs.cli.screen import console, count, say, seconds, shown
from tokentide_jobs.core.detect.alarms import AlarmChange, reason
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.simulate.faults import KeyFault
from tokentide_jobs.core.simulate.run import Found, run
from tokentide_jobs.core.simulate.scenarios import SCENARIOS, Scenario
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.errors import ConfigError

__all__ = ["simulate"]

_MINUTES_OF_DAY = 1_440


@click.command(short_help="Run made-up faults through the detectors.")
@click.argument("scenario", required=False)
@click.option("--list", "lists", is_flag=True, help="Name every scenario.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True,
              help="Decides all that is drawn.")  # fmt: skip
@click.option("--days", type=click.IntRange(min=1, max=90), metavar="N",
              help="Days of traffic; the faults lie in the last of them.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def simulate(scenario: str | None, lists: bool, seed: int, days: int | None, as_json: bool) -> None:
    """Run made-up traffic with declared faults through the detectors, and compare.

    Prints the truth, what was found of it, how long after the beginning, and why. Needs neither
    Kafka nor ClickHouse; the same seed gives the same run.
    """
    if lists:
        _show_list(as_json)
        return
    chosen = _scenario(scenario)
    length = days or chosen.days
    if length < chosen.least_days:
        raise ConfigError(
            f"--days is {length}: {chosen.name} needs at least {chosen.least_days}, a week to "
            "learn from and the days of its faults"
        )
    total = length * _MINUTES_OF_DAY
    with counting_progress(console(to_stderr=True), "simulating", total, "minutes") as moved:
        found = run(chosen.groups, chosen.faults, length, seed, Parameters(), moved)
    if as_json:
        click.echo(json.dumps(_as_dict(chosen, found, seed, length)))
    else:
        _show(console(), chosen, found, seed, length)


def _scenario(name: str | None) -> Scenario:
    if name is None:
        raise ConfigError("SCENARIO is missing: `tokentide simulate --list` names them")
    if name not in SCENARIOS:
        close = difflib.get_close_matches(name, SCENARIOS, 1)
        hint = f"do you mean {close[0]!r}? " if close else ""
        raise ConfigError(
            f"SCENARIO is {name!r}, there is none of this name: {hint}"
            "`tokentide simulate --list` names them all"
        )
    return SCENARIOS[name]


def _show_list(as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({one.name: one.title for one in SCENARIOS.values()}))
        return
    width = max(map(len, SCENARIOS))
    for one in SCENARIOS.values():
        say(f"{one.name:{width}}  {one.title}")


def _show(screen: Console, scenario: Scenario, found: Found, seed: int, days: int) -> None:
    keys = len(found.population.keys)
    screen.print(
        f"[bold]{scenario.name}[/]: {scenario.title}\n"
        f"{days} days of {keys} keys, {len(METRICS)} metrics each, seed {seed}; "
        f"expected: {scenario.expected}"
    )
    if found.incidents:
        screen.print("\n[bold]what was done, and what was found[/]")
        for incident in found.incidents:
            _show_incident(screen, incident, found)
    false_alarms = found.false_alarms()
    screen.print("\n[bold]alarms where nothing had been done[/]")
    for alarm in false_alarms:
        screen.print(shown(f"  {_when(found, alarm.window_start_us)}: {reason(alarm)}"))
    if not false_alarms:
        screen.print("  none")
    ended = [alarm for alarm in found.alarms if alarm.change == "adopted"]
    if ended:
        screen.print("\n[bold]what became the new normal after a day[/]")
        for alarm in ended:
            screen.print(
                shown(f"  {alarm.metric} of {alarm.key}, {_when(found, alarm.window_start_us)}")
            )
    screen.print(
        f"\n{count(len(found.extremes))} new extremes were recorded besides (tier A, which never "
        f"alarms); {count(found.metric_key_windows)} values were judged after the week of learning"
    )


def _show_incident(screen: Console, incident: KeyFault, found: Found) -> None:
    begin_us = found.begin_us + incident.begin * MINUTE_US
    lasts = seconds(60.0 * (incident.end - incident.begin))
    screen.print(
        shown(f"  {incident.key}: {incident.fault.title}; {_when(found, begin_us)}, for {lasts}")
    )
    alarms = found.of_incident(incident)
    if not alarms:
        screen.print("    [red]not found[/]")
        return
    table = Table(box=None, padding=(0, 1, 0, 4), show_header=False)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for alarm in alarms:
        table.add_row(f"after {_delay(incident, alarm, found)}", shown(reason(alarm)))
    screen.print(table)


def _delay(incident: KeyFault, alarm: AlarmChange, found: Found) -> str:
    return seconds(60.0 * (found.minute_of(alarm.window_start_us) + 1 - incident.begin))


def _when(found: Found, at_us: int) -> str:
    day, minute = divmod(found.minute_of(at_us), _MINUTES_OF_DAY)
    return f"day {day + 1} at {minute // 60:02}:{minute % 60:02}"


def _as_dict(scenario: Scenario, found: Found, seed: int, days: int) -> dict[str, Any]:
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "expected": scenario.expected,
        "seed": seed,
        "days": days,
        "keys": len(found.population.keys),
        "begin_us": found.begin_us,
        "end_us": found.end_us,
        "incidents": [
            {
                "key": incident.key,
                "title": incident.fault.title,
                "begin_us": found.begin_us + incident.begin * MINUTE_US,
                "end_us": found.begin_us + incident.end * MINUTE_US,
                "alarms": [
                    {
                        "after_minutes": found.minute_of(alarm.window_start_us)
                        + 1
                        - incident.begin,
                        **_alarm(alarm),
                    }
                    for alarm in found.of_incident(incident)
                ],
            }
            for incident in found.incidents
        ],
        "false_alarms": [_alarm(alarm) for alarm in found.false_alarms()],
        "new_normal": [_alarm(alarm) for alarm in found.alarms if alarm.change == "adopted"],
        "extremes": len(found.extremes),
        "values_judged": found.metric_key_windows,
    }


def _alarm(alarm: AlarmChange) -> dict[str, Any]:
    """Return an alarm for JSON, which knows neither NaN nor infinity."""
    fields = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(alarm).items()
    }
    return {**fields, "reason": reason(alarm)}
