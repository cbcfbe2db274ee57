"""`tokentide void EVENT…`: events with wrong counts or from a test are taken out, and stay out."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import click

from tokentide_jobs.cli.screen import say
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.money import format_usd
from tokentide_jobs.core.tables import RAW_REQUESTS
from tokentide_jobs.counted import counted, listed
from tokentide_jobs.errors import ConfigError, RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.process_name import acting_account, process_name
from tokentide_jobs.settings.user_hash_key import user_hasher
from tokentide_jobs.tasks.repair.lost_rows import RecordSource
from tokentide_jobs.tasks.void.void import Void, Voided
from tokentide_jobs.tasks.void.void_tables import Row

__all__ = ["void"]

_TIMEOUT_S: Final = 3_600.0
"""To delete a row rewrites the part that holds it; on a busy server it may have to wait."""
_MOST_EVENTS: Final = 1_000
_MOST_REASON: Final = 500
_SHOWN_ROWS: Final = 30
_SHOWN_BATCHES: Final = 5


@click.command(short_help="Take wrong events out, for good.")
@data_dir_option
@click.argument("event_ids", metavar="EVENT…", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; it is kept with the decision.")
@click.option("--undo", is_flag=True, help="Let events in again that were taken out.")
@click.option("--dry-run", is_flag=True, help="Say which rows and amounts; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def void(
    data_dir: Path | None,
    event_ids: tuple[str, ...],
    reason: str,
    undo: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take events out by their ids: their rows go, windows, rollups and sums by subject follow.

    Who decided it, when and why, and what amounts went, stays: view voided_events. The events stay
    out: a log that is read again, an event that is sent again, and `tokentide repair --from-log` do
    not bring them back. All rows of an id go, also of an event that was sent twice. Ingest may run;
    a run that was interrupted is simply run again. With --undo rows are made again from their
    records in Kafka, at the price that they had first.
    """
    ids, words = _ids(event_ids), _reason(reason)
    settings = find_target(data_dir, "clickhouse", *(["kafka"] if undo else []))
    with closing(
        ClickHouse(settings.clickhouse_url, settings.database, timeout_s=_TIMEOUT_S)
    ) as store:
        work = Void(
            store,
            process_name(),
            acting_account(),
            secrets.token_hex(8),
            settings.token_window_s * 1_000_000,
            dry_run=dry_run,
            progress=lambda step: say(step, to_stderr=True),
        )
        if undo:
            log = RecordSource(
                settings.kafka_bootstrap,
                settings.restarted_logs,
                user_hasher(settings.user_hash_key_file),
            )
            done = work.let_in(ids, words, log)
        else:
            done = work.take_out(ids, words)
    if as_json:
        click.echo(json.dumps(_as_dict(done, undo=undo, dry_run=dry_run)))
    else:
        _show(done, undo=undo, dry_run=dry_run)
    if done.may_return:
        begun = counted(len(done.may_return), "batch was", "batches were")
        raise RetriableSinkError(
            f"{begun} begun before the decision and not finished: "
            f"{listed(done.may_return, _SHOWN_BATCHES)}. Where one holds such an event, its row "
            "comes back: run this again once a worker has finished it"
        )


def _ids(texts: Sequence[str]) -> list[str]:
    """Return ids as they are stored, each once."""
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[str(UUID(text))] = None
        except ValueError:
            raise ConfigError(f"EVENT is {text!r}: expected a UUID with hyphens") from None
    if len(found) > _MOST_EVENTS:
        raise ConfigError(f"{len(found)} events: name at most {_MOST_EVENTS} at once")
    return list(found)


def _reason(text: str) -> str:
    words = text.strip()
    if not words or len(words) > _MOST_REASON or not words.isprintable():
        raise ConfigError(
            f"--reason is {text!r}: expected 1 to {_MOST_REASON} characters in one line"
        )
    return words


def _show(done: Voided, *, undo: bool, dry_run: bool) -> None:
    for row in done.rows[:_SHOWN_ROWS]:
        say(_line(row))
    if len(done.rows) > _SHOWN_ROWS:
        say(f"and {counted(len(done.rows) - _SHOWN_ROWS, 'more row')}: --json lists all")
    for event_id, found in sorted(done.earlier.items()):
        state = "out" if found.is_out else "in again"
        at = f"{found.decided_at:%Y-%m-%d %H:%M:%S} UTC"
        say(f"{event_id} is {state} since {at}, by {found.decided_by}: {found.reason}")
    amount = f"{format_usd(_cost(done.rows))} USD"
    rows = counted(len(done.rows), "row")
    verb = "let in again" if undo else "taken out"
    if dry_run:
        would = f"{rows} with {amount} would be {verb}"
        say(f"dry run: nothing was written; {would}")
        return
    sums = counted(sum(found.rows for found in done.corrections), "sum")
    say(f"{verb}: {rows} with {amount}; {sums} of windows, rollups and subjects corrected")
    say("done; `tokentide verify` compares everything")


def _line(row: Row) -> str:
    at = datetime.fromtimestamp(row.started_at_us / 1e6, UTC)
    labels = " ".join(filter(None, (row.tenant, row.service, row.provider, row.model)))
    amounts = ""
    if row.raw_table == RAW_REQUESTS:
        tokens = f"{_known(row.input_tokens)} + {_known(row.output_tokens)} tokens"
        cost = "no cost" if row.cost_pico_usd is None else f"{format_usd(row.cost_pico_usd)} USD"
        amounts = f": {tokens}, {cost}"
    place = f"{row.log.topic}/{row.log.partition} offset {row.offset} index {row.idx}"
    return f"{row.event_id} {at:%Y-%m-%d %H:%M:%S} UTC {labels}{amounts} ({row.raw_table}, {place})"


def _known(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def _cost(rows: Sequence[Row]) -> int:
    return sum(row.cost_pico_usd or 0 for row in rows)


def _as_dict(done: Voided, *, undo: bool, dry_run: bool) -> dict[str, Any]:
    """Return the JSON form; money in integer pico-USD."""
    return {
        "dry_run": dry_run,
        "undo": undo,
        "revision": done.revision,
        "may_return": list(done.may_return),
        "cost_pico_usd": _cost(done.rows),
        "rows": [
            {
                "event_id": row.event_id,
                "table": row.raw_table,
                "started_at_us": row.started_at_us,
                "tenant": row.tenant,
                "service": row.service,
                "provider": row.provider,
                "model": row.model,
                "input_tokens": row.input_tokens,
                "output_tokens": row.output_tokens,
                "cost_pico_usd": row.cost_pico_usd,
                "log_id": row.log.log_id,
                "topic": row.log.topic,
                "partition": row.log.partition,
                "offset": row.offset,
                "idx": row.idx,
            }
            for row in done.rows
        ],
        "earlier": {
            event_id: {
                "revision": found.revision,
                "is_out": found.is_out,
                "reason": found.reason,
                "decided_by": found.decided_by,
                "decided_at": found.decided_at.isoformat(),
            }
            for event_id, found in sorted(done.earlier.items())
        },
        "corrections": [
            {
                "table": found.table,
                "span": str(found.span),
                "rows": found.rows,
                "events": found.events,
                "cost_pico_usd": found.cost_pico_usd,
            }
            for found in done.corrections
        ],
    }
