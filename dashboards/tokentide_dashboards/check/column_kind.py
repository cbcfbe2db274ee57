"""What a column of ClickHouse is to a panel: a number, a time, a text, or something else."""

from __future__ import annotations

import re
from typing import Final, Literal

__all__ = ["ColumnKind", "column_kind"]

ColumnKind = Literal["number", "time", "text", "other"]

_WRAPPED: Final = re.compile(
    r"(?:Nullable|LowCardinality|SimpleAggregateFunction)\((?:\w+, )?(.*)\)"
)
_KINDS: Final[tuple[tuple[ColumnKind, re.Pattern[str]], ...]] = (
    ("number", re.compile(r"U?Int\d+|Float\d+|Decimal.*")),
    ("time", re.compile(r"DateTime.*|Date(32)?")),
    ("text", re.compile(r"String|FixedString.*|Enum.*|UUID")),
)


def column_kind(type_name: str) -> ColumnKind:
    """Return what values of a type are, as `DESCRIBE` names it, whatever it is wrapped in."""
    while found := _WRAPPED.fullmatch(type_name):
        type_name = found[1]
    for kind, pattern in _KINDS:
        if pattern.fullmatch(type_name):
            return kind
    return "other"
