"""Rules that all alert rules keep: uids of their own, and that each can fire at all.

A rule over a metric or kind that nothing writes is silent for ever, as is one whose value never
gets beyond its limit. Neither shows in a query that runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, get_args

from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.core.alert.finding import Kind
from tokentide_jobs.core.detect.window_metrics import METRICS

__all__ = ["rule_problems"]

_WRITTEN: Final[Mapping[str, frozenset[str]]] = {
    "metric": frozenset(metric.name for metric in METRICS),
    "kind": frozenset(get_args(Kind)),
}
"""What stands in columns that rules select by: detectors write no other metric of a window."""
_SELECTED: Final = re.compile(rf"\b({'|'.join(_WRITTEN)}) (?:(?:NOT )?IN \(([^)]*)\)|= ('[^']*'))")
_TEXT: Final = re.compile(r"'([^']*)'")
_TRUTH: Final = re.compile(r"\b(AND|OR|NOT)\b|(?<![<>!])=")


def rule_problems(rules: Sequence[Rule]) -> list[str]:
    """Return every problem of these rules, each with the name of its rule."""
    found = [
        f"{what} {value!r} stands on {count} rules"
        for what, values in (
            ("uid", Counter(rule.uid for rule in rules)),
            ("title", Counter(rule.title for rule in rules)),
        )
        for value, count in values.items()
        if count > 1
    ]
    return [*found, *(f"rule {rule.name}: {one}" for rule in rules for one in _of_rule(rule))]


def _of_rule(rule: Rule) -> Iterator[str]:
    for column, listed, single in _SELECTED.findall(rule.source):
        for text in _TEXT.findall(listed or single):
            if text not in _WRITTEN[column]:
                yield f"it reads the {column} {text!r}, which nothing writes"
    if _TRUTH.search(rule.value) and not 0 <= rule.above < 1:
        yield f"its value is 0 or 1, and the limit {rule.above:g} makes it silent or fire for ever"
