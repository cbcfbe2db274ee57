"""`tokentide verify`: proves that nothing was lost, doubled or mispriced."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.arguments import offset_ranges, utc_us
from tokentide_jobs.cli.main import EXIT_CHECK_FAILED
from tokentide_jobs.cli.screen import console, count
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.verify.report import Report, usd
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.verify.stored_facts import Scope
from tokentide_jobs.tasks.verify.verify import Log
from tokentide_jobs.tasks.verify.verify import verify as prove

__all__ = ["check", "proof_line", "verify"]

_SHOWN_FAULTS = 20


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

    Counts the events in Kafka again, and compares them with the ledger, the raw rows, the dead
    letters and the window sums; money to the last pico-dollar. Events that ingest has not read yet
    are pending, not lost. Exits with 1 when anything is off.
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
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)


def check(
    settings: Settings,
    scope: Scope | None = None,
    *,
    wait_s: float = 0.0,
    recount: bool = True,
    screen: Console | None = None,
) -> Report:
    """Verify the pipeline that `settings` name; a terminal shows what is being done."""
    log = Log(
        settings.kafka_bootstrap,
        settings.events_topic,
        otlp_topic=settings.otlp_topic,
        restarted_logs=settings.restarted_logs,
    )
    with closing(ClickHouse(settings.clickhouse_url, settings.database, timeout_s=600)) as store:
        if screen is None or not screen.is_terminal:
            return prove(store, log, scope, wait_s=wait_s, recount=recount)
        with screen.status("verifying") as status:
            return prove(
                store, log, scope, wait_s=wait_s, recount=recount,
                say=lambda step: status.update(f"[dim]verify: {step} …[/]"),
            )  # fmt: skip


def proof_line(report: Report) -> str:
    """Return the verdict in a line, and a second one about money when all is well (markup)."""
    if not report.ok:
        kinds = sorted({fault.kind.replace("_", " ") for fault in report.faults})
        return (
            f"[bold red]NOT OK[/]  {count(report.lost)} lost, {count(report.duplicated)} "
            f"duplicated; {len(report.faults)} faults: {', '.join(kinds)}"
        )
    dead = f" + {count(report.dead_letters)} dead letters" if report.dead_letters else ""
    pending = f" + {count(report.pending)} pending" if report.pending else ""
    windows = report.windows
    return (
        f"[bold green]verified[/]  {count(report.kafka_events)} events in Kafka = "
        f"{count(report.raw_events)} rows{dead}{pending}; 0 lost, 0 duplicated\n"
        f"          windows hold {count(windows.window_events)} events and "
        f"${_money(windows.raw_cost_pico_usd)}, to the pico-dollar as the rows"
    )


def _show(report: Report, screen: Console) -> None:
    windows = report.windows
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    logs = {part["log_id"] for part in report.per_partition}
    recounted = report.recounted_events
    note = f"{count(recounted)} counted again in Kafka, the others are in the ledger"
    everything = recounted + report.pending >= report.kafka_events
    table.add_row(
        "events", count(report.kafka_events),
        f"{'counted again in Kafka' if everything else note}; {len(logs)} log(s)",
    )  # fmt: skip
    table.add_row("raw rows", count(report.raw_events), "")
    table.add_row("dead letters", count(report.dead_letters), "`tokentide dlq list`")
    table.add_row("pending", count(report.pending), "not read by ingest yet")
    table.add_row("lost", count(report.lost), "")
    table.add_row("duplicated", count(report.duplicated), "")
    table.add_row("in windows", count(windows.window_events), "")
    table.add_row("money, raw rows", f"${_money(windows.raw_cost_pico_usd)}", "")
    table.add_row("money, windows", f"${_money(windows.window_cost_pico_usd)}", "")
    if report.repeated_event_ids:
        table.add_row(
            "repeated ids", count(report.repeated_event_ids),
            "sent more than once by a producer: each is a row of its own",
        )  # fmt: skip
    if report.offsets_without_record:
        table.add_row(
            "empty offsets", count(report.offsets_without_record),
            "transaction markers, compaction, or records that expired before they were read",
        )  # fmt: skip
    if report.expired_batches:
        table.add_row("old batches", count(report.expired_batches), "past retention, not compared")
    screen.print(table)
    for fault in report.faults[:_SHOWN_FAULTS]:
        screen.print(Text.assemble(("  ✗ ", "red"), str(fault)))
    if len(report.faults) > _SHOWN_FAULTS:
        screen.print(f"  and {len(report.faults) - _SHOWN_FAULTS} more: --json lists all")
    screen.print(proof_line(report))


def _money(pico_usd: int) -> str:
    return usd(pico_usd)


def _scope(from_text: str | None, to_text: str | None, offsets: tuple[str, ...]) -> Scope:
    from_us = utc_us(from_text, "--from") if from_text else None
    until_us = utc_us(to_text, "--to") if to_text else None
    if offsets and (from_text or to_text):
        raise ConfigError("--offsets excludes --from and --to: give one or the other")
    if from_us is not None and until_us is not None and from_us >= until_us:
        raise ConfigError(f"--from {from_text} is not before --to {to_text}")
    return Scope(from_us, until_us, offset_ranges(offsets) if offsets else None)
