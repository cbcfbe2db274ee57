"""`tokentide replay`: sends a recorded workload through the SDK."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tokentide import Telemetry
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED
from tokentide_jobs.cli.progress import counting_progress
from tokentide_jobs.cli.screen import console, count, say, seconds
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError, ServiceUnreachable
from tokentide_jobs.replay.pace import Pace, Plan
from tokentide_jobs.replay.send import Interrupted, Sent, send
from tokentide_jobs.replay.workload import Workload, prepare

__all__ = ["describe", "replay", "replay_producer", "run"]


@click.command(short_help="Send a recorded workload through the SDK.")
@click.argument("trace", default="mixed")
@click.option("--speed", type=float, metavar="X", help="Recorded pace times X.  [default: 1]")
@click.option("--rate", type=float, metavar="N", help="N events a second instead, evenly spaced.")
@click.option("--flat-out", is_flag=True, help="As fast as Kafka takes it.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N calls.")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides all that is drawn.")
@click.option(
    "--live",
    is_flag=True,
    help="Events carry the time of sending; else they keep the recorded spacing and end now.",
)
@click.option(
    "--failures",
    type=click.FloatRange(min=0, max=5),
    default=1.0,
    show_default=True,
    metavar="X",
    help="Measured failure rates times X; 0: nothing fails.",
)
@click.option("--quiet", is_flag=True, help="No description and no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def replay(
    trace: str,
    speed: float | None,
    rate: float | None,
    flat_out: bool,
    limit: int | None,
    seed: int,
    live: bool,
    failures: float,
    quiet: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Send a recorded workload through the SDK.

    TRACE is a packaged recording (mixed, azure, sessions, servegen) or the path of an Azure 2023
    CSV, a Claude Code sessions CSV (plain or gzipped) or a tar archive or folder of ServeGen
    clients. Exits with 1 when an event did not arrive, with 3 when Kafka takes none for 15 s.
    """
    if flat_out and (speed is not None or rate is not None):
        raise ConfigError("--flat-out excludes --speed and --rate: give one of the three")
    is_default = speed is None and rate is None and not flat_out
    pace = Pace(1.0 if is_default else speed, rate)
    settings = find_target(data_dir, "kafka")
    work = prepare(trace, seed=seed, limit=limit, failure_scale=failures)
    screen = console(to_stderr=as_json)
    if not quiet:
        describe(work, screen)
    sent = run(
        work, pace, bootstrap=settings.kafka_bootstrap, topic=settings.events_topic,
        is_live=live, screen=None if quiet else screen,
    )  # fmt: skip
    if as_json:
        where = {"bootstrap": settings.kafka_bootstrap, "topic": settings.events_topic}
        click.echo(json.dumps({**asdict(sent), "trace": trace, **where}))
    else:
        screen.print(_summary(sent))
    if sent.lost:
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)


def describe(work: Workload, screen: Console) -> None:
    """Print what is replayed: what was recorded, what is joined, and where it comes from."""
    screen.print(
        f"[bold]{work.trace.name}[/]: {count(work.requests)} calls over "
        f"{seconds(work.span_s)} of recorded time, seed {work.seed}"
    )
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, phrases in (("recorded", work.trace.recorded), ("joined", work.joined)):
        for place, phrase in enumerate(phrases):
            table.add_row("" if place else label, Text(phrase))
    for place, source in enumerate(work.sources):
        table.add_row("" if place else "sources", Text(f"{source.title}, {source.licence}"))
    screen.print(table)


def run(
    work: Workload,
    pace: Pace,
    *,
    bootstrap: str,
    topic: str,
    is_live: bool,
    screen: Console | None,
) -> Sent:
    """Send a workload with a producer of its own, with a progress bar on `screen` if there is one.

    Raises:
        ServiceUnreachable: The broker takes nothing.
    """
    begin_us = time.time_ns() // 1_000
    plan = Plan.make(pace, begin_us, work.requests, work.span_s, is_live=is_live)
    telemetry = replay_producer(bootstrap, topic)
    shown = (
        nullcontext(lambda _calls: None)
        if screen is None
        else counting_progress(screen, "sending", work.requests, "calls")
    )
    try:
        with shown as update:
            return send(work.events(), plan, telemetry, update, notice=_notice)
    except Interrupted as exc:
        say(
            f"tokentide: {counted(exc.sent, 'event')} sent, {count(exc.delivered)} of them "
            "confirmed by Kafka",
            to_stderr=True,
        )
        raise
    except ServiceUnreachable:
        telemetry.close(0)  # Kafka has had its time
        raise
    finally:
        telemetry.close()


def _notice(words: str) -> None:
    say(f"tokentide: {words}", to_stderr=True)


def replay_producer(bootstrap: str, topic: str) -> Telemetry:
    """Return a producer for recorded events.

    It sends also where `OTEL_SDK_DISABLED` switches the producers of services off: a replay is
    asked for explicitly.
    """
    return Telemetry(
        bootstrap=bootstrap, topic=topic, service="tokentide-replay", queue_events=20_000,
        disabled=False,
    )  # fmt: skip


def _summary(sent: Sent) -> str:
    rate = count(round(sent.events / sent.took_s)) if sent.took_s else "-"
    others = sent.events - sent.requests
    line = (
        f"sent {counted(sent.events, 'event')} ({counted(sent.requests, 'call')}, {count(others)} "
        f"evaluations, ratings and changes) in {seconds(sent.took_s)}, {rate}/s"
    )
    if sent.lost:
        return f"{line}; [red]{count(sent.lost)} did not arrive[/]: Kafka refused or dropped them"
    return f"{line}; Kafka has acknowledged all of them"
