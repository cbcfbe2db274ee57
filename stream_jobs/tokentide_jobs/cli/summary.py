"""How spend, latency, errors and the pipeline's pace are laid out for a terminal of 100 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.screen import count, dollars, duration_ms, scaled, seconds, share, shown
from tokentide_jobs.counted import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from tokentide_jobs.tasks.summary import Pipeline, SpendGroup, Summary

__all__ = ["headline", "pipeline_line", "summary_view"]

_BAR_CELLS = 6
_LISTED_GROUPS = 8
_CELL = (0, 2, 0, 0)
_TIGHT = (0, 1, 0, 0)


def summary_view(summary: Summary, *, rows: int = 12) -> RenderableType:
    """Return the whole picture: headline, models, teams and tenants, errors and quality.

    Args:
        summary: What was read.
        rows: Models that are listed; the rest is one line.
    """
    if not summary.total.requests:
        return Text("no requests in this range: send some with the SDK or `tokentide replay`")
    parts: list[RenderableType] = [headline(summary), Text(), _models(summary, rows), Text()]
    sides = Table.grid(padding=(0, 4))
    sides.add_row(_spend("team", summary), _spend("tenant", summary))
    return Stack(*parts, sides, Text(), *_notes(summary))


def headline(summary: Summary) -> Text:
    """Return what a manager asks, in two lines: how much, how many, how well."""
    total = summary.total
    span_s = max(1.0, (summary.until_us - summary.from_us) / 1e6)
    tokens = total.input_tokens + total.output_tokens
    return Text.assemble(
        (dollars(total.cost_pico_usd), "bold green"), ("   spent on ", "dim"),
        (count(total.requests), "bold"),
        (" request in " if total.requests == 1 else " requests in ", "dim"), seconds(span_s),
        ("   tokens ", "dim"), f"{scaled(tokens)}, {scaled(tokens / span_s)}/s",
        ("   failed ", "dim"), f"{count(total.failed)}, {share(total.failed, total.requests)}",
        ("\nlatency ", "dim"), f"p50 {duration_ms(total.p50_ms)}, p95 {duration_ms(total.p95_ms)}",
        ("   first token ", "dim"),
        f"p50 {duration_ms(total.ttft_p50_ms)}, p95 {duration_ms(total.ttft_p95_ms)}",
        ("   rate-limited ", "dim"), share(total.errors_rate_limit, total.requests),
    )  # fmt: skip


def pipeline_line(pipeline: Pipeline, minutes: int) -> Text:
    """Return how ingest did in the last minutes of processing time, in a line or two."""
    since = f"last {counted(minutes, 'minute')}: "
    if not pipeline.batches:
        return Text.assemble(("pipeline  ", "dim"), f"{since}no batch")
    pace = count(round(pipeline.events / pipeline.busy_s)) if pipeline.busy_s else "-"
    text = Text.assemble(
        ("pipeline  ", "dim"), f"{since}{counted(pipeline.events, 'event')} in "
        f"{counted(pipeline.batches, 'batch', 'batches')}, {pace}/s; record to row "
        f"p50 {duration_ms(pipeline.delay_p50_ms)}, p95 {duration_ms(pipeline.delay_p95_ms)}",
    )  # fmt: skip
    if pipeline.dead_letters:
        text.append(f"\n          {counted(pipeline.dead_letters, 'dead letter')}", "yellow")
    return text


def _models(summary: Summary, rows: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold dim", padding=_TIGHT)
    table.add_column("model", no_wrap=True, max_width=27)
    for heading in ("requests", "spend", "", "p50", "p95", "ttft p50", "p95", "tok/s", "failed"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    groups = summary.by["model"]
    most = max((group.cost_pico_usd for group in groups), default=0)
    for group in groups[:rows]:
        table.add_row(
            shown(group.name),
            count(group.requests),
            _amount(group),
            _bar(group.cost_pico_usd, most),
            duration_ms(group.p50_ms),
            duration_ms(group.p95_ms),
            duration_ms(group.ttft_p50_ms),
            duration_ms(group.ttft_p95_ms),
            "-" if group.output_tps is None else f"{group.output_tps:.0f}",
            _rate(group.failed, group.requests),
        )
    if rest := groups[rows:]:
        failed, requests = _sum(rest, "failed"), _sum(rest, "requests")
        table.add_row(
            Text(f"and {len(rest)} more", "dim"), count(requests),
            dollars(_sum(rest, "cost_pico_usd")), "", "", "", "", "", "", _rate(failed, requests),
        )  # fmt: skip
    return table


def _sum(groups: Sequence[SpendGroup], name: str) -> int:
    return sum(getattr(group, name) for group in groups)


def _spend(dimension: str, summary: Summary) -> Table:
    groups: Sequence[SpendGroup] = summary.by[dimension]  # type: ignore[index]
    table = Table(box=None, pad_edge=False, header_style="bold dim", padding=_CELL)
    table.add_column(dimension, no_wrap=True, max_width=18)
    table.add_column("requests", justify="right", no_wrap=True)
    table.add_column("spend", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max((group.cost_pico_usd for group in groups), default=0)
    for group in groups[:_LISTED_GROUPS]:
        name = shown(group.name) if group.name else Text("(none)", "dim")
        table.add_row(
            name, count(group.requests), _amount(group),
            _bar(group.cost_pico_usd, most),
        )  # fmt: skip
    if rest := groups[_LISTED_GROUPS:]:
        table.add_row(
            Text(f"and {len(rest)} more", "dim"), count(_sum(rest, "requests")),
            dollars(_sum(rest, "cost_pico_usd")), "",
        )  # fmt: skip
    return table


def _amount(group: SpendGroup) -> Text:
    """Return what a group cost; where none of its calls has a cost, that is not 0."""
    has_none = group.unpriced > 0 and group.cost_pico_usd == 0
    return Text("no cost", "yellow") if has_none else Text(dollars(group.cost_pico_usd))


def _notes(summary: Summary) -> list[Text]:
    total = summary.total
    notes: list[tuple[str, str]] = []
    read = share(total.cache_read_tokens, total.input_tokens)
    if total.cache_read_tokens:
        saved = dollars(total.saved_pico_usd)
        notes.append(("caching", f"saved {saved}: {read} of input tokens came from a cache"))
    if total.errors:
        kinds = [f"{count(n)} {kind}" for kind, n in total.errors_by_type.items() if n]
        notes.append(
            (
                "errors",
                f"{count(total.errors)}: {', '.join(kinds)}; "
                f"{counted(total.retries, 'retry', 'retries')}",
            )
        )
    causes = [f"{count(n)} {cause}" for cause, n in summary.without_cost.items() if n]
    why = ", ".join(causes) or "no price or no usage reported, see the view `unpriced`"
    others = [
        (total.refused, "refused or filtered"),
        (total.truncated, "cut off at the token limit"),
        (total.unpriced, f"without a cost ({why})"),
    ]
    if counts := [f"{count(number)} {what}" for number, what in others if number]:
        notes.append(("requests", ", ".join(counts)))
    if total.evaluations or total.feedback:
        quality = counted(total.evaluations, "evaluation")
        if total.evaluation_mean is not None:
            quality += f", mean {total.evaluation_mean:.2f}"
        quality += f"; {counted(total.feedback, 'rating by a user', 'ratings by users')}"
        if total.feedback_mean is not None:
            quality += f", {100 * total.feedback_mean:.0f}% happy"
        notes.append(("quality", quality))
    return [Text.assemble((f"{label:<10}", "dim"), text) for label, text in notes]


def _bar(part: int, whole: int) -> Text:
    """Return a bar of eighth blocks: the share of the largest."""
    eighths = round(_BAR_CELLS * 8 * part / whole) if whole > 0 else 0
    full, rest = divmod(max(0, eighths), 8)
    return Text(("█" * full + " ▏▎▍▌▋▊▉"[rest]).strip().ljust(_BAR_CELLS), "cyan")


def _rate(part: int, whole: int) -> Text:
    is_high = whole > 0 and part / whole >= 0.05
    return Text(share(part, whole) if part else "-", "red" if is_high else "")
