"""`tokentide verify`: proves that nothing was lost, doubled or mispriced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.arguments import parse_offsets, utc_us
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_NOTHING_PROVEN
from tokentide_jobs.cli.progress import progress_lines
from tokentide_jobs.cli.screen import RECORD_HOLDS, console, count, shown
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.verify.report import Report
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.verify.stored_facts import VerifyScope
from tokentide_jobs.tasks.verify.verify import EventLog
from tokentide_jobs.tasks.verify.verify import verify as prove
from tokentide_schemas.fields import MAX_EPOCH_US

__all__ = ["check", "proof_line", "verify"]

_SHOWN_FAULTS = 20
_SUMS = "sums of agents, workflows and servers, or neither provider nor model named"


@click.command(short_help="Prove that nothing was lost, doubled or mispriced.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--from", "from_text", metavar="TIME", help="Only events from this time (UTC).")
@click.option("--to", "to_text", metavar="TIME", help="Only events before this time (UTC).")
@click.option(
    "--offsets",
    multiple=True,
    metavar="[P:]START-END",
    help="Only batches that touch these offsets of the present log, of partition P or of all; "
    "END is exclusive. May be repeated.",
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="S",
    help="Wait up to S seconds for ingest to catch up; what is pending then counts as a fault.",
)
@click.option(
    "--no-recount", is_flag=True, help="Believe the ledger instead of counting Kafka again."
)
@data_dir_option
def verify(
    as_json: bool,
    from_text: str | None,
    to_text: str | None,
    offsets: tuple[str, ...],
    wait_s: float,
    no_recount: bool,
    data_dir: Path | None,
) -> None:
    """Prove that nothing was lost, doubled or mispriced.

    Counts the events in Kafka again (a record holds one event or many; `tokentide status` counts
    records), and compares them with the ledger, the raw rows, the dead letters, the window sums and
    what the detect job merged by its newest snapshot; money to the last pico-dollar. Events that
    ingest has not read yet are pending, not lost; windows that a batch in flight touches are left
    out, and counted. A range given by options leaves the detect job out, too. Exits with 1 when
    anything is off, and with 5 when there was nothing to compare.
    """
    scope = _scope(from_text, to_text, offsets)
    settings = find_target(data_dir, "kafka", "clickhouse")
    screen = console(to_stderr=as_json)
    report = check(settings, scope, wait_s=wait_s, recount=not no_recount, screen=screen)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _show(report, screen)
    if not report.ok:
        code = EXIT_NOTHING_PROVEN if report.proves_nothing else EXIT_CHECK_FAILED
        raise click.exceptions.Exit(code)


def check(
    settings: Settings,
    scope: VerifyScope | None = None,
    *,
    wait_s: float = 0.0,
    recount: bool = True,
    screen: Console | None = None,
) -> Report:
    """Verify the pipeline that `settings` name, and say what is being done where it takes long."""
    log = EventLog(
        settings.kafka_bootstrap,
        settings.events_topic,
        otlp_topic=settings.otlp_topic,
        restarted_logs=settings.restarted_logs,
    )
    with closing(ClickHouse(settings.clickhouse_url, settings.database, timeout_s=600)) as store:
        if screen is None:
            return prove(store, log, scope, wait_s=wait_s, recount=recount)
        with progress_lines(screen, "verify") as say:
            return prove(store, log, scope, wait_s=wait_s, recount=recount, say=say)


def proof_line(report: Report) -> str:
    """Return the verdict in a line, and further ones about money and what was left out (markup)."""
    windows = report.windows
    if report.proves_nothing:
        pending = counted(report.pending, "event is", "events are")
        waiting = f"; {pending} pending" if report.pending else ""
        if report.behind_transaction:
            waiting += f"; {_behind(report)}"
        left_out = counted(windows.left_out, "window is", "windows are")
        in_flight = f", {left_out} in flight" if windows.left_out else ""
        return (
            "[bold yellow]nothing proven[/]  there is no finished batch and no finished window to "
            f"compare{in_flight}{waiting}"
        )
    if not report.ok:
        kinds = sorted({fault.kind.replace("_", " ") for fault in report.faults})
        return (
            f"[bold red]NOT OK[/]  {count(report.lost)} lost, {count(report.duplicated)} "
            f"duplicated; {counted(len(report.faults), 'fault')}: {', '.join(kinds)}"
        )
    return "\n          ".join(_proof(report))


def _proof(report: Report) -> Iterator[str]:
    """Yield the lines of a proof; what is called equal was compared, and is."""
    windows = report.windows
    dead = f" + {counted(report.dead_letters, 'dead letter')}" if report.dead_letters else ""
    pending = f" + {count(report.pending)} pending" if report.pending else ""
    out = f" + {count(report.voided)} taken out" if report.voided else ""
    yield (
        f"[bold green]verified[/]  {counted(report.kafka_events, 'event')} "
        f"{_counted_where(report)} = {counted(report.raw_events, 'row')}{out}{dead}{pending}; "
        "0 lost, 0 duplicated"
    )
    if report.behind_transaction:
        yield f"[bold yellow]pending[/]: {_behind(report)}"
    if windows.compared:
        yield (
            f"{counted(windows.compared, 'window holds', 'windows hold')} "
            f"{counted(windows.windows.events, 'event')} and "
            f"${usd(windows.windows.cost_pico_usd)}, to the pico-dollar as the rows"
        )
    if windows.left_out:
        yield f"{_left_out(report)}: not compared"
    if report.token_spans:
        yield (
            f"{counted(report.token_spans, 'span carries', 'spans carry')} tokens and "
            f"{'was' if report.token_spans == 1 else 'were'} not counted as calls: {_SUMS}"
        )
    if line := _detection(report):
        yield line


def _detection(report: Report) -> str:
    """Say what came of comparing what the detect job merged; empty: it was not asked for."""
    found = report.detection
    if found.verdict == "no_job":
        return "detection: no detect job has stored its state here, so there is nothing to compare"
    if found.consumed is None:
        why = "of an earlier version, or of something else than the detect job"
        not_compared = (
            f"detection: not compared: the newest snapshot does not say what it holds: it is {why}"
        )
        return not_compared if found.verdict == "not_said" else ""
    span = f"since {_utc(found.consumed.since_us)}, by its snapshot of {_utc(found.taken_at_us)}"
    if found.verdict == "nothing":
        return f"detection: no event to compare yet ({span})"
    sums, unjudged = found.consumed.sums, found.consumed.unjudged_events
    missed = (
        f"; meanwhile {counted(unjudged, 'event')} came into windows that no detector judged, "
        "since the job was away or behind when they closed: stored and counted all the same"
    )
    return (
        f"detection merged {counted(sums.events, 'event')} and ${usd(sums.cost_pico_usd)}, to the "
        f"pico-dollar as the ledger has of the same offsets ({span}{missed if unjudged else ''})"
    )


def _utc(epoch_us: int) -> str:
    """Return a time in seconds; records may name one that no calendar has."""
    if not 0 < epoch_us <= MAX_EPOCH_US:
        return "its beginning"
    return datetime.fromtimestamp(epoch_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _counted_where(report: Report) -> str:
    """Say who counted the events: Kafka's records were read again, or the ledger is believed."""
    recounted = report.recounted_events + report.pending
    if recounted >= report.kafka_events:
        return "in Kafka"
    if not recounted:
        return "by the ledger, none counted again in Kafka,"
    return f"({count(recounted)} counted again in Kafka, the others by the ledger)"


def _behind(report: Report) -> str:
    """Say how much an open transaction holds back from every reader."""
    records = counted(report.behind_transaction, "record waits", "records wait")
    return (
        f"{records} for an open transaction of a producer; no reader gets them before it ends: "
        'not compared (docs/operations.md, "A transaction that stays open")'
    )


def _left_out(report: Report) -> str:
    """Say which windows were not compared, and why."""
    windows = report.windows
    causes = []
    if windows.in_flight.events:
        causes.append(f"{counted(windows.in_flight.events, 'event is', 'events are')} in flight")
    if windows.repricing:
        causes.append(f"repricing {escape(', '.join(windows.repricing))} is not finished")
    return (
        f"left out {counted(windows.left_out, 'window')} with "
        f"{counted(windows.left_out_rows.events, 'event')} "
        f"({'; '.join(causes) or 'they change at this moment'})"
    )


def _show(report: Report, screen: Console) -> None:
    windows = report.windows
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    logs = {part["log_id"] for part in report.per_partition}
    table.add_row(
        "events", count(report.kafka_events),
        f"{_counted_where(report).strip('(),')} ({RECORD_HOLDS}); {counted(len(logs), 'log')}",
    )  # fmt: skip
    table.add_row("raw rows", count(report.raw_events), "")
    if report.voided:
        gone = f"with ${usd(report.voided_cost_pico_usd)}: the view voided_events has them"
        table.add_row("taken out", count(report.voided), gone)
    table.add_row("dead letters", count(report.dead_letters), "`tokentide dlq list`")
    if report.pending or not report.behind_transaction:
        table.add_row("pending", count(report.pending), "beyond the finished batches")
    if report.behind_transaction:
        behind = "records that wait for an open transaction, not compared"
        table.add_row("pending", count(report.behind_transaction), behind)
    table.add_row("lost", count(report.lost), "")
    table.add_row("duplicated", count(report.duplicated), "")
    table.add_row("in windows", count(windows.windows.events),
                  counted(windows.compared, "window"))  # fmt: skip
    table.add_row("money, raw rows", f"${usd(windows.rows.cost_pico_usd)}", "of these windows")
    table.add_row("money, windows", f"${usd(windows.windows.cost_pico_usd)}", "")
    if windows.left_out:
        table.add_row("left out", count(windows.left_out_rows.events), _left_out(report))
    if report.detection.consumed is not None:
        table.add_row(
            "in detection", count(report.detection.consumed.sums.events),
            "merged by the detect job up to its newest snapshot",
        )  # fmt: skip
    if report.repeated_event_ids:
        table.add_row(
            "repeated ids", count(report.repeated_event_ids),
            "sent more than once by a producer, to be fixed there: each is a row of its own",
        )  # fmt: skip
    if report.token_spans:
        table.add_row("not calls", count(report.token_spans), f"spans with tokens: {_SUMS}")
    if report.offsets_without_record:
        table.add_row(
            "empty offsets", count(report.offsets_without_record),
            "transaction markers, compaction, or records that expired before they were read",
        )  # fmt: skip
    if report.expired_batches:
        table.add_row("old batches", count(report.expired_batches), "past retention, not compared")
    screen.print(table)
    for fault in report.faults[:_SHOWN_FAULTS]:
        screen.print(Text.assemble(("  ✗ ", "red"), shown(fault)))
    if len(report.faults) > _SHOWN_FAULTS:
        screen.print(f"  and {len(report.faults) - _SHOWN_FAULTS} more: --json lists all")
    for remedy in report.remedies:
        kinds = ", ".join(kind.replace("_", " ") for kind in remedy.kinds)
        command = Text(f": {remedy.command}", "bold") if remedy.command else ""
        line = Text.assemble((f"  → {kinds}: ", "dim"), shown(remedy.words), command)
        screen.print(line, soft_wrap=True)
    screen.print(proof_line(report))


def _scope(from_text: str | None, to_text: str | None, offsets: tuple[str, ...]) -> VerifyScope:
    from_us = utc_us(from_text, "--from") if from_text else None
    until_us = utc_us(to_text, "--to") if to_text else None
    if offsets and (from_text or to_text):
        raise ConfigError("--offsets excludes --from and --to: give one or the other")
    if from_us is not None and until_us is not None and from_us >= until_us:
        raise ConfigError(f"--from {from_text} is not before --to {to_text}")
    return VerifyScope(from_us, until_us, parse_offsets(offsets) if offsets else None)
