"""The demo's incidents: a recorded week, an hour with declared faults, and what was noticed of it.

Runs on a stack of its own beside the demo's, since time is recorded time there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from tokentide import Telemetry
from tokentide_jobs.cli.incident_view import alerts_of, incidents_view
from tokentide_jobs.cli.ingest_wait import wait_for_ingest
from tokentide_jobs.cli.screen import count, seconds
from tokentide_jobs.core.tables import DAY_S, HOUR_US, MINUTE_US
from tokentide_jobs.embedded.kafka.broker import BrokerKind
from tokentide_jobs.embedded.stack.discovery import find_stack
from tokentide_jobs.embedded.stack.stack import DETECT_COMMAND, Stack, worker_environment
from tokentide_jobs.embedded.stack.workers import WorkerPool
from tokentide_jobs.errors import ServiceUnreachable, StackError
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.owner_only import owner_only_directory, owner_only_file
from tokentide_jobs.replay.events import Event
from tokentide_jobs.replay.incidents import INCIDENTS, injected
from tokentide_jobs.replay.pace import Pace, Plan
from tokentide_jobs.replay.send import send
from tokentide_jobs.replay.week import HISTORY_S, SPAN_S, THINNED, week
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.status.worker_pages import ask_metric

__all__ = ["show_incidents"]

_WATCHED: Final = 59
"""Whole minutes of the hour: the last one is not over."""
_TIMEOUT_S: Final = 300.0
_STOP_S: Final = 5.0
_ACTIVE: Final = "tokentide_detect_active"
_JUDGED: Final = 'tokentide_detect_windows_total{outcome="judged"}'
_RULES: Final = """\
# Written by `tokentide demo`. The hour is over when it is judged, and announced nevertheless.
alerts: {history_minutes: 120}
anomalies:
  levels: [[provider], [service]]
"""
_BUDGETS: Final = """\
# Written by `tokentide demo`: what the boards hold spend against.
budgets:
  - {name: everything, scope: {}, period: month, amount_usd: 500}
  - {name: support, scope: {team: customer-care}, period: day, amount_usd: 40}
"""
_PARTS: Final = (
    "[bold]What is recorded, and what not.[/] [dim]Recorded: times and tokens of the calls; one "
    f"chat in {THINNED} is kept, laid over a week. Made up: two services that they are given to. "
    "Injected: the three faults; nothing else fails. + says how long after a fault began its alert "
    "opened, in the time of the events. Figures: the stored alerts, one query.[/]"
)


def show_incidents(
    directory: Path,
    broker: BrokerKind | None,
    seed: int,
    environ: Mapping[str, str],
    screen: Console,
) -> bool:
    """Send, judge and show; return whether every fault was found.

    Args:
        directory: Of the stack, which is left for a look.
        broker: As for the demo.
        seed: Decides all that is drawn.
        environ: Of the workers.
        screen: Where it is shown.
    """
    screen.print(
        "[bold]What is noticed[/]  a recorded week, then an hour with three declared faults\n"
    )
    if (running := find_stack(directory)) is not None:
        raise StackError(
            f"a stack runs in {directory} (pid {running.pid}), where the week is to be: stop it, "
            "or use --no-incidents"
        )
    shutil.rmtree(directory, ignore_errors=True)  # recorded time does not begin again in one log
    owner_only_directory(directory)
    rules, budgets = directory / "detect.yaml", directory / "budgets.yaml"
    for path, text in ((rules, _RULES), (budgets, _BUDGETS)):
        with os.fdopen(owner_only_file(path, os.O_WRONLY | os.O_CREAT), "w") as file:
            file.write(text)
    environ = {
        **environ, "TOKENTIDE_MAX_EVENT_AGE_S": str(8 * DAY_S),
        "TOKENTIDE_DETECT_FILE": str(rules), "TOKENTIDE_BUDGETS_FILE": str(budgets),
        "TOKENTIDE_DETECT_TIME": "recorded",
    }  # fmt: skip
    end_us = time.time_ns() // 1_000 // MINUTE_US * MINUTE_US
    with Stack(directory, broker=broker, workers=1, environ=environ) as stack:
        settings = Settings.from_env(
            {}, directory, kafka_bootstrap=stack.info.kafka,
            clickhouse_url=stack.info.clickhouse_dsn, events_topic=stack.info.events_topic,
        )  # fmt: skip
        with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
            _play(stack, settings, store, end_us, seed, environ, screen)
            openings = AlertStore(store).openings(end_us - HOUR_US)
    screen.print()
    screen.print(incidents_view(openings, end_us))
    screen.print()
    screen.print(_PARTS)
    return all(alerts_of(one, openings, end_us) for one in INCIDENTS)


def _play(
    stack: Stack,
    settings: Settings,
    store: ClickHouse,
    end_us: int,
    seed: int,
    environ: Mapping[str, str],
    screen: Console,
) -> None:
    """Send the week, learn from it, send the hour and judge it."""
    hour: list[tuple[float, Event]] = []
    events = _until(injected(week(seed), SPAN_S, seed), HISTORY_S, hour)
    plan = Plan(Pace(), end_us, end_us, SPAN_S, is_live=False)
    # Counters of the producer itself are of now: they would be the end of recorded time.
    telemetry = Telemetry(
        bootstrap=settings.kafka_bootstrap, topic=settings.events_topic, service="tokentide-replay",
        queue_events=20_000, disabled=False, stats_interval_s=3_600.0,
    )  # fmt: skip
    directory = settings.data_dir
    began_s, begin_us = time.monotonic(), time.time_ns() // 1_000
    try:
        sent = send(events, plan, telemetry)
        wait_for_ingest(settings, store, begin_us, sent.events, screen)
        screen.print(
            f"  [green]✓[/] a week of {count(sent.requests)} calls sent and stored "
            f"[dim]{seconds(time.monotonic() - began_s)}[/]"
        )
        with _detecting(stack, environ, screen):
            began_s = time.monotonic()
            last = send(iter(hour), plan, telemetry)
            telemetry.close()
            _wait(directory, "judged the hour", lambda: ask_metric(directory, _JUDGED) >= _WATCHED)
            screen.print(
                f"  [green]✓[/] learned from it; then an hour of {count(last.requests)} calls "
                f"judged [dim]{seconds(time.monotonic() - began_s)}[/]"
            )
            _say_if_busy(screen)
    finally:
        telemetry.close()


def _until(
    events: Iterator[tuple[float, Event]], until_s: float, rest: list[tuple[float, Event]]
) -> Iterator[tuple[float, Event]]:
    """Yield events before a time, and keep the others."""
    for at_s, event in events:
        if at_s < until_s:
            yield at_s, event
        else:
            rest.append((at_s, event))


@contextmanager
def _detecting(stack: Stack, environ: Mapping[str, str], screen: Console) -> Iterator[None]:
    """Run a detect worker: it learns what is stored by now, and watches from there on."""
    pool = WorkerPool(
        {"detect": DETECT_COMMAND},
        log_dir=stack.data_dir / "logs",
        env={**environ, **worker_environment(stack.info)},
        notify=screen.print,
    )
    pool.start()
    try:
        # What is stored when it begins is history to it, and learned: the hour comes after that.
        _wait(stack.data_dir, "begun", lambda: ask_metric(stack.data_dir, _ACTIVE) > 0)
        yield
    finally:
        pool.stop(_STOP_S)


def _wait(data_dir: Path, what: str, is_so: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + _TIMEOUT_S
    while not is_so():
        if time.monotonic() > give_up_s:
            raise ServiceUnreachable(
                f"detection has not {what} in {_TIMEOUT_S:g} s: look at {data_dir}/logs/detect.log"
            )
        time.sleep(0.1)


def _say_if_busy(screen: Console) -> None:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores:
        screen.print(
            f"  [yellow]![/] this machine is busy (load {load:.1f} on {cores} cores): how long "
            "that took says nothing of the pipeline"
        )
