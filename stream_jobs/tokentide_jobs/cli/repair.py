"""`tokentide repair`: windows, rollups and sums by subject become again those of the raw rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from tokentide_jobs.cli.arguments import utc_us
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.money import format_usd
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.process_name import process_name
from tokentide_jobs.settings.user_hash_key import user_hasher
from tokentide_jobs.tasks.repair.lost_rows import RecordSource, Restored
from tokentide_jobs.tasks.repair.repair import TABLES, Correction, Repair

__all__ = ["repair"]

_TIMEOUT_S = 600.0
_DONE = "done; `tokentide verify` compares everything"


@click.command(short_help="Correct windows and rollups from the raw rows.")
@data_dir_option
@click.option("--from", "from_text", metavar="TIME", help="First day (UTC).  [default: the oldest]")
@click.option("--to", "to_text", metavar="TIME", help="End, exclusive.  [default: now]")
@click.option(
    "--table",
    "tables",
    type=click.Choice(list(TABLES)),
    multiple=True,
    help="Only this table and the coarser ones, which are made from it.  [default: all]",
)
@click.option(
    "--from-log",
    is_flag=True,
    help="First bring raw rows back that are lost, where Kafka still has their records.",
)
@click.option("--dry-run", is_flag=True, help="Say what is wrong; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def repair(
    data_dir: Path | None,
    from_text: str | None,
    to_text: str | None,
    tables: tuple[str, ...],
    from_log: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Correct windows, rollups and sums by subject from the raw rows, whole UTC days at a time.

    TIME is a UTC date or time, or a time ago such as 7d. Every sum that differs gets the
    difference; what is right is not touched, and ingest may run (it rests for seconds where it is
    writing). A repair that was interrupted is simply run again. Raw rows are counted against the
    ledger first: where some are missing nothing is changed, or with --from-log they are made again
    from their records, at the price that they had. Days whose raw rows may have expired
    are left as they are. Exits with 1 when raw rows are missing or stand twice, and with --dry-run
    when anything is wrong.
    """
    from_us, to_us = _range(from_text, to_text)
    settings = find_target(data_dir, "clickhouse", *(["kafka"] if from_log else []))
    corrections: list[Correction] = []
    restorations: list[Restored] = []
    with closing(
        ClickHouse(settings.clickhouse_url, settings.database, timeout_s=_TIMEOUT_S)
    ) as store:
        work = Repair(
            store,
            process_name(),
            settings.token_window_s * 1_000_000,
            tables=tables or TABLES,
            dry_run=dry_run,
            progress=lambda step: click.echo(step, err=True),
        )
        log = RecordSource(
            settings.kafka_bootstrap,
            settings.restarted_logs,
            user_hasher(settings.user_hash_key_file),
        )
        for restored in work.restore_rows(log, from_us, to_us) if from_log else ():
            restorations.append(restored)
            if not as_json:
                click.echo(_restored_text(restored, dry_run=dry_run))
        differing: Iterable[Correction] = work.run(from_us, to_us)
        if dry_run and restorations:
            click.echo("windows are compared when the rows are back", err=True)
            differing = ()
        for found in differing:
            corrections.append(found)
            if not as_json:
                click.echo(_correction_text(found, dry_run=dry_run))
    is_wrong = bool(corrections or restorations)
    if as_json:
        click.echo(json.dumps(_answer(corrections, restorations, dry_run=dry_run)))
    elif not is_wrong:
        click.echo("every window, rollup and sum by subject is that of its raw rows: nothing to do")
    else:
        click.echo("dry run: nothing was written" if dry_run else _DONE)
    if is_wrong and dry_run:
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)


def _range(from_text: str | None, to_text: str | None) -> tuple[int | None, int | None]:
    from_us = utc_us(from_text, "--from") if from_text else None
    to_us = utc_us(to_text, "--to") if to_text else None
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise ConfigError(f"--from {from_text} is not before --to {to_text} (which is exclusive)")
    return from_us, to_us


def _answer(
    corrections: Sequence[Correction], restorations: Sequence[Restored], *, dry_run: bool
) -> dict[str, Any]:
    """Return the JSON form of all that was found."""
    restored = [{"batch": str(each.batch), "rows": dict(each.rows)} for each in restorations]
    rows = [
        {
            "table": found.table,
            "span": str(found.span),
            "rows": found.rows,
            "events": found.events,
            "cost_pico_usd": found.cost_pico_usd,
        }
        for found in corrections
    ]
    return {"dry_run": dry_run, "restored": restored, "corrections": rows}


def _correction_text(found: Correction, *, dry_run: bool) -> str:
    verb = "differs by" if dry_run else "corrected by"
    return (
        f"{found.table} {found.span}: {verb} {counted(found.rows, 'sum')}, "
        f"{found.events:+,} {'event' if abs(found.events) == 1 else 'events'},"
        f" {format_usd(found.cost_pico_usd)} USD"
    )


def _restored_text(restored: Restored, *, dry_run: bool) -> str:
    rows = ", ".join(f"{count:,} of {table}" for table, count in restored.rows.items())
    verb = "would be brought back" if dry_run else "brought back"
    return f"{restored.batch}: {verb} from Kafka: {rows}"
