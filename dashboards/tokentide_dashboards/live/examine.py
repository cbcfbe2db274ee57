"""The checks of a running Grafana, in the order in which one needs the other.

What was not looked at is `unknown`, never `ok`: behind a server that does not answer, a token that
is refused or a data source that does not work, nothing is asked that would only fail likewise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tokentide_dashboards.kit.board import Board
from tokentide_dashboards.live.board_queries import Outcome, board_outcomes, rule_outcomes
from tokentide_dashboards.live.data_source import data_source, health, plugin, signed_in
from tokentide_dashboards.live.finding import Finding, is_away, not_known, some
from tokentide_dashboards.live.in_time import InTime, TimeIsOver
from tokentide_dashboards.live.notified import notification
from tokentide_dashboards.live.rule_states import (
    evaluations,
    not_ours,
    rule_health,
    rules_there,
)
from tokentide_dashboards.live.stored_boards import stored_board
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.counted import counted
from tokentide_jobs.io.grafana.api import (
    Grafana,
    GrafanaRefused,
    GrafanaUnreachable,
    list_of,
)

__all__ = ["examine"]

_CODE: Final = re.compile(r"code:\s*(\d+)", re.IGNORECASE)
_REMEDIES: Final[Mapping[str, str]] = {
    "47": "run `tokentide migrate`, and take boards and rules of the same version",
    "60": "run `tokentide migrate`",
    "81": "set TOKENTIDE_GRAFANA_DATABASE in Grafana's environment, or run `tokentide migrate`",
    "164": "give Grafana's account in ClickHouse the role of sql/roles/grafana.sql",
    "497": "run `tokentide migrate --roles`",
    "516": "give Grafana the password of its account in ClickHouse",
}
"""What to do, by the code of ClickHouse's error."""
_ERROR_LENGTH: Final = 200
_LATE: Final = "the time that --within gives is over"


def examine(
    grafana: Grafana,
    boards: Sequence[Board],
    rules: Sequence[Rule],
    now_ms: int,
    is_late: Callable[[], bool],
) -> Iterator[Finding]:
    """Yield what each check found, as soon as it is known.

    Args:
        grafana: Whom to ask.
        boards: Ours.
        rules: Ours.
        now_ms: The end of the range that queries ask for.
        is_late: Says that no further query may be begun.
    """
    for check in (health, signed_in):
        found = check(grafana)
        yield found
        if found.state != "ok":
            return
    yield plugin(grafana)
    source = data_source(grafana)
    yield source
    yield _boards(grafana, boards)
    yield from _rules(grafana, rules, datetime.fromtimestamp(now_ms / 1_000, UTC))
    yield notification(grafana, rules)
    if source.state == "problem":
        yield Finding("queries", "unknown", "not asked: the data source does not work")
        return
    in_time = InTime(grafana, is_late)
    asked = [
        (f"queries of {board.title}", board_outcomes(in_time, board.json(), now_ms))
        for board in boards
    ]
    asked.append(("queries of rules", rule_outcomes(in_time, rules, now_ms)))
    why_not = ""
    for name, outcomes in asked:
        if why_not or is_late():
            yield Finding(name, "unknown", f"not asked: {why_not or _LATE}")
            continue
        found = _queries(name, outcomes)
        yield found
        if found.is_unreachable:
            why_not = "Grafana did not answer those before"


def _boards(grafana: Grafana, boards: Sequence[Board]) -> Finding:
    missing, other = [], []
    try:
        for board in boards:
            stored = stored_board(grafana, board.json())
            if stored is None:
                missing.append(f"{board.title} ({board.uid})")
            elif stored.differences:
                other.append(f"{board.title}: {some(stored.differences)}")
    except (GrafanaRefused, GrafanaUnreachable) as exc:
        return not_known("boards", exc)
    if missing:
        return Finding(
            "boards", "problem", f"not in Grafana: {some(missing)}",
            "mount the boards and provisioning/dashboards, or run `tokentide grafana push`",
            tuple(missing),
        )  # fmt: skip
    if other:
        return Finding(
            "boards", "problem", f"not as in this version: {some(other)}",
            "mount the boards of this version, or run `tokentide grafana push`", tuple(other),
        )  # fmt: skip
    return Finding("boards", "ok", f"{counted(len(boards), 'board')}, as in this version")


def _rules(grafana: Grafana, rules: Sequence[Rule], now: datetime) -> Iterator[Finding]:
    try:
        listed = list_of(grafana, "/v1/provisioning/alert-rules")
    except (GrafanaRefused, GrafanaUnreachable) as exc:
        yield not_known("rules", exc)
    else:
        provisioned = {str(rule.get("uid")): rule for rule in listed}
        yield rules_there(rules, provisioned)
        yield not_ours(rules, provisioned)
    try:
        answer = grafana.get("/prometheus/grafana/api/v1/rules")
    except (GrafanaRefused, GrafanaUnreachable) as exc:
        yield not_known("rule health", exc)
    else:
        yield rule_health(rules, evaluations(answer), now)


def _queries(name: str, outcomes: Iterable[Outcome]) -> Finding:
    """Judge what was asked; what was found before an end that came early is kept."""
    done: list[Outcome] = []
    why_not, has_gone = "", False
    try:
        for outcome in outcomes:
            done.append(outcome)  # those before an error count, too
    except (GrafanaRefused, GrafanaUnreachable) as exc:
        why_not, has_gone = str(exc), is_away(exc)
    except TimeIsOver:
        why_not = _LATE
    asked = counted(len(done), "query", "queries")
    if failed := tuple(f"{one.place}: {one.error}" for one in done if one.error):
        codes = dict.fromkeys(code for one in failed for code in _CODE.findall(one))
        hints = [_REMEDIES[code] for code in codes if code in _REMEDIES]
        short = [one if len(one) <= _ERROR_LENGTH else f"{one[:_ERROR_LENGTH]}…" for one in failed]
        rest = f" (not all asked: {why_not})" if why_not else ""
        return Finding(
            name, "problem", f"{len(failed)} of {asked} failed: {some(short, 2)}{rest}",
            "; ".join(hints) or "see the log of ClickHouse", failed, has_gone,
        )  # fmt: skip
    if why_not:
        return Finding(name, "unknown", f"not all asked: {why_not}", is_unreachable=has_gone)
    empty = sum(not one.rows for one in done)
    without = f", {empty} without a row" if empty else ""
    return Finding(name, "ok", f"{asked} answered{without}")
