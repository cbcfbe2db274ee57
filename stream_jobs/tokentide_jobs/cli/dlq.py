"""`tokentide dlq`: look at refused events, and send them again once their cause is fixed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.arguments import utc_us
from tokentide_jobs.cli.printable import printable
from tokentide_jobs.cli.screen import console, count, shown, write_bytes
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.record.topics import log_ids
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.kafka.admin import topic_log_id
from tokentide_jobs.io.kafka.answer import kafka_answer
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.dead_letters import (
    DeadLetterStore,
    Reason,
    Selection,
    StoredDeadLetter,
    Target,
)

__all__ = ["dlq"]

_PLACE = re.compile(r"(otlp-)?(\d+):(\d+):(\d+)")
_CLAIM_HOLDS = timedelta(seconds=60)
"""A claim without a mark is given up after this: no run takes so long for one chunk."""
_SHOWN_BYTES = 4_000
_STATES = ("open", "again", "replayed", "discarded", "interrupted", "cut")


@click.group(short_help="List, show and replay dead letters.")
def dlq() -> None:
    """Look at refused events, and send them again once their cause is fixed.

    A dead letter is named by its place in the log, PARTITION:OFFSET:INDEX, as `list` shows it.
    """


@dlq.command("list", short_help="List dead letters by reason and time.")
@click.option("--reason", help="Only this reason.")
@click.option("--from", "from_text", metavar="TIME", help="Refused from this time (UTC, or 24h).")
@click.option("--to", "to_text", metavar="TIME", help="Refused before this time.")
@click.option("--state", type=click.Choice(_STATES), help="Only dead letters in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True,
              help="Dead letters listed one by one, the newest first.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per dead letter.")
@data_dir_option
def list_dead_letters(
    reason: str | None,
    from_text: str | None,
    to_text: str | None,
    state: str | None,
    limit: int,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """List dead letters: totals by reason, then the newest ones."""
    selection = _selection(reason, from_text, to_text, (), (state,) if state else ())
    with _open(data_dir) as (_settings, store):
        newest = store.find(selection, limit)
        if as_json:
            for dead_letter in newest:
                click.echo(json.dumps(_as_dict(dead_letter)))
            return
        reasons = store.reasons(selection)
    screen = console()
    if not reasons:
        is_filtered = any((reason, from_text, to_text, state))
        screen.print("no dead letters" + (" match" if is_filtered else ""))
        return
    _show_reasons(reasons, screen)
    screen.print()
    _show_dead_letters(newest, screen)


@dlq.command(short_help="Show one dead letter and what is kept of it.")
@click.argument("place")
@click.option(
    "--raw", is_flag=True,
    help="Write what is kept of it and nothing else (a terminal gets it escaped).",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per dead letter.")
@data_dir_option
def show(place: str, raw: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show the dead letter at PLACE with the reason, and what is kept of the event."""
    with _open(data_dir) as (_settings, store):
        found = store.find(_selection(None, None, None, (place,), ()), 10)
    if not found:
        raise ConfigError(f"there is no dead letter at {place}: `tokentide dlq list` shows them")
    if raw:
        write_bytes(found[0].value)
        return
    if as_json:
        for dead_letter in found:
            click.echo(json.dumps(_as_dict(dead_letter)))
        return
    screen = console()
    for dead_letter in found:
        _show_dead_letter(dead_letter, screen)


@dlq.command(short_help="Send dead letters again, each once.")
@click.argument("places", nargs=-1)
@click.option("--reason", help="All open dead letters of this reason.")
@click.option("--all", "everything", is_flag=True, help="All open dead letters.")
@click.option("--from", "from_text", metavar="TIME", help="Refused from this time (UTC, or 24h).")
@click.option("--to", "to_text", metavar="TIME", help="Refused before this time.")
@click.option("--max", "limit", type=click.IntRange(min=1), default=1_000, show_default=True,
              help="At most so many, the oldest first.")  # fmt: skip
@click.option("--interrupted", is_flag=True,
              help="Also those whose run ended while sending; Kafka may have them.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def replay(
    places: tuple[str, ...],
    reason: str | None,
    everything: bool,
    from_text: str | None,
    to_text: str | None,
    limit: int,
    interrupted: bool,
    dry_run: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Send dead letters to the topic of events again.

    Name dead letters by place, or take --reason or --all. Each is sent once: what was replayed
    before, also by another run at this moment, is left alone. What is refused again comes back as
    a new dead letter in the state `again`, which is sent only when its place is named.
    """
    if not (places or reason or everything):
        raise ConfigError("name what to replay: PARTITION:OFFSET:INDEX, --reason or --all")
    screen = console(to_stderr=as_json)
    sent = 0
    # A copy that was refused again is sent only by name: else every run would send it once more.
    states = ("open", *(["again"] if places else []), *(["interrupted"] if interrupted else []))
    selection = _selection(reason, from_text, to_text, places, states)
    with _open(data_dir, "kafka") as (settings, store):
        waiting = sum(found.dead_letters for found in store.reasons(selection))
        chosen = store.find(selection, limit, oldest_first=True)
        if dry_run or not chosen:
            if chosen:
                _show_dead_letters(chosen[:20], screen)
            screen.print(f"{counted(len(chosen), 'open dead letter')} would be sent; nothing was")
        else:
            kafka, topic = settings.kafka_bootstrap, settings.events_topic
            own = {topic: kafka_answer(kafka, topic_log_id(kafka, topic))}
            log_id = log_ids(own, settings.restarted_logs)[topic]
            void_before = datetime.now(UTC) - _CLAIM_HOLDS if interrupted else None
            sent = asyncio.run(
                store.replay(chosen, Target(kafka, topic, log_id), void_before=void_before)
            )
            screen.print(f"sent {counted(sent, 'event')} again to {settings.events_topic}")
    if as_json:
        answer = {"chosen": len(chosen), "sent": sent, "left": waiting - len(chosen)}
        click.echo(json.dumps({**answer, "dry_run": dry_run}))
    if waiting > len(chosen):
        more = counted(waiting - len(chosen), "more is", "more are")
        screen.print(f"{more} open: repeat, or raise --max")


@contextmanager
def _open(data_dir: Path | None, *needs: str) -> Iterator[tuple[Settings, DeadLetterStore]]:
    settings = find_target(data_dir, "clickhouse", *needs)
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        yield settings, DeadLetterStore(store)


def _selection(
    reason: str | None,
    from_text: str | None,
    to_text: str | None,
    places: tuple[str, ...],
    states: tuple[str, ...],
) -> Selection:
    parsed: list[str] = []
    for place in places:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise ConfigError(
                f"{place!r} names no dead letter: expected PARTITION:OFFSET:INDEX, such as 0:1234:7"
            )
        parsed.append(f"{match[1] or ''}{int(match[2])}:{int(match[3])}:{int(match[4])}")
    return Selection(
        reason=reason,
        since_us=utc_us(from_text, "--from") if from_text else None,
        until_us=utc_us(to_text, "--to") if to_text else None,
        places=parsed,
        states=states,
    )


def _show_reasons(reasons: list[Reason], screen: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for heading, side in (("dead letters", "right"), ("open", "right"), ("reason", "left")):
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    table.add_column("field", no_wrap=True)
    table.add_column("newest (UTC)", no_wrap=True)
    table.add_column("for example", overflow="fold")
    for found in reasons:
        table.add_row(
            count(found.dead_letters), count(found.open), shown(found.reason), shown(found.field),
            f"{found.last_at:%m-%d %H:%M:%S}", shown(found.example),
        )  # fmt: skip
    screen.print(table)


def _show_dead_letters(dead_letters: list[StoredDeadLetter], screen: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for heading in ("place", "refused (UTC)", "state", "service", "reason"):
        table.add_column(heading, no_wrap=True, max_width=24)
    table.add_column("detail", overflow="fold")
    for dead_letter in dead_letters:
        table.add_row(
            str(dead_letter.place), f"{dead_letter.ingested_at:%m-%d %H:%M:%S}", dead_letter.state,
            shown(dead_letter.service or "-"), shown(dead_letter.reason), shown(dead_letter.detail),
        )  # fmt: skip
    screen.print(table)


def _show_dead_letter(dead_letter: StoredDeadLetter, screen: Console) -> None:
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    where = dead_letter.place
    for label, value in (
        ("place", f"{where}   (partition:offset:index, topic {where.topic}, log {where.log_id})"),
        ("reason", dead_letter.reason + (f" in {dead_letter.field}" if dead_letter.field else "")),
        ("detail", dead_letter.detail),
        ("state", dead_letter.state),
        ("recorded", f"{dead_letter.record_at:%Y-%m-%d %H:%M:%S} UTC by Kafka"),
        ("refused", f"{dead_letter.ingested_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("event", " ".join(part for part in (dead_letter.type, dead_letter.event_id) if part)),
        (
            "from",
            ", ".join(
                p for p in (dead_letter.service, dead_letter.tenant, dead_letter.sdk_name) if p
            ),
        ),
    ):
        if value:
            facts.add_row(label, shown(value))
    screen.print(facts)
    screen.print(Text(counted(len(dead_letter.value), "byte"), "dim"))
    screen.print(_body(dead_letter))


def _body(dead_letter: StoredDeadLetter) -> Text:
    """Return the bytes as a person can read them: JSON indented, anything else escaped."""
    try:
        parsed = json.loads(dead_letter.value)
    except (ValueError, RecursionError):
        return shown(dead_letter.value[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"))
    indented = json.dumps(parsed, indent=2, ensure_ascii=False)
    text = Text(printable(indented, keep="\n"))
    if dead_letter.field:
        # The last part of a path such as `tags.plan` is the key to look for.
        text.highlight_regex(rf'"{re.escape(dead_letter.field.split(".")[0])}":.*', "bold red")
    return text


def _as_dict(dead_letter: StoredDeadLetter) -> dict[str, object]:
    where = dead_letter.place
    return {
        "place": str(where),
        "log_id": where.log_id,
        "topic": where.topic,
        "partition": where.partition,
        "offset": where.offset,
        "idx": where.idx,
        "reason": dead_letter.reason,
        "field": dead_letter.field,
        "detail": dead_letter.detail,
        "state": dead_letter.state,
        "ingested_at": dead_letter.ingested_at.isoformat(),
        "type": dead_letter.type,
        "event_id": dead_letter.event_id,
        "tenant": dead_letter.tenant,
        "service": dead_letter.service,
        "value": dead_letter.value.decode("utf-8", "backslashreplace"),
    }
