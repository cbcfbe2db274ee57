"""Whether the columns of an answer fit the panel: what Grafana draws wrong, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tokentide_dashboards.check.column_kind import column_kind
from tokentide_dashboards.kit.json_value import Object

__all__ = ["unfit"]

FIELD = re.compile(r"\$\{__data\.fields\.(\w+)")
LABEL = re.compile(r"\$\{__field\.labels\.(\w+)")


def unfit(panel: Object, columns: Mapping[str, str]) -> Iterator[str]:
    """Yield what does not fit.

    Args:
        panel: A panel with one query, as JSON.
        columns: ClickHouse's types of the answer, by name, in their order.
    """
    kinds = {name: column_kind(type_name) for name, type_name in columns.items()}
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    texts = [name for name, kind in kinds.items() if kind == "text"]
    kind = panel["type"]
    if kind in ("timeseries", "heatmap", "state-timeline"):
        if next(iter(kinds.items()), None) != ("time", "time"):
            yield f"the first column is no time named time: {', '.join(columns)}"
        if not numbers and not (kind == "state-timeline" and texts):
            yield "no column is a number"
    if kind == "heatmap":
        if texts or numbers != sorted(numbers, key=_bound):
            yield f"sizes do not ascend from left to right: {', '.join(columns)}"
    elif kind == "barchart":
        if panel["options"].get("xField") not in texts:
            yield f"xField {panel['options'].get('xField')!r} is no column of texts"
    elif kind in ("stat", "bargauge"):
        shows_texts = panel["options"]["reduceOptions"]["fields"] == "/.*/"
        if not numbers and not shows_texts:
            yield "no column is a number"
    for name, found in kinds.items():
        if found == "other":
            yield f"the column {name} is {columns[name]}, which is drawn as JSON or not at all"
    config = panel["fieldConfig"]
    for override in config["overrides"]:
        if override["matcher"]["options"] not in columns:
            yield f"the override of {override['matcher']['options']!r} names no column"
    text = str(config)
    for name in sorted(set(FIELD.findall(text)) - set(columns)):
        yield f"a link puts in the column {name}, which is none"
    for name in sorted(set(LABEL.findall(text)) - set(texts)):
        yield f"a name or link puts in the label {name}, which is no column of texts"


def _bound(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return float("-inf")
