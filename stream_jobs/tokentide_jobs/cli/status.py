"""`tokentide status`: whether everything works, in one picture with one verdict."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_UNREACHABLE
from tokentide_jobs.cli.screen import RECORD_HOLDS, console, count, seconds, shown
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.status import Status, Verdict
from tokentide_jobs.counted import counted
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.status.status import read_status

__all__ = ["StatusLine", "read_settings_status", "status", "status_line"]

_ANSWER_S: Final = 10.0
_UNKNOWN: Final = "unknown"
_STYLES: Final[dict[Verdict, str]] = {
    "ok": "bold green", "attention": "bold yellow", "bad": "bold red",
}  # fmt: skip

_MARKS: Final[dict[Verdict, tuple[str, str]]] = {
    "ok": ("  ✓", "green"), "attention": ("  !", "yellow"), "bad": ("  ✗", "red"),
}  # fmt: skip


@click.command(short_help="Say whether everything works, and what does not.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--worker", "workers", multiple=True, metavar="URL",
    help="Health page of a worker elsewhere, http://host:port; may be repeated. Workers of this "
    "machine are found in the data directory.",
)  # fmt: skip
@data_dir_option
def status(as_json: bool, workers: tuple[str, ...], data_dir: Path | None) -> None:
    """Say whether everything works, and what does not.

    Broker and ClickHouse, the schema as `migrate` compares it, what every worker says of itself,
    how far the ledger is behind the topics, the last finished batch, dead letters and dropping
    producers of the last hour, receivers that do not take notifications, free disk space. What
    cannot be read is unknown, null in the JSON
    form. Lag is in Kafka records, and a record holds one event or many; `tokentide verify` counts
    events.
    Works without workers and with servers of your own. Exits with 0 when all is stored (ok, or
    attention: something to look at), with 1 when it is not or that is unknown, with 3 when Kafka
    or ClickHouse does not answer.
    """
    found = read_settings_status(
        find_target(data_dir, "kafka", "clickhouse"), workers, looks_again=True
    )
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found, console())
    if not found.is_reachable:
        raise click.exceptions.Exit(EXIT_UNREACHABLE)
    if found.verdict == "bad":
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)


def status_line(found: Status) -> Text:
    """Return the verdict and its first reason as one line."""
    line = Text.assemble((found.verdict, _STYLES[found.verdict]), "  ")
    if found.problems:
        rest = len(found.problems) - 1
        more = f" (and {rest} more: `tokentide status`)" if rest else ""
        style = "red" if found.verdict == "bad" else ""
        return line.append_text(shown(f"{found.problems[0].words}{more}", style))
    records = found.lag_records
    if records is None:
        return line.append_text(Text("how many records wait is unknown", "dim"))
    age_s = found.last_batch_age_s
    last = f"the last batch {seconds(age_s)} ago" if age_s is not None else "no batch yet"
    waiting = counted(records, "record waits", "records wait") + _behind(found)
    return line.append_text(Text(f"{waiting}, {last}", "dim"))


class StatusLine:
    """The line for a screen that is drawn again and again: read now and then, in a thread.

    Args:
        settings: Whose state it is; without an address of Kafka there is no line.
        every_s: How old a line may become.
    """

    def __init__(self, settings: Settings, every_s: float = 5.0) -> None:
        self._settings = settings
        self._every_s = every_s
        self._began_s = 0.0
        self._found: Status | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="status")
        self._reading: Future[Status] | None = None

    def __call__(self, *, wait: bool = False) -> Text:
        """Return the last line that was read; with `wait`, the one that is being read."""
        found = self.read(wait=wait)
        return Text() if found is None else status_line(found)

    def read(self, *, wait: bool = False) -> Status | None:
        """Return the status behind the line, None before there is one."""
        if "kafka_bootstrap" not in self._settings.sources:
            return None
        is_old = time.monotonic() - self._began_s > self._every_s
        if self._reading is None and (is_old or self._found is None):
            self._began_s = time.monotonic()
            self._reading = self._pool.submit(read_settings_status, self._settings)
        if self._reading is not None and (wait or self._reading.done()):
            reading, self._reading = self._reading, None
            self._found = reading.result()
        return self._found


def read_settings_status(
    settings: Settings, workers: tuple[str, ...] = (), *, looks_again: bool = False
) -> Status:
    """Read the state of the pipeline that the settings name; the arguments are as there."""
    with closing(
        ClickHouse(settings.clickhouse_url, settings.database, timeout_s=_ANSWER_S)
    ) as store:
        return read_status(settings, store, workers, looks_again=looks_again)


def _show(found: Status, screen: Console) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Kafka", _kafka(found))
    table.add_row("ClickHouse", _clickhouse(found))
    table.add_row("schema", _schema(found))
    table.add_row("workers", shown(_workers(found)))
    detecting = [worker for worker in found.workers if worker.role == "detect"]
    if detecting or found.stack_detectors:
        known = max(len(detecting), found.stack_detectors)
        ready = sum(worker.is_ready for worker in detecting)
        table.add_row("detection", f"{ready} of {counted(known, 'worker')} ready")
    table.add_row("lag", _lag(found))
    table.add_row("last batch", _last_batch(found))
    table.add_row("dead letters", shown(_dead_letters(found)))
    table.add_row("dropped", _dropped(found))
    table.add_row("receivers", shown(_receivers(found)))
    screen.print(table)
    for problem in found.problems:
        screen.print(
            Text.assemble(_MARKS[problem.verdict], " ", shown(problem.words)), soft_wrap=True
        )
    screen.print(Text(found.verdict, _STYLES[found.verdict]))


def _kafka(found: Status) -> str:
    if not found.kafka_answers:
        return "does not answer"
    if found.log_end is None:
        return "answers; records unknown"
    return f"answers; {counted(found.log_end, 'record')} so far ({RECORD_HOLDS})"


def _clickhouse(found: Status) -> str:
    if not found.clickhouse_answers:
        return "does not answer"
    if found.clickhouse_problem:
        return "answers, and refuses this account"
    if found.free_bytes is None:
        return "answers; free space unknown"
    return f"answers; {found.free_bytes / 2**30:,.1f} GiB free"


def _schema(found: Status) -> str:
    if found.schema is None:
        return _UNKNOWN
    return "not as it was made" if found.schema else "as it was made"


def _last_batch(found: Status) -> str:
    if not found.knows_last_batch:
        return _UNKNOWN
    age_s = found.last_batch_age_s
    return "none in the last 30 days" if age_s is None else f"{seconds(age_s)} ago"


def _dead_letters(found: Status) -> str:
    if found.dead_letters is None:
        return _UNKNOWN
    by_reason = ", ".join(f"{count(n)} {reason}" for reason, n in found.dead_letters.items())
    return f"{by_reason or 'none'} in the last hour"


def _dropped(found: Status) -> str:
    if found.dropped_events is None:
        return _UNKNOWN
    return f"{counted(found.dropped_events, 'event')} by producers in the last hour"


def _receivers(found: Status) -> str:
    if found.failing_receivers is None:
        return _UNKNOWN
    names = ", ".join(one.receiver for one in found.failing_receivers)
    return f"not notified: {names}" if names else "none failed in the last hour"


def _workers(found: Status) -> str:
    ready = sum(worker.is_ready for worker in found.ingest_workers)
    known = max(len(found.ingest_workers), found.stack_workers)
    asked = f"{ready} of {known} ready" if known else "none could be asked"
    group = "" if found.group_members is None else f"; {found.group_members} in the consumer group"
    return asked + group


def _lag(found: Status) -> str:
    if found.lag_records is None:
        return _UNKNOWN
    lag_s = found.lag_s
    waited = "" if lag_s is None else f", the oldest for {seconds(lag_s)}"
    return f"{counted(found.lag_records, 'record')}{waited}{_behind(found)}"


def _behind(found: Status) -> str:
    """Say how many further records an open transaction keeps from every reader."""
    behind = found.behind_transaction_records
    return f", {count(behind)} more for an open transaction" if behind else ""
