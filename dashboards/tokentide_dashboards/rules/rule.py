"""One alert rule of Grafana: a table of numbers, a threshold, and the message to a person.

Every row of the table is one alert: its strings are the labels, and its only number is held against
the threshold. So an entity has a row also while it is well, and no label holds what changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.query import DATASOURCE, TABLE, target
from tokentide_dashboards.kit.uid import Uid

__all__ = ["Rule", "State"]

State = Literal["NoData", "Error", "Alerting", "OK", "KeepLast"]

_EXPRESSION: Object = {"type": "__expr__", "uid": "__expr__"}
_VALUE, _CONDITION = "Value", "Condition"
_NUMBERS = ("Seen", "Expected", "Impact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule; `name` is its uid, its page in docs/runbooks and stays for ever.

    Attributes:
        name: Retire a rule by `is_paused`, never take it out: Grafana cannot delete it.
        title: What is wrong, in a few words.
        severity: `page` wakes the on-call engineer, `ticket` waits for the day.
        signal: What it is about.
        source: A query whose rows are entities; columns are labels and what `value` reads.
        labels: Its string columns.
        value: The number of a row, held against `above`.
        above: It fires beyond this.
        unit: Of the value, as it is written after it.
        seen: What was seen, where `value` is something else.
        expected: What was expected, where that is another number than `above`.
        impact: Dollars an hour.
        range_s: Length of the range; rules read it by `$__fromTime` and `$__toTime`.
        delay_s: It ends so long ago: what is under way is not missed.
        pending: How long it is so before it fires.
        keep_firing: How long it fires on after it ended.
        no_data: State without any row.
        error: State when the query fails: one rule of all says so.
        board: Where to look.
        panel: Title of the panel there that shows what was seen.
        meaning: What it means, for the runbook.
        first_action: What to do first.
        look: Queries that show more, by what they show.
    """

    name: str
    title: str
    severity: Literal["page", "ticket"]
    signal: Literal["cost", "errors", "anomaly", "quality", "runs", "pipeline"]
    source: str
    labels: tuple[str, ...]
    value: str
    above: float
    unit: str
    board: Uid
    panel: str
    meaning: str
    first_action: str
    look: Mapping[str, str]
    seen: str = ""
    expected: str = ""
    impact: str = ""
    range_s: int = 3_600
    delay_s: int = 0
    pending: str = "2m"
    keep_firing: str = "10m"
    no_data: State = "OK"
    error: State = "KeepLast"
    is_paused: bool = False
    owner: str = field(default="on-call")

    @property
    def uid(self) -> str:
        """Return the uid in Grafana, at most 40 characters."""
        return f"tokentide-{self.name}"

    @property
    def runbook(self) -> str:
        """Return the page of the rule, as a path of the repository."""
        return f"docs/runbooks/{self.name}.md"

    @property
    def panel_id(self) -> int:
        """Return the number of its panel.

        Raises:
            KeyError: The board has no panel of this title.
        """
        (board,) = [board for board in BOARDS if board.uid == self.board]
        return board.panel_id(self.panel)

    @property
    def numbers(self) -> Mapping[str, str]:
        """Return the query of each number, by the name under which annotations find it."""
        given = (self.seen, self.expected, self.impact)
        further = {name: number for name, number in zip(_NUMBERS, given, strict=True) if number}
        columns = ", ".join(self.labels)
        return {
            name: f"SELECT {columns}, CAST(({number}) AS Float64) AS number\nFROM\n(\n{self.source}\n)"
            for name, number in {_VALUE: self.value, **further}.items()
        }

    def provisioned(self) -> Object:
        """Return the rule with the keys of a provisioned file."""
        return {
            "uid": self.uid,
            "title": f"{'Retired: ' if self.is_paused else ''}{self.title}",
            "condition": _CONDITION,
            "data": [*map(self._query, self.numbers.items()), self._threshold()],
            "noDataState": self.no_data,
            "execErrState": self.error,
            "for": self.pending,
            "keepFiringFor": self.keep_firing,
            "missing_series_evals_to_resolve": 2,
            "annotations": self._annotations(),
            "labels": {
                "severity": self.severity,
                "signal": self.signal,
                "service": "tokentide",
            },
            "isPaused": self.is_paused,
        }

    def _query(self, query: tuple[str, str]) -> Object:
        name, sql = query
        return {
            "refId": name,
            "queryType": "",
            "relativeTimeRange": {"from": self.range_s + self.delay_s, "to": self.delay_s},
            "datasourceUid": DATASOURCE["uid"],
            "model": {**target(sql, TABLE, name), "intervalMs": 60_000, "maxDataPoints": 1_000},
        }

    def _threshold(self) -> Object:
        evaluator = {"type": "gt", "params": [self.above]}
        return {
            "refId": _CONDITION,
            "queryType": "",
            "relativeTimeRange": {"from": 0, "to": 0},
            "datasourceUid": _EXPRESSION["uid"],
            "model": {
                "refId": _CONDITION,
                "datasource": _EXPRESSION,
                "type": "threshold",
                "expression": _VALUE,
                "conditions": [{"evaluator": evaluator}],
            },
        }

    def _annotations(self) -> dict[str, str]:
        seen = _number("Seen" if self.seen else _VALUE)
        expected = _number("Expected") if self.expected else f"at most {self.above:g}"
        names = " ".join(f"{{{{ $labels.{name} }}}}" for name in self.labels)
        return {
            "summary": f"{self.title}: {names}",
            "description": self.meaning,
            "value": f"{seen} {self.unit}",
            "expected": f"{expected} {self.unit}",
            "impact": f"{_number('Impact')} dollars an hour"
            if self.impact
            else "not counted in dollars",
            "first_action": self.first_action,
            # A path of the repository. Grafana shows the second as a link, and put no variables into
            # annotations for years: nothing that is sent depends on it.
            "runbook": self.runbook,
            "runbook_url": f"${{ALERT_RUNBOOKS_URL}}{self.runbook}",
            "board": f"/d/{self.board}",
            # By these Grafana leads from an alert to its panel, and marks the alert there.
            "__dashboardUid__": str(self.board),
            "__panelId__": str(self.panel_id),
        }


def _number(name: str) -> str:
    """Write a number of the alert, or a question mark where the rule could not be asked."""
    one = f'(index $values "{name}")'
    return (
        f'{{{{ if {one}.Labels }}}}{{{{ printf "%.4g" {one}.Value }}}}{{{{ else }}}}?{{{{ end }}}}'
    )
