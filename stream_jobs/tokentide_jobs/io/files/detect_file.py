"""detect.yaml: what the run guard holds runs to, in the section `run_guard`.

The file is taken whole or refused whole, with file, line and reason of every problem. What it does
not name keeps its default. Amounts are read as decimals; none ever passes through a float.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from yaml.nodes import Node, ScalarNode

from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.yaml_entries import Problems, section

__all__ = ["load_guard_rules", "parse_guard_rules"]

_SECTION: Final = "run_guard"
_DOLLAR: Final = 10**12
_MOST_USD: Final = 1_000_000
_NUMBER: Final = re.compile(r"\d{1,12}(\.\d{1,12})?")


@dataclass(frozen=True, slots=True)
class _Field:
    """How a number of the file becomes a field of the rules.

    Attributes:
        name: Of the field in `GuardRules`.
        scale: The field counts this many to one of the file.
        low: Least number of the file.
        high: Greatest.
    """

    name: str
    scale: int
    low: Decimal
    high: Decimal


def _usd(name: str) -> _Field:
    return _Field(f"{name}_pico_usd", _DOLLAR, Decimal(0), Decimal(_MOST_USD))


_FIELDS: Final = {
    "rate_floor_usd": _usd("rate_floor"),
    "rate_factor": _Field("rate_factor_milli", 1_000, Decimal(1), Decimal(100)),
    "rate_start_usd": _usd("rate_start"),
    "budget_usd": _usd("budget"),
    "budget_floor_usd": _usd("budget_floor"),
    "budget_factor": _Field("budget_factor_milli", 1_000, Decimal(1), Decimal(100)),
    "budget_start_usd": _usd("budget_start"),
    "repeats": _Field("repeats", 1, Decimal(2), Decimal(10_000)),
    "repeats_usd": _usd("repeats"),
    "repeats_free": _Field("repeats_free", 1, Decimal(2), Decimal(1_000_000)),
    "min_runs": _Field("min_runs", 1, Decimal(2), Decimal(500)),
    "idle_minutes": _Field("idle_us", 60_000_000, Decimal(10), Decimal(7 * 1_440)),
    "live_runs": _Field("live_runs", 1, Decimal(100), Decimal(1_000_000)),
}
_ORDERED: Final = (
    ("rate_floor_usd", "rate_start_usd"),
    ("budget_floor_usd", "budget_start_usd"),
    ("repeats", "repeats_free"),
)
"""Pairs of which the first may not be more than the second."""


def load_guard_rules(path: Path | None) -> GuardRules:
    """Read the rules of this installation.

    Args:
        path: The file that `TOKENTIDE_DETECT_FILE` names; None: every default holds.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong.
    """
    if path is None:
        return GuardRules()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"rules of detection {path}: {error.strerror or error}; "
            "correct TOKENTIDE_DETECT_FILE or remove it"
        ) from error
    return parse_guard_rules(content, str(path))


def parse_guard_rules(content: bytes, name: str) -> GuardRules:
    """Read the text of a detect.yaml.

    Args:
        content: The file's bytes.
        name: Its name, for messages.

    Raises:
        ConfigError: Something is wrong; the message lists every problem with its line.
    """
    problems = Problems(name, "rules of detection")
    fields = section(content, _SECTION, tuple(_FIELDS), problems)
    read = {key: _number(key, node, problems) for key, node in fields.items()}
    values = {_FIELDS[key].name: value for key, value in read.items() if value is not None}
    rules = GuardRules(**values)
    for low, high in _ORDERED:
        least, most = (getattr(rules, _FIELDS[key].name) for key in (low, high))
        if least > most:
            node = fields[low if low in fields else high]
            problems.add(node, f"{low}: more than {high}, which is {_written(high, most)}")
    problems.raise_if_any()
    return rules


def _number(key: str, node: Node, problems: Problems) -> int | None:
    """Read a number of the file as what its field counts."""
    written = node.value.strip() if isinstance(node, ScalarNode) else "a list or mapping"
    field = _FIELDS[key]
    if not _NUMBER.fullmatch(written) or not field.low <= Decimal(written) <= field.high:
        problems.add(node, f"{key}: {written!r} is no number from {field.low:,} to {field.high:,}")
        return None
    exact = Decimal(written) * field.scale
    if exact != exact.to_integral_value():
        steps = "whole number" if field.scale == 1 else f"multiple of 1/{field.scale:,}"
        problems.add(node, f"{key}: {written!r} is no {steps}")
        return None
    return int(exact)


def _written(key: str, value: int) -> str:
    return f"{(Decimal(value) / _FIELDS[key].scale).normalize():f}"
