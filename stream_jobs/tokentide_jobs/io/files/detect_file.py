"""detect.yaml: what detection decides by, in `run_guard`, `anomalies` and `pipeline`.

The file is taken whole or refused whole, with file, line and reason of every problem. What it does
not name keeps its default. Amounts are read as decimals; none ever passes through a float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from yaml.nodes import Node, SequenceNode

from tokentide_jobs.core.alert.pipeline_rules import PipelineRules
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.merge.key_levels import DEFAULT_LEVELS, KeyLevel
from tokentide_jobs.core.tables import DAY_S, MINUTE_US
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.io.files.yaml_entries import (
    Problems,
    content_of,
    is_null,
    mapping,
    sections,
    texts,
)
from tokentide_jobs.io.files.yaml_numbers import number
from tokentide_jobs.settings.origins import origin_of

__all__ = ["detect_content", "detect_rules", "load_detect_rules", "parse_detect_rules"]

_MOST_LEVELS: Final = 16
_DOLLAR: Final = 10**12
_MOST_USD: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Field:
    """How a number of the file becomes a field of the rules.

    Attributes:
        name: Of the field in the rules.
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


_GUARD: Final = {
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
    "idle_minutes": _Field("idle_us", MINUTE_US, Decimal(10), Decimal(7 * 1_440)),
    "live_runs": _Field("live_runs", 1, Decimal(100), Decimal(1_000_000)),
}
_ANOMALIES: Final = {
    "settle_seconds": _Field("settle_us", 1_000_000, Decimal(0), Decimal(600)),
    "longest_call_seconds": _Field("longest_call_us", 1_000_000, Decimal(0), Decimal(3_600)),
    "level_threshold": _Field("level_threshold", 1, Decimal(4), Decimal(100)),
    "ratio_threshold": _Field("ratio_threshold", 1, Decimal(8), Decimal(200)),
    "severe_threshold": _Field("severe_threshold", 1, Decimal(5), Decimal(200)),
    "silent_days": _Field("silent_s", DAY_S, Decimal("0.125"), Decimal(30)),
    "learning_days": _Field("learning_s", DAY_S, Decimal("0.125"), Decimal(60)),
    "most_keys": _Field("most_keys", 1, Decimal(100), Decimal(1_000_000)),
}
_PIPELINE: Final = {
    "late_seconds": _Field("late_us", 1_000_000, Decimal(30), Decimal(86_400)),
    "lag_records": _Field("lag_records", 1, Decimal(1), Decimal(10**12)),
    "dead_letter_percent": _Field("dead_letters_ppm", 10_000, Decimal(0), Decimal(100)),
    "dead_letters": _Field("dead_letters", 1, Decimal(1), Decimal(10**9)),
    "unpriced_percent": _Field("unpriced_ppm", 10_000, Decimal(0), Decimal(100)),
    "unpriced_requests": _Field("unpriced", 1, Decimal(1), Decimal(10**9)),
    "lost_percent": _Field("lost_ppm", 10_000, Decimal(0), Decimal(100)),
    "lost_events": _Field("lost", 1, Decimal(1), Decimal(10**9)),
    "silent_minutes": _Field("silent_us", MINUTE_US, Decimal(0), Decimal(1_080)),
}
_SECTIONS: Final = {
    "run_guard": tuple(_GUARD),
    "anomalies": (*_ANOMALIES, "levels", "fast_levels"),
    "pipeline": tuple(_PIPELINE),
}
"""Sections that are read here, with their fields."""
_ORDERED: Final = (
    ("rate_floor_usd", "rate_start_usd"),
    ("budget_floor_usd", "budget_start_usd"),
    ("repeats", "repeats_free"),
)
"""Pairs of which the first may not be more than the second."""


def load_detect_rules(path: Path | None) -> DetectRules:
    """Read the rules of this installation.

    Args:
        path: The file that `TOKENTIDE_DETECT_FILE` names; None: every default holds.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong.
    """
    if path is None:
        return DetectRules()
    return parse_detect_rules(detect_content(path), str(path))


def detect_content(path: Path) -> bytes:
    """Return the bytes of the file that `TOKENTIDE_DETECT_FILE` names.

    Raises:
        ConfigError: It cannot be read.
    """
    return content_of(
        path, "rules of detection", f"correct {origin_of('detect_file')} or remove it"
    )


def parse_detect_rules(content: bytes, name: str) -> DetectRules:
    """Read the text of a detect.yaml.

    Args:
        content: The file's bytes.
        name: Its name, for messages.

    Raises:
        ConfigError: Something is wrong; the message lists every problem with its line.
    """
    problems = Problems(name, "rules of detection")
    rules = detect_rules(sections(content, problems), problems)
    problems.raise_if_any()
    return rules


def detect_rules(nodes: Mapping[str, Node], problems: Problems) -> DetectRules:
    """Read the sections that are read here; of no use once there is a problem.

    Args:
        nodes: Sections of the file.
        problems: Where to note what is wrong.
    """
    found = {
        section: mapping(nodes[section], fields, section, problems) if section in nodes else {}
        for section, fields in _SECTIONS.items()
    }
    guard = _guard(found["run_guard"], problems)
    fields = found["anomalies"]
    listed = {name: fields.pop(name, None) for name in ("levels", "fast_levels")}
    values = _numbers(_ANOMALIES, fields, problems)
    default = DetectRules()
    settle_us = values.pop("settle_us", default.settle_us)
    longest_call_us = values.pop("longest_call_us", default.longest_call_us)
    parameters = Parameters(**values)  # type: ignore[arg-type]
    if parameters.silent_s > parameters.learning_s:
        node = fields["silent_days" if "silent_days" in fields else "learning_days"]
        problems.add(node, "silent_days: more than learning_days, which it is a part of")
    pipeline = PipelineRules(**_numbers(_PIPELINE, found["pipeline"], problems))
    levels, fast_levels = _both(listed["levels"], listed["fast_levels"], problems)
    return DetectRules(
        guard=guard, levels=levels, fast_levels=fast_levels, settle_us=settle_us,
        longest_call_us=longest_call_us, parameters=parameters, pipeline=pipeline,
    )  # fmt: skip


def _guard(fields: dict[str, Node], problems: Problems) -> GuardRules:
    rules = GuardRules(**_numbers(_GUARD, fields, problems))
    for low, high in _ORDERED:
        least, most = (getattr(rules, _GUARD[key].name) for key in (low, high))
        if least > most:
            node = fields[low if low in fields else high]
            problems.add(node, f"{low}: more than {high}, which is {_written(high, most)}")
    return rules


def _both(
    levels: Node | None, fast: Node | None, problems: Problems
) -> tuple[tuple[KeyLevel, ...], tuple[KeyLevel, ...]]:
    """Read what is watched by the minute and by ten seconds: a level by one of them only."""
    quick = _levels("fast_levels", 0, fast, problems) if fast is not None else ()
    if levels is None:
        return tuple(one for one in DEFAULT_LEVELS if one not in quick), quick
    usual = _levels("levels", 1, levels, problems)
    for level in sorted(set(quick) & set(usual)):
        text = f"fast_levels: [{', '.join(level)}] is in levels, too; name it in one of them"
        problems.add(fast or levels, text)
    return usual, quick


def _levels(name: str, least: int, node: Node, problems: Problems) -> tuple[KeyLevel, ...]:
    """Read lists of dimensions, each of them a level; without a least number, nothing is none."""
    if not least and is_null(node):
        return ()
    listed = node.value if isinstance(node, SequenceNode) else []
    levels, before = [], len(problems.found)
    for one in listed:
        names = texts(one)
        if not names or len(set(names)) < len(names) or not set(names) <= set(DIMENSIONS):
            problems.add(
                one, f"{name}: expected a list of dimensions, of {', '.join(DIMENSIONS)}, each once"
            )
        levels.append(tuple(one for one in DIMENSIONS if one in names))
    is_known = len(problems.found) == before
    is_list = isinstance(node, SequenceNode) and least <= len(levels) <= _MOST_LEVELS
    if not is_list or (is_known and len(set(levels)) < len(levels)):
        problems.add(
            node, f"{name}: expected {least} to {_MOST_LEVELS} different lists of dimensions"
        )
    return tuple(levels)


def _numbers(
    known: Mapping[str, _Field], fields: Mapping[str, Node], problems: Problems
) -> dict[str, int]:
    """Read the numbers of a section by the names of the rules."""
    read = {key: _number(key, known[key], node, problems) for key, node in fields.items()}
    return {known[key].name: value for key, value in read.items() if value is not None}


def _number(key: str, field: _Field, node: Node, problems: Problems) -> int | None:
    """Read a number of the file as what its field counts."""
    written = number(key, node, (field.low, field.high), problems)
    if written is None:
        return None
    exact = written * field.scale
    if exact != exact.to_integral_value():
        steps = "whole number" if field.scale == 1 else f"multiple of 1/{field.scale:,}"
        problems.add(node, f"{key}: '{written:f}' is no {steps}")
        return None
    return int(exact)


def _written(key: str, value: int) -> str:
    return f"{(Decimal(value) / _GUARD[key].scale).normalize():f}"
