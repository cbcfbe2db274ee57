"""`tokentide up` and `tokentide down`: the embedded stack, in the foreground, until Ctrl-C.

Standard output carries nothing but the one JSON line of `--json`; what a person reads goes to
standard error.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from tokentide_jobs.cli.bad_times import BadTimes
from tokentide_jobs.cli.program import program
from tokentide_jobs.cli.progress import Steps
from tokentide_jobs.cli.screen import console
from tokentide_jobs.cli.status import StatusLine, read_settings_status, status_line
from tokentide_jobs.cli.stop_signals import StopRequested, signals_raise
from tokentide_jobs.cli.target import data_dir_option
from tokentide_jobs.core.status import Status
from tokentide_jobs.counted import counted
from tokentide_jobs.embedded.processes.locks import holder_pid
from tokentide_jobs.embedded.processes.ports import is_free
from tokentide_jobs.embedded.stack.discovery import StackInfo
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.errors import StackError
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.status.worker_pages import ask_workers

__all__ = ["down", "up"]

_VIEWER_PORT = 8080
_STOP_DEADLINE_S = 120.0
_SAY_STILL_S = 10.0
_SETTLE_S = 30.0
"""How long workers may take before `up` says that it is ready without them."""
_LOOK_FOR_SIGNALS_S = 1.0
_STATUS_EVERY_S = 10.0


@click.command(short_help="Run Kafka, ClickHouse and the ingest workers until Ctrl-C.")
@data_dir_option
@click.option(
    "--broker",
    type=click.Choice(["kafka", "tansu"]),
    default=None,
    help="Apache Kafka, or Tansu: light, in memory.  [default: kafka, or tansu with a notice "
    "where Kafka cannot be fetched]",
)
@click.option(
    "--kafka-port", type=click.IntRange(0, 65_535), default=9092, show_default=True,
    help="Port of the broker on 127.0.0.1; 0: any free one.",
)  # fmt: skip
@click.option(
    "--clickhouse-port", type=click.IntRange(0, 65_535), default=8123, show_default=True,
    help="Port of ClickHouse's HTTP interface on 127.0.0.1; 0: any free one.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(0, 64), default=1, show_default=True,
    help="Ingest workers; 0: none, start your own with `tokentide worker ingest`.",
)  # fmt: skip
@click.option(
    "--detect/--no-detect", default=None,
    help="Run a detect worker: anomalies, the guard over runs, budgets.  [default: with workers]",
)  # fmt: skip
@click.option(
    "--viewer-port", type=click.IntRange(0, 65_535), default=None,
    help="Port of the boards on 127.0.0.1; 0: any free one.  [default: 8080, or any free one "
    "where that is taken]",
)  # fmt: skip
@click.option("--no-viewer", is_flag=True, help="Do not serve the boards.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON line once ready; it holds the password of ClickHouse.",
)
def up(
    data_dir: Path | None,
    broker: str | None,
    kafka_port: int,
    clickhouse_port: int,
    workers: int,
    detect: bool | None,
    viewer_port: int | None,
    no_viewer: bool,
    as_json: bool,
) -> None:
    """Run Kafka, ClickHouse, workers and the boards on this machine until Ctrl-C.

    Everything is kept below the data directory and is there again at the next start (with
    --broker tansu, all but the broker's log). The first start fetches Apache Kafka (44 MB).
    Ctrl-C or SIGTERM stops all of it in order.
    """
    screen = console(to_stderr=True)
    settings = Settings.from_env(os.environ, data_dir)
    has_detect = workers > 0 if detect is None else detect
    began_s = time.monotonic()
    with signals_raise() as stop:
        stack = Stack(
            settings.data_dir,
            broker=None if broker is None else "kafka" if broker == "kafka" else "tansu",
            workers=workers,
            detect=has_detect,
            kafka_port=kafka_port,
            clickhouse_port=clickhouse_port,
            viewer_port=None if no_viewer else _viewer_port(viewer_port),
            min_free_bytes=settings.min_free_bytes,
            reporter=Steps(screen),
        )
        is_up = False
        try:
            info = stack.start()
            is_up = True
            still_starting = _wait_for_workers(screen, settings.data_dir, workers, int(has_detect))
            if as_json:
                click.echo(info.to_json())
            _show_ready(screen, info, time.monotonic() - began_s, data_dir, workers)
            if still_starting:
                screen.print(still_starting, style="yellow", soft_wrap=True)
            bad_times = BadTimes(_show_status(screen, data_dir))
            health = StatusLine(Settings.from_env(os.environ, data_dir), _STATUS_EVERY_S)
            while not stack.wait(_LOOK_FOR_SIGNALS_S):
                stop.check()
                _show_change(screen, bad_times, health)
        except StopRequested:
            if is_up:  # before that, nothing names the stack: it would be another's status
                _show_status(screen, data_dir)
            screen.print("stopping …")
        finally:
            stack.stop()
    screen.print("stopped; everything is kept in", str(settings.data_dir), style="dim")


def _viewer_port(wanted: int | None) -> int:
    """Return the port that was asked for; unasked the usual one, or any where others have it."""
    if wanted is not None:
        return wanted
    return _VIEWER_PORT if is_free(_VIEWER_PORT) else 0


@click.command(short_help="Stop the stack that runs in a data directory.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def down(as_json: bool, data_dir: Path | None) -> None:
    """Stop the embedded stack that runs in a data directory, and wait until it is gone.

    Nothing to stop is not an error.
    """
    directory = Settings.from_env(os.environ, data_dir).data_dir
    pid = holder_pid(directory)
    if pid is not None:
        _stop(pid, directory)
        click.echo(f"stopped the stack of process {pid}", err=True)
    else:
        click.echo(f"no stack runs in {directory}", err=True)
    if as_json:
        answer = {"stopped": pid is not None, "pid": pid, "data_dir": str(directory.absolute())}
        click.echo(json.dumps(answer))


def _stop(pid: int, directory: Path) -> None:
    os.kill(pid, signal.SIGTERM)
    began_s = reported_s = time.monotonic()
    # A stack stops in less than 15 s of a free machine; one under load takes longer, and stops.
    while holder_pid(directory) == pid:
        now_s = time.monotonic()
        waited = f"{now_s - began_s:.0f} s after SIGTERM"
        if now_s - began_s > _STOP_DEADLINE_S:
            raise StackError(
                f"process {pid} still runs and holds {directory} {waited}: {directory / 'logs'} "
                f"say what it waits for, and `kill -9 {pid}` ends it with all that it started"
            )
        if now_s - reported_s > _SAY_STILL_S:
            reported_s = now_s
            click.echo(f"process {pid} is still stopping, {waited}", err=True)
        time.sleep(0.05)


def _show_ready(
    screen: Console, info: StackInfo, took_s: float, data_dir: Path | None, workers: int
) -> None:
    option = escape(f" --data-dir {data_dir}") if data_dir is not None else ""
    broker = "Apache Kafka" if info.broker == "kafka" else "Tansu, log in memory"
    facts = [
        ("Kafka", f"{info.kafka}  ({broker}; topic {info.events_topic})"),
        ("ClickHouse", f"{info.clickhouse_url}  (database tokentide; user analyst only reads)"),
        ("", escape(f"user default writes; its password: {info.data_dir}/clickhouse/password")),
        ("data, logs", escape(f"{info.data_dir}, {info.data_dir}/logs")),
    ]
    if info.viewer_url:
        facts.insert(0, ("boards", f"{info.viewer_url}  (open it in a browser)"))
    called = program()
    tries = [
        (f"{called} replay{option}", "send a recorded workload"),
        (f"{called} top{option}", "watch it arrive"),
        (f'{called} sql{option} "SELECT * FROM spend_by_hour"', "ask a question"),  # noqa: S608 - shown, not run
    ]
    if workers == 0:
        tries.insert(0, (f"{called} worker ingest{option}", "nothing reads the topic yet"))
    screen.print(f"\n[bold]ready[/bold] in {took_s:.1f} s (pid {info.pid})")
    for name, value in facts:
        screen.print(f"  {name:<11} {value}", soft_wrap=True)
    screen.print("\n[bold]try[/bold], in another terminal")
    width = max(len(command) for command, _why in tries)
    for command, why in tries:
        screen.print(f"  {command:<{width}}  [dim]{why}[/dim]", soft_wrap=True)
    screen.print("\nCtrl-C stops it\n", style="dim")


def _wait_for_workers(screen: Console, directory: Path, workers: int, detectors: int = 0) -> str:
    """Wait until so many workers read; what to say when some still do not after a long time."""
    steps, began_s = Steps(screen), time.monotonic()
    for role, wanted in (("ingest", workers), ("detect", detectors)):
        if not wanted:
            continue
        name, names = f"{role} worker", f"{role} workers"
        steps.step(f"{counted(wanted, f'{name} joins', f'{names} join')} the group")
        while (ready := _ready_workers(directory, role)) < wanted:
            if time.monotonic() - began_s > _SETTLE_S:
                starting = counted(wanted - ready, f"{name} is", f"{names} are")
                return f"{starting} still starting: `{program()} status` says what holds them up"
            time.sleep(0.2)
        reads = counted(wanted, f"{name} reads", f"{names} read")
        steps.done(reads, time.monotonic() - began_s)
    return ""


def _ready_workers(directory: Path, role: str) -> int:
    """Return how many workers of a role are ready."""
    return sum(worker.is_ready for worker in ask_workers(directory, ()) if worker.role == role)


def _show_status(screen: Console, data_dir: Path | None) -> Status:
    """Say in one line whether everything works."""
    found = read_settings_status(Settings.from_env(os.environ, data_dir))
    screen.print(status_line(found), soft_wrap=True)
    return found


def _show_change(screen: Console, bad_times: BadTimes, health: StatusLine) -> None:
    """Say it when the pipeline has become bad, or is no longer."""
    try:
        found = health.read()
    except Exception:  # a look that fails, for whatever reason, never ends what it looks at
        return
    if found is not None and (line := bad_times.line(found)) is not None:
        screen.print(Text(time.strftime("%H:%M:%S  ")).append_text(line), soft_wrap=True)
