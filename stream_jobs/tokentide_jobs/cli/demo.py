"""`tokentide demo`: the whole pipeline on recorded workloads, from an empty machine to a proof."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tokentide_jobs.cli.demo_incidents import show_incidents
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED
from tokentide_jobs.cli.ingest_wait import wait_for_ingest
from tokentide_jobs.cli.program import program
from tokentide_jobs.cli.progress import Steps
from tokentide_jobs.cli.replay import replay_producer, run
from tokentide_jobs.cli.screen import console, count, seconds
from tokentide_jobs.cli.summary import summary_view
from tokentide_jobs.cli.target import data_dir_option
from tokentide_jobs.cli.verify import check, proof_line
from tokentide_jobs.counted import counted
from tokentide_jobs.embedded.kafka.broker import BrokerKind
from tokentide_jobs.embedded.stack.discovery import StackInfo, find_stack
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.replay.pace import Pace, Plan
from tokentide_jobs.replay.send import Sent, send
from tokentide_jobs.replay.workload import Workload, prepare
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.probe import Probe
from tokentide_jobs.tasks.summary import read_summary

__all__ = ["demo"]

_PROBES: Final = 250
"""Calls sent one by one after the bulk, to see how soon an event can be queried."""
_PROBE_RATE: Final = 100.0


_SLOW_S: Final = 3.0
"""An event can be queried within a second; later than this something is in its way."""
_BUSY_LOAD: Final = 1.0
"""Load a processor above which others wait for it."""
_ORIGINS: Final = (
    "[bold]What this says, and what not.[/] [dim]Recorded: times and tokens of chats; tokens, "
    "model, latency (of nine in ten calls) and outcome of agents. Derived: cache tokens. Drawn by "
    "seed from recorded distributions: reasoning calls (ServeGen), and latency and failures of "
    "chats and reasoning calls (LLMPerf 2023). Made up: who calls, when agent sessions start, "
    "provider and model of chats, refusals, evaluations, feedback. No latency or error rate here "
    "is a provider's. Column by column: docs/replay.md[/]"
)


@click.command(short_help="Run everything on recorded workloads and prove the result.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Replay only N calls.")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides all that is drawn.")
@click.option("--broker", type=click.Choice(["kafka", "tansu"]), default=None,
              help="As for `tokentide up`.")  # fmt: skip
@click.option("--no-incidents", is_flag=True, help="Leave out the week with its faults.")
@click.option("--json", "as_json", is_flag=True,
              help="Print one JSON object; the screen goes to standard error.")  # fmt: skip
@data_dir_option
def demo(
    limit: int | None,
    seed: int,
    broker: BrokerKind | None,
    no_incidents: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Run everything on recorded workloads and prove the result.

    Starts Kafka, ClickHouse and an ingest worker in the data directory (or uses the stack that
    runs there), replays an hour of recorded workloads through the SDK, and prints what it cost, how
    quick it was, and the proof that nothing was lost, doubled or mispriced. Then a recorded week
    with an hour of declared faults, in a stack of its own in the folder `incidents`, and what was
    noticed of them. What it stored stays: `tokentide up` brings it back.
    """
    began_s = time.monotonic()
    screen = console(to_stderr=as_json)
    directory = Settings.from_env(os.environ, data_dir).data_dir
    screen.print("[bold]Tokentide[/]  from LLM call to proven cost, on this machine\n")
    with _stack(directory, broker, screen) as settings:
        work = prepare("mixed", seed=seed, limit=limit)
        _introduce(work, screen)
        found = _run(settings, work, seed, screen)
    if not no_incidents:
        screen.print()
        noticed = show_incidents(directory / "incidents", broker, seed, _environment(), screen)
        found |= {"incidents_noticed": noticed, "ok": found["ok"] and noticed}
    _say_what_next(directory, data_dir, not no_incidents, time.monotonic() - began_s, screen)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    if not found["ok"]:
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)


@contextmanager
def _stack(directory: Path, broker: BrokerKind | None, screen: Console) -> Iterator[Settings]:
    """Give the settings of the stack that runs in the directory, or of one of our own."""

    def settings_of(info: StackInfo) -> Settings:
        # The stack, whatever the environment names: a demo never writes to the user's own cluster.
        return Settings.from_env(
            {}, directory, kafka_bootstrap=info.kafka, clickhouse_url=info.clickhouse_dsn,
            events_topic=info.events_topic,
        )  # fmt: skip

    running = find_stack(directory)
    if running is not None and running.clickhouse_url:
        screen.print(
            f"using the stack that runs in {directory} (pid {running.pid})", soft_wrap=True
        )
        yield settings_of(running)
        return
    stack = Stack(
        directory, broker=broker, workers=1, environ=_environment(), reporter=Steps(screen)
    )
    with stack:
        yield settings_of(stack.info)


def _environment() -> dict[str, str]:
    """Return the environment of the worker, without settings meant for a pipeline elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOKENTIDE_")}


def _introduce(work: Workload, screen: Console) -> None:
    screen.print(
        f"\nreplaying [bold]{count(work.requests)}[/] calls, {seconds(work.span_s)} of recorded "
        "workloads:\nchats (Azure), coding agents (Claude Code sessions), reasoning clients "
        "(ServeGen)\n",
        soft_wrap=True,
    )


def _run(settings: Settings, work: Workload, seed: int, screen: Console) -> dict[str, Any]:
    """Send, wait, measure, show and verify; returns what was found, in its JSON form."""
    begin_us = time.time_ns() // 1_000
    begin_s = time.monotonic()
    sent = run(
        work, Pace(), bootstrap=settings.kafka_bootstrap, topic=settings.events_topic,
        is_live=False, screen=screen,
    )  # fmt: skip
    screen.print(
        f"  [green]✓[/] sent {count(sent.events)} events through the SDK: "
        f"{count(sent.requests)} calls, {count(sent.events - sent.requests)} evaluations, "
        f"ratings and changes\n    "
        f"[dim]{seconds(sent.took_s)}, {count(round(sent.events / sent.took_s))}/s[/]"
    )
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        wait_for_ingest(settings, store, begin_us, sent.events, screen)
        took_s = time.monotonic() - begin_s
        screen.print(
            f"  [green]✓[/] priced, folded into windows and stored "
            f"[dim]{seconds(took_s)} from first to last: "
            f"{count(round(sent.events / took_s))} events/s, end to end[/]"
        )
        delays, probed = _probe(settings, store, seed, screen)
        screen.print(delay_line(delays, _PROBES, os.getloadavg()[0], os.cpu_count() or 1))
        # The blocks below are one reading of a ledger that has caught up, and so is the proof.
        wait_for_ingest(settings, store, begin_us, sent.events, screen)
        until_us = time.time_ns() // 1_000
        from_us = begin_us - int(work.span_s * 1e6)
        summary = read_summary(store, from_us, until_us)
    screen.print()
    screen.print(summary_view(summary, rows=16))
    screen.print(_aside(_parts_of_calls(summary.total.requests, sent, probed)))
    screen.print()
    screen.print(_ORIGINS)
    screen.print()
    report = check(settings, wait_s=30.0, screen=screen)
    screen.print(proof_line(report))
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        stats = store.select("summary/stats_events")[0]["events"]
    screen.print(_aside(_parts_of_events(report.kafka_events, sent, probed, stats)))
    return {
        "ok": report.ok and not sent.lost and not probed.lost,
        "incidents_noticed": None,  # not looked for yet
        "sent": asdict(sent),
        "sent_one_by_one": asdict(probed),
        "seconds_to_queryable_row": _quantiles(delays),
        "summary": summary.to_dict(),
        "verify": report.to_dict(),
    }


def _quantiles(delays: Sequence[float]) -> dict[str, float | int | None]:
    """Return how many calls were seen, and how soon; None: none was."""
    p50_s, p95_s = (_quantile(delays, share) for share in (0.5, 0.95))
    return {"seen": len(delays), "p50": p50_s, "p95": p95_s}


def _quantile(delays: Sequence[float], share: float) -> float | None:
    return delays[int(len(delays) * share)] if delays else None


def _aside(words: str) -> Padding:
    return Padding(Text(words, "dim"), (0, 0, 0, 10))


def _parts_of_calls(total: int, sent: Sent, probed: Sent) -> str:
    """Say which calls the blocks above are about."""
    parts = [f"{count(sent.requests)} replayed", f"{count(probed.requests)} sent one by one"]
    if (others := total - sent.requests - probed.requests) > 0:
        parts.append(f"{count(others)} of other runs and services")
    return f"{counted(total, 'request')} = {' + '.join(parts)}"


def _parts_of_events(total: int, sent: Sent, probed: Sent, stats: int) -> str:
    """Say which events the proof is about."""
    others = max(0, total - sent.events - probed.events)
    stats = min(stats, others)
    parts = [
        f"{count(sent.events)} replayed",
        f"{count(probed.events)} sent one by one",
        f"{count(stats)} of producers about themselves",
    ]
    if others > stats:
        parts.append(f"{count(others - stats)} of other runs and services")
    return f"{counted(total, 'event')} = {' + '.join(parts)}"


def delay_line(delays: Sequence[float], sent: int, load: float, cores: int) -> str:
    """Return how soon an event can be queried, or that this machine cannot show it (markup).

    Args:
        delays: Seconds from emit to the first query that found the row, ascending.
        sent: How many calls were sent.
        load: Load average of the last minute.
        cores: Processors of this machine.
    """
    if not delays:
        return "  [yellow]![/] event to queryable row: no event could be queried in time"
    p50_s, p95_s = (delays[int(len(delays) * share)] for share in (0.5, 0.95))
    seen = f"{len(delays)}" if len(delays) == sent else f"{len(delays)} seen in time of {sent}"
    figures = f"p50 {p50_s:.2f} s, p95 {p95_s:.2f} s ({seen} sent one by one)"
    if p95_s <= _SLOW_S and len(delays) == sent:
        return f"  [green]✓[/] event to queryable row [dim]{figures}[/]"
    is_busy = load > _BUSY_LOAD * cores
    why = (
        f"this machine is busy (load {load:.1f} on {cores} cores), so that says nothing of the "
        "pipeline"
        if is_busy
        else "slower than it should be: see `tokentide status` while a stack runs"
    )
    return f"  [yellow]![/] event to queryable row [dim]{figures}[/]\n    {why}"


def _probe(
    settings: Settings, store: ClickHouse, seed: int, screen: Console
) -> tuple[list[float], Sent]:
    """Send calls one by one at a steady rate and measure when each can be queried.

    Returns:
        Seconds from emit to the first query that found the row, ascending; what was sent.
    """
    work = prepare("azure", seed=seed + 1, limit=_PROBES)
    begin_us = time.time_ns() // 1_000
    plan = Plan.make(Pace(rate_per_s=_PROBE_RATE), begin_us, _PROBES, work.span_s, is_live=True)
    telemetry = replay_producer(settings.kafka_bootstrap, settings.events_topic)
    probe = Probe(store, begin_us)
    try:
        with screen.status("[dim]one by one …[/]"), probe:
            sent = send(probe.record_sends(work.events()), plan, telemetry)
            probe.wait(20.0)
    finally:
        telemetry.close()
    return probe.delays(), sent


def _say_what_next(
    directory: Path, data_dir: Path | None, has_week: bool, took_s: float, screen: Console
) -> None:
    called = program()
    option = f" --data-dir {data_dir}" if data_dir is not None else ""
    screen.print(
        f"\n[dim]done in {seconds(took_s)}; everything is kept in {directory}[/]\n",
        soft_wrap=True,
    )
    # Detection would go on by the clock, see silence, and close what it announced.
    week = (
        f"{called} up --no-detect --data-dir {directory / 'incidents'}",
        "the week and what is wrong, on boards: http://127.0.0.1:8080",
    )
    tries = (
        *((week,) if has_week else ()),
        (f"{called} up{option}", "runs the hour again, with its boards"),
        (
            f"{called} replay --live{option}",
            "beside it: recorded workloads at their pace",
        ),
        (f"{called} top{option}", "watches it"),
        (f'{called} sql{option} "SELECT * FROM spend_by_hour"', "asks"),  # noqa: S608 - shown
    )
    screen.print("[bold]try next[/]")
    width = max(len(command) for command, _why in tries)
    for command, why in tries:
        screen.print(f"  {command:<{width}}  [dim]{why}[/]", soft_wrap=True)
