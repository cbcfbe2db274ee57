"""`tokentide alerts`: what is open and why, and what people say about it."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from tokentide_jobs.cli.alert_view import alert_lines, alert_view, silence_line
from tokentide_jobs.cli.arguments import json_option, utc_us
from tokentide_jobs.cli.exit_codes import EXIT_CHECK_FAILED, EXIT_NOTHING_PROVEN
from tokentide_jobs.cli.screen import console, say
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.alert.alert import Action, Alert
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.outbox import Message, Result
from tokentide_jobs.core.alert.silence import WEEKDAYS, Silence, Weekly, silenced_by
from tokentide_jobs.core.alert.ticket_order import in_order
from tokentide_jobs.core.digest import digest
from tokentide_jobs.core.failing_receiver import answer_words
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.alert_store import AlertStore, payload_of
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.alert_file import load_alert_file
from tokentide_jobs.io.notify.receiver import Receiver
from tokentide_jobs.io.notify.sending import Sender

__all__ = ["alerts"]

_LENGTH: Final = re.compile(r"(\d{1,5})(m|h|d)")
_MINUTES: Final = {"m": 1, "h": 60, "d": 1_440}
_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_WEEKLY_FOR_US: Final = 365 * 1_440 * MINUTE_US
_MOST_TEXT: Final = 500
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _reason_options(command: _Command) -> _Command:
    command = click.option("--reason", required=True, metavar="TEXT", help="Why.")(command)
    return click.option(
        "--author", default=None, metavar="NAME", help="Who.  [default: the user of this terminal]"
    )(command)


@click.group(short_help="See open alerts, acknowledge and silence them.")
def alerts() -> None:
    """See what is open and why, and say what you do about it.

    An alert is named by its id, or by the beginning of it. docs/alerts.md explains everything.
    """


@alerts.command("list", short_help="List open alerts, and those that changed lately.")
@click.option(
    "--hours", type=click.FloatRange(min=0, max=24 * 400), default=24.0, show_default=True,
    metavar="N", help="Closed ones that changed in the last N hours.",
)  # fmt: skip
@json_option
@data_dir_option
def list_alerts(hours: float, as_json: bool, data_dir: Path | None) -> None:
    """List alerts: pages first, then tickets by their evidence, then what is closed.

    Of many tickets those above the cut are worth reading: at most a tenth of them is false, on
    average. The others are marked as weak.
    """
    with _opened(data_dir) as store:
        now_us = store.clock_us()
        found = in_order(store.listed(now_us - int(hours * 3.6e9)))
        silences = store.silences(now_us)
    for one in found:
        one["silenced_by"] = silenced_by(one, silences, now_us)
    if as_json:
        click.echo(json.dumps({"alerts": found}, indent=2))
        return
    screen = console()
    for line in alert_lines(found, now_us):
        screen.print(line, soft_wrap=True)


@alerts.command(short_help="Show one alert in full.")
@click.argument("alert_id")
@json_option
@data_dir_option
def show(alert_id: str, as_json: bool, data_dir: Path | None) -> None:
    """Show one alert in full: what, against what, since when, perhaps why, what to do first."""
    with _opened(data_dir) as store:
        found = _one(store, alert_id)
        attempts = store.notified(found["alert_id"])
    if as_json:
        click.echo(json.dumps({**found, "notifications": attempts}, indent=2))
    else:
        console().print(alert_view(found, attempts))


@alerts.command(short_help="Acknowledge an alert: a person looks after it.")
@click.argument("alert_id")
@_reason_options
@json_option
@data_dir_option
def ack(
    alert_id: str, author: str | None, reason: str, as_json: bool, data_dir: Path | None
) -> None:
    """Acknowledge an alert: it is announced again only when it gets worse, and when it ends."""
    _act("ack", alert_id, author, reason, as_json, data_dir)


@alerts.command(short_help="Close an alert.")
@click.argument("alert_id")
@_reason_options
@json_option
@data_dir_option
def close(
    alert_id: str, author: str | None, reason: str, as_json: bool, data_dir: Path | None
) -> None:
    """Close an alert. While what it is about goes on, it comes back only when it gets worse."""
    _act("close", alert_id, author, reason, as_json, data_dir)


@alerts.command(short_help="Hold back announcements for a while, or every week.")
@click.argument("matchers", nargs=-1, metavar="[FIELD=PATTERN]...")
@click.option("--for", "length", metavar="TIME", help="How long: 90m, 2h, 7d.")
@click.option("--from", "from_text", metavar="TIME", help="From this UTC time on.  [default: now]")
@click.option("--weekly", metavar="DAYS", help="Only on these days of each week: sat,sun.")
@click.option("--at", "clock", metavar="HH:MM", help="With --weekly: when it begins.")
@click.option("--zone", default="UTC", show_default=True, help="With --weekly: on whose clocks.")
@click.option("--end", "ended", metavar="ID", help="End this silence now.")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@click.option("--author", default=None, metavar="NAME", help="Who.  [default: this user]")
@json_option
@data_dir_option
def silence(
    matchers: tuple[str, ...],
    length: str | None,
    from_text: str | None,
    weekly: str | None,
    clock: str | None,
    zone: str,
    ended: str | None,
    reason: str,
    author: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Hold back the announcements of alerts whose fields match; they are recorded as ever.

    Fields are kind, key, metric, severity, and the dimensions of the key: tenant, model, provider
    and so on. Patterns may have * and ?. What is still open when a silence ends is announced then.
    Without an argument, the silences that are not over are listed.
    """
    if matchers and not ended:
        _require(bool(length), "--for is missing: say how long, such as 2h")
        _require(bool(reason.strip()), "--reason is missing: say why")
        _require(bool(weekly) == bool(clock), "--weekly and --at belong together")
        one = _silence(matchers, str(length), from_text, weekly, clock, zone)
        name, why = _author(author), _text("--reason", reason)
        with _opened(data_dir) as store:
            written = _written(one, name, why, store.clock_us())
            store.silence(written)
            _show_silences([written], as_json)
        return
    _require(not matchers, "--end takes no fields")
    with _opened(data_dir) as store:
        now_us = store.clock_us()
        found = store.silences(now_us)
        if ended is not None:
            chosen = [one for one in found if one.id.startswith(ended)]
            if len(chosen) != 1:
                raise ConfigError(f"--end is {ended!r}: {len(chosen)} silences begin with it")
            found = [_ending(chosen[0], now_us)]
            store.silence(found[0])
    _show_silences(found, as_json)


@alerts.command(short_help="Send a test to the receivers.")
@click.option("--receiver", "name", metavar="NAME", help="Only to this one.")
@json_option
@data_dir_option
def test(name: str | None, as_json: bool, data_dir: Path | None) -> None:
    """Send a test message to the receivers of detect.yaml, once each, and say what they answered.

    Exits with 1 when one of them did not take it, and with 5 when there is none.
    """
    settings = find_target(data_dir)
    receivers = load_alert_file(settings.detect_file).receivers
    if name is not None:
        known = ", ".join(one.name for one in receivers) or "none"
        receivers = tuple(one for one in receivers if one.name == name)
        _require(bool(receivers), f"--receiver is {name!r}: the file has {known}")
    results = asyncio.run(_tested(receivers, _now_us()))
    rows = [
        {"receiver": one.name, "address": one.place, "outcome": result.outcome,
         "status": result.status, "detail": result.detail, "took_ms": result.took_ms}
        for one, result in zip(receivers, results, strict=True)
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"receivers": rows}, indent=2))
    for one, result in () if as_json else zip(receivers, results, strict=True):
        answer = answer_words(result.status, result.detail)
        say(f"{one.name}  {one.place}  {result.outcome}, {answer}")
    if not rows:
        say("no receivers: name some in the list `notify` of detect.yaml", to_stderr=True)
        raise click.exceptions.Exit(EXIT_NOTHING_PROVEN)
    if any(row["outcome"] != "delivered" for row in rows):
        raise click.exceptions.Exit(EXIT_CHECK_FAILED)


async def _tested(receivers: Sequence[Receiver], now_us: int) -> list[Result]:
    finding = Finding(
        change="fires", kind="test", dimensions=(("from", "tokentide alerts test"),),
        metric="test", at_us=now_us, sentence="this is a test of tokentide alerts",
    )  # fmt: skip
    opened = Alert(finding, now_us, severity="page").enter("open", now_us, "a test was asked for")
    message = Message(opened.id, opened.alert_id, now_us, payload_of(opened))
    async with Sender() as sender:
        return list(await asyncio.gather(*(sender.send(one, message) for one in receivers)))


def _act(
    verb: Literal["ack", "close"],
    alert_id: str,
    author: str | None,
    reason: str,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    with _opened(data_dir) as store:
        found = _one(store, alert_id)
        _require(found["state"] != "closed", f"alert {found['alert_id']} is closed already")
        action = Action(
            alert_id=found["alert_id"], verb=verb, author=_author(author),
            reason=_text("--reason", reason), at_us=store.clock_us(),
        )  # fmt: skip
        store.act(action)
    if as_json:
        fields = ("alert_id", "verb", "author", "reason", "at_us")
        click.echo(json.dumps({name: getattr(action, name) for name in fields}))
    else:
        done = "acknowledged" if verb == "ack" else "closed"
        say(f"{done} by {action.author}: {found['sentence']}")


def _one(store: AlertStore, alert_id: str) -> dict[str, Any]:
    _require(bool(re.fullmatch(r"[0-9a-f]{4,32}", alert_id)), f"{alert_id!r} is no id of an alert")
    found = store.listed(0, alert_id, 2)
    if len(found) != 1:
        how_many = "several alerts begin" if found else "no alert begins"
        raise ConfigError(f"{how_many} with {alert_id!r}: `tokentide alerts list` shows the ids")
    return found[0]


def _silence(
    matchers: tuple[str, ...],
    length: str,
    from_text: str | None,
    weekly: str | None,
    clock: str | None,
    zone: str,
) -> Silence:
    """Return what was asked for, without a name; it begins at 0 where it is to begin now."""
    pairs = [matcher.partition("=") for matcher in matchers]
    for name, equals, _pattern in pairs:
        _require(bool(name and equals), f"{name!r}: expected FIELD=PATTERN, such as tenant=acme")
    match = _LENGTH.fullmatch(length)
    _require(match is not None, f"--for is {length!r}: expected such as 90m, 2h, 7d")
    assert match is not None
    minutes = int(match[1]) * _MINUTES[match[2]]
    _require(0 < minutes <= 365 * 1_440, f"--for is {length!r}: more than nothing, a year at most")
    start_us = utc_us(from_text, "--from") if from_text else 0
    repeated = _weekly(weekly, str(clock), minutes, zone) if weekly else None
    return Silence(
        id="",
        matchers=tuple(sorted((name, pattern) for name, _equals, pattern in pairs)),
        start_us=start_us,
        end_us=start_us + (_WEEKLY_FOR_US if repeated else minutes * MINUTE_US),
        weekly=repeated,
        author="",
        reason="",
    )


def _weekly(days: str, clock: str, minutes: int, zone: str) -> Weekly:
    named = tuple(day.strip().lower() for day in days.split(","))
    unknown = [day for day in named if day not in WEEKDAYS]
    _require(not unknown, f"--weekly is {days!r}: expected some of {','.join(WEEKDAYS)}")
    match = _CLOCK.fullmatch(clock)
    _require(match is not None, f"--at is {clock!r}: expected HH:MM, such as 23:00")
    assert match is not None
    _require(minutes <= 7 * 1_440, "--for is longer than a week, which --weekly repeats")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--zone is {zone!r}: no time zone that this machine knows") from None
    begin = int(match[1]) * 60 + int(match[2])
    return Weekly(days=named, begin_minute=begin, length_minutes=minutes, zone=zone)


def _written(one: Silence, author: str, reason: str, now_us: int) -> Silence:
    start_us = one.start_us or now_us
    end_us = start_us + one.end_us - one.start_us
    short = digest(one.matchers, start_us, end_us, author, now_us)[:12]
    return Silence(
        id=short, matchers=one.matchers, start_us=start_us, end_us=end_us,
        weekly=one.weekly, author=author, reason=reason,
    )  # fmt: skip


def _ending(one: Silence, now_us: int) -> Silence:
    return Silence(
        id=one.id, matchers=one.matchers, start_us=min(one.start_us, now_us), end_us=now_us,
        weekly=one.weekly, author=one.author, reason=one.reason,
    )  # fmt: skip


def _show_silences(found: Sequence[Silence], as_json: bool) -> None:
    if as_json:
        rows = [
            {"id": one.id, "matchers": dict(one.matchers), "start_us": one.start_us,
             "end_us": one.end_us, "author": one.author, "reason": one.reason,
             "weekly": None if one.weekly is None else {
                 "days": list(one.weekly.days), "begin_minute": one.weekly.begin_minute,
                 "length_minutes": one.weekly.length_minutes, "zone": one.weekly.zone}}
            for one in found
        ]  # fmt: skip
        click.echo(json.dumps({"silences": rows}, indent=2))
        return
    for one in found:
        say(silence_line(one))
    if not found:
        say("no silences")


@contextmanager
def _opened(data_dir: Path | None) -> Iterator[AlertStore]:
    settings = find_target(data_dir, "clickhouse")
    with closing(ClickHouse(settings.clickhouse_url, settings.database)) as store:
        yield AlertStore(store)


def _author(given: str | None) -> str:
    return _text("--author", given if given is not None else getpass.getuser())


def _text(option: str, text: str) -> str:
    text = text.strip()
    _require(0 < len(text) <= _MOST_TEXT, f"{option}: expected 1 to {_MOST_TEXT} characters")
    return text


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise ConfigError(otherwise)


def _now_us() -> int:
    return time.time_ns() // 1_000
