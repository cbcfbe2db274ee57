"""slos.yaml: which events are to be good, how many of them, over how many days.

The file is taken whole or refused whole, with file, line and reason of every problem. An objective
whose rules could never fire is refused: an alert that cannot come is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, cast

from yaml.nodes import Node

from tokentide_jobs.core.slo.slo import FACTORS, Good, Slo, unreachable
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.budget_file import scope_value
from tokentide_jobs.io.files.yaml_entries import (
    Problems,
    content_of,
    entry_fields,
    mapping,
    named_entries,
    texts,
    value_text,
)
from tokentide_jobs.io.files.yaml_numbers import number
from tokentide_jobs.settings.origins import origin_of

__all__ = ["load_slos", "parse_slos"]

_REQUIRED: Final = ("name", "good", "objective", "window_days")
_OPTIONAL: Final = ("scope", "burn", "least_events")
_LIMITS: Final = ("latency_ms", "ttft_ms", "quality")
_GOOD: Final = ("errors", *_LIMITS, "rate_limit")
_MOST_DAYS: Final = 90
_MOST_PERCENT: Final = Decimal("99.9999")


def load_slos(path: Path | None) -> tuple[Slo, ...]:
    """Read the SLOs of this installation.

    Args:
        path: The file that `TOKENTIDE_SLOS_FILE` names.

    Raises:
        ConfigError: None is named, it cannot be read, or at least one entry is bad.
    """
    if path is None:
        raise ConfigError(
            "TOKENTIDE_SLOS_FILE is not set: write a slos.yaml (docs/slos.md has one) "
            "and name it there"
        )
    return parse_slos(content_of(path, "SLOs", f"correct {origin_of('slos_file')}"), str(path))


def parse_slos(content: bytes, name: str) -> tuple[Slo, ...]:
    """Read the text of a file of SLOs.

    Args:
        content: The file's bytes.
        name: Its name, for messages.

    Raises:
        ConfigError: At least one entry is bad; the message lists every problem with its line.
    """
    problems = Problems(name, "SLOs")
    return named_entries(content, "slos", "SLO", _slo, problems)


def _slo(node: Node, problems: Problems) -> Slo | None:
    before = len(problems.found)
    fields = entry_fields(node, _REQUIRED, _OPTIONAL, "an SLO", problems)
    if fields is None:
        return None
    percent = _number("objective", fields["objective"], 1, _MOST_PERCENT, problems)
    least = _number("least_events", fields["least_events"], 1, 1_000_000, problems) if (
        "least_events" in fields
    ) else 50  # fmt: skip
    slo = Slo(
        name=value_text("name", fields["name"], problems),
        scope=_scope(fields["scope"], problems) if "scope" in fields else (),
        good=_good(fields["good"], problems),
        objective=percent / 100,
        window_days=int(_number("window_days", fields["window_days"], 1, _MOST_DAYS, problems)),
        factors=_factors(fields["burn"], problems) if "burn" in fields else FACTORS,
        least_events=int(least),
    )
    if len(problems.found) > before:
        return None
    if never := unreachable(slo):
        written = ", ".join(f"{factor:g}" for factor in never)
        least_percent = 100 * (1 - 1 / max(never))
        problems.add(
            fields["objective"],
            f"objective: at {percent:g} % burn is at most {1 / slo.allowed:.3g}x, so "
            f"that {written} could never fire; give more than {least_percent:.4g} %, "
            "or leave it out of `burn`",
        )
        return None
    return slo


def _good(node: Node, problems: Problems) -> Good:
    fields = mapping(node, _GOOD, "good", problems)
    named = [key for key in fields if key != "rate_limit"]
    if len(named) != 1:
        problems.add(node, f"good: give exactly one of {', '.join(_GOOD[:-1])}")
        return Good(what="errors")
    (what,) = named
    if what == "errors":
        if value_text("errors", fields["errors"], problems) != "none":
            problems.add(fields["errors"], "errors: expected none")
        counts = _choice("rate_limit", fields, ("bad", "apart"), problems) != "apart"
        return Good(what="errors", counts_rate_limit=counts)
    if "rate_limit" in fields:
        problems.add(fields["rate_limit"], f"rate_limit: {what} does not look at errors")
    low = 0 if what == "quality" else 1
    limit = _number(what, fields[what], low, 86_400_000, problems)
    return Good(what=cast('Literal["latency_ms", "ttft_ms", "quality"]', what), limit=limit)


def _choice(
    key: str, fields: Mapping[str, Node], known: tuple[str, ...], problems: Problems
) -> str:
    if key not in fields:
        return known[0]
    written = value_text(key, fields[key], problems)
    if written not in known:
        problems.add(fields[key], f"{key}: {written!r} is none of {', '.join(known)}")
    return written


def _scope(node: Node, problems: Problems) -> tuple[tuple[str, str], ...]:
    fields = mapping(node, DIMENSIONS, "scope", problems)
    values = {key: scope_value(key, value, problems) for key, value in fields.items()}
    return tuple((name, values[name]) for name in DIMENSIONS if name in values)


def _factors(node: Node, problems: Problems) -> tuple[float, ...]:
    written = texts(node)
    known = {f"{factor:g}": factor for factor in FACTORS}
    if not written or len(set(written)) != len(written) or not set(written) <= set(known):
        problems.add(node, f"burn: expected some of {', '.join(known)}, each once")
        return FACTORS
    return tuple(sorted((known[one] for one in written), reverse=True))


def _number(key: str, node: Node, low: int, high: int | Decimal, problems: Problems) -> float:
    is_whole = key in ("window_days", "least_events")
    written = number(key, node, (low, high), problems, is_whole=is_whole)
    return float(high if written is None else written)
