"""Every query of a board, sent as a browser sends it, and what Grafana answers.

Grafana's plugin expands macros itself; conditions and variables are put in by the browser, so here
by us: all values of variables that take several, the first that is offered of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide_dashboards.check.browser import interpolate
from tokentide_dashboards.check.choice import Chosen, held_by
from tokentide_dashboards.check.time_range import PANEL_POINTS, UNITS_MS, TimeRange, interval_ms
from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.query import TABLE, target
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.io.grafana.api import Grafana, GrafanaRefused, GrafanaUnreachable

__all__ = ["Outcome", "board_outcomes", "range_of", "rule_outcomes"]

_LEAST: Final = "1m"
_SINCE: Final = re.compile(r"now-(\d+)([a-z]+)")
_ERROR_LENGTH: Final = 2_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one query came to.

    Attributes:
        place: Where it stands: `panel 'Spent' A`.
        error: Why it failed; "": it did not.
        rows: How many rows it gave.
        first: The first value of its first column, as text.
    """

    place: str
    error: str = ""
    rows: int = 0
    first: str = ""


def range_of(board: Object, now_ms: int) -> TimeRange:
    """Return the range that a board opens with.

    Raises:
        ValueError: It is not written as now-6h.
    """
    since = _SINCE.fullmatch(board["time"]["from"])
    lengths = dict(UNITS_MS)
    if since is None or since[2] not in lengths:
        raise ValueError(f"the range of {board['uid']} begins at {board['time']['from']!r}")
    length_ms = int(since[1]) * lengths[since[2]]
    return TimeRange(now_ms - length_ms, now_ms, interval_ms(length_ms, PANEL_POINTS, _LEAST))


def board_outcomes(grafana: Grafana, board: Object, now_ms: int) -> Iterator[Outcome]:
    """Ask every query of a board, panel by panel, and yield what each came to.

    Raises:
        GrafanaUnreachable: Grafana does not answer: later queries were not asked.
        GrafanaRefused: It refuses to be asked at all, for the token's sake.
    """
    span = range_of(board, now_ms)
    chosen: Chosen = {}
    firsts: dict[str, str] = {}
    for variable in board["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "query":
            query = target(variable["query"], TABLE, "Variable")
            (offered,) = _asked(grafana, f"variable {name}", [query], span, chosen)
            firsts[name] = offered.first
            yield offered
        chosen[name] = held_by(variable, lambda one: firsts[one["name"]])
    for layer in board["annotations"]["list"]:
        if "target" in layer:
            yield from _asked(grafana, f"layer {layer['name']}", [layer["target"]], span, chosen)
    for panel in board["panels"]:
        if queries := panel.get("targets"):
            of_panel = TimeRange(
                span.start_ms,
                span.end_ms,
                interval_ms(
                    span.end_ms - span.start_ms, PANEL_POINTS, panel.get("interval") or _LEAST
                ),
            )
            place = f"panel {panel['title']!r}"
            yield from _asked(grafana, place, queries, of_panel, chosen)


def rule_outcomes(grafana: Grafana, rules: Iterable[Rule], now_ms: int) -> Iterator[Outcome]:
    """Ask the queries of rules, each over its own range; raises as `board_outcomes` does."""
    for rule in rules:
        queries = [
            query for query in rule.provisioned()["data"] if query["datasourceUid"] != "__expr__"
        ]
        ago = queries[0]["relativeTimeRange"]
        end_ms = now_ms - ago["to"] * 1_000
        span = TimeRange(now_ms - ago["from"] * 1_000, end_ms, queries[0]["model"]["intervalMs"])
        yield from _asked(grafana, f"rule {rule.uid}", [one["model"] for one in queries], span, {})


def _asked(
    grafana: Grafana, place: str, queries: list[Object], span: TimeRange, chosen: Chosen
) -> list[Outcome]:
    """Send the queries of one panel in one request, as the browser does."""
    sent = [
        {
            **query,
            "rawSql": interpolate(query["rawSql"], span, chosen),
            "intervalMs": span.interval_ms,
            "maxDataPoints": PANEL_POINTS,
        }
        for query in queries
    ]
    body = {"from": str(span.start_ms), "to": str(span.end_ms), "queries": sent}
    try:
        answer = grafana.post("/ds/query", body)
    except GrafanaRefused as exc:
        if exc.status in (401, 403, 404) or not _results(exc.body):
            raise
        # One query that fails makes the whole answer a 400; the others are answered in it.
        answer = exc.body
    except GrafanaUnreachable as exc:
        if exc.is_away:
            raise
        # A panel shows this error, and the next panel is asked all the same.
        return [Outcome(f"{place} {one['refId']}", str(exc)) for one in sent]
    results = _results(answer)
    return [_outcome(f"{place} {one['refId']}", results.get(one["refId"])) for one in sent]


def _results(answer: Any) -> Mapping[str, Any]:
    found = answer.get("results") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}


def _outcome(place: str, result: Any) -> Outcome:
    if not isinstance(result, dict):
        return Outcome(place, "Grafana's answer has no result of this query")
    error = result.get("error")
    if error:
        text = " ".join(str(error).split())
        return Outcome(place, text[:_ERROR_LENGTH])
    frames = result.get("frames")
    if not isinstance(frames, list):
        return Outcome(place, "Grafana's answer has neither rows nor an error")
    columns = [_columns(frame) for frame in frames]
    rows = sum(len(one[0]) for one in columns if one)
    firsts = [one[0][0] for one in columns if one and one[0]]
    return Outcome(place, rows=rows, first=str(firsts[0]) if firsts else "")


def _columns(frame: Any) -> list[list[Any]]:
    """Return the values of a frame, column by column."""
    data = frame.get("data") if isinstance(frame, dict) else None
    values = data.get("values") if isinstance(data, dict) else None
    return [one for one in values if isinstance(one, list)] if isinstance(values, list) else []
