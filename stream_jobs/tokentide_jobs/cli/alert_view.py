"""How alerts are laid out for a terminal: all of them, one in full, one line of them, silences."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.screen import dollars, seconds, shown
from tokentide_jobs.core.alert.silence import Silence
from tokentide_jobs.core.failing_receiver import answer_words
from tokentide_jobs.counted import counted

__all__ = ["alert_lines", "alert_view", "alerts_line", "silence_line"]

_STYLES: Final = {"page": "bold red", "ticket": "yellow", "info": "cyan"}
_LIVE: Final = ("open", "acknowledged")
_STATES: Final = (*_LIVE, "pending", "closed")
_SHORT: Final = 12
_FIELDS: Final = ("value", "expected", "lower", "upper", "n", "evidence", "threshold")


def alert_lines(found: Sequence[Mapping[str, Any]], now_us: int) -> Iterator[Text]:
    """Yield the lines of a list: how urgent, how long, what; and what is known besides."""
    states = Counter(str(one["state"]) for one in found)
    counts = ", ".join(f"{states[state]} {state}" for state in _STATES)
    yield Text.assemble(("alerts", "bold"), f"  {counts}")
    for one in found:
        is_live = one["state"] in _LIVE
        style = _STYLES[one["severity"]] if is_live else "dim"
        age = seconds(max(0, now_us - (one["opened_us"] or one["changed_us"])) / 1e6)
        yield Text.assemble(
            (one["alert_id"][:_SHORT], "dim"), "  ", (f"{one['severity']:<6}", style), "  ",
            (f"{one['state']:<12}", style), f"  {age:>8}  ", shown(one["sentence"]),
        )  # fmt: skip
        remarks = []
        if is_live and one["held"]:
            remarks.append(f"not announced: {one['held']}")
        if is_live and one["silenced_by"] and one["silenced_by"] not in one["held"]:
            remarks.append(f"silenced by {one['silenced_by']}")
        if is_live and not one["is_kept"]:
            remarks.append("weak: below the cut of the day")
        if one["members"]:
            remarks.append(f"stands for {', '.join(one['members'][:5])}")
        for remark in remarks:
            yield Text.assemble(" " * 4, shown(remark, "dim"))


def alert_view(one: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return everything that is known of an alert."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("id", shown(one["alert_id"]))
    held = f", not announced: {one['held']}" if one["held"] else ""
    table.add_row("state", shown(f"{one['state']}, {one['severity']}{held}"))
    by = f" by {one['author']}" if one["author"] else ""
    table.add_row("changed", shown(f"{_utc(one['changed_us'])}{by}: {one['why']}"))
    if one["opened_us"]:
        back = f", came back {counted(one['flaps'], 'time')}" if one["flaps"] else ""
        table.add_row("opened", f"{_utc(one['opened_us'])}{back}")
    table.add_row("since", _utc(one["since_us"]))
    table.add_row("what", shown(f"{one['kind']}: {one['metric']} of {one['key']}"))
    for name in _FIELDS:
        if one[name] is not None:
            unit = f" {one['unit']}" if name in _FIELDS[:4] and one["unit"] else ""
            table.add_row(name, shown(f"{one[name]:,.6g}{unit}"))
    hourly = int(Decimal(one["impact_usd_per_hour"]) * 10**12)
    failed = one["impact_failed_per_minute"]
    if hourly or failed:
        table.add_row("impact", f"{dollars(hourly)} an hour, {failed:g} failed requests a minute")
    for name in ("contributors", "members", "causes"):
        if one[name]:
            table.add_row(name, shown("; ".join(one[name])))
    table.add_row("first", shown(one["first_action"]))
    table.add_row("runbook", shown(one["runbook"]))
    for attempt in attempts:
        result = f"{attempt['outcome']}, {answer_words(attempt['status'], attempt['detail'])}"
        table.add_row(
            "notified", shown(f"{_utc(attempt['at_us'])} {attempt['receiver']}: {result}")
        )
    return Group(shown(one["sentence"], "bold"), table)


def alerts_line(found: Sequence[Mapping[str, Any]]) -> Text:
    """Return the open alerts in one line, the worst first."""
    announced = [one for one in found if one["state"] in _LIVE and not one["held"]]
    if not announced:
        return Text("no open alerts", "green")
    first = announced[0]
    more = f", and {len(announced) - 1} more: tokentide alerts list" if len(announced) > 1 else ""
    return Text.assemble(
        (f"{first['severity']} ", _STYLES[first["severity"]]), shown(first["sentence"]),
        (more, "bold"),
    )  # fmt: skip


def silence_line(one: Silence) -> str:
    """Return a silence in one line."""
    fields = ", ".join(f"{name}={pattern}" for name, pattern in one.matchers)
    when = f"{_utc(one.start_us)} to {_utc(one.end_us)}"
    if one.weekly:
        clock = f"{one.weekly.begin_minute // 60:02d}:{one.weekly.begin_minute % 60:02d}"
        days = ",".join(one.weekly.days)
        when += f", {days} from {clock} {one.weekly.zone} for {one.weekly.length_minutes} min"
    return f"{one.id}  {fields}  {when}  by {one.author}: {one.reason}"


def _utc(at_us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_us / 1e6))
