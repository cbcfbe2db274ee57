"""How Grafana evaluates a rule over a table of numbers, as pure code: what is firing, and why.

Each row is one alert, named by its strings. A row that is missing keeps its alert for a number of
evaluations. A query that fails, or has no rows, is what the rule's states for that say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tokentide_dashboards.kit.json_value import Object

__all__ = ["Labels", "NumberTableError", "RuleEvaluation", "number_table", "rule_seconds"]

Labels = tuple[tuple[str, str], ...]
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_OF_NO_TABLE = {"execErrState": "DatasourceError", "noDataState": "DatasourceNoData"}
# Stricter than what a panel draws: the alerting engine takes no UUID and no time.
_NUMERIC = re.compile(r"(Nullable\()?(U?Int\d+|Float\d+|Decimal.*)\)?")
_TEXT = re.compile(r"(LowCardinality\()?(Nullable\()?(String|FixedString.*|Enum.*)\)*")


class NumberTableError(ValueError):
    """A table that Grafana would not take for numbers."""


def rule_seconds(text: str) -> int:
    """Return a duration of a rule (`30s`, `5m`) in seconds."""
    return int(text[:-1]) * _SECONDS[text[-1]]


def number_table(
    names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[object]]
) -> dict[Labels, float]:
    """Return the number of each row by its labels.

    Raises:
        NumberTableError: A column is neither a string nor the one number, or rows share labels.
    """
    if not rows:
        return {}
    numbers = [place for place, kind in enumerate(types) if _NUMERIC.fullmatch(kind)]
    odd = [
        f"{name} {kind}"
        for name, kind in zip(names, types, strict=True)
        if not _NUMERIC.fullmatch(kind) and not _TEXT.fullmatch(kind)
    ]
    if len(numbers) != 1 or odd:
        raise NumberTableError(
            f"input data must be a wide series: {len(numbers)} numeric columns, others {odd}"
        )
    found: dict[Labels, float] = {}
    for row in rows:
        labels = tuple(
            (name, str(value))
            for place, (name, value) in enumerate(zip(names, row, strict=True))
            if place != numbers[0]
        )
        if labels in found:
            raise NumberTableError(f"two rows have the labels {dict(labels)}")
        value = row[numbers[0]]
        found[labels] = math.nan if value is None else float(str(value))
    return found


@dataclass(slots=True)
class _Alert:
    """One alert of a rule: since when it is so, and how it stands."""

    state: str = "Normal"
    since_s: int = 0
    missing: int = 0


@dataclass(slots=True)
class RuleEvaluation:
    """A provisioned rule while it is evaluated again and again.

    Attributes:
        rule: As the file has it.
        alerts: By labels.
    """

    rule: Object
    alerts: dict[Labels, _Alert] = field(default_factory=dict)

    def take(self, now_s: int, table: Mapping[Labels, float] | None) -> None:
        """Evaluate once.

        Args:
            now_s: When.
            table: What the query gave; None: it failed.
        """
        if table is None or not table:
            word = "execErrState" if table is None else "noDataState"
            self._take_state(now_s, self.rule[word], _OF_NO_TABLE[word])
            return
        above = self.rule["data"][-1]["model"]["conditions"][0]["evaluator"]["params"][0]
        for name in _OF_NO_TABLE.values():
            self.alerts.pop((("alertname", name),), None)
        for labels, value in table.items():
            self._step(labels, now_s, is_bad=value > above)
        for labels in [one for one in self.alerts if one not in table]:
            alert = self.alerts[labels]
            alert.missing += 1
            if alert.missing >= self.rule["missing_series_evals_to_resolve"]:
                del self.alerts[labels]

    @property
    def firing(self) -> list[Labels]:
        """Return what receivers are notified of."""
        return [
            labels
            for labels, alert in self.alerts.items()
            if alert.state in ("Alerting", "Recovering")
        ]

    def _take_state(self, now_s: int, state: str, name: str) -> None:
        if state == "KeepLast":
            return
        if state == "OK":
            for labels in self.alerts:
                self._step(labels, now_s, is_bad=False)
        elif state == "Error" or not self.alerts:
            self._step((("alertname", name),), now_s, is_bad=True)
        else:
            for labels in self.alerts:
                self._step(labels, now_s, is_bad=True)

    def _step(self, labels: Labels, now_s: int, *, is_bad: bool) -> None:
        alert = self.alerts.setdefault(labels, _Alert(since_s=now_s))
        alert.missing = 0
        if is_bad:
            if alert.state in ("Normal", "Recovering"):
                state = "Pending" if alert.state == "Normal" else "Alerting"
                alert.state, alert.since_s = state, now_s
            if alert.state == "Pending" and now_s - alert.since_s >= rule_seconds(self.rule["for"]):
                alert.state = "Alerting"
            return
        if alert.state == "Alerting":
            alert.state, alert.since_s = "Recovering", now_s
        ends_s = alert.since_s + rule_seconds(self.rule["keepFiringFor"])
        if alert.state == "Pending" or (alert.state == "Recovering" and now_s >= ends_s):
            alert.state = "Normal"
