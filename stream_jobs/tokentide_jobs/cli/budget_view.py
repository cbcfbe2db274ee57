"""How budgets are laid out for a terminal of 100 columns: all of them, and one in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.screen import count, dollars, shown
from tokentide_jobs.core.budget.budget_status import BudgetStatus, BudgetVerdict
from tokentide_jobs.core.budget.burn import BURN_RULES, BurnRate
from tokentide_jobs.core.budget.period import instant
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.tables import DAY_S, HOUR_S, MINUTE_S, TENANT_RETENTION
from tokentide_jobs.counted import counted

__all__ = ["budget_lines", "budget_view", "remarks"]

_BAR_CELLS: Final = 8
_STYLES: Final[dict[BudgetVerdict, str]] = {"ok": "green", "attention": "yellow", "over": "red"}


def budget_lines(budgets: Sequence[BudgetStatus]) -> Iterator[Text]:
    """Yield the lines of a list: what a budget is of, its figures, and remarks on them."""
    cells = [_figures(one) for one in budgets]
    widths = [max(cell_len(row[at].plain) for row in cells) for at in range(3)]
    for one, row in zip(budgets, cells, strict=True):
        about = f"  {one.budget.scope}; {one.current.period.label}; {one.budget.kind}"
        yield Text.assemble(shown(one.budget.name, "bold"), shown(about, "dim"))
        line = Text("  ")
        for cell, width in zip(row, (*widths, 0), strict=True):
            line.append_text(cell).append(" " * (2 + max(0, width - cell_len(cell.plain))))
        line.rstrip()
        yield line
        yield from remarks(one)


def remarks(one: BudgetStatus) -> Iterator[Text]:
    """Yield what is wrong with a budget, or missing in its figures, one line each."""
    if one.left_pico_usd < 0:
        yield _remark(
            "✗", "red", f"over its {one.budget.kind} limit by {dollars(-one.left_pico_usd)}"
        )
    burning = [rate for rate in one.burn if rate.is_burning]
    if burning:
        yield _remark(
            "!", "yellow",
            f"burning, worth a {burning[0].rule.severity}: {_rates(burning[0])}; "
            f"{_who_is_notified(one, burning[0])}",
        )  # fmt: skip
    expected = one.forecast.pico_usd or 0
    if one.left_pico_usd >= 0 and expected > one.budget.amount_pico_usd:
        yield _remark("!", "yellow", "more than the amount is expected at the end of the period")
    if one.has_expired_rows:
        yield _remark(
            "!", "yellow",
            f"rows of the period may have expired ({TENANT_RETENTION}): more may have been spent",
        )  # fmt: skip
    if not one.current.requests and not one.before.requests:
        yield _remark("!", "yellow", "no request of this scope, now or in the period before")
    if one.current.unpriced:
        yield _remark(
            "!", "yellow",
            f"no price for {count(one.current.unpriced)} of "
            f"{counted(one.current.requests, 'request')}: more was spent than is shown",
        )  # fmt: skip


def budget_view(one: BudgetStatus) -> RenderableType:
    """Return everything that is known of one budget."""
    budget, period, zone = one.budget, one.current.period, one.budget.zone
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("scope", shown(budget.scope))
    table.add_row("kind", budget.kind)
    begin, end = instant(period.start_us, zone), instant(period.end_us, zone)
    table.add_row("period", f"{period.label}, from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
    table.add_row("time zone", shown(budget.zone_name))
    table.add_row("amount", _exact(budget.amount_pico_usd))
    table.add_row("spent", f"{_exact(one.current.pico_usd)}, {_percent(one)}")
    table.add_row("left", _exact(one.left_pico_usd))
    unpriced = one.current.unpriced
    note = f", {count(unpriced)} without a price: spent is a lower bound" if unpriced else ""
    table.add_row("requests", f"{count(one.current.requests)}{note}")
    for percent in budget.thresholds:
        notice = one.current.crossed.get(percent)
        when = f"{instant(notice.at_us, zone):%Y-%m-%d %H:%M}" if notice else ""
        reached = f"reached in the window from {when}" if notice else "not reached"
        table.add_row(f"{percent}%", reached)
    for rate in one.burn:
        style = "yellow" if rate.is_burning else ""
        table.add_row("burn", Text(f"{_rates(rate)}: {rate.rule.severity}", style))
    table.add_row("forecast", _end(one))
    if one.forecast.method:
        table.add_row("", Text(f"{one.forecast.method}; {one.forecast.rests_on}", "dim"))
    before = one.before
    table.add_row("before", f"{_exact(before.pico_usd)} in {before.period.label}")
    return Group(shown(budget.name, "bold"), table)


def _figures(one: BudgetStatus) -> tuple[Text, Text, Text, Text]:
    style = _STYLES[one.verdict]
    spent = f"{'≥ ' if one.is_lower_bound else ''}{dollars(one.current.pico_usd)}"
    filled = min(_BAR_CELLS, max(0, int(one.share * _BAR_CELLS)))
    bar = "█" * filled + "░" * (_BAR_CELLS - filled)
    # The rate that is too fast, or else the calmest view: that of the longest stretch.
    rate = next((rate for rate in one.burn if rate.is_burning), one.burn[-1])
    return (
        Text(f"{spent} of {dollars(one.budget.amount_pico_usd)}"),
        Text(f"{bar} {_percent(one)}", style),
        Text(f"burns {_times(rate.long)} in {_stretch(rate.rule.long_s)}"),
        Text(_end(one)),
    )


def _remark(mark: str, style: str, words: str) -> Text:
    return Text.assemble((f"    {mark} ", style), shown(words))


def _percent(one: BudgetStatus) -> str:
    return f"{100 * one.share:.1f}%" if one.share < 10 else f"{100 * one.share:,.0f}%"


def _times(rate: float) -> str:
    return f"{rate:.1f}x" if rate < 100 else f"{rate:,.0f}x"


def _rates(rate: BurnRate) -> str:
    rule = rate.rule
    return (
        f"{_times(rate.long)} even spending over {_stretch(rule.long_s)}, {_times(rate.short)} "
        f"over {_stretch(rule.short_s)} (more than {rule.factor:g}x over both)"
    )


def _who_is_notified(one: BudgetStatus, rate: BurnRate) -> str:
    """Name who notifies of a rate: Grafana has a rule for the fastest of each period."""
    if rate.rule == BURN_RULES[one.budget.period][0]:
        return (
            "Grafana notifies of it, where its rule tokentide-budget-burn is set up; the detect "
            "job notifies of thresholds only"
        )
    return "no notification is sent, it is shown here"


def _end(one: BudgetStatus) -> str:
    found = one.forecast
    if found.pico_usd is None:
        return f"no forecast: {found.rests_on}"
    if found.low_pico_usd is None:
        return f"ends at {dollars(found.pico_usd)} at an even rate"
    low, high = dollars(found.low_pico_usd), dollars(found.high_pico_usd)
    return f"ends at {dollars(found.pico_usd)} (80%: {low} to {high})"


def _exact(pico_usd: int) -> str:
    """Return dollars to the last pico-USD that is not zero, at least in cents."""
    whole, _point, decimals = usd(abs(pico_usd)).partition(".")
    return f"{'-' if pico_usd < 0 else ''}${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _stretch(length_s: int) -> str:
    if length_s >= DAY_S:
        return f"{length_s // DAY_S} d"
    return f"{length_s // HOUR_S} h" if length_s >= HOUR_S else f"{length_s // MINUTE_S} min"
